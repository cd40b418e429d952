"""What the functions share."""

from shared.base.quiet import hold_back

hold_back()
