"""Tracking: the links of a message lead by way of the platform, and a picture in an email tells that it was opened.

Only where its template says so, and never for who does not want it. Behind `UnsubscribeLinks`, whose link stays.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.model.content import EmailContent, RenderedEmail
from shared.model.origin import MAX_ANONYMOUS, origin_of
from shared.model.templates import Tracking, TrackingMode
from shared.model.tenants import Tenant
from shared.model.words import Channel, MessageClass
from shared.policy.template_links import numbers_in
from shared.policy.tracked_html import with_links, with_picture
from shared.policy.tracking import MOST_LINKS, Tracked, click_link, open_link

_TRACKED: Final = frozenset({Channel.EMAIL})


class _Way(Struct, frozen=True):
    """How the links of an envelope's messages lead."""

    public_url: str
    tenant: Tenant
    origin: str
    """Of anonymous ones; empty of those that say which message they are of."""
    number_of: Callable[[str], int]


class TrackedLinks(Step):
    """Puts links in, where the deployment has an address on the internet. It ends no message."""

    def take(self, batch: Batch) -> Taken:
        envelope = batch.envelope
        tracked = envelope.channel in _TRACKED and envelope.message_class is not MessageClass.VERIFICATION
        if tracked and self.sources.public_url and batch.candidates and batch.template is not None:
            way = self._way(batch, batch.template.tracking)
            for candidate in batch.candidates if way is not None else ():
                if way is not None and candidate.recipient.tag not in batch.untracked:
                    _put_in(candidate, way)
        return batch.candidates, []

    def _way(self, batch: Batch, tracking: Tracking) -> _Way | None:
        envelope, configured = batch.envelope, self.sources.configured
        tenant = configured.tenant(envelope.tenant) if tracking else None
        if tenant is None:
            return None
        origin = f"{envelope.channel}_{origin_of(envelope)}" if tracking == TrackingMode.ANONYMOUS else ""
        if len(origin) > MAX_ANONYMOUS:
            return None
        version = configured.version(envelope.tenant, envelope.template, envelope.version)
        html = version.content.html if version is not None and isinstance(version.content, EmailContent) else None
        return _Way(self.sources.public_url, tenant, origin, numbers_in(html or ""))


def _put_in(candidate: Candidate, way: _Way) -> None:
    message = candidate.message
    content = message.content
    if not isinstance(content, RenderedEmail) or content.html is None:
        return
    whose = None if way.origin else message.message_id
    html = with_links(content.html, _numbered(way, whose, candidate.recipient.address))
    picture = open_link(way.public_url, way.tenant.id, way.tenant.salt, whose, way.origin)
    candidate.outgoing = replace(message, content=replace(content, html=with_picture(html, picture)))


def _numbered(way: _Way, message_id: str | None, address: str) -> Callable[[str], str | None]:
    place = 0

    def link_of(target: str) -> str | None:
        nonlocal place
        # Our own pages stay, and no address is ever in a link of ours: what logs keep would tell who it is.
        if place == MOST_LINKS or target.startswith(f"{way.public_url}/") or address in target:
            return None
        tracked = Tracked(message_id, place + 1, target, way.number_of(target), way.origin)
        link = click_link(way.public_url, way.tenant.id, way.tenant.salt, tracked)
        place += link is not None
        return link

    return link_of
