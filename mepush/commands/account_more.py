"""`mepush account` as a whole: the group with all the commands that join it."""

from mepush.commands import account_lists, account_statistics
from mepush.commands.accounts import app

__all__ = ["account_lists", "account_statistics", "app"]
