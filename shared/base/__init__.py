"""What every function stands on: settings, logs, caches, channels, and the words for its rights."""
