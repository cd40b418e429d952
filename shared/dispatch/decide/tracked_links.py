"""Tracking: the links of an email lead by way of the platform, and a picture tells that it was opened.

Only where its template says so, and never for who does not want it. Links by which a recipient says "I have it" go that
way in any case: nobody is watched by them. Behind `UnsubscribeLinks`, whose link stays.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.model.content import EmailContent, RenderedEmail
from shared.model.origin import MAX_ANONYMOUS, origin_of
from shared.model.templates import TrackingMode
from shared.model.tenants import Tenant
from shared.model.words import Channel, MessageClass
from shared.policy.template_links import numbers_in
from shared.policy.tracked_html import ACKNOWLEDGES, with_links, with_picture
from shared.policy.tracking import MOST_LINKS, Tracked, click_link, open_link


class _Way(Struct, frozen=True):
    """How the links of an envelope's messages lead."""

    public_url: str
    tenant: Tenant
    tracked: bool
    acknowledges: bool
    origin: str
    """Of anonymous ones; empty of those that say which message they are of."""
    number_of: Callable[[str], int]


class TrackedLinks(Step):
    """Puts links in, where the deployment has an address on the internet. It ends no message."""

    def take(self, batch: Batch) -> Taken:
        envelope = batch.envelope
        emails = envelope.channel is Channel.EMAIL and envelope.message_class is not MessageClass.VERIFICATION
        way = self._way(batch) if emails and self.sources.public_url and batch.candidates else None
        if way is not None:
            for candidate in batch.candidates:
                _put_in(candidate, way, way.tracked and candidate.recipient.tag not in batch.untracked)
        return batch.candidates, []

    def _way(self, batch: Batch) -> _Way | None:
        """None where all links lead straight on."""
        envelope, configured = batch.envelope, self.sources.configured
        tracking = batch.template.tracking if batch.template is not None else False
        version = configured.version(envelope.tenant, envelope.template, envelope.version)
        content = None if version is None else version.content
        html = content.html or "" if isinstance(content, EmailContent) else ""
        anonymous = tracking == TrackingMode.ANONYMOUS
        acknowledges = ACKNOWLEDGES in html and not anonymous
        tenant = configured.tenant(envelope.tenant) if tracking or acknowledges else None
        origin = f"{envelope.channel}_{origin_of(envelope)}" if anonymous else ""
        if tenant is None or len(origin) > MAX_ANONYMOUS:
            return None
        return _Way(self.sources.public_url, tenant, bool(tracking), acknowledges, origin, numbers_in(html))


def _put_in(candidate: Candidate, way: _Way, tracked: bool) -> None:
    message = candidate.message
    content = message.content
    if not isinstance(content, RenderedEmail) or content.html is None or not (tracked or way.acknowledges):
        return
    html = with_links(content.html, _numbered(way, message.message_id, candidate.recipient.address, tracked))
    if tracked:
        whose = None if way.origin else message.message_id
        html = with_picture(html, open_link(way.public_url, way.tenant.id, way.tenant.salt, whose, way.origin))
    candidate.outgoing = replace(message, content=replace(content, html=html))


def _numbered(way: _Way, message_id: str, address: str, tracked: bool) -> Callable[[str, bool], str | None]:
    place = 0

    def link_of(target: str, acknowledges: bool) -> str | None:
        nonlocal place
        # Our own pages stay, and no address is ever in a link of ours: what logs keep would tell who it is.
        stays = target.startswith(f"{way.public_url}/") or address in target
        if place == MOST_LINKS or stays or not (tracked or acknowledges):
            return None
        # Nobody says "I have it" where nobody knows whose a link is.
        whose, asks = (None, False) if way.origin else (message_id, acknowledges)
        made = Tracked(whose, place + 1, target, way.number_of(target), asks, way.origin)
        link = click_link(way.public_url, way.tenant.id, way.tenant.salt, made)
        place += link is not None
        return link

    return link_of
