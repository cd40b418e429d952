"""What a record of the audit log holds."""

import hashlib
from typing import Any

import pytest

from shared.model.audit import LARGE_BYTES, LARGEST_BYTES, MAX_CHANGED, AuditRecord, record_change
from shared.model.ids import ulid_time

NOW = 1_736_935_200_000


def record(before: Any, after: Any, hidden: tuple[str, ...] = ()) -> AuditRecord:
    return record_change(NOW, "default", "k1", "update_account", "account/mail", before, after, hidden=hidden)


def test_a_record_is_named_by_its_time_and_never_twice() -> None:
    one, other = record(None, {}), record(None, {})
    assert one.id != other.id
    assert ulid_time(one.id) == one.at == NOW


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ["b"]),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"x": 1, "y": {"z": 2, "q": None}}}, ["a.y.z"]),
        ({"a": {"b": {"c": {"d": 1}}}}, {"a": {"b": {"c": {"d": 2}}}}, ["a.b.c"]),
        ({"a": {"x": 1}}, {"a": [1]}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": 1}, {"a": 1}, []),
        (None, {"a": 1}, []),
        ({"a": 1}, None, []),
    ],
)
def test_what_changed_is_named_by_its_path(before: Any, after: Any, changed: list[str]) -> None:
    assert record(before, after).changed == changed


def test_what_a_mask_hides_is_named_too() -> None:
    assert record({"a": 1}, {"a": 2}, ("secret",)).changed == ["a", "secret"]


def test_a_large_text_is_told_by_its_digest_and_its_change_by_its_path() -> None:
    old, new = "旧" * LARGE_BYTES, "n" * LARGE_BYTES
    found = record({"content": {"html": old, "subject": "s"}}, {"content": {"html": new + "!", "subject": "s"}})
    assert found.changed == ["content.html"]
    digest = hashlib.sha256(old.encode()).hexdigest()
    assert found.before == {"content": {"html": {"sha256": digest, "bytes": 3 * LARGE_BYTES}, "subject": "s"}}
    assert record(None, {"html": new}).after == {"html": new}


@pytest.mark.parametrize(
    "large",
    [
        {f"k{i}": "v" * 50 for i in range(1_000)},
        ["v" * 50] * 1_000,
        {"a": {"b": ["x"] * 5_000}, "c": {f"k{i}": 1 for i in range(5_000)}},
        "\ud800" * 5_000,
    ],
)
def test_no_value_makes_a_record_too_large(large: Any) -> None:
    found = record({"settings": large}, {"settings": large})
    assert found.before is not None
    assert len(str(found.before)) < LARGEST_BYTES


def test_the_list_of_changes_ends() -> None:
    before = {f"k{i}": 1 for i in range(1_000)}
    assert len(record(before, {}).changed) == MAX_CHANGED


@pytest.mark.parametrize(
    ("target", "about"),
    [("account/mail", True), ("account", True), ("account/mai", False), ("mail", False), ("account/mail/1", False)],
)
def test_a_target_has_what_belongs_to_it(target: str, about: bool) -> None:
    assert record(None, {}).is_about(target) is about
