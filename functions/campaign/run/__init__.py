"""The life of a run: how it starts, moves on, is held, reports and ends."""
