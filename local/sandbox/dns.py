"""A name server on this machine, which knows two domains: one whose mail lands, and one whose mail does not."""

import socketserver
import threading
from collections.abc import Mapping
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0e4vh2p9Yb3DGr542j0GwRcfQThvmBZTNSXSKWHLRu316FI50I4C"
    "6GyqnfO9NQnrEDiKpMvR7TJCVHyQ8UA+Tdu5MaRAmpKLTuagLoMXZaSoKc/uxCDm8qJjVCB+RrHuRjYCbimM6mcd/cSG70W3"
    "72NXecABhEBPmbkZIb9MlQeuENPA5ekE/LfnqiNbeiDWEknA6fRLh4KGhIx/HnKTvaBO01Okj+CjWmUC8H2jq+Ug7m1FpqWK"
    "7kgChzsnG6zPavnW/rzCSj3bMWtEOQE6jc3kKXJRAXmbQABhkFyPbOFTKujwI3AapV0L8zCAY0GPSQs0TiSH99cFU98HdjTk"
    "mQIDAQAB"
)
"""Half of a pair whose other half nobody has kept."""
_SES = "x3vmpnbyjt4oaqvvpejmgkzcwgbeuwmb"
_MOST_SHORT = 255
"""Characters of one string of a TXT record."""

Zone = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Records by name and type; a domain knows all names below its own."""

ZONE: Zone = {
    "example.com": {
        "TXT": ("v=spf1 include:_spf.example.com include:amazonses.com ~all",),
        "MX": ("10 mail.example.com.",),
    },
    "_spf.example.com": {"TXT": ("v=spf1 ip4:192.0.2.0/24 -all",)},
    "_dmarc.example.com": {"TXT": ("v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com",)},
    "default._domainkey.example.com": {"TXT": (f"v=DKIM1; k=rsa; p={_KEY}",)},
    f"{_SES}._domainkey.example.com": {"CNAME": (f"{_SES}.dkim.amazonses.com.",)},
    f"{_SES}.dkim.amazonses.com": {"TXT": (f"p={_KEY}",)},
    "amazonses.com": {"TXT": ("v=spf1 ip4:198.51.100.0/24 -all",)},
    "broken.example": {"TXT": ("v=spf1 include:gone.example +all", "v=spf1 mx -all")},
    "gone.example": {},
}


class DnsSandbox:
    """Answers over UDP from a zone; refuses what is of none of its domains, as it knows nothing of it."""

    def __init__(self, zone: Zone = ZONE) -> None:
        self._zone = {name.lower(): records for name, records in zone.items()}
        self._server = socketserver.UDPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="dns", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.socket.getsockname()
        return str(host), int(port)

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        answer = self._answer

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                reply = answer(data)
                if reply is not None:
                    sock.sendto(reply, self.client_address)

        return Handler

    def _answer(self, data: bytes) -> bytes | None:
        try:
            asked = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.RA
        for question in asked.question:
            reply.set_rcode(self._fill(reply.answer, str(question.name).rstrip(".").lower(), question.rdtype))
        return reply.to_wire()

    def _fill(self, section: list[Any], name: str, kind: Any) -> dns.rcode.Rcode:
        """Add the records of a name, and of those that it stands for."""
        if not any(name == own or name.endswith(f".{own}") for own in self._zone):
            return dns.rcode.REFUSED
        if name not in self._zone:
            return dns.rcode.NXDOMAIN
        wanted = dns.rdatatype.to_text(kind)
        for each in (wanted, "CNAME") if wanted != "CNAME" else (wanted,):
            records = self._zone[name].get(each, ())
            if records:
                section.append(dns.rrset.from_text(f"{name}.", 300, "IN", each, *(_quoted(each, r) for r in records)))
            if each == "CNAME" and records and wanted != "CNAME":
                return self._fill(section, records[0].rstrip(".").lower(), kind)
        return dns.rcode.NOERROR


def _quoted(kind: str, record: str) -> str:
    if kind != "TXT":
        return record
    return " ".join(f'"{record[at : at + _MOST_SHORT]}"' for at in range(0, len(record), _MOST_SHORT))
