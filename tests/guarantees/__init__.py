"""The promises: nothing accepted is lost, nothing is silently sent twice, and the counters equal the timeline."""
