"""The HTTP API: calls, errors, and where it is."""
