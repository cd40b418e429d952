"""Who is to be found, and how a text is told to be about them. Pure."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from shared.model.address import AddressError, normalise
from shared.model.erasures import Erasure
from shared.model.ids import TAG_LENGTH, ULID_LENGTH
from shared.model.veils import Veil, Veils, veil_name
from shared.model.words import Channel

_GAPS = r"[\s\-().+·/]*"
"""What people write between the digits of a number."""
_TAIL = 8
"""So many last digits of a number are looked for."""
_WORDS = re.compile(r'[^\s"\\,;:{}\[\]<>]+').findall
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


@dataclass(frozen=True)
class Person:
    """One address on one channel of a tenant."""

    tenant: str
    channel: Channel
    address: str
    tag: str
    veil: Veil
    region: str
    """The country of numbers without a prefix."""
    keep_suppression: bool

    @classmethod
    def of(cls, erasure: Erasure, region: str) -> "Person":
        """Whom an erasure is about."""
        veil = Veil(erasure.veil, erasure.at)
        keep = erasure.keep_suppression
        return cls(erasure.tenant, erasure.channel, erasure.address, erasure.tag, veil, region, keep)

    @cached_property
    def veils(self) -> Veils:
        """The person's veil by their name."""
        return {veil_name(self.tag): self.veil}

    def tagged(self, text: str) -> bool:
        """Whether a text holds the person's tag."""
        return self.tag in text

    def untagged(self, text: str) -> str:
        """A text with the veil's tag in place of the person's, but in ids of messages that are newer than the erasure.

        A tag is 80 bits of a hash, so nothing else is the same by accident.
        """
        return self._in_text.sub(self._replaced, text)

    @cached_property
    def _in_text(self) -> re.Pattern[str]:
        return re.compile(rf"([0-9A-HJKMNP-TV-Z]{{{ULID_LENGTH}}})?{self.tag}")

    def _replaced(self, found: re.Match[str]) -> str:
        ulid = found[1]
        if ulid is None:
            return self.veil.tag
        return ulid + (self.veil.tag if ulid[0] <= "7" and self.veil.covers(ulid) else self.tag)

    def covers(self, message_id: str) -> bool:
        """Whether a message is the person's, and not newer than the erasure."""
        return message_id[ULID_LENGTH:][:TAG_LENGTH] == self.tag and self.veil.covers(message_id[:ULID_LENGTH])

    def may_be_in(self, text: str) -> bool:
        """Whether a text may hold the address in whatever spelling; quick, and never no by mistake."""
        return self._near(unicodedata.normalize("NFKC", text).translate(_INVISIBLE)) is not None

    @cached_property
    def _near(self) -> Callable[[str], object]:
        if self.channel is Channel.SMS:
            return re.compile(_GAPS.join(self.address[-_TAIL:])).search
        wanted = self.address.partition("@")[0] if self.channel is Channel.EMAIL else self.address
        return re.compile(re.escape(wanted), re.IGNORECASE).search

    def named_in(self, text: str) -> bool:
        """Whether a longer text has the address in it, as one of its words."""
        return self.may_be_in(text) and any(map(self.is_named, _WORDS(text)))

    def struck(self, text: str) -> str:
        """A text of others in which the address has become as many asterisks: an email address or a number, in its
        usual spellings. The ids of members of WeCom are words like others, so they stay."""
        if self.channel is Channel.WECOM:
            return text
        return self._spelled.sub(lambda found: "*" * len(found[0]), text)

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        spellings = {self.address, self.address.removeprefix("+"), quote(self.address, safe=""), *self._national()}
        words = "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))
        # Nobody else's, of which it is a part.
        before, behind = (r"\d", r"\d") if self.channel is Channel.SMS else (r"[\w.+\-]", r"[\w\-]|\.\w")
        return re.compile(rf"(?<!{before})(?:{words})(?!{behind})", re.IGNORECASE)

    def _national(self) -> set[str]:
        """A number without its country's code, if that is the tenant's own."""
        if self.channel is not Channel.SMS:
            return set()
        digits = self.address.removeprefix("+")
        return {digits[at:] for at in (1, 2, 3) if self.is_named(digits[at:])}

    def is_named(self, cell: str) -> bool:
        """Whether a text is the address, in one of its spellings."""
        try:
            return normalise(self.channel.value, cell, self.region) == self.address
        except AddressError:
            return False
