"""The commands, as typer has them."""
