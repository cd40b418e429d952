"""Texts as a person sees them: what is copied from spreadsheets, chats and contact cards carries more than that."""

import re

# What takes no room on the screen (Unicode, Default_Ignorable_Code_Point): zero widths, marks of direction, joiners,
# variation selectors, the byte-order mark, tags.
_MARKS = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
# These two change how letters look in Persian and Indic words, so there they are part of a name.
_JOINERS = re.compile("[\u200c\u200d]")
_PLAIN = {0xFF01 + i: 0x21 + i for i in range(94)}
_BLANKS = dict.fromkeys(map(ord, "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"), " ")
_BLANKS |= dict.fromkeys(map(ord, "\u202f\u205f\u3000"), " ") | dict.fromkeys(map(ord, "\u0085\u2028\u2029"), "\n")
_SEEN = _PLAIN | _BLANKS


def visible(text: str) -> str:
    """A text as one sees it: no invisible marks, full-width forms as plain ones, every blank a space, none around.

    Letters and digits stay what they are, so a text that reads differently never becomes another one. Joiners stay
    between letters outside ASCII, where they can be seen. Doing it twice changes nothing.
    """
    if text.isascii():
        return text.strip()
    seen = _MARKS.sub("", text).translate(_SEEN)
    joined = _JOINERS.sub("", seen)
    return (joined if joined.isascii() else seen).strip()


def unquoted(text: str) -> str:
    """A text without the quotes around it, and without what makes spreadsheets keep a text as one: `'138`, `="138"`."""
    if len(text) > 2 and text[:2] == '="' and text[-1] == '"':
        text = text[1:]
    for left, right in ('""', "\u201c\u201d", "''", "\u2018\u2019"):
        if len(text) > 1 and text[0] == left and text[-1] == right:
            return text[1:-1].strip()
    return text


def whole_digits(text: str) -> str:
    """A text with the digits of other scripts as ASCII's; superscripts, circled ones and fractions are no digits."""
    if text.isascii():
        return text
    return "".join(str(int(c)) if c.isdecimal() else c for c in text)
