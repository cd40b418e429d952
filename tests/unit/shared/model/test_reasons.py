"""What people are told about reasons."""

import re
from pathlib import Path

import pytest

from shared.model.given_up import explain_given_up
from shared.model.reasons import ACCOUNTS_OWN, EXPLANATIONS, Blame, Reason, blame_of
from shared.model.reasons_zh import EXPLANATIONS_ZH, meaning_zh

ROOT = Path(__file__).parents[4]
OF_OTHER_THINGS = {
    "shared/providers/sms/aws/provider.py",
    "functions/ingest/service.py",
    "shared/providers/email/smtp/receipts.py",
}
"""Sets that say something else: what a trial message may meet, what rests on lists that are remembered, what passes."""


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert all(text.endswith(".") for pair in EXPLANATIONS.values() for text in pair)


def test_every_reason_is_explained_in_chinese() -> None:
    assert set(EXPLANATIONS_ZH) == set(Reason)
    assert all(text.endswith("。") for pair in EXPLANATIONS_ZH.values() for text in pair)


def test_the_chinese_meaning_is_found_by_the_word() -> None:
    assert meaning_zh("mailbox_full") == "收件人的邮箱已满。"
    assert meaning_zh(None) is None and meaning_zh("of another time") is None


def test_every_reason_has_somebody_to_blame() -> None:
    assert all(blame_of(reason) is not None for reason in Reason)
    assert blame_of(None) is None and blame_of("of another time") is None
    assert {blame_of(reason) for reason in Reason} == set(Blame)


def test_the_accounts_own_reasons_are_those_of_the_account_and_of_the_way_to_it() -> None:
    assert {reason for reason in Reason if blame_of(reason) in {Blame.ACCOUNT, Blame.NETWORK}} == ACCOUNTS_OWN
    assert Reason.THROTTLED not in ACCOUNTS_OWN, "it says that we are too fast, not that the account is bad"
    assert not {Reason.MAILBOX_FULL, Reason.RECIPIENT_BUSY, Reason.ADDRESS_UNKNOWN} & ACCOUNTS_OWN


def test_no_other_list_of_reasons_decides_whose_fault_a_failure_is() -> None:
    """A set of several reasons anywhere else would be a second table."""
    several = re.compile(r"(?:frozenset\(\s*\{|in \{|in \()\s*Reason\.[A-Z_]+\s*,\s*Reason\.[A-Z_]+")
    found = {
        str(path.relative_to(ROOT))
        for place in ("shared", "functions")
        for path in (ROOT / place).rglob("*.py")
        if several.search(path.read_text(encoding="utf-8"))
    }
    assert found == OF_OTHER_THINGS


@pytest.mark.parametrize("reason", [*Reason, "", "of another time"])
def test_what_was_given_up_is_not_said_to_be_tried_again_by_itself(reason: str) -> None:
    explanation, action = explain_given_up(reason)
    assert explanation.endswith(".") and action.endswith(".")
    assert "by itself" not in action and "what may follow" not in action
