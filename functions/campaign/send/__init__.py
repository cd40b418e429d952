"""From rows to envelopes on the queues, slice by slice and in time."""
