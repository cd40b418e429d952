"""Makes the platform's templates what their files say, and changes nothing that already is so."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, MepushError
from mepush.files.templates import TemplateFile
from shared.model.content import CHANNEL_OF_TYPE, Content

_CONTENT: TypeAdapter[Any] = TypeAdapter(Content)


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
    wanted = file.wanted
    try:
        current = api.get(f"/v1/templates/{segment(wanted.id)}")
    except ApiError as error:
        if error.status != 404:
            raise
        current = api.post("/v1/templates", file.body)
        pushed = Pushed(wanted.id, current["latest"], current["published"], ["created"])
    else:
        pushed = Pushed(wanted.id, current["latest"], current["published"])
        _update(api, file, current, pushed)
    if publish and pushed.published != pushed.version:
        after = api.post(f"{_path(pushed)}/versions/{pushed.version}/publish", repeat=True)
        pushed.published = after["published"]
        pushed.done.append(f"published version {pushed.version}")
    return pushed


def _path(pushed: Pushed) -> str:
    return f"/v1/templates/{segment(pushed.template)}"


def _update(api: Client, file: TemplateFile, current: dict[str, Any], pushed: Pushed) -> None:
    wanted, path = file.wanted, _path(pushed)
    for name, value in (("channel", _channel(file)), ("class", wanted.message_class.value)):
        if current[name] != value:
            raise MepushError(
                f"{file.path}: the template {wanted.id} is of {name} {current[name]}, the file says {value}.",
                f"A template keeps its {name}: give the file a new id.",
            )
    policies = None if wanted.policies is None else wanted.policies.model_dump(mode="json")
    fallback = None if wanted.fallback is None else wanted.fallback.model_dump(mode="json")
    head: dict[str, Any] = {"name": wanted.name, "accounts": wanted.accounts, "ttl_seconds": wanted.ttl_seconds}
    head |= {"policies": policies, "fallback": fallback}
    changes = {name: value for name, value in head.items() if current.get(name) != value}
    if changes:
        api.patch(path, changes)
        pushed.done.append(f"changed {', '.join(sorted(changes))}")
    latest = current["current"]
    if latest["version"] != current["latest"]:
        latest = api.get(f"{path}/versions/{current['latest']}")
    if not _same(latest, file):
        body = {name: file.body[name] for name in ("content", "sample", "note") if name in file.body}
        pushed.version = api.post(f"{path}/versions", body)["version"]
        pushed.done.append(f"saved version {pushed.version}")


def _channel(file: TemplateFile) -> str:
    return CHANNEL_OF_TYPE[file.wanted.content.type].value


def _same(version: dict[str, Any], file: TemplateFile) -> bool:
    """Whether a version has the file's content and sample; absent and null fields are the same."""
    saved = _CONTENT.validate_python(version["content"])
    return bool(saved == file.wanted.content) and version["sample"] == file.wanted.sample
