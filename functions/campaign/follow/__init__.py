"""Runs that follow another: from what became of its messages to the rows of the people who are written to again."""
