"""Sealed addresses: what the timeline keeps of an address besides its mask, to be opened by who may see it.

AES-SIV (RFC 5297) with the message's id beside it: the same address of the same message is always sealed alike, so that
a step that is repeated tells the same; of another message it is another text, and opens for that one alone. There is no
nonce to keep.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

LIBRARY = "cryptography.hazmat.primitives.ciphers.aead"
"""What seals. It takes as long to import as all else of a function, so it is when the first address is sealed."""
_KEY_BYTES = 64
"""AES-256-SIV takes two keys of 32 bytes."""


class Sealer:
    """Seals and opens addresses of one tenant. Thread-safe.

    salt: the tenant's, from which the key is derived. Whoever reads the timeline alone opens nothing.
    """

    def __init__(self, salt: bytes) -> None:
        self._key = blake2b(key=salt[:64], digest_size=_KEY_BYTES, person=b"mepush address").digest()

    def seal(self, message_id: str, address: str) -> str:
        """A normalised address, sealed: 16 bytes more than the address has, as base64."""
        sealed = self._cipher.encrypt(address.encode(), [message_id.encode()])
        return urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, message_id: str, sealed: str) -> str | None:
        """The address that was sealed for this message; None if it was not sealed so."""
        from cryptography.exceptions import InvalidTag

        try:
            data = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            return self._cipher.decrypt(data, [message_id.encode()]).decode()
        except (InvalidTag, ValueError):
            return None

    @cached_property
    def _cipher(self) -> "AESSIV":
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(self._key)
