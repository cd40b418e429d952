"""The Lambda functions. This is imported before any of them, so their starts begin here; their handlers end them."""

from shared.base.garbage import put_off

put_off()
