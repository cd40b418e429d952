"""The HTTP interface: its operations, its models, and what turns a handler's functions into answers."""
