"""What the functions and the command share."""

from shared.quiet import hold_back

hold_back()
