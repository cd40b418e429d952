"""What WeCom calls an app's URL with: signed and encrypted, as its pages say.

After WeCom docs, path 90968 (encryption), 90238 (callbacks) and 90240 (events). Written apart from the platform's own
reading of it, so that either can catch the other's mistakes.
"""

import base64
import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

TOKEN = "SandboxToken"
AES_KEY = "SandboxEncodingAESKey0123456789abcdefghijkl"


@dataclass(frozen=True, slots=True)
class Calling:
    """Makes calls for one app. token, aes_key: as in the app's settings at WeCom."""

    corp_id: str
    agent_id: int
    token: str = TOKEN
    aes_key: str = AES_KEY

    def question(self, text: str, at_s: int) -> str:
        """The query by which WeCom asks whether a URL is ours; the answer must be `text`."""
        encrypted = self.encrypted(text.encode())
        return urlencode({**self._signed(encrypted, at_s), "echostr": encrypted})

    def event(self, name: str, at_s: int, member: str = "", fields: Mapping[str, str] | None = None) -> tuple[str, str]:
        """The query and the body by which WeCom tells of an event."""
        texts = {"ToUserName": self.corp_id, "FromUserName": member, "MsgType": "event", "Event": name}
        given = "".join(f"<{key}><![CDATA[{value}]]></{key}>" for key, value in {**texts, **(fields or {})}.items())
        numbers = f"<CreateTime>{at_s}</CreateTime><AgentID>{self.agent_id}</AgentID>"
        return self.message(f"<xml>{given}{numbers}</xml>", at_s)

    def message(self, xml: str, at_s: int) -> tuple[str, str]:
        """The query and the body with any message."""
        encrypted = self.encrypted(xml.encode())
        body = (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
            f"<AgentID><![CDATA[{self.agent_id}]]></AgentID></xml>"
        )
        return urlencode(self._signed(encrypted, at_s)), body

    def encrypted(self, message: bytes) -> str:
        """A message as it travels."""
        padder = PKCS7(256).padder()
        plain = os.urandom(16) + struct.pack(">I", len(message)) + message + self.corp_id.encode()
        padded = padder.update(plain) + padder.finalize()
        key = base64.b64decode(self.aes_key + "=")
        encryptor = Cipher(AES256(key), CBC(key[:16])).encryptor()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def _signed(self, encrypted: str, at_s: int) -> dict[str, str]:
        nonce = os.urandom(5).hex()
        parts = sorted([self.token, str(at_s), nonce, encrypted])
        signature = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
        return {"msg_signature": signature, "timestamp": str(at_s), "nonce": nonce}
