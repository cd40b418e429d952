"""What the archive keeps of events, and what it never does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import wire
from shared.model.events import EventRow, FallenTo, StreamRecord
from shared.model.ids import new_base, tag_of
from shared.model.words import Channel, KeyKind, MessageClass
from shared.policy.archive import COLUMNS, archived

ACCEPTED_AT = 1_790_000_000_123
BASE = new_base(ACCEPTED_AT)
TAG = "ABCDEFGHJKMNPQRS"


def record(*rows: EventRow, **more: Any) -> StreamRecord:
    facts: dict[str, Any] = {
        "tenant": "default",
        "envelope": f"{BASE}/r1",
        "channel": Channel.SMS,
        "message_class": MessageClass.MARKETING,
        "template": "spring-sale",
        "version": 3,
        "request": BASE,
        "run": f"spring.{BASE}",
        "variant": "a",
        "reference": "REFERENCE",
    }
    return StreamRecord(**facts | more, events=list(rows))


def row(stage: str = "sent", **more: Any) -> EventRow:
    return EventRow(index=0, tag=TAG, stage=stage, nth=0, at=ACCEPTED_AT + 1500, **more)


def only(told: StreamRecord) -> dict[str, object]:
    (found,) = archived(told)
    return found


def test_an_event_becomes_a_row() -> None:
    sent = row(account="sms-tencent", provider="tencent", took_ms=80, masked_address="+86138****1234", due_at=5)
    assert only(record(sent)) == {
        "event_id": f"{BASE}-sms-sent-0",
        "tenant": "default",
        "message": BASE,
        "request": BASE,
        "channel": "sms",
        "class": "marketing",
        "key_kind": "live",
        "stage": "sent",
        "number": 0,
        "at": ACCEPTED_AT + 1500,
        "accepted_at": ACCEPTED_AT,
        "template": "spring-sale",
        "version": 3,
        "campaign": "spring",
        "run": f"spring.{BASE}",
        "variant": "a",
        "account": "sms-tencent",
        "provider": "tencent",
        "transient": False,
        "by_machine": False,
        "maybe_sent": False,
        "latency_ms": 1500,
        "call_ms": 80,
        "due_at": 5,
        "calling_code": "86",
    }


def test_messages_are_numbered_as_their_ids_are() -> None:
    rows = [EventRow(index=i, tag=TAG, stage="accepted", nth=0, at=ACCEPTED_AT) for i in (0, 1, 99)]
    told = record(*rows)
    assert [found["message"] for found in archived(told)] == [id[:26] for id, _ in told.message_ids()]


def test_a_delivery_takes_as_long_as_the_provider_says() -> None:
    found = only(record(row("delivered", took_ms=90)))
    assert (found["latency_ms"], "call_ms" in found) == (90, False)


def test_where_a_message_fell_back_is_a_channel_alone() -> None:
    found = only(record(row("failed", fell_back_to=FallenTo("email", "spring-mail", 2, "ZZZZZZZZZZZZZZZZ"))))
    assert found["fallback_channel"] == "email" and "ZZZZ" not in wire.write(found).decode()


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        *[(code, True) for code in ("550 5.1.1", "421", "MK:0001", "LimitExceeded.PhoneNumberDailyLimit", "60020")],
        *[(code, True) for code in ("Permanent/General", "TEXT_BLOCKED")],
        *[(code, False) for code in ("unknown user zhang", "a@b.cn", "8613800138000", "+1 4155552671", "", "张伟")],
    ],
)
def test_only_what_has_the_form_of_a_code_is_kept(code: str, kept: bool) -> None:
    found = only(record(row("failed", provider="tencent", code=code)))
    assert found.get("provider_code") == (code if kept else None)


def test_what_no_provider_said_and_what_a_person_answered_is_no_code() -> None:
    assert "provider_code" not in only(record(row("failed", code="name")))
    assert "provider_code" not in only(record(row("unsubscribed", provider="aws", code="STOP")))


secrets = st.text(st.characters(codec="utf-8"), min_size=3, max_size=40).map(lambda text: f"秘{text}")


@given(secrets, secrets, secrets, secrets)
def test_nothing_of_a_person_is_kept_whatever_an_event_holds(to: str, id: str, note: str, reference: str) -> None:
    told = record(
        row(masked_address=to, provider_id=id, note=note, reference=reference, code=note, provider="smtp"),
        row("accepted", masked_address=to, stands_in_for=TAG, passed_over=((to, note, id),)),
        reference=reference,
    )
    text = wire.write(list(archived(told))).decode()
    assert "秘" not in text and "\\u79d8" not in text and TAG not in text
    for message_id, _ in told.message_ids():
        assert message_id not in text and tag_of(message_id) not in text


@pytest.mark.parametrize("kind", KeyKind)
def test_columns_have_values_of_their_types(kind: KeyKind) -> None:
    types = {"string": str, "int": int, "bigint": int, "boolean": bool, "timestamp": int}
    named = {column.name: types[column.type] for column in COLUMNS}
    assert len(named) == len(COLUMNS) and all(name == name.lower() for name in named)
    whole = row(account="a", provider="p", reason="timed_out", code="421", took_ms=1, due_at=2, transient=True)
    for name, value in only(record(whole, kind=kind)).items():
        assert isinstance(value, named[name]), name
