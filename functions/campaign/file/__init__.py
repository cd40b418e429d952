"""From an audience file to rows: unpacked, read and cut into shards."""
