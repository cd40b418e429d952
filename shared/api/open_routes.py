"""The paths of routes that anybody may call and that are no operations: whoever knows what stands in them is let in."""

CALLBACKS = "/callbacks/{tenant}/{account}/{token}"
"""Of what providers call."""
