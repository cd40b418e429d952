"""DKIM (RFC 6376, RFC 8301): whether the keys are there by which receivers check signatures."""

import base64
import binascii
from typing import Protocol

from shared.net.dns import Lookups
from shared.policy.landing.findings import Check, Finding, Record, Sender, State
from shared.policy.landing.tags import read_tags

USUAL = ("default", "dkim", "mail", "google", "selector1", "selector2", "s1", "s2", "k1", "k2", "qqmail")
"""Selectors that mail servers and providers give by themselves: tried where nobody says which."""
_FEWEST_BITS, _ENOUGH_BITS = 1024, 2048


class _Finder(Protocol):
    def __call__(self, state: State, code: str, record: Record | None = None, **facts: str) -> Finding: ...


def check(domain: str, sender: Sender, lookups: Lookups) -> list[Finding]:
    """The keys of a domain: those of the sender's selectors, else whatever there is under the usual ones."""
    domain = sender.signer or domain
    if sender.selectors:
        return [_key(domain, selector, sender, lookups) for selector in sender.selectors]
    tried = [_key(domain, selector, sender, lookups) for selector in USUAL]
    found = [finding for finding in tried if finding.code != "dkim_missing"]
    if any(finding.state is State.OK for finding in found):
        return [finding for finding in found if finding.state is State.OK]
    return found[:1] or [Finding(Check.DKIM, State.WARNING, "dkim_not_found", facts={"name": domain})]


def _key(domain: str, selector: str, sender: Sender, lookups: Lookups) -> Finding:
    name = f"{selector}._domainkey.{domain}"
    target = sender.targets.get(selector)
    fix = None if target is None else Record(name, "CNAME", target)
    answer = lookups.find(name, "TXT")

    def finding(state: State, code: str, record: Record | None = None, **facts: str) -> Finding:
        return Finding(Check.DKIM, state, code, " | ".join(answer.records), {"name": name, **facts}, record)

    if answer.failed:
        return finding(State.UNKNOWN, "no_answer")
    # A text that has no `p` is no key, whatever else stands under the name.
    keys = [tags for tags in map(read_tags, answer.records) if "p" in tags]
    if not keys:
        return finding(State.FAILED, "dkim_missing", fix)
    (tags, *others) = keys
    if others:
        return finding(State.FAILED, "dkim_several")
    return _judged(tags, finding)


def _judged(tags: dict[str, str], finding: _Finder) -> Finding:
    if not tags["p"]:
        return finding(State.FAILED, "dkim_revoked")
    kind = tags.get("k", "rsa").lower()
    bits = _bits(tags["p"]) if kind == "rsa" else None
    if kind not in ("rsa", "ed25519") or (kind == "rsa" and bits is None):
        return finding(State.FAILED, "dkim_broken")
    if bits is not None and bits < _FEWEST_BITS:
        return finding(State.FAILED, "dkim_short", bits=str(bits))
    if "y" in tags.get("t", "").lower().split(":"):
        return finding(State.WARNING, "dkim_testing")
    if bits is not None and bits < _ENOUGH_BITS:
        return finding(State.WARNING, "dkim_weak", bits=str(bits))
    return finding(State.OK, "dkim_ok")


def _bits(key: str) -> int | None:
    """The length of an RSA key; None if it is none."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = load_der_public_key(base64.b64decode("".join(key.split()), validate=True))
    except (binascii.Error, ValueError):
        return None
    except Exception:  # the library has errors of its own for keys of kinds that it does not know
        return None
    return found.key_size if isinstance(found, RSAPublicKey) else None
