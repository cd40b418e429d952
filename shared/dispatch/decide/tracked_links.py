"""Tracking: the links of an email lead by way of the platform, and a picture tells that it was opened.

Only where its template says so, and never for who does not want it. Behind `UnsubscribeLinks`, whose link stays.
"""

from collections.abc import Callable

from msgspec.structs import replace

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.model.content import RenderedEmail
from shared.model.words import Channel, MessageClass
from shared.policy.tracked_html import with_links, with_picture
from shared.policy.tracking import MOST_LINKS, click_link, open_link


class TrackedLinks(Step):
    """Puts links in, where the deployment has an address on the internet. It ends no message."""

    def take(self, batch: Batch) -> Taken:
        public_url = self.sources.public_url
        envelope = batch.envelope
        tracked = envelope.channel is Channel.EMAIL and envelope.message_class is not MessageClass.VERIFICATION
        if not (tracked and public_url and batch.candidates):
            return batch.candidates, []
        tenant = self.sources.configured.tenant(envelope.tenant)
        if tenant is not None and batch.template is not None and batch.template.tracking:
            for candidate in batch.candidates:
                if candidate.recipient.tag not in batch.untracked:
                    _put_in(candidate, public_url, tenant.id, tenant.salt)
        return batch.candidates, []


def _put_in(candidate: Candidate, public_url: str, tenant: str, salt: bytes) -> None:
    message = candidate.message
    content = message.content
    if not isinstance(content, RenderedEmail) or content.html is None:
        return
    link_of = _numbered(public_url, tenant, salt, message.message_id, candidate.recipient.address)
    html = with_picture(with_links(content.html, link_of), open_link(public_url, tenant, salt, message.message_id))
    candidate.outgoing = replace(message, content=replace(content, html=html))


def _numbered(public_url: str, tenant: str, salt: bytes, message_id: str, address: str) -> Callable[[str], str | None]:
    number = 0

    def link_of(target: str) -> str | None:
        nonlocal number
        # Our own pages stay, and no address is ever in a link of ours: what logs keep would tell who it is.
        if number == MOST_LINKS or target.startswith(f"{public_url}/") or address in target:
            return None
        link = click_link(public_url, tenant, salt, message_id, number + 1, target)
        number += link is not None
        return link

    return link_of
