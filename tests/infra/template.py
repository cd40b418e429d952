"""Reads a synthesised template the way a person would: references by name, without the hashes of logical ids."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.function import FunctionSpec

_HASH = re.compile(r"[0-9A-F]{8}([0-9a-f]{32})?$")
_EXPORT = re.compile(r":ExportsOutput(Ref|FnGetAtt)(?P<id>\w+?)[0-9A-F]{8}(?P<arn>Arn)?[0-9A-F]{8}$")


def short(logical_id: str) -> str:
    """A logical id without the hashes that the CDK appends; a version's has two."""
    return _HASH.sub("", logical_id)


def readable(value: Any) -> Any:
    """Write references as `${Name}`, attributes as `${Name.Arn}`, and the third part between colons as `${Name}[:3]`.

    What is joined is joined, and what another stack exports reads as if it were of this one.
    """
    if isinstance(value, list):
        return [readable(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return f"${{{short(value['Ref'])}}}"
    if set(value) == {"Fn::GetAtt"}:
        logical_id, attribute = value["Fn::GetAtt"]
        return f"${{{short(logical_id)}.{attribute}}}"
    if set(value) == {"Fn::ImportValue"} and (exported := _EXPORT.search(value["Fn::ImportValue"])):
        return f"${{{exported['id']}{'.Arn' if exported['arn'] else ''}}}"
    if set(value) == {"Fn::Select"} and "Fn::Split" in (parted := value["Fn::Select"][1]):
        separator, text = parted["Fn::Split"]
        return f"{readable(text)}[{separator}{value['Fn::Select'][0]}]"
    if set(value) == {"Fn::Join"}:
        separator, parts = value["Fn::Join"]
        return separator.join(readable(parts))
    return {key: readable(each) for key, each in value.items()}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. id: without its hash; properties: readable."""

    id: str
    type: str
    properties: dict[str, Any]
    raw: dict[str, Any]


class Template:
    """A synthesised template."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        self.json: dict[str, Any] = json.loads(self.text)
        self.resources = [
            Resource(short(id), raw["Type"], readable(raw.get("Properties", {})), raw)
            for id, raw in self.json["Resources"].items()
        ]

    def of(self, type: str) -> dict[str, Resource]:
        """The resources of a type such as `Lambda::Function`, by short id."""
        return {each.id: each for each in self.resources if each.type == f"AWS::{type}"}

    def functions(self) -> dict[str, Resource]:
        """The functions by logical name, such as `dispatch_email`."""
        return {each.properties["FunctionName"].split("-")[-1]: each for each in self.of("Lambda::Function").values()}

    def statements(self, role: str) -> list[dict[str, Any]]:
        """What the policies of a role (by short id) allow, actions and resources always as lists."""
        policies = self.of("IAM::Role")[role].properties.get("Policies", [])
        return [_listed(each) for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def _listed(statement: dict[str, Any]) -> dict[str, Any]:
    def as_list(value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value]

    return {**statement, "Action": as_list(statement["Action"]), "Resource": as_list(statement["Resource"])}


def called(spec: FunctionSpec) -> str:
    """The ARN that calls a function in the stage whose data is precious: of its published version if that has a
    snapshot."""
    return f"${{{spec.construct_id}Live}}" if spec.snapshot else f"${{{spec.construct_id}Function.Arn}}"
