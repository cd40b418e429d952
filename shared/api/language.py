"""The language in which pages for recipients are written: the one of ours that their browser asks for first."""

from enum import StrEnum


class Language(StrEnum):
    """What pages are written in."""

    EN = "en"
    ZH = "zh"


def language_of(accepted: str) -> Language:
    """The language that a browser asks for first, of those that there are. accepted: its `Accept-Language`."""
    ranked: list[tuple[float, int, Language]] = []
    for position, part in enumerate(accepted.lower().split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        for language in Language:
            if tag == language or tag.startswith(f"{language}-"):
                ranked.append((-_weight(weight), position, language))
    return min(ranked)[2] if ranked else Language.EN


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
