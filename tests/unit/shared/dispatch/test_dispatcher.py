"""The dispatcher: what is sent, recorded, handed on and acknowledged."""

import json
import logging
from typing import Any

import pytest
from msgspec.structs import replace

from functions.trace.words import describe
from shared.model.content import ApprovedTemplate, EmailContent, RenderedEmail, SmsContent
from shared.model.envelope import Envelope
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import KeyKind, MessageClass
from shared.providers.base import Outgoing
from shared.providers.email import limits
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, harness


def test_every_recipient_is_sent_once_and_traced() -> None:
    with harness() as w:
        assert w.run(envelope(25)) == []
        assert sorted(m.to for m in w.providers["main"].sent) == sorted(f"u{i}@example.com" for i in range(25))
        first = next(m for m in w.providers["main"].sent if m.to == "u0@example.com")
        assert first.content == RenderedEmail("Hello n0", "<p>Hello <b>n0</b></p>", "Hello n0")
        assert w.stages() == {"accepted": 25, "sent": 25}
        assert w.log == ["acquire", "record", "stream"]
        sent = next(e for e in w.records[0].events if e.stage == "sent")
        assert sent.account == "main" and sent.provider == "smtp" and (sent.provider_id or "").startswith("p-")


def test_a_redelivered_envelope_is_not_sent_again_but_its_tail_is_repeated() -> None:
    with harness() as w:
        one = envelope(3)
        w.run(one)
        w.records.clear()
        assert w.run(one) == []
        assert w.providers["main"].calls == 3
        assert w.stages() == {"accepted": 3, "sent": 3}


def test_a_message_that_stands_twice_in_a_batch_is_sent_once() -> None:
    with harness() as w:
        one = envelope(2)
        assert w.run(one, one) == []
        assert w.providers["main"].calls == 2


@pytest.mark.parametrize("broken", ["acquire", "queue", "dead", "stream"])
def test_nothing_is_acknowledged_before_it_is_all_handed_on(broken: str) -> None:
    def script(message: Outgoing) -> Outcome:
        if message.to == "u0@example.com":
            return Retry(Reason.THROTTLED, "454")
        return Retry(Reason.THROTTLED, "x", after=1e9) if message.to == "u1@example.com" else Sent("1")

    with harness(script) as w:
        w.broken = {broken}
        one = envelope(3)
        assert w.run(one) == ["0"]
        w.broken = set()
        assert w.run(one) == []
        assert w.providers["main"].calls == 3
        assert {d.envelope.id for d in w.dispatched} == {one.id + "/r1"}
        assert {e.id for e in w.dead} == {one.id + "/d0"}
        assert {(e.index, e.stage) for r in w.records for e in r.events if e.stage != "accepted"} == {
            (0, "retrying"),
            (1, "dead_lettered"),
            (2, "sent"),
        }


def test_a_malformed_envelope_does_not_sink_the_others(caplog: pytest.LogCaptureFixture) -> None:
    with harness() as w, caplog.at_level(logging.DEBUG):
        broken = json.loads(envelope(1).to_json()) | {"recipients": "secret@example.com"}
        other = envelope(1, start=500)
        assert w.run("{", json.dumps(broken), other) == ["0", "1"]
        assert w.providers["main"].calls == 1
        assert "secret@example.com" not in caplog.text


def test_an_envelope_of_another_channel_is_not_sent() -> None:
    from shared.model.words import Channel

    with harness() as w:
        assert w.run(envelope(1, Channel.SMS)) == ["0"]
        assert w.providers["main"].calls == 0


def test_an_envelope_without_its_template_comes_back_and_the_others_go() -> None:
    with harness() as w:
        assert w.run(envelope(1, template="gone"), envelope(1, start=500)) == ["0"]
        assert w.providers["main"].calls == 1


