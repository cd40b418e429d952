"""The `mepush` command: a client of the HTTP API, and of nothing else."""
