"""What the Tencent Cloud provider finds out about a message whose outcome is unknown, by the sandbox's records."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from local.clock import RealClock
from local.sandbox.base import Fault, Response
from local.sandbox.tencent_records import Record
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing, Provider
from shared.providers.sms.tencent.records import LISTED_MS, SURE_MS, by_records, by_reports
from tests.contract.sms.support import message, sms
from tests.contract.sms.tencent.support import APP, ONE, SECRET_ID, SECRET_KEY, TWO, Sandbox, provider_at
from tests.fakes import FakeClock

NOT_LISTED = Unknown(Reason.UNRESOLVED, "not_listed")
AMBIGUOUS = Unknown(Reason.UNRESOLVED, "ambiguous")
OURS = message(ONE, sms("2", "135790", "5"))
OTHER = message(ONE, sms("2", "246801", "5"), n=1)


@pytest.fixture
def box(clock: FakeClock) -> Iterator[Sandbox]:
    keys = {SECRET_ID: SECRET_KEY}
    with Sandbox(keys=keys, sdk_app_id=APP, clock=clock, signature_clock=RealClock()) as found:
        yield found


@pytest.fixture
def provider(box: Sandbox, clock: FakeClock) -> Iterator[Provider]:
    with closing(provider_at(box.url, clock=clock)) as found:
        yield found


class Try:
    """A try whose outcome is unknown, which took no time by the clock."""

    def __init__(self, provider: Provider, box: Sandbox, fault: Fault, to: Outgoing = OURS) -> None:
        self._provider, self._message = provider, to
        box.faults.add(fault)
        [outcome] = provider.send([to])
        assert isinstance(outcome, Unknown)
        self.began = self.ended = box.clock.now_ms()

    def look_up(self) -> Outcome:
        """What the provider finds out."""
        [outcome] = self._provider.look_up([self._message], self.began, self.ended)
        return outcome


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset_after"),
        Fault("bad_json", accepted=True),
        Fault("status", status=502, accepted=True),
        Fault("code", code="InternalError.Timeout", accepted=True),
    ],
    ids=lambda fault: fault.kind,
)
def test_what_was_taken_is_found(fault: Fault, provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    tried = Try(provider, box, fault)
    [delivery] = box.outbox.all()
    clock.advance(5)
    assert tried.look_up() == Sent(delivery.id)
    assert len(box.outbox.all()) == 1, "asking sends nothing"


def test_what_is_not_listed_is_unknown_until_the_list_must_have_it(
    provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    tried = Try(provider, box, Fault("reset_before"))
    clock.advance(5)
    assert tried.look_up() == NOT_LISTED
    clock.advance(LISTED_MS / 1000 - 5.001)
    assert tried.look_up() == NOT_LISTED
    clock.advance(0.001)
    assert tried.look_up() == Retry(Reason.NOT_TAKEN, "")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("FailedOperation.PhoneNumberInBlacklist", Rejected(Reason.RECIPIENT_OPTED_OUT, "")),
        ("LimitExceeded.PhoneNumberThirtySecondLimit", Retry(Reason.RECIPIENT_LIMIT, "", 30.0)),
        ("FailedOperation.InsufficientBalanceInSmsPackage", Retry(Reason.BALANCE_EXHAUSTED, "")),
        ("InternalError.Timeout", Unknown(Reason.TIMED_OUT, "")),
    ],
)
def test_a_refusal_that_was_recorded(
    code: str, outcome: Any, provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    box.faults.add(Fault("code", code=code, to=ONE))
    tried = Try(provider, box, Fault("reset_after"))
    clock.advance(5)
    assert tried.look_up() == type(outcome)(outcome.reason, code, *([outcome.after] if type(outcome) is Retry else []))


def test_another_message_in_the_same_seconds_makes_it_ambiguous(
    provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    clock.advance(0.5)
    assert isinstance(provider.send([OTHER])[0], Sent)
    clock.advance(5)
    assert tried.look_up() == AMBIGUOUS


def test_another_message_at_another_time_is_not_taken_for_ours(
    provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    assert isinstance(provider.send([OTHER])[0], Sent)
    clock.advance(10)
    tried = Try(provider, box, Fault("reset_before"))
    clock.advance(10)
    assert isinstance(provider.send([OTHER])[0], Sent)
    clock.advance(LISTED_MS / 1000)
    # The vendor might show a time of its own; with any other record about, ours is not certainly missing.
    assert tried.look_up() == AMBIGUOUS


def test_other_messages_at_other_times_do_not_hide_ours(provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    assert isinstance(provider.send([OTHER])[0], Sent)
    clock.advance(10)
    tried = Try(provider, box, Fault("reset_after"))
    serial = box.outbox.all()[-1].id
    clock.advance(10)
    assert isinstance(provider.send([OTHER])[0], Sent)
    assert tried.look_up() == Sent(serial)


def test_our_id_decides_where_support_has_switched_it_on(provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    [ours] = box.outbox.all()
    assert isinstance(provider.send([OTHER])[0], Sent)
    clock.advance(5)
    assert tried.look_up() == AMBIGUOUS
    box.records.tells_context = True
    assert tried.look_up() == Sent(ours.id)


def test_of_an_interrupted_try_only_our_id_is_proof(provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    tried.ended += SURE_MS + 1
    clock.advance(60)
    assert tried.look_up() == AMBIGUOUS
    box.records.tells_context = True
    assert isinstance(tried.look_up(), Sent)


def test_what_the_vendor_no_longer_shows_is_not_asked_for(provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    clock.advance(72 * 3600)
    box.requests.clear()
    assert tried.look_up() == Unknown(Reason.UNRESOLVED, "too_long_ago")
    assert box.requests == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("throttle", at="DescribeSendRecordList"), "RequestLimitExceeded"),
        (
            Fault("code", code="AuthFailure.UnauthorizedOperation", at="DescribeSendRecordList"),
            "AuthFailure.UnauthorizedOperation",
        ),
        (Fault("reset_before", at="DescribeSendRecordList"), "ConnectionError"),
        (Fault("bad_json", at="DescribeSendRecordList"), "bad_json"),
        (Fault("outage_refused", seconds=60), "ConnectionError"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_failed_look_up_says_nothing_about_the_message(
    fault: Fault, code: str, provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    box.faults.add(fault)
    assert tried.look_up() == Unknown(Reason.UNRESOLVED, code)
    box.faults.clear()
    assert isinstance(tried.look_up(), Sent)


def test_a_failed_second_call_leaves_it_unknown(provider: Provider, box: Sandbox) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    assert isinstance(provider.send([OTHER])[0], Sent)
    box.faults.add(Fault("throttle", at="PullSmsSendStatusByPhoneNumber"))
    assert tried.look_up() == Unknown(Reason.UNRESOLVED, "RequestLimitExceeded")


def test_each_number_of_a_call_is_looked_up_for_itself(provider: Provider, box: Sandbox, clock: FakeClock) -> None:
    group = [message(ONE), message(TWO)]
    box.faults.add(Fault("reset_after"))
    provider.send(group)
    now = clock.now_ms()
    serials = {delivery.to: delivery.id for delivery in box.outbox.all()}
    assert provider.look_up(group, now, now) == [Sent(serials[ONE]), Sent(serials[TWO])]
    asked = [body["PhoneNumber"] for body in box.bodies[1:]]
    assert asked == [ONE, TWO] and all("PhoneNumberSet" not in body for body in box.bodies[1:])


def test_more_records_than_the_vendor_shows_at_once_are_ambiguous(
    provider: Provider, box: Sandbox, clock: FakeClock
) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    for n in range(50):
        box.records.add(ONE, Record(clock.now_ms() + 10_000 + n, f"s{n}", "Ok", "", ""))
    clock.advance(60)
    assert tried.look_up() == AMBIGUOUS


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"SendRecordSet": None, "TotalCount": 0},
        {"SendRecordSet": [], "TotalCount": None},
        {"SendRecordSet": ["x"], "TotalCount": 1},
        {"SendRecordSet": [{"SendTime": "1", "RequestCode": "Ok"}], "TotalCount": 1},
        {"SendRecordSet": [{"SendTime": 1, "RequestCode": ""}], "TotalCount": 1},
    ],
)
def test_records_that_cannot_be_read(answer: Any) -> None:
    assert by_records(answer, 1000, 1000, 10**13) == Unknown(Reason.UNRECOGNISED_ANSWER, "no_records")


def test_a_count_without_records_is_no_absence() -> None:
    assert by_records({"SendRecordSet": [], "TotalCount": 3}, 1000, 1000, 10**13) == AMBIGUOUS


@pytest.mark.parametrize("answer", [{}, {"PullSmsSendStatusSet": ["x", {"SessionContext": ""}]}])
def test_reports_without_our_id(answer: Any) -> None:
    assert by_reports(answer, OURS) is None


def test_an_unreadable_answer_is_unknown(provider: Provider, box: Sandbox) -> None:
    tried = Try(provider, box, Fault("reset_after"))
    box.answer = Response.of({"Response": {"RequestId": "r"}})
    assert tried.look_up() == Unknown(Reason.UNRECOGNISED_ANSWER, "no_records")