def test_failed_recipients_alone_are_tried_again_with_a_derived_id() -> None:
    def script(message: Outgoing) -> Outcome:
        return Sent("1") if message.to != "u2@example.com" else Retry(Reason.MAILBOX_FULL, "452 4.2.2")

    with harness(script) as w:
        one = envelope(4)
        w.run(one)
        [again] = w.dispatched
        assert again.envelope.id == one.id + "/r1" and again.envelope.attempt == 1
        assert [r.address for r in again.envelope.recipients] == ["u2@example.com"]
        assert again.due_at is not None and again.due_at >= NOW
        w.run(again.envelope)
        assert w.dispatched[1].envelope.id == one.id + "/r1/r2"
        # The child tells of its own recipients only.
        assert [e.stage for e in w.records[1].events] == ["retrying"]
        retries = [e for r in w.records for e in r.events if e.stage == "retrying"]
        assert [(e.nth, e.reason, e.code) for e in retries] == [
            (1, "mailbox_full", "452 4.2.2"),
            (2, "mailbox_full", "452 4.2.2"),
        ]


def test_the_wait_that_a_provider_asks_for_makes_a_child_of_its_own() -> None:
    def script(message: Outgoing) -> Outcome:
        return Retry(Reason.THROTTLED, "", after=700 if message.to == "u0@example.com" else 0)

    with harness(script) as w:
        w.run(envelope(3))
        later = {d.envelope.id.rpartition("/")[2]: d for d in w.dispatched}
        assert set(later) == {"r1", "r1.1"}
        assert [r.address for r in later["r1.1"].envelope.recipients] == ["u0@example.com"]
        due = later["r1.1"].due_at
        assert due is not None and NOW + 700_000 <= due <= NOW + 750_000


def test_exhausted_recipients_go_to_the_dead_letter_queue_with_the_reason() -> None:
    with harness(lambda m: Retry(Reason.PROVIDER_BUSY, "421")) as w:
        one = envelope(2, attempt=7)
        w.run(one)
        assert w.dispatched == []
        [dead] = w.dead
        assert dead.id == one.id + "/d0"
        assert dead.reasons == {0: ("provider_busy", "421", "main"), 1: ("provider_busy", "421", "main")}
        assert w.stages() == {"dead_lettered": 2}


def test_rejected_recipients_fail_and_are_not_tried_again() -> None:
    with harness(lambda m: Rejected(Reason.ADDRESS_UNKNOWN, "550 5.1.1")) as w:
        w.run(envelope(2))
        assert w.dispatched == [] and w.dead == []
        assert {(e.stage, e.reason, e.code) for e in w.records[0].events if e.stage != "accepted"} == {
            ("failed", "address_unknown", "550 5.1.1")
        }


@pytest.mark.parametrize(
    ("message_class", "stage", "children"),
    [
        (MessageClass.VERIFICATION, "retrying", 1),
        (MessageClass.NOTIFICATION, "retrying", 1),
        (MessageClass.MARKETING, "unknown", 0),
    ],
)
def test_an_unknown_outcome_is_resent_by_class(message_class: MessageClass, stage: str, children: int) -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        w.run(envelope(1, message_class=message_class))
        assert w.stages()[stage] == 1 and len(w.dispatched) == children


def test_an_expired_envelope_is_not_sent() -> None:
    with harness() as w:
        w.run(envelope(2, expires_at=NOW))
        assert w.providers["main"].calls == 0 and w.stages() == {"accepted": 2, "expired": 2}


def test_a_retry_that_would_come_after_the_end_expires_now() -> None:
    with harness(lambda m: Retry(Reason.THROTTLED, "", after=60)) as w:
        w.run(envelope(1, expires_at=NOW + 60_000))
        assert w.stages() == {"accepted": 1, "expired": 1} and w.dispatched == []


