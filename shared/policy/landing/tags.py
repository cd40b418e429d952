"""Reads lists of tags, `v=DMARC1; p=none`, as DKIM and DMARC write them (RFC 6376 section 3.2)."""


def read_tags(record: str) -> dict[str, str]:
    """The tags by their names in lower case; the first counts of two with one name."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found
