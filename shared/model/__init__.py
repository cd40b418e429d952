"""The words of the platform: plain data and pure functions, no I/O, no environment."""