def test_what_does_not_fit_the_time_is_carried_on_by_a_continuation() -> None:
    with harness() as w:
        main = w.providers["main"]
        main.threads, main.worst_case_seconds = 1, 10.0  # type: ignore[misc]  # of this instance
        w.remaining_ms = lambda: 60_000 - 1000 * main.calls
        one = envelope(100)
        assert w.run(one) == []
        # A call is begun as long as its slowest end leaves ten seconds: a wave of 34, and 7 of the next.
        assert main.calls == 41
        assert w.log.count("acquire") == 1 and w.log.count("record") == 2
        [rest] = w.dispatched
        assert rest.envelope.id == one.id + "/c1" and rest.due_at is None
        assert len(rest.envelope.recipients) == 59 and rest.envelope.attempt == 0
        w.remaining_ms = lambda: 10_000_000
        assert w.run(rest.envelope) == []
        assert sorted(m.to for m in main.sent) == sorted(r.address for r in one.recipients)
        assert w.stages() == {"accepted": 100, "sent": 100}


def test_a_provider_that_raises_leaves_unknown_outcomes(caplog: pytest.LogCaptureFixture) -> None:
    def script(message: Outgoing) -> Outcome:
        raise ValueError("secret@example.com")

    with harness(script) as w:
        w.run(envelope(1, message_class=MessageClass.MARKETING))
        [_, unknown] = w.records[0].events
        assert (unknown.stage, unknown.reason, unknown.code) == ("unknown", "provider_error", "ValueError")
    [logged] = caplog.records
    assert logged.getMessage() == "provider raised" and vars(logged)["error"] == "builtins.ValueError"
    assert "secret@example.com" not in str(vars(logged))


def test_without_an_account_the_message_waits_for_one() -> None:
    with harness() as w:
        w.accounts.clear()
        w.run(envelope(1))
        [event] = [e for e in w.records[0].events if e.stage == "retrying"]
        assert event.reason == "no_account" and len(w.dispatched) == 1


def test_variables_that_cannot_be_rendered_fail_their_recipient_alone() -> None:
    with harness() as w:
        one = envelope(3)
        one.recipients[1].variables = {}
        w.run(one)
        assert w.stages() == {"accepted": 3, "sent": 2, "failed": 1}
        [failed] = [e for e in w.records[0].events if e.stage == "failed"]
        assert (failed.index, failed.reason) == (1, "rendering_failed")
        assert failed.code == "variables.name: is missing; the template needs it"


def test_a_version_that_is_no_template_any_more_fails_its_recipients() -> None:
    with harness() as w:
        head, version = w.templates["welcome"]
        content = EmailContent(subject="{% for i in range(9) %}x{% endfor %}", text="hello")
        w.templates["welcome"] = head, version.model_copy(update={"content": content})
        assert w.run(envelope(2)) == []
        assert w.providers["main"].calls == 0 and w.stages() == {"accepted": 2, "failed": 2}
        failed = [e for e in w.records[0].events if e.stage == "failed"]
        [(why, code)] = {(e.reason, e.code) for e in failed}
        assert why == "rendering_failed" and (code or "").startswith("content.subject: line 1: a loop goes over")


def test_what_breaks_a_limit_of_the_provider_fails_before_it_is_asked() -> None:
    with harness() as w:
        w.add_template(EmailContent(subject="{{ name }}", text="hello"))
        one = envelope(2)
        one.recipients[0].variables = {"name": " "}
        w.run(one)
        [failed] = [e for e in w.records[0].events if e.stage == "failed"]
        assert (failed.index, failed.reason, failed.code) == (0, "content_invalid", "content.subject: is blank")
        assert failed.provider is None
        said = describe(failed)
        assert "provider said" not in said and said.endswith("What was found: content.subject: is blank.")


def test_what_becomes_too_long_is_said_with_its_size_and_the_limit_but_not_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "EMAIL_BYTES", 1_000)
    with harness() as w:
        w.add_template(EmailContent(subject="s", text="{{ name }}"))
        one = envelope(2)
        one.recipients[0].variables = {"name": "x" * 1_000}
        w.run(one)
        [failed] = [e for e in w.records[0].events if e.stage == "failed"]
        assert (failed.index, failed.reason) == (0, "content_too_long")
        assert failed.code == "content.text: makes an email of 1,001 bytes, more than 1,000"


