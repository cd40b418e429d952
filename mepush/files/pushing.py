"""Makes the platform's templates what their files say, and changes nothing that already is so."""

from dataclasses import dataclass, field
from typing import Any

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, MepushError
from mepush.files.templates import TemplateFile
from mepush.words import CHANNEL_OF_TYPE

DEFAULTS: dict[str, Any] = {
    "acknowledges": True,
    "action": "defer",
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "filename": "file",
    "spread_minutes": 15,
    "tracking": False,
    "until": "sent",
}
"""What the platform takes for fields that are absent, beside null and empty lists."""
_AS_IT_IS = "card"
"""A field of WeCom's own, of which the platform knows no more than that it is there."""


@dataclass(slots=True)
class Pushed:
    """What pushing one file did. done: in words, empty when nothing had to change."""

    template: str
    version: int
    published: int | None
    done: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "template": self.template,
            "version": self.version,
            "published": self.published,
            "changed": bool(self.done),
            "done": self.done,
        }


def push_template(api: Client, file: TemplateFile, publish: bool) -> Pushed:
    """Create the template or add a version if its content changed; publish the latest version if asked to.

    Raises: ApiError; MepushError if the file asks for what cannot be changed.
    """
    try:
        current = api.get(f"/v1/templates/{segment(file.id)}")
    except ApiError as error:
        if error.status != 404:
            raise
        current = api.post("/v1/templates", file.body)
        pushed = Pushed(file.id, current["latest"], current["published"], ["created"])
    else:
        pushed = Pushed(file.id, current["latest"], current["published"])
        _update(api, file, current, pushed)
    if publish and pushed.published != pushed.version:
        after = api.post(f"{_path(pushed)}/versions/{pushed.version}/publish", repeat=True)
        pushed.published = after["published"]
        pushed.done.append(f"published version {pushed.version}")
    return pushed


def _tracking(value: Any) -> Any:
    """What is asked for, in the form that every platform takes."""
    return True if value == "recipient" else value


def _path(pushed: Pushed) -> str:
    return f"/v1/templates/{segment(pushed.template)}"


def _update(api: Client, file: TemplateFile, current: dict[str, Any], pushed: Pushed) -> None:
    wanted, path = file.body, _path(pushed)
    for name, value in (("channel", _channel(file)), ("class", wanted["class"])):
        if value is not None and current[name] != value:
            raise MepushError(
                f"{file.path}: the template {file.id} is of {name} {current[name]}, the file says {value}.",
                f"A template keeps its {name}: give the file a new id.",
            )
    head = {name: wanted.get(name) for name in ("name", "accounts", "ttl_seconds", "policies", "fallback", "topic")}
    head["tracking"] = _tracking(wanted.get("tracking", False))
    current = {**current, "tracking": _tracking(current.get("tracking", False))}
    changes = {name: value for name, value in head.items() if said(current.get(name)) != said(value)}
    if changes:
        api.patch(path, changes)
        pushed.done.append(f"changed {', '.join(sorted(changes))}")
    latest = current["current"]
    if latest["version"] != current["latest"]:
        latest = api.get(f"{path}/versions/{current['latest']}")
    if not _same(latest, file):
        body = {name: wanted[name] for name in ("content", "sample", "note") if name in wanted}
        pushed.version = api.post(f"{path}/versions", body)["version"]
        pushed.done.append(f"saved version {pushed.version}")


def _channel(file: TemplateFile) -> str | None:
    """The channel of the file's content; None for a type that the command does not know."""
    return CHANNEL_OF_TYPE.get(str(file.body["content"].get("type")))


def _same(version: dict[str, Any], file: TemplateFile) -> bool:
    """Whether a version has the file's content and sample."""
    content = said(version["content"]) == said(file.body["content"])
    return content and bool(version["sample"] == file.body.get("sample", {}))


def said(value: Any) -> Any:
    """A content, or policies, without what may as well be absent: null, empty lists and defaults."""
    if isinstance(value, list):
        return [said(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {name: each if name == _AS_IT_IS else said(each) for name, each in value.items()}
    return {name: each for name, each in told.items() if each not in (None, [], DEFAULTS.get(name))}
