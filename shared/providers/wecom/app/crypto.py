"""How WeCom signs and encrypts what it says by callbacks.

After WeCom docs, path 90968 ("Encryption and decryption") and 90238/96238 (callbacks). The key is the EncodingAESKey of
43 characters, base64 without its last sign; AES-256-CBC, with the key's first half as the vector. What is encrypted is
16 random bytes, four bytes of length, the message, and for whom it is: the corporation's id. It is padded to blocks of
32 bytes, not 16.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from shared.providers.callbacks import CallbackForgedError, CallbackRefusedError

BLOCK: Final = 32
_RANDOM: Final = 16
_LENGTH: Final = 4


def check_signature(token: str, timestamp: str, nonce: str, encrypted: str, signature: str) -> None:
    """Check that whoever calls knows the token. Raises: CallbackForgedError."""
    text = "".join(sorted((token, timestamp, nonce, encrypted)))
    right = hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(right.encode(), signature.encode(errors="replace")):
        raise CallbackForgedError("the signature does not fit: check callback_token")


def decrypt(aes_key: str, encrypted: str, receiver: str) -> bytes:
    """What was encrypted. receiver: for whom it must be. Raises: CallbackForgedError; CallbackRefusedError."""
    # It takes a while to import, and only who is called back needs it.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        key = base64.b64decode(f"{aes_key}=", validate=True)
        data = base64.b64decode(encrypted, validate=True)
        decryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:16])).decryptor()
        plain = decryptor.update(data) + decryptor.finalize()
    except (binascii.Error, ValueError):
        raise CallbackRefusedError("what is encrypted is not whole, or the key is none") from None
    message, whose = _parted(_unpadded(plain))
    if not hmac.compare_digest(whose, receiver.encode()):
        raise CallbackForgedError("it is for another corporation, or encrypted by another key: check callback_aes_key")
    return message


def _unpadded(plain: bytes) -> bytes:
    count = plain[-1] if plain else 0
    if not 1 <= count <= BLOCK or plain[-count:] != bytes([count]) * count:
        raise CallbackRefusedError("it is encrypted by another key: check callback_aes_key")
    return plain[:-count]


def _parted(plain: bytes) -> tuple[bytes, bytes]:
    """The message, and for whom it is."""
    begin = _RANDOM + _LENGTH
    end = begin + int.from_bytes(plain[_RANDOM:begin])
    if len(plain) < begin or end > len(plain):
        raise CallbackRefusedError("it is encrypted by another key: check callback_aes_key")
    return plain[begin:end], plain[end:]
