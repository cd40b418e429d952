"""Metrics of what is counted: a line for each place, with no more values than CloudWatch takes."""

import json
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.trace.live import MOST_VALUES, NAMES, OF_ACCOUNTS, Codes, Live, Where, spread

CODES = Where("sms", "verification", "default/texts")


@dataclass(frozen=True)
class Event:
    name: str
    where: Where | None = CODES
    messages: int = 1
    took_ms: int | None = None
    code: Codes | None = None


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def told(capsys: pytest.CaptureFixture[str], *events: Event, by_account: bool = True) -> list[dict[str, Any]]:
    live = Live(EphemeralMetrics(), "mepush", by_account=by_account)
    live.add(events)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live.tell()
        live.tell()
    return lines(capsys)


def _dimensions(line: dict[str, Any]) -> dict[str, str]:
    (names,) = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return {name: line[name] for name in names if name != "service"}


def _units(line: dict[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Unit"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


def test_there_is_a_line_for_the_class_and_one_for_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    accepted = Event("accepted", Where("sms", "verification", None), 3)
    by_class, by_account = told(capsys, accepted, Event("sent", took_ms=40), Event("sent", took_ms=60))
    assert _dimensions(by_class) == {"deployment": "mepush", "channel": "sms", "class": "verification"}
    assert (by_class["Accepted"], by_class["Sent"], by_class["TimeToSend"]) == ([3], [2], [40, 60])
    assert _units(by_class) == {"Accepted": "Count", "Sent": "Count", "TimeToSend": "Milliseconds"}
    assert _dimensions(by_account) == {"deployment": "mepush", "account": "default/texts"}
    assert "Accepted" not in by_account and (by_account["Sent"], by_account["TimeToSend"]) == ([2], [40, 60])


def test_without_metrics_of_accounts_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    (only,) = told(capsys, Event("sent"), by_account=False)
    assert "account" not in _dimensions(only)


def test_accounts_of_a_class_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    by_class, *accounts = told(capsys, Event("sent"), Event("sent", Where("sms", "verification", "default/spare")))
    assert by_class["Sent"] == [2]
    assert {line["account"]: line["Sent"] for line in accounts} == {"default/texts": [1], "default/spare": [1]}


def test_what_no_metric_is_of_and_test_keys_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, Event("opened"), Event("deferred"), Event("sent", None)) == []


def test_an_account_of_which_nothing_is_said_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(told(capsys, Event("capped"))) == 1


def test_a_line_never_has_more_values_than_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    by_class, by_account = told(capsys, *(Event("delivered", took_ms=ms) for ms in range(10_000)))
    for line in (by_class, by_account):
        assert line["Delivered"] == [10_000]
        assert len(line["TimeToDeliver"]) == MOST_VALUES < 100
        assert (min(line["TimeToDeliver"]), max(line["TimeToDeliver"])) == (0, 9_999)


def test_values_are_spread_evenly_whatever_their_order() -> None:
    values = [*range(5_000, 10_001), *range(5_000)]
    assert spread(values)[49] == pytest.approx(5_000, abs=60)
    assert spread([3, 1, 2]) == [3, 1, 2]


def test_all_outcomes_have_metrics_and_their_number_is_bounded() -> None:
    from shared.model.words import OUTCOMES

    assert set(OUTCOMES) <= NAMES.keys() and set(NAMES) >= OF_ACCOUNTS
    assert len(set(NAMES.values())) == len(NAMES) == 18 and len(OF_ACCOUNTS) == 10
