"""Templates: analysed when they are saved, filled in within one budget, and refused in words."""
