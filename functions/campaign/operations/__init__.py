"""What callers of the API can do with campaigns and runs."""
