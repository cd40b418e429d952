"""Unsubscribe links: each advertisement by email gets its own, in its headers and where its template shows it."""

from msgspec.structs import replace

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.model.content import RenderedEmail
from shared.model.words import MessageClass
from shared.policy.unsubscribing import STAND_IN, link


class UnsubscribeLinks(Step):
    """Puts links in, where the deployment has an address on the internet. It ends no message."""

    def take(self, batch: Batch) -> Taken:
        envelope, public_url = batch.envelope, self.sources.public_url
        if envelope.message_class is not MessageClass.MARKETING or not public_url:
            return batch.candidates, []
        tenant = self.sources.configured.tenant(envelope.tenant)
        if tenant is not None:
            for candidate in batch.candidates:
                _put_in(candidate, public_url, tenant.id, tenant.salt)
        return batch.candidates, []


def _put_in(candidate: Candidate, public_url: str, tenant: str, salt: bytes) -> None:
    message = candidate.message
    content = message.content
    if not isinstance(content, RenderedEmail):
        return
    own = link(public_url, tenant, salt, message.message_id)
    html, text = content.html, content.text
    if html is not None and STAND_IN in html:
        html = html.replace(STAND_IN, own)
    if text is not None and STAND_IN in text:
        text = text.replace(STAND_IN, own)
    changed = replace(content, html=html, text=text, unsubscribe=own)
    candidate.outgoing = replace(message, content=changed)
