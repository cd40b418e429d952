"""The templates of the stage whose data is precious are the recorded ones, but for differences that have a reason."""

import json
from typing import Any

import pytest

from tests.infra.recorded import RECORDED, differences, normalised, written
from tests.infra.template import Template

ALLOWED: dict[str, str] = {}
"""The differences that are meant, by their paths, each with its reason."""


def test_the_templates_are_the_recorded_ones(prod: Template, prod_data: Template) -> None:
    before = json.loads(RECORDED.read_text())
    after = {each.path.name.removesuffix(".template.json"): normalised(each.json) for each in (prod, prod_data)}
    found = {path: change for path, *change in differences(before, after)}
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
