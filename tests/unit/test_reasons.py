"""What people are told about reasons."""

import pytest

from shared.model.reasons import EXPLANATIONS, Reason, explain_given_up


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert all(text.endswith(".") for pair in EXPLANATIONS.values() for text in pair)


@pytest.mark.parametrize("reason", [*Reason, "", "of another time"])
def test_what_was_given_up_is_not_said_to_be_tried_again_by_itself(reason: str) -> None:
    explanation, action = explain_given_up(reason)
    assert explanation.endswith(".") and action.endswith(".")
    assert "by itself" not in action and "what may follow" not in action
