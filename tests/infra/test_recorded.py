"""The template of the stage whose data is precious is the recorded one, but for differences that have a reason."""

import json
from typing import Any

import pytest

from tests.infra.recorded import RECORDED, differences, normalised, written
from tests.infra.template import Template

_SNAPSHOTS = {
    "Authorize": ("AuthorizeFunction6EA1BF62", "5506CE13", "B0065CB7"),
    "DispatchEmail": ("DispatchEmailFunction14CFD31D", "66A71173", "410EBFC4"),
    "DispatchSms": ("DispatchSmsFunction5562B16F", "BC05A72E", "BFC8B441"),
    "DispatchWecom": ("DispatchWecomFunctionE32C4635", "EC956C02", "F276C776"),
    "Ingest": ("IngestFunctionB02ED0EB", "ACF172D4", "F0706163"),
}
"""The functions that start from snapshots; their logical ids, and the hashes of their versions and aliases."""
_STARTS = "the function starts from a snapshot of its published version (ADR 30)"
_CALLED = "the API and queues call the published version, which alone has a snapshot (ADR 30)"
_MAPPINGS = {
    "Email": ("3753B77B", "D609C0D9", "AAF40488"),
    "Sms": ("CB3B5A74", "C671FAD7", "6DF659BB"),
    "Wecom": ("728920AD", "1B7BFFDB", "2872A85E"),
}
"""By channel, the hashes of what hands the queues' messages over."""
ALLOWED: dict[str, str] = {
    **{f"Resources.{id}.Properties.SnapStart": _STARTS for id, *_ in _SNAPSHOTS.values()},
    **{f"Resources.{name}FunctionCurrentVersion{each[1]}<hash>": _STARTS for name, each in _SNAPSHOTS.items()},
    **{f"Resources.{name}Live{each[2]}": _STARTS for name, each in _SNAPSHOTS.items()},
    **{
        f"Resources.{id}.Properties.{path}.{reference}": _CALLED
        for id, path in (
            ("ApiAuthorizer8ADB22C5", "AuthorizerUri.Fn::Join.1.5"),
            ("ApiAuthorizerPermissionF9E2EDDC", "FunctionName"),
            ("ApiIngestIntegration60FEACAF", "IntegrationUri"),
            ("ApiIngestPermission5813C071", "FunctionName"),
        )
        for reference in ("Fn::GetAtt", "Ref")
    },
    **{
        f"Resources.Dispatch{channel}{kind}Source{hash}.Properties.FunctionName.{reference}": _CALLED
        for channel, hashes in _MAPPINGS.items()
        for kind, hash in zip(("Marketing", "Notification", "Verification"), hashes, strict=True)
        for reference in ("Fn::Join", "Ref")
    },
}
"""The differences that are meant, by their paths, each with its reason."""


def test_the_template_is_the_recorded_one(prod: Template) -> None:
    found = {path: change for path, *change in differences(json.loads(RECORDED.read_text()), normalised(prod.json))}
    assert {path: change for path, change in found.items() if path not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "no longer a difference"
    assert all(len(reason) > 20 for reason in ALLOWED.values())


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"A": {"B": [1, {"C": 2}]}}, {"A": {"B": [1, {"C": 3}]}}, [("A.B.1.C", 2, 3)]),
        ({"A": [1]}, {"A": [1, 2]}, [("A", [1], [1, 2])]),
        ({"A": 1}, {"B": 1}, [("A", 1, None), ("B", None, 1)]),
        ({"A": {"S": "x"}}, {"A": {"S": "x"}}, []),
    ],
)
def test_every_difference_is_named(before: Any, after: Any, found: list[tuple[str, Any, Any]]) -> None:
    assert list(differences(before, after)) == found


def test_packages_do_not_count_and_the_order_of_keys_neither() -> None:
    assert list(normalised({"b": ["0" * 64 + ".zip"], "a": 1}).items()) == [("a", 1), ("b", ["<hash>.zip"])]
    assert normalised({"ACurrentVersion0123ABCD" + "0" * 32: 1}) == {"ACurrentVersion0123ABCD<hash>": 1}


def test_what_is_written_is_read_back() -> None:
    value = {"Resources": {"A": {"Properties": {"Name": "ä", "Tags": [{}]}}}, "Empty": {}}
    assert json.loads(written(value)) == value
    assert written(value).splitlines()[4:7] == ['    "Name": "ä",', '    "Tags": [{}]', "   }"]
