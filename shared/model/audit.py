"""The audit log's records: who changed what, and what it was before and after."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ConfigDict, JsonValue

from shared.model.base import Model
from shared.model.ids import new_base

BOOTSTRAP = "bootstrap"
"""Who makes a deployment's first key: nobody has one before."""
UNMASK = "unmask"
"""What the record of a look at whole addresses has as its action."""
LARGE_BYTES = 2_000
"""A value beyond it is recorded by its digest; one of several parts part by part, up to `LARGEST_BYTES`."""
LARGEST_BYTES = 10_000
MAX_CHANGED = 100
_DEPTH = 3

Document = dict[str, Any]


class AuditRecord(Model):
    """One change, or one look at what is hidden otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    at: int
    """Milliseconds since the epoch."""
    tenant: str
    who: str
    """The id of the API key."""
    who_name: str = ""
    action: str
    """The operation's id, or `UNMASK`."""
    target: str
    """Kind and id of what changed, such as `account/mail` or, for a version, `template/code/3`."""
    changed: list[str]
    """The fields that differ, as paths."""
    before: dict[str, JsonValue] | None
    """`before` and `after`: as the API shows it, None for what was not there."""
    after: dict[str, JsonValue] | None

    def is_about(self, target: str) -> bool:
        """Whether it is of this target, or of something that belongs to it."""
        return self.target == target or self.target.startswith(f"{target}/")


def record_change(
    now_ms: int,
    tenant: str,
    who: str,
    action: str,
    target: str,
    before: Document | None,
    after: Document | None,
    *,
    who_name: str = "",
    hidden: tuple[str, ...] = (),
) -> AuditRecord:
    """Make the record of a change. before, after: JSON-able, without secrets. hidden: changed fields that they hide."""
    changed = {*_differences(before, after), *hidden} if before is not None and after is not None else set()
    return AuditRecord(
        id=new_base(now_ms),
        at=now_ms,
        tenant=tenant,
        who=who,
        who_name=who_name,
        action=action,
        target=target,
        changed=sorted(changed)[:MAX_CHANGED],
        before=None if before is None else _shortened(before),
        after=None if after is None else _shortened(after),
    )


def record_look(
    now_ms: int, tenant: str, who: str, who_name: str, target: str, message_ids: Sequence[str]
) -> AuditRecord:
    """Make the record of a look at whole addresses: of which messages, and how many; never the addresses."""
    return AuditRecord(
        id=new_base(now_ms),
        at=now_ms,
        tenant=tenant,
        who=who,
        who_name=who_name,
        action=UNMASK,
        target=target,
        changed=[],
        before=None,
        # Ids are named one by one, however many a page has.
        after={"addresses": len(message_ids), "messages": list(message_ids)},
    )


def _differences(before: Document, after: Document, depth: int = 1) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and depth < _DEPTH:
            yield from (f"{name}.{path}" for path in _differences(old, new, depth + 1))
        else:
            yield name


def _shortened(document: Document) -> Document:
    return {name: _short(value) for name, value in document.items()}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    data = text.encode(errors="surrogatepass")
    if len(data) <= LARGE_BYTES:
        return value
    if isinstance(value, dict):
        short = _shortened(value)
        if len(json.dumps(short, ensure_ascii=False).encode(errors="surrogatepass")) <= LARGEST_BYTES:
            return short
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
