"""Who may do what: every operation has its row, none twice, and the documentation shows the same matrix."""

from collections import Counter
from pathlib import Path

import pytest

from shared.api.operation import Operation
from shared.api.operations import OPERATIONS
from shared.model.words import KeyKind, Scope
from shared.policy.access import ACCESS, ALL, MATRIX, Kinds, reaches

DOCS = Path(__file__).parents[4] / "docs" / "keys.md"


def words(kinds: Kinds) -> str:
    """What the documentation says of the kinds of objects that a key reaches."""
    if kinds == ALL:
        return "all"
    return " and ".join(kind for kind in KeyKind if kind in kinds) or "no"


def table() -> str:
    """The matrix as the documentation shows it."""
    lines = ["| of | operation | scope | live key | team key | test key |", "|---|---|---|---|---|---|"]
    scopes = {operation.id: operation.scope for operation in OPERATIONS}
    for what, rows in MATRIX.items():
        for id, access in rows.items():
            cells = [words(access.of(kind)) for kind in KeyKind]
            lines.append(f"| {what} | `{id}` | {scopes[id] or '-'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_every_operation_has_one_row() -> None:
    rows = Counter(id for of in MATRIX.values() for id in of)
    assert rows == Counter(operation.id for operation in OPERATIONS)


def test_an_operation_without_a_row_cannot_be_made() -> None:
    with pytest.raises(KeyError, match=r"shared/policy/access\.py"):
        Operation("burn_everything", "POST", "/v1/burn", "manage", Scope.MANAGE, "Burn", None)


def test_live_keys_reach_all_and_others_nothing_of_live_keys_but_what_all_share() -> None:
    changing = {operation.id for operation in OPERATIONS if operation.method != "GET" and operation.scope}
    for id, access in ACCESS.items():
        assert access.live == ALL
        if id in changing - {"preview_version"}:
            assert not reaches(id, KeyKind.TEAM, KeyKind.LIVE)
            assert not reaches(id, KeyKind.TEST, KeyKind.LIVE)
            assert not reaches(id, KeyKind.TEST, KeyKind.TEAM)


def test_the_documentation_shows_the_matrix() -> None:
    assert table() in DOCS.read_text(encoding="utf-8"), f"docs/keys.md must hold this table:\n{table()}"
