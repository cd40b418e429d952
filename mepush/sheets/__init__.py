"""Tables that people save as files: CSV in whatever encoding and dialect, and line-delimited JSON. Pure: no I/O."""
