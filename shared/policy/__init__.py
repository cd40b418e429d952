"""Decisions: pure functions of facts already fetched."""
