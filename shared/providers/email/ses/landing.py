"""What SES says of a sender's domain: under which names its keys lie, and whose envelope it uses."""

from typing import Any

from shared.policy.landing.findings import Sender

_HOST = "amazonses.com"


def sender(identity: str, answer: dict[str, Any], region: str) -> Sender:
    """Who sends for a domain, by the answer of `GetEmailIdentity`.

    identity: the domain that SES knows, the sender's own or one above it; or an address, which has no keys of its own.
    """
    signing = answer.get("DkimAttributes", {})
    tokens = tuple(signing.get("Tokens", ())) if signing.get("SigningEnabled") and "@" not in identity else ()
    ours = signing.get("SigningAttributesOrigin", "AWS_SES") != "EXTERNAL"
    envelope = answer.get("MailFromAttributes", {}).get("MailFromDomain", "")
    return Sender(
        include=_HOST if envelope else "",
        envelope=envelope or _HOST,
        signer=identity if tokens else "",
        selectors=tokens,
        # Keys of one's own lie in one's own zone.
        targets={token: f"{token}.dkim.{_HOST}" for token in tokens} if ours else {},
        feedback=f"feedback-smtp.{region}.{_HOST}" if envelope else "",
    )
