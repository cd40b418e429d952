"""What the functions and the command share."""

from shared.base.quiet import hold_back

hold_back()
