"""The paths of routes that anybody may call and that are no operations: whoever knows what stands in them is let in."""

PREFERENCES = "/u/{tenant}/{token}"
"""Of the pages of recipients; links to them are made in `shared/policy/unsubscribing.py`."""
CALLBACKS = "/callbacks/{tenant}/{account}/{token}"
"""Of what providers call."""
