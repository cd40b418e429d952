"""The check: what each row of a file comes to before anything is sent, and what the run will cost."""
