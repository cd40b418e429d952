"""A function that does what the test says."""
