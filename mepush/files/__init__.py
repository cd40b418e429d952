"""What is read from files of the user, and sent."""
