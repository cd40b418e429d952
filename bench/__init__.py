"""Benchmarks: each figure beside a named baseline of the same run. `python -m bench` prints them all."""
