"""Holds libraries' loggers back: below INFO they write whole requests, with secrets, addresses and texts.

Whoever turns the root logger to DEBUG to look for a fault hears the platform, not these. `shared` does it when any part
of it is imported, so no function can forget to.
"""

import logging

LEVELS = {
    "asyncio": logging.INFO,
    "boto3": logging.INFO,
    "botocore": logging.INFO,
    "charset_normalizer": logging.INFO,
    # These two write addresses at INFO, and the addresses of WeCom hold keys.
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "requests": logging.INFO,
    "s3transfer": logging.INFO,
    "tencentcloud_sdk_common": logging.INFO,
    "urllib3": logging.INFO,
}
"""The least level of each library's logger, and of all loggers below it."""


class _Least(logging.Filter):
    """Lets nothing below a level through, should somebody set the logger's own level later."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level


def hold_back() -> None:
    """Set the levels."""
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addFilter(_Least(level))
