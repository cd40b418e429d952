"""Many messages by one call of Amazon SES, by boto3, against its sandbox."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from local.sandbox.base import Fault, Response
from shared.model.accounts import NoSecret
from shared.model.attachments import encode
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Outgoing, TokenCache
from shared.providers.email.ses import provider as ses
from shared.providers.email.ses.bulk import CALL_BYTES, MOST, Parts
from shared.providers.email.ses.codes import STATUSES
from shared.providers.email.ses.provider import SesProvider
from shared.store.tokens import MemoryTokenCache
from tests.contract.email.ses.recorded import Recorded
from tests.contract.email.support import HTML, SUBJECT, TEXT, email, tools
from tests.fakes import FakeClock

R = Reason
ROOT = Path(__file__).parents[4]
SEND, BULK, RENDER, CREATE = (
    "POST /v2/email/outbound-emails",
    "POST /v2/email/outbound-bulk-emails",
    "POST /v2/email/templates/mepush-raw-v1-html-text/render",
    "POST /v2/email/templates",
)


@pytest.fixture(scope="module")
def running() -> Iterator[Recorded]:
    with Recorded() as found:
        yield found


@pytest.fixture
def sandbox(running: Recorded) -> Recorded:
    running.outbox.clear()
    running.faults.clear()
    running.requests.clear()
    running.rendering_failures.clear()
    running.answer = running.mangle = None
    return running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def provider_at(url: str, clock: FakeClock, tokens: TokenCache | None = None, **settings: Any) -> SesProvider:
    values = {"provider": "ses", "region": "eu-west-1", "from_address": "notice@example.com", "endpoint": url}
    made = ses.Settings.model_validate(values | settings)
    return ses.build(made, NoSecret(), tools(clock, tokens or MemoryTokenCache(clock)))


@pytest.fixture
def provider(sandbox: Recorded, clock: FakeClock) -> Iterator[SesProvider]:
    made = provider_at(sandbox.url, clock)
    yield made
    made.close()


def messages(count: int, **changes: Any) -> list[Outgoing]:
    return [email(n, f"u{n}@example.com", **changes) for n in range(count)]


def send_all(provider: SesProvider, sent: list[Outgoing]) -> list[Outcome | None]:
    return [outcome for group in provider.group(sent) for outcome in provider.send(group)]


def proved(provider: SesProvider, sandbox: Recorded) -> list[Outgoing]:
    """Three messages, once the trial is over."""
    three = messages(3)
    assert provider.group(three) == [three]
    sandbox.requests.clear()
    return three


def test_fifty_go_by_one_call(sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.templates.clear()
    sent = messages(120)
    groups = provider.group(sent)
    assert [len(group) for group in groups] == [50, 50, 20]
    assert [each for group in groups for each in group] == sent
    # There was no template yet.
    assert sandbox.asked() == [RENDER, CREATE, RENDER]
    outcomes = [outcome for group in groups for outcome in provider.send(group)]
    deliveries = sandbox.outbox.all()
    assert outcomes == [Sent(delivery.id) for delivery in deliveries]
    assert [(delivery.to, delivery.message_id) for delivery in deliveries] == [(m.to, m.message_id) for m in sent]
    assert sandbox.asked() == [BULK] * 3
    assert sandbox.rendering_failures == []


FILES = (
    encode("list.pdf", "application/pdf", b"%PDF" + b"x" * 3000),
    encode("logo.png", "image/png", b"\x89PNG" + b"y" * 500, cid="logo"),
)
CONTENTS: list[dict[str, Any]] = [
    {},
    {"html": None},
    {"text": None},
    {"attachments": FILES},
    {"html": None, "attachments": FILES[:1]},
    {"subject": "Plain", "html": "<p>Plain</p>", "text": "Plain\n"},
    {
        "html": "<a href=\"https://x.example/?a=1&b=2\">{{name}}</a>{{{raw}}} \\ '\t'\r\n\r\n.\r\n",
        "text": "{{x}}\n.\n\n<&>",
    },
]


@pytest.mark.parametrize("changes", CONTENTS, ids=lambda changes: "-".join(changes) or "both")
def test_what_arrives_is_what_a_call_for_one_sends(
    changes: dict[str, Any], sandbox: Recorded, clock: FakeClock
) -> None:
    more: dict[str, Any] = {"from_name": "通知中心 🎉", "reply_to": "help@example.com", "configuration_set": "mepush"}
    provider = provider_at(sandbox.url, clock, **more)
    assert {type(each) for each in send_all(provider, messages(2, **changes))} == {Sent}
    assert sandbox.asked()[-1] == BULK
    assert {type(each) for message in messages(2, **changes) for each in provider.send([message])} == {Sent}
    provider.close()
    deliveries = sandbox.outbox.all()
    # SES gives its own Message-ID to both (SES Developer Guide, "Header fields").
    own = {"message_id_header", "size", "operation"}
    seen = [{name: value for name, value in each.data.items() if name not in own} for each in deliveries]
    for found in seen:
        found["text"], found["html"] = [part and part.strip("\n") for part in (found["text"], found["html"])]
    assert seen[:2] == seen[2:]
    assert seen[0]["tags"] == {"mepush_message_id": messages(1)[0].message_id}
    assert [delivery.data["operation"] for delivery in deliveries] == ["SendBulkEmail"] * 2 + ["SendEmail"] * 2


def test_a_lone_message_waits_for_no_trial(sandbox: Recorded, provider: SesProvider) -> None:
    [one] = messages(1)
    assert provider.group([one]) == [[one]]
    assert isinstance(provider.send([one])[0], Sent)
    assert sandbox.asked() == [SEND]


def test_a_setting_turns_it_off(sandbox: Recorded, clock: FakeClock) -> None:
    provider = provider_at(sandbox.url, clock, bulk=False)
    three = messages(3)
    assert provider.group(three) == [[each] for each in three]
    assert {type(each) for each in provider.send(three)} == {Sent}
    assert "call" not in provider.verify().summary
    assert {path for path in sandbox.asked() if path.startswith("POST")} == {SEND}
    provider.close()


def test_a_call_has_messages_of_one_shape_in_their_order(sandbox: Recorded, provider: SesProvider) -> None:
    both, html = messages(3), messages(3, text=None)
    files, others = messages(3, attachments=FILES), messages(3, attachments=FILES[:1])
    mixed = [message for four in zip(both, html, files, others, strict=True) for message in four]
    assert provider.group(mixed) == [both, html, files, others]
    # Of a single one of its kind nobody asks whether it may go with others.
    sandbox.requests.clear()
    text = messages(1, html=None)
    assert provider.group([both[0], *text]) == [[both[0]], text]
    assert sandbox.asked() == []


ALONE: dict[str, dict[str, Any]] = {
    "control characters": {"text": "a\x00b"},
    "an escape": {"html": "<p>\x1b[1m</p>"},
    "encoded already": {"subject": "=?utf-8?q?x?="},
    "a long subject": {"subject": "x" * 901},
    "a long line": {"text": "y" * 999},
    "half a character": {"text": "\ud83d"},
    "an empty part": {"text": ""},
    "too much": {"html": "中" * 88_000},
    "a name beyond ASCII": {"attachments": (encode("清单.pdf", "application/pdf", b"x"),)},
    "a large file": {"attachments": (encode("a.bin", "application/octet-stream", b"x" * 800_000),)},
}


@pytest.mark.parametrize("why", ALONE)
def test_what_the_form_cannot_carry_goes_alone(why: str, sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    odd = messages(2, **ALONE[why])
    assert provider.group([odd[0], *three, odd[1]]) == [[odd[0]], three, [odd[1]]]
    assert {type(each) for each in provider.send(odd)} == {Sent}
    assert sandbox.asked() == [SEND] * 2
    # Whoever hands both in together meets no half of a call.
    assert {type(each) for each in provider.send([odd[0], *three])} == {Sent}
    assert sandbox.asked() == [SEND] * 4


def test_an_address_that_cannot_be_goes_alone_and_nowhere(sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    bad = email(9, "张三@example.com")
    groups = provider.group([three[0], bad, *three[1:]])
    assert groups == [three, [bad]]
    assert provider.send([bad]) == [Rejected(R.ADDRESS_INVALID, "non_ascii_local_part")]
    assert sandbox.asked() == []


def test_a_long_name_goes_alone(sandbox: Recorded, clock: FakeClock) -> None:
    provider = provider_at(sandbox.url, clock, from_name="很长的名字" * 20)
    three = messages(3)
    assert provider.group(three) == [[each] for each in three]
    provider.close()


LARGE: list[dict[str, Any]] = [
    {"html": "<p>\"'\\\n" * 20_000},
    {"text": "中\n" * 30_000},
    {"attachments": (encode("a.bin", "a/b", b"x" * 500_000),), "text": "中" * 30_000},
]


@pytest.mark.parametrize("changes", LARGE, ids=lambda changes: "-".join(changes))
def test_no_call_is_larger_than_it_may_be(changes: dict[str, Any], sandbox: Recorded, provider: SesProvider) -> None:
    sent = messages(30, **changes)
    groups = provider.group(sent)
    assert 1 < len(groups) < 30
    sandbox.requests.clear()
    assert {type(each) for group in groups for each in provider.send(group)} == {Sent}
    sizes = [len(request.body) for request in sandbox.requests]
    assert max(sizes) <= CALL_BYTES and max(sizes) > CALL_BYTES // 2


# What becomes of each


EXPECTED = {
    "MESSAGE_REJECTED": Rejected(R.CONTENT_REFUSED, "MESSAGE_REJECTED"),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": AccountDown(R.SENDER_REFUSED, "MAIL_FROM_DOMAIN_NOT_VERIFIED"),
    "CONFIGURATION_SET_NOT_FOUND": AccountDown(R.ACCOUNT_MISCONFIGURED, "CONFIGURATION_SET_NOT_FOUND"),
    "CONFIGURATION_SET_DOES_NOT_EXIST": AccountDown(R.ACCOUNT_MISCONFIGURED, "CONFIGURATION_SET_DOES_NOT_EXIST"),
    "TEMPLATE_NOT_FOUND": Retry(R.ACCOUNT_MISCONFIGURED, "TEMPLATE_NOT_FOUND"),
    "TEMPLATE_DOES_NOT_EXIST": Retry(R.ACCOUNT_MISCONFIGURED, "TEMPLATE_DOES_NOT_EXIST"),
    "ACCOUNT_SUSPENDED": AccountDown(R.ACCOUNT_SUSPENDED, "ACCOUNT_SUSPENDED"),
    "ACCOUNT_THROTTLED": Retry(R.THROTTLED, "ACCOUNT_THROTTLED"),
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": Retry(R.QUOTA_EXHAUSTED, "ACCOUNT_DAILY_QUOTA_EXCEEDED"),
    "INVALID_SENDING_POOL_NAME": AccountDown(R.ACCOUNT_MISCONFIGURED, "INVALID_SENDING_POOL_NAME"),
    "ACCOUNT_SENDING_PAUSED": AccountDown(R.ACCOUNT_SUSPENDED, "ACCOUNT_SENDING_PAUSED"),
    "CONFIGURATION_SET_SENDING_PAUSED": AccountDown(R.ACCOUNT_SUSPENDED, "CONFIGURATION_SET_SENDING_PAUSED"),
    "INVALID_PARAMETER": Rejected(R.CONTENT_INVALID, "INVALID_PARAMETER"),
    "INVALID_PARAMETER_VALUE": Rejected(R.CONTENT_INVALID, "INVALID_PARAMETER_VALUE"),
    "TRANSIENT_FAILURE": Retry(R.PROVIDER_BUSY, "TRANSIENT_FAILURE"),
    "FAILED": Unknown(R.PROVIDER_ERROR, "FAILED"),
    "BRAND_NEW": Unknown(R.UNRECOGNISED_ANSWER, "BRAND_NEW"),
    # Of one the text tells more than the status.
    "MESSAGE_REJECTED Email address is not verified.": AccountDown(R.SENDER_REFUSED, "MESSAGE_REJECTED"),
    "MESSAGE_REJECTED Email address is not verified. The following identities failed the check in region EU-WEST-1: "
    "u1@example.com": Rejected(R.RECIPIENT_NOT_VERIFIED, "MESSAGE_REJECTED"),
    "INVALID_PARAMETER Illegal address": Rejected(R.ADDRESS_INVALID, "INVALID_PARAMETER"),
    "ACCOUNT_THROTTLED Daily message quota exceeded.": Retry(R.QUOTA_EXHAUSTED, "ACCOUNT_THROTTLED"),
    "FAILED Domain contains dot-dot": Rejected(R.ADDRESS_INVALID, "FAILED"),
    "FAILED Unknown error occurred. Please try again later": Unknown(R.PROVIDER_ERROR, "FAILED"),
}


@pytest.mark.parametrize("code", EXPECTED)
def test_statuses_of_one_of_a_call(code: str, sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    sandbox.faults.add(Fault("code", code=code, to=three[1].to))
    first, second, third = provider.send(three)
    assert second == EXPECTED[code]
    assert [first, third] == [Sent(delivery.id) for delivery in sandbox.outbox.all()]
    assert sandbox.asked() == [BULK]


def test_every_status_is_tried() -> None:
    assert STATUSES.keys() <= EXPECTED.keys()


OK = {"Status": "SUCCESS", "MessageId": "0100-1"}
NOT_ANSWERED = [
    {},
    [],
    {"BulkEmailEntryResults": None},
    {"BulkEmailEntryResults": []},
    {"BulkEmailEntryResults": [OK, OK]},
    {"BulkEmailEntryResults": [OK, OK, OK, OK]},
    {"BulkEmailEntryResults": "SUCCESS"},
]


@pytest.mark.parametrize("answer", NOT_ANSWERED, ids=repr)
def test_results_that_are_not_one_for_each_say_nothing(answer: Any, sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    sandbox.answer = Response.of(answer)
    outcomes = provider.send(three)
    assert [(type(each), each.reason) for each in outcomes if isinstance(each, Unknown)] == [
        (Unknown, R.UNRECOGNISED_ANSWER)
    ] * 3


NO_RESULT = [
    {},
    {"Status": "SUCCESS"},
    {"Status": "SUCCESS", "MessageId": ""},
    {"Status": None},
    {"MessageId": "0100-1"},
]


@pytest.mark.parametrize("odd", NO_RESULT, ids=repr)
def test_a_result_that_is_none_says_nothing_of_one(odd: Any, sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    sandbox.answer = Response.of({"BulkEmailEntryResults": [OK, odd, OK]})
    first, second, third = provider.send(three)
    assert first == third == Sent("0100-1")
    assert isinstance(second, Unknown) and second.reason is R.UNRECOGNISED_ANSWER


# What becomes of all


@pytest.mark.parametrize(
    ("played", "expected", "accepted"),
    [
        (Fault("reset_before"), Unknown(R.CONNECTION_LOST, "ConnectionClosedError"), 0),
        (Fault("reset_after"), Unknown(R.CONNECTION_LOST, "ConnectionClosedError"), 3),
        (Fault("bad_json", accepted=True), Unknown(R.UNRECOGNISED_ANSWER, "wrong_count"), 3),
        (Fault("status", status=503), Unknown(R.PROVIDER_ERROR, "503"), 0),
        (Fault("status", status=429, seconds=7), Retry(R.THROTTLED, "429", 7), 0),
        (Fault("throttle"), Retry(R.THROTTLED, "TooManyRequestsException"), 0),
        (Fault("code", code="LimitExceededException"), Retry(R.QUOTA_EXHAUSTED, "LimitExceededException"), 0),
        (
            Fault("code", code="AccountSuspendedException"),
            AccountDown(R.ACCOUNT_SUSPENDED, "AccountSuspendedException"),
            0,
        ),
        (
            Fault("code", code="NotFoundException Configuration set <template> does not exist."),
            AccountDown(R.ACCOUNT_MISCONFIGURED, "NotFoundException"),
            0,
        ),
        (Fault("code", code="NotFoundException"), AccountDown(R.ACCOUNT_MISCONFIGURED, "NotFoundException"), 0),
        (
            Fault("code", code="NotFoundException Template mepush-raw-v1-html-text does not exist."),
            Retry(R.ACCOUNT_MISCONFIGURED, "TEMPLATE_NOT_FOUND"),
            0,
        ),
        (
            Fault("code", code="InternalServiceErrorException", accepted=True),
            Unknown(R.PROVIDER_ERROR, "InternalServiceErrorException"),
            3,
        ),
    ],
    ids=lambda value: f"{value.kind}-{value.code or value.status}" if isinstance(value, Fault) else "",
)
def test_an_error_of_the_call_is_one_of_each(
    played: Fault, expected: Outcome, accepted: int, sandbox: Recorded, provider: SesProvider
) -> None:
    three = proved(provider, sandbox)
    sandbox.faults.add(played)
    assert provider.send(three) == [expected] * 3
    assert (sandbox.asked(), sandbox.outbox.count()) == ([BULK], accepted)


@pytest.mark.parametrize(
    "played",
    [
        # An address that is not well formed has all refused that come with it (SES API reference,
        # "SendBulkTemplatedEmail"); so may one that is not verified.
        Fault("code", code="BadRequestException Illegal address"),
        Fault("code", code="MessageRejected Email address is not verified."),
        Fault("code", code="ValidationException"),
        Fault("status", status=413),
        Fault("status", status=400),
    ],
    ids=lambda played: f"{played.code or played.status}",
)
def test_a_call_that_is_refused_for_one_has_each_go_alone(
    played: Fault, sandbox: Recorded, provider: SesProvider
) -> None:
    three = proved(provider, sandbox)
    sandbox.faults.add(played)
    sandbox.faults.add(Fault("code", code="BadRequestException Illegal address", to=three[1].to, at="SendEmail"))
    first, second, third = provider.send(three)
    assert second == Rejected(R.ADDRESS_INVALID, "BadRequestException")
    assert [first, third] == [Sent(delivery.id) for delivery in sandbox.outbox.all()]
    assert sandbox.asked() == [BULK, SEND, SEND, SEND]
    assert provider.group(three) == [three]


def test_whoever_goes_alone_after_that_keeps_to_the_time(
    sandbox: Recorded, provider: SesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = proved(provider, sandbox)
    sandbox.faults.add(Fault("code", code="BadRequestException"))
    # The call began at 0; the first alone begins in time, the second would end after the worst case.
    times = iter([0.0, 12.0, 12.1, 12.2])
    monkeypatch.setattr(provider, "_monotonic", lambda: next(times))
    [first, *others] = provider.send(three)
    # The others are as if they had never been handed over.
    assert (isinstance(first, Sent), others, sandbox.outbox.count()) == (True, [None, None], 1)
    # Where nobody has the time, it is a try: else it could go on like this for ever.
    sandbox.faults.add(Fault("code", code="BadRequestException"))
    times = iter([0.0, 12.1, 12.2, 12.3])
    assert provider.send(three) == [Retry(R.TIMED_OUT, "not_begun")] * 3
    assert sandbox.outbox.count() == 1


def test_without_the_right_each_goes_alone(sandbox: Recorded, provider: SesProvider, clock: FakeClock) -> None:
    three = proved(provider, sandbox)
    sandbox.faults.add(Fault("code", code="AccessDeniedException", at="SendBulkEmail", times=-1))
    assert {type(each) for each in provider.send(three)} == {Sent}
    assert sandbox.asked() == [BULK, SEND, SEND, SEND]
    assert provider.group(three) == [[each] for each in three]
    assert sandbox.asked() == []
    clock.advance(3600)
    assert provider.group(three) == [three]


def test_who_is_too_fast_sends_fewer_by_a_call(sandbox: Recorded, provider: SesProvider, clock: FakeClock) -> None:
    sent = messages(8)
    assert provider.group(sent) == [sent]
    for most in (4, 2):
        sandbox.faults.add(Fault("throttle", at="SendBulkEmail"))
        assert {type(each) for each in provider.send(provider.group(sent)[0])} == {Retry}
        assert [len(group) for group in provider.group(sent)] == [most] * (8 // most)
    assert {type(each) for each in provider.send(sent[:2])} == {Sent}
    assert [len(group) for group in provider.group(sent)] == [4, 4]
    # Where two are too many, each goes alone for a while.
    sandbox.faults.add(Fault("throttle", at="SendBulkEmail"))
    provider.send(sent[:2])
    assert [len(group) for group in provider.group(sent)] == [1] * 8
    clock.advance(3600)
    assert [len(group) for group in provider.group(sent)] == [2] * 4


# The template and its trial


@pytest.mark.parametrize("gone", ["entry", "call"])
def test_a_template_that_somebody_took_away_is_made_anew(gone: str, sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    sandbox.templates.clear()
    if gone == "call":
        sandbox.faults.add(Fault("code", code="NotFoundException Template x does not exist.", at="SendBulkEmail"))
    lost = [Retry(R.ACCOUNT_MISCONFIGURED, "TEMPLATE_NOT_FOUND")] * 3
    assert (provider.send(three), sandbox.outbox.count(), sandbox.asked()) == (lost, 0, [BULK])
    # What was grouped before goes alone; whoever groups anew asks for another trial.
    assert {type(each) for each in provider.send(three)} == {Sent}
    assert sandbox.asked() == [SEND] * 3
    assert send_all(provider, three) == [Sent(delivery.id) for delivery in sandbox.outbox.all()[3:]]
    assert sandbox.asked() == [RENDER, CREATE, RENDER, BULK]


def test_a_template_that_is_taken_away_each_time_keeps_nobody_busy(sandbox: Recorded, provider: SesProvider) -> None:
    three = proved(provider, sandbox)
    for _ in range(3):
        sandbox.templates.clear()
        assert {type(each) for each in provider.send(three)} == {Retry}
        assert sandbox.asked() == [BULK]
        assert provider.group(three) == [three]
        assert sandbox.asked() == [RENDER, CREATE, RENDER]


MANGLES = {
    "escaped": escape,
    "without braces": lambda value: value.replace("{{", "").replace("}}", ""),
    "rendered twice": lambda value: value.replace("{{subject}}", "Hello"),
    "without backslashes": lambda value: value.replace("\\", ""),
    "in ASCII": lambda value: value.encode("ascii", "replace").decode(),
    "without emoji": lambda value: "".join(c for c in value if ord(c) < 0x10000),
    "in one line": lambda value: " ".join(value.split("\r\n")),
    "without tabs": lambda value: value.replace("\t", " "),
    "trimmed": str.strip,
    "with one blank": lambda value: " ".join(value.split(" ")).replace("  ", " "),
    "with a footer": lambda value: value + "<p>sent by SES</p>",
    "empty": lambda value: "",
}


@pytest.mark.parametrize("parts", list(Parts))
@pytest.mark.parametrize("mangle", MANGLES)
def test_where_content_is_changed_each_goes_alone(
    mangle: str, parts: Parts, sandbox: Recorded, provider: SesProvider, clock: FakeClock
) -> None:
    left_out = {Parts.BOTH: {}, Parts.HTML: {"text": None}, Parts.TEXT: {"html": None}}[parts]
    three = messages(3, **left_out)
    sandbox.mangle = MANGLES[mangle]
    assert {type(each) for each in send_all(provider, three)} == {Sent}
    assert {each.data["operation"] for each in sandbox.outbox.all()} == {"SendEmail"}
    assert {each.data["subject"] for each in sandbox.outbox.all()} == {SUBJECT}
    sandbox.mangle = None
    assert len(provider.group(three)) == 3
    clock.advance(3600)
    assert provider.group(three) == [three]


def test_it_is_logged_once_and_said_when_the_account_is_tried(
    sandbox: Recorded, provider: SesProvider, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.mangle = escape
    for _ in range(3):
        send_all(provider, messages(3))
    ours = [record for record in caplog.records if record.name.startswith("shared.")]
    assert [vars(record)["raw_code"] for record in ours] == ["html_changed"]
    found = provider.verify()
    assert found.ok and found.rate is not None
    assert found.summary.endswith(
        "Each message goes by a call of its own, since a trial of calls for 50 failed: html_changed."
    )
    assert "ses:TestRenderEmailTemplate" in found.action and "`bulk`" in found.action
    for text in (caplog.text, *(str(vars(record)) for record in caplog.records)):
        assert not any(secret in text for secret in ("u1@example.com", SUBJECT, HTML[:20], TEXT[:10]))


def test_somebody_elses_template_of_our_name_is_not_used(sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.templates[Parts.BOTH.template] = Parts.BOTH.content() | {"Html": "{{{html}}}<p>Our footer</p>"}
    three = messages(3)
    assert provider.group(three) == [[each] for each in three]
    assert "html_changed" in provider.verify().summary
    del sandbox.templates[Parts.BOTH.template]


@pytest.mark.parametrize("step", ["TestRenderEmailTemplate", "CreateEmailTemplate"])
@pytest.mark.parametrize(
    ("played", "wait_s"),
    [
        # What holds for an hour is looked at anew five minutes earlier, as access tokens are.
        (Fault("code", code="AccessDeniedException"), 3300),
        (Fault("code", code="BadRequestException"), 3300),
        (Fault("throttle"), 60),
        (Fault("code", code="LimitExceededException"), 60),
        (Fault("status", status=500), 60),
        (Fault("reset_after"), 60),
    ],
    ids=lambda value: f"{value.kind}-{value.code or value.status}" if isinstance(value, Fault) else "",
)
def test_while_there_is_no_trial_each_goes_alone(
    step: str, played: Fault, wait_s: int, sandbox: Recorded, provider: SesProvider, clock: FakeClock
) -> None:
    sandbox.templates.clear()
    sandbox.faults.add(Fault(**{name: getattr(played, name) for name in ("kind", "code", "status")}, at=step))
    three = messages(3)
    assert provider.group(three) == [[each] for each in three]
    sandbox.requests.clear()
    clock.advance(wait_s - 1)
    assert (provider.group(three), sandbox.asked()) == ([[each] for each in three], [])
    clock.advance(1)
    assert provider.group(three) == [three]


def test_without_rights_the_account_is_good_all_the_same(sandbox: Recorded, provider: SesProvider) -> None:
    sandbox.faults.add(Fault("code", code="AccessDeniedException", at="TestRenderEmailTemplate"))
    found = provider.verify()
    assert (found.ok, "AccessDeniedException" in found.summary) == (True, True)
    sandbox.faults.add(Fault("throttle", at="TestRenderEmailTemplate"))
    found = provider.verify()
    assert (found.ok, found.action) == (True, "") and found.summary.endswith("The platform tries again by itself.")
    assert provider.verify().summary.endswith("Up to 50 messages go by one call.")


def test_functions_share_what_a_trial_showed(sandbox: Recorded, clock: FakeClock) -> None:
    tokens, three = MemoryTokenCache(clock), messages(3)
    providers = [provider_at(sandbox.url, clock, tokens) for _ in range(3)]
    assert [provider.group(three) for provider in providers] == [[three]] * 3
    assert sandbox.asked().count(RENDER) in (1, 2)
    for provider in providers:
        provider.close()


def test_functions_make_the_template_at_the_same_time(sandbox: Recorded, clock: FakeClock) -> None:
    sandbox.templates.clear()
    together, three = threading.Barrier(4), messages(3)
    providers = [provider_at(sandbox.url, clock) for _ in range(4)]

    def start(provider: SesProvider) -> list[list[Outgoing]]:
        together.wait(5)
        return provider.group(three)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(start, providers)) == [[three]] * 4
    for provider in providers:
        provider.close()


def test_one_that_finds_it_made_meanwhile_goes_on(
    sandbox: Recorded, provider: SesProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.templates.clear()
    create = sandbox._create

    def late(body: dict[str, Any]) -> Response:
        create(body)
        return create(body)

    monkeypatch.setattr(sandbox, "_create", late)
    assert len(provider.group(messages(3))) == 1


def test_eight_threads_share_one_client(sandbox: Recorded, provider: SesProvider) -> None:
    sent = messages(80)
    provider.group(sent)
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(provider.send, [sent[at : at + 10] for at in range(0, 80, 10)]))
    assert {type(outcome) for part in parts for outcome in part} == {Sent}
    assert {(each.to, each.message_id) for each in sandbox.outbox.all()} == {(m.to, m.message_id) for m in sent}


def test_the_sink_answers_as_the_sandbox_does(clock: FakeClock) -> None:
    command = [sys.executable, "-m", "local.sandbox.ses_sink", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        provider = provider_at(url, clock)
        outcomes = [*send_all(provider, messages(60)), *provider.send(messages(1))]
        with urlopen(f"{url}/count") as answer:
            counts = json.loads(answer.read())
        provider.close()
        process.communicate(timeout=10)
    # Two trials, between which the template was made, two calls for many and one for one.
    assert (counts, process.returncode) == ({"requests": 6, "messages": 61}, 0)
    assert len({each.provider_message_id for each in outcomes if isinstance(each, Sent)}) == 61


def test_it_is_signed_as_it_is_sent(sandbox: Recorded, provider: SesProvider) -> None:
    provider.send(proved(provider, sandbox))
    [request] = sandbox.requests
    body = json.loads(request.body)
    assert "/eu-west-1/ses/" in request.headers["authorization"]
    assert request.headers["content-type"] == "application/json"
    assert body["DefaultContent"]["Template"] == {"TemplateName": Parts.BOTH.template, "TemplateData": "{}"}
    data = body["BulkEmailEntries"][0]["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
    # Complete, so that SES never says yes and fails to render it afterwards.
    assert json.loads(data).keys() == {"subject", "html", "text"}
    assert MOST == 50
