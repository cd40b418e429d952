"""The table of codes: every code that WeCom documents for these calls has a meaning of the right kind."""

import pytest

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.wecom.codes import INVALID_MEDIA_ID, ONE_OF_MANY_CODES, TOKEN_CODES, explain, outcome_of

DOCUMENTED: dict[type[Outcome], str] = {
    Retry: "-1 45009 45033 40014 41001 42001",
    AccountDown: "40001 40013 40091 40056 41002 41004 41011 48002 48005 50003 301002 60020 93000",
    Rejected: """
        40003 40031 40032 40066 40068 46004 50002 60011 60111 60123 81013 82001 82002 82003
        40008 40033 40035 40058 40063 40074 41016 41033 44004 45002 45008 45034 85002
        40004 40006 40007 40009 40011 41006 44001 45001 45007""",
}
ROWS = [(kind, int(code)) for kind, codes in DOCUMENTED.items() for code in codes.split()]


@pytest.mark.parametrize(("kind", "code"), ROWS)
def test_documented_codes_are_mapped(kind: type[Outcome], code: int) -> None:
    outcome = outcome_of(code)
    assert type(outcome) is kind
    assert outcome.raw_code == str(code) and outcome.reason is not Reason.UNRECOGNISED_ANSWER


def test_codes_with_a_part_in_the_flow_are_of_the_right_kind() -> None:
    assert all(isinstance(outcome_of(code), Rejected) for code in ONE_OF_MANY_CODES | {INVALID_MEDIA_ID})
    assert all(isinstance(outcome_of(code), Retry) for code in TOKEN_CODES)


@pytest.mark.parametrize("code", [code for kind, code in ROWS if kind is AccountDown])
def test_what_stops_an_account_is_explained_with_something_to_do(code: int) -> None:
    outcome = outcome_of(code)
    found = explain(outcome)
    assert (found.ok, found.raw_code) == (False, str(code))
    assert found.summary and found.action


def test_other_failures_are_explained_by_their_reason() -> None:
    found = explain(Unknown(Reason.TIMED_OUT, "ReadTimeout"))
    assert (found.summary, found.action) == EXPLANATIONS[Reason.TIMED_OUT]