@pytest.mark.parametrize(
    ("message_class", "ends"), [(MessageClass.VERIFICATION, ["failed"]), (MessageClass.NOTIFICATION, ["sent"])]
)
def test_tencent_is_not_asked_to_send_a_code_that_is_no_number(message_class: MessageClass, ends: list[str]) -> None:
    with harness() as w:
        w.accounts["main"] = w.accounts["main"].model_copy(update={"provider": "tencent"})
        w.add_template(SmsContent(tencent=ApprovedTemplate(template_id="1", params=["{{ name }}"])))
        w.run(envelope(1, message_class=message_class))
        events = [e for e in w.records[0].events if e.stage != "accepted"]
        assert [e.stage for e in events] == ends
        if ends == ["failed"]:
            assert events[0].reason == "content_invalid"
            assert (events[0].code or "").startswith("content.tencent.params.0: must be 1 to 6 digits")


SIMULATED = ("delivered", "bounced", "throttled", "unknown", "refused")


def simulated(**changes: Any) -> Envelope:
    """An envelope of a test key with one recipient of each pattern."""
    one = envelope(len(SIMULATED), kind=KeyKind.TEST, **changes)
    for recipient, word in zip(one.recipients, SIMULATED, strict=True):
        recipient.address = f"{word}@example.com"
    return one


def told(w: DispatchHarness) -> dict[str, list[str]]:
    """The stages that the stream was told of, by pattern; repeats left out."""
    found: dict[str, list[str]] = {word: [] for word in SIMULATED}
    for each in (each for record in w.records for each in record.events):
        if each.stage != "accepted" and (name := f"{each.stage}{each.nth or ''}") not in found[SIMULATED[each.index]]:
            found[SIMULATED[each.index]].append(name)
    return found


def drain(w: DispatchHarness) -> None:
    """Run what was handed on, and what that hands on, each at its time."""
    while w.dispatched:
        dispatch = w.dispatched.pop(0)
        w.clock.set(max(dispatch.due_at or 0, w.clock.now_ms()))
        assert w.run(dispatch.envelope) == []


def test_a_test_key_plays_what_the_address_says_and_calls_no_provider() -> None:
    with harness() as w:
        w.accounts.clear()
        assert w.run(simulated()) == []
        drain(w)
        assert told(w) == {
            "delivered": ["sent", "delivered"],
            "bounced": ["sent", "undelivered"],
            "throttled": ["retrying1", "retrying2", "sent", "delivered"],
            "unknown": ["retrying1", "sent", "delivered"],
            "refused": ["failed"],
        }
        assert w.providers["main"].calls == 0 and w.dead == []
        events = {(each.index, each.stage, each.nth): each for record in w.records for each in record.events}
        assert events[3, "retrying", 1].maybe_sent and not events[2, "retrying", 1].maybe_sent
        assert events[4, "failed", 0].reason == Reason.ADDRESS_UNKNOWN
        # Receipts are no rows of the ledger, which has one of each recipient.
        assert all(len({row.index for row in e.rows}) == len(e.rows) for e in w.entries.values())


def test_marketing_of_a_test_key_ends_unknown() -> None:
    with harness() as w:
        w.run(simulated(message_class=MessageClass.MARKETING))
        drain(w)
        assert told(w)["unknown"] == ["unknown"] and told(w)["throttled"][-2:] == ["sent", "delivered"]


def test_a_repeat_of_a_test_key_tells_the_same() -> None:
    with harness() as w:
        one = simulated()
        w.run(one)
        first = w.records.pop()
        w.clock.advance(60)
        w.run(one)
        assert w.records == [first]


def test_what_a_test_key_redrives_is_sent() -> None:
    with harness() as w:
        one = simulated(generation=1)
        w.run(replace(one, id=one.id + "/g1"))
        assert told(w)["throttled"] == told(w)["unknown"] == told(w)["delivered"] == ["sent1", "delivered1"]
        assert told(w)["bounced"] == ["sent1", "undelivered1"] and w.dispatched == []
