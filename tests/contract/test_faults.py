"""What each fault of each provider means: a table of what our clients make of it."""

from typing import Any

import pytest

from shared.model.content import RenderedEmail
from shared.model.outcome import Rejected, Sent, Unknown
from shared.providers.base import Outgoing
from tests.contract.faulty import TO, FaultySandboxes, said

# provider, fault, what our client makes of it, how many messages the provider accepted.
# A `Retry` is sent again, so it must not follow where something was accepted. An `Unknown` is sent again or given up,
# as the message's class wants it. Where a raw code depends on the moment, it is left out.
Row = tuple[str, dict[str, Any], str, int]
TABLE: list[Row] = [
    # SMTP: whatever comes before the final dot has left nothing behind
    ("smtp", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("smtp", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("smtp", {"kind": "status", "status": 421, "at": "connect"}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "status", "status": 554, "at": "connect"}, "Retry connection_failed 554 5.7.1", 0),
    ("smtp", {"kind": "reset_before", "at": "connect"}, "Retry connection_failed connection_lost", 0),
    ("smtp", {"kind": "status", "status": 421, "at": "mail"}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "status", "status": 421, "at": "rcpt"}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "status", "status": 421, "at": "data"}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "status", "status": 421, "at": "dot"}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "status", "status": 450, "at": "rcpt"}, "Retry recipient_busy 450 4.2.1", 0),
    ("smtp", {"kind": "status", "status": 451, "at": "data"}, "Retry provider_busy 451 4.3.0", 0),
    ("smtp", {"kind": "status", "status": 451, "at": "dot"}, "Retry provider_busy 451 4.3.0", 0),
    ("smtp", {"kind": "status", "status": 452, "at": "rcpt"}, "Retry provider_busy 452 4.3.1", 0),
    ("smtp", {"kind": "status", "status": 454, "at": "dot"}, "Retry provider_busy 454", 0),
    ("smtp", {"kind": "status", "status": 550, "to": TO["smtp"]}, "Rejected address_unknown 550 5.1.1", 0),
    ("smtp", {"kind": "status", "status": 552, "at": "dot"}, "Rejected content_too_long 552", 0),
    ("smtp", {"kind": "status", "status": 554, "at": "dot"}, "Rejected content_refused 554 5.7.1", 0),
    ("smtp", {"kind": "status", "status": 535, "at": "mail"}, "AccountDown credentials_refused 535", 0),
    ("smtp", {"kind": "code", "status": 552, "code": "5.2.2 full", "at": "rcpt"}, "Retry mailbox_full 552 5.2.2", 0),
    ("smtp", {"kind": "throttle"}, "Retry throttled 450 4.7.1", 0),
    ("smtp", {"kind": "bad_json", "at": "rcpt"}, "Retry unrecognised_answer -1", 0),
    ("smtp", {"kind": "bad_json", "at": "dot"}, "Unknown unrecognised_answer -1", 0),
    ("smtp", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer -1", 1),
    ("smtp", {"kind": "reset_before", "at": "mail"}, "Retry connection_failed connection_lost", 0),
    ("smtp", {"kind": "reset_before", "at": "rcpt"}, "Retry connection_failed connection_lost", 0),
    ("smtp", {"kind": "reset_before", "at": "data"}, "Retry connection_failed connection_lost", 0),
    ("smtp", {"kind": "reset_before", "at": "dot"}, "Unknown connection_lost connection_lost", 0),
    ("smtp", {"kind": "reset_after"}, "Unknown connection_lost connection_lost", 1),
    ("smtp", {"kind": "outage", "seconds": 60}, "Retry provider_busy 421 4.3.2", 0),
    ("smtp", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed connection_refused", 0),
    ("smtp", {"kind": "outage_dropped", "seconds": 60}, "Retry connection_failed", 0),
    # SES: an answer that is lost or cannot be read may have been a yes; so may a 5xx that is not the vendor's own word
    ("ses", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("ses", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("ses", {"kind": "status", "status": 400}, "Retry unrecognised_answer 400", 0),
    ("ses", {"kind": "status", "status": 403}, "Retry unrecognised_answer 403", 0),
    ("ses", {"kind": "status", "status": 429}, "Retry throttled 429", 0),
    ("ses", {"kind": "status", "status": 429, "seconds": 7}, "Retry throttled 429 after 7", 0),
    ("ses", {"kind": "status", "status": 500}, "Unknown provider_error 500", 0),
    ("ses", {"kind": "status", "status": 503}, "Unknown provider_error 503", 0),
    ("ses", {"kind": "status", "status": 503, "accepted": True}, "Unknown provider_error 503", 1),
    ("ses", {"kind": "code", "code": "ServiceUnavailable"}, "Retry provider_busy ServiceUnavailable", 0),
    ("ses", {"kind": "status", "status": 504, "accepted": True}, "Unknown provider_error 504", 1),
    ("ses", {"kind": "throttle"}, "Retry throttled TooManyRequestsException", 0),
    ("ses", {"kind": "throttle", "seconds": 7}, "Retry throttled TooManyRequestsException after 7", 0),
    ("ses", {"kind": "bad_json"}, "Unknown unrecognised_answer 200", 0),
    ("ses", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer 200", 1),
    ("ses", {"kind": "code", "code": "MessageRejected"}, "Rejected content_refused MessageRejected", 0),
    (
        "ses",
        {"kind": "code", "code": "LimitExceededException"},
        "Retry quota_exhausted LimitExceededException",
        0,
    ),
    (
        "ses",
        {"kind": "code", "code": "AccountSuspendedException"},
        "AccountDown account_suspended AccountSuspendedException",
        0,
    ),
    (
        "ses",
        {"kind": "code", "code": "InternalServiceErrorException", "accepted": True},
        "Unknown provider_error InternalServiceErrorException",
        1,
    ),
    ("ses", {"kind": "reset_before"}, "Unknown connection_lost ConnectionClosedError", 0),
    ("ses", {"kind": "reset_after"}, "Unknown connection_lost ConnectionClosedError", 1),
    ("ses", {"kind": "outage", "seconds": 60}, "Unknown provider_error 503", 0),
    ("ses", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed EndpointConnectionError", 0),
    ("ses", {"kind": "outage_dropped", "seconds": 60}, "Unknown connection_lost", 0),
    # Tencent Cloud: HTTP 200 for its own errors, in the whole or number by number
    ("tencent", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("tencent", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("tencent", {"kind": "status", "status": 404}, "Unknown provider_error ServerNetworkError", 0),
    ("tencent", {"kind": "status", "status": 429}, "Unknown provider_error ServerNetworkError", 0),
    ("tencent", {"kind": "status", "status": 500}, "Unknown provider_error ServerNetworkError", 0),
    ("tencent", {"kind": "status", "status": 502, "accepted": True}, "Unknown provider_error ServerNetworkError", 1),
    ("tencent", {"kind": "throttle"}, "Retry throttled RequestLimitExceeded", 0),
    (
        "tencent",
        {"kind": "throttle", "code": "LimitExceeded.GlobalSmsSendingRateLimit"},
        "Retry throttled LimitExceeded.GlobalSmsSendingRateLimit",
        0,
    ),
    (
        "tencent",
        {"kind": "throttle", "to": TO["tencent"]},
        "Retry recipient_limit LimitExceeded.PhoneNumberThirtySecondLimit after 30",
        0,
    ),
    (
        "tencent",
        {"kind": "code", "code": "FailedOperation.PhoneNumberInBlacklist", "to": TO["tencent"]},
        "Rejected recipient_opted_out FailedOperation.PhoneNumberInBlacklist",
        0,
    ),
    (
        "tencent",
        {"kind": "code", "code": "FailedOperation.ContainSensitiveWord", "at": "number"},
        "Rejected content_refused FailedOperation.ContainSensitiveWord",
        0,
    ),
    (
        "tencent",
        {"kind": "code", "code": "FailedOperation.InsufficientBalanceInSmsPackage"},
        "AccountDown balance_exhausted FailedOperation.InsufficientBalanceInSmsPackage",
        0,
    ),
    (
        "tencent",
        {"kind": "code", "code": "AuthFailure.SignatureFailure"},
        "AccountDown credentials_refused AuthFailure.SignatureFailure",
        0,
    ),
    (
        "tencent",
        {"kind": "code", "code": "InternalError.Timeout", "accepted": True},
        "Unknown timed_out InternalError.Timeout",
        1,
    ),
    *(
        (
            "tencent",
            {"kind": "code", "code": f"InternalError{name}", "accepted": accepted},
            f"Unknown {reason}",
            int(accepted),
        )
        for name, reason in (
            ("", "provider_error InternalError"),
            (".SendAndRecvFail", "timed_out InternalError.SendAndRecvFail"),
            (".OtherError", "provider_error InternalError.OtherError"),
            (".UnknownError", "provider_error InternalError.UnknownError"),
            (".ParseBackendResponseFail", "provider_error InternalError.ParseBackendResponseFail"),
        )
        for accepted in (False, True)
    ),
    (
        "tencent",
        {"kind": "code", "code": "InternalError.JsonParseFail"},
        "Rejected content_invalid InternalError.JsonParseFail",
        0,
    ),
    ("tencent", {"kind": "code", "code": "ServiceUnavailable"}, "Retry provider_busy ServiceUnavailable", 0),
    ("tencent", {"kind": "bad_json"}, "Unknown unrecognised_answer bad_json", 0),
    ("tencent", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer bad_json", 1),
    ("tencent", {"kind": "reset_before"}, "Unknown connection_lost ConnectionError", 0),
    ("tencent", {"kind": "reset_after"}, "Unknown connection_lost ConnectionError", 1),
    ("tencent", {"kind": "outage", "seconds": 60}, "Unknown provider_error ServerNetworkError", 0),
    ("tencent", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed ConnectionError", 0),
    ("tencent", {"kind": "outage_dropped", "seconds": 60}, "Unknown connection_lost", 0),
    # AWS End User Messaging SMS
    ("aws", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("aws", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("aws", {"kind": "status", "status": 400}, "Retry unrecognised_answer 400", 0),
    ("aws", {"kind": "status", "status": 429}, "Retry throttled 429", 0),
    ("aws", {"kind": "status", "status": 503, "accepted": True}, "Unknown provider_error 503", 1),
    ("aws", {"kind": "code", "code": "ServiceUnavailable"}, "Retry provider_busy ServiceUnavailable", 0),
    ("aws", {"kind": "status", "status": 500}, "Unknown provider_error 500", 0),
    ("aws", {"kind": "status", "status": 500, "accepted": True}, "Unknown provider_error 500", 1),
    ("aws", {"kind": "throttle"}, "Retry throttled ThrottlingException", 0),
    ("aws", {"kind": "throttle", "seconds": 7}, "Retry throttled ThrottlingException after 7", 0),
    ("aws", {"kind": "bad_json"}, "Unknown unrecognised_answer no_message_id", 0),
    ("aws", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer no_message_id", 1),
    (
        "aws",
        {"kind": "code", "code": "ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT", "to": TO["aws"]},
        "Rejected recipient_opted_out ConflictException/DESTINATION_PHONE_NUMBER_OPTED_OUT",
        0,
    ),
    (
        "aws",
        {"kind": "code", "code": "AccessDeniedException"},
        "AccountDown credentials_refused AccessDeniedException",
        0,
    ),
    (
        "aws",
        {"kind": "code", "code": "InternalServerException", "accepted": True},
        "Unknown provider_error InternalServerException",
        1,
    ),
    ("aws", {"kind": "reset_before"}, "Unknown connection_lost ConnectionClosedError", 0),
    ("aws", {"kind": "reset_after"}, "Unknown connection_lost ConnectionClosedError", 1),
    ("aws", {"kind": "outage", "seconds": 60}, "Unknown provider_error 503", 0),
    ("aws", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed EndpointConnectionError", 0),
    ("aws", {"kind": "outage_dropped", "seconds": 60}, "Unknown connection_lost", 0),
    # WeCom apps: what fails before the message (the token) has left nothing behind
    ("app", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("app", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("app", {"kind": "status", "status": 404}, "Retry unrecognised_answer http_404", 0),
    ("app", {"kind": "status", "status": 429}, "Retry throttled http_429", 0),
    ("app", {"kind": "status", "status": 429, "seconds": 7}, "Retry throttled http_429 after 7", 0),
    ("app", {"kind": "status", "status": 429, "seconds": 7, "at": "gettoken"}, "Retry throttled http_429 after 7", 0),
    ("app", {"kind": "code", "code": "-1"}, "Retry provider_busy -1", 0),
    ("app", {"kind": "code", "code": "45033"}, "Retry throttled 45033 after 1", 0),
    ("app", {"kind": "code", "code": "45009", "at": "gettoken"}, "Retry throttled 45009 after 60", 0),
    ("app", {"kind": "status", "status": 502}, "Unknown provider_error http_502", 0),
    ("app", {"kind": "status", "status": 502, "accepted": True}, "Unknown provider_error http_502", 1),
    ("app", {"kind": "status", "status": 502, "at": "gettoken"}, "Retry provider_error http_502", 0),
    ("app", {"kind": "throttle"}, "Retry throttled 45009 after 60", 0),
    ("app", {"kind": "bad_json"}, "Unknown unrecognised_answer not_json", 0),
    ("app", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer not_json", 1),
    ("app", {"kind": "bad_json", "at": "gettoken"}, "Retry unrecognised_answer not_json", 0),
    ("app", {"kind": "code", "code": "42001"}, "Sent", 1),
    ("app", {"kind": "code", "code": "40014"}, "Sent", 1),
    ("app", {"kind": "code", "code": "42001", "times": 2}, "Retry credentials_refused 42001 after 5", 0),
    ("app", {"kind": "code", "code": "invaliduser", "to": TO["app"]}, "Rejected address_unknown 81013", 0),
    (
        "app",
        {"kind": "code", "code": "unlicenseduser", "to": TO["app"]},
        "Rejected recipient_blocked unlicenseduser",
        0,
    ),
    ("app", {"kind": "code", "code": "60020"}, "AccountDown address_not_trusted 60020", 0),
    ("app", {"kind": "code", "code": "40001", "at": "gettoken"}, "AccountDown credentials_refused 40001", 0),
    ("app", {"kind": "reset_before", "at": "gettoken"}, "Retry connection_failed RemoteProtocolError", 0),
    ("app", {"kind": "reset_before"}, "Unknown connection_lost RemoteProtocolError", 0),
    ("app", {"kind": "reset_after"}, "Unknown connection_lost RemoteProtocolError", 1),
    ("app", {"kind": "outage", "seconds": 60}, "Retry provider_error http_503", 0),
    ("app", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed ConnectError", 0),
    ("app", {"kind": "outage_dropped", "seconds": 60}, "Retry connection_failed", 0),
    # WeCom robots
    ("robot", {"kind": "delay", "seconds": 0.05}, "Sent", 1),
    ("robot", {"kind": "trickle", "seconds": 0.1}, "Sent", 1),
    ("robot", {"kind": "status", "status": 502}, "Unknown provider_error http_502", 0),
    ("robot", {"kind": "status", "status": 429}, "Retry throttled http_429", 0),
    ("robot", {"kind": "status", "status": 429, "seconds": 7}, "Retry throttled http_429 after 7", 0),
    ("robot", {"kind": "status", "status": 502, "accepted": True}, "Unknown provider_error http_502", 1),
    ("robot", {"kind": "throttle"}, "Retry throttled 45009 after 60", 0),
    ("robot", {"kind": "bad_json", "accepted": True}, "Unknown unrecognised_answer not_json", 1),
    ("robot", {"kind": "code", "code": "93000"}, "AccountDown credentials_refused 93000", 0),
    ("robot", {"kind": "code", "code": "-1"}, "Retry provider_busy -1", 0),
    ("robot", {"kind": "reset_before"}, "Unknown connection_lost RemoteProtocolError", 0),
    ("robot", {"kind": "reset_after"}, "Unknown connection_lost RemoteProtocolError", 1),
    ("robot", {"kind": "outage", "seconds": 60}, "Unknown provider_error http_503", 0),
    ("robot", {"kind": "outage_refused", "seconds": 60}, "Retry connection_failed ConnectError", 0),
    ("robot", {"kind": "outage_dropped", "seconds": 60}, "Unknown connection_lost", 0),
]


def _name(row: Row) -> str:
    return f"{row[0]}-" + "-".join(str(value) for name, value in row[1].items() if name != "to")


@pytest.mark.parametrize("row", TABLE, ids=_name)
def test_what_a_fault_means(row: Row, faulty: FaultySandboxes) -> None:
    name, fault, expected, accepted = row
    assert faulty.ask("POST", {"provider": name, **fault})[0] == 201
    [outcome] = faulty.provider(name).send([faulty.message(name)])
    words = said(outcome).split()[: len(expected.split())]
    assert (" ".join(words), faulty.outbox.count()) == (expected, accepted)
    faulty.ask("DELETE")
    assert isinstance(faulty.provider(name).send([faulty.message(name)])[0], Sent), "the next message is not harmed"


# Answers that come late: the client gives up after 0.3 s.
SLOW: list[Row] = [
    ("smtp", {"kind": "delay", "seconds": 600, "at": "rcpt"}, "Retry timed_out timed_out", 0),
    ("smtp", {"kind": "delay", "seconds": 600, "at": "dot"}, "Unknown timed_out timed_out", 0),
    ("smtp", {"kind": "trickle", "seconds": 600}, "Unknown timed_out timed_out", 1),
    ("ses", {"kind": "delay", "seconds": 600}, "Unknown timed_out ReadTimeoutError", 0),
    ("ses", {"kind": "trickle", "seconds": 600}, "Unknown timed_out ReadTimeoutError", 1),
    ("tencent", {"kind": "delay", "seconds": 600}, "Unknown timed_out ReadTimeout", 0),
    ("tencent", {"kind": "trickle", "seconds": 600}, "Unknown timed_out", 1),
    ("aws", {"kind": "delay", "seconds": 600}, "Unknown timed_out ReadTimeoutError", 0),
    ("aws", {"kind": "trickle", "seconds": 600}, "Unknown timed_out ReadTimeoutError", 1),
    ("app", {"kind": "delay", "seconds": 600}, "Unknown timed_out ReadTimeout", 0),
    ("app", {"kind": "delay", "seconds": 600, "at": "gettoken"}, "Retry timed_out ReadTimeout", 0),
    ("app", {"kind": "trickle", "seconds": 600}, "Unknown timed_out ReadTimeout", 1),
    ("robot", {"kind": "delay", "seconds": 600}, "Unknown timed_out ReadTimeout", 0),
    ("robot", {"kind": "trickle", "seconds": 600}, "Unknown timed_out ReadTimeout", 1),
]


@pytest.mark.parametrize("row", SLOW, ids=_name)
def test_what_a_late_answer_means(row: Row, faulty: FaultySandboxes) -> None:
    name, fault, expected, accepted = row
    assert faulty.ask("POST", {"provider": name, **fault})[0] == 201
    [outcome] = faulty.provider(name, hasty=True).send([faulty.message(name)])
    words = said(outcome).split()[: len(expected.split())]
    assert (" ".join(words), faulty.outbox.count()) == (expected, accepted)


def test_a_big_mail_cut_on_its_way_is_certainly_not_sent(faulty: FaultySandboxes) -> None:
    faulty.ask("POST", {"provider": "smtp", "kind": "reset_before", "at": "body"})
    big = Outgoing("m", TO["smtp"], RenderedEmail("Big", None, "x" * 70 + "\n" + ("y" * 70 + "\n") * 250_000))
    [outcome] = faulty.provider("smtp").send([big])
    assert (said(outcome), faulty.outbox.count()) == ("Retry connection_failed connection_lost", 0)


@pytest.mark.parametrize(
    ("at", "expected", "accepted"),
    [
        ("mail", "Retry connection_failed connection_lost", 0),
        ("rcpt", "Retry connection_failed connection_lost", 0),
        ("data", "Retry connection_failed connection_lost", 0),
        ("dot", "Unknown connection_lost connection_lost", 0),
        ("after", "Unknown connection_lost connection_lost", 1),
    ],
)
def test_a_connection_lost_without_pipelining(
    at: str, expected: str, accepted: int, faulty: FaultySandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faulty.sandboxes["smtp"], "pipelining", False)
    where = {"kind": "reset_after"} if at == "after" else {"kind": "reset_before", "at": at}
    faulty.ask("POST", {"provider": "smtp", **where})
    [outcome] = faulty.provider("smtp").send([faulty.message("smtp")])
    assert (said(outcome), faulty.outbox.count()) == (expected, accepted)


def test_a_kept_connection_that_ends_after_the_final_dot_is_no_reason_to_send_again(faulty: FaultySandboxes) -> None:
    provider = faulty.provider("smtp")
    provider.send([faulty.message("smtp")])
    faulty.ask("POST", {"provider": "smtp", "kind": "reset_after"})
    assert said(provider.send([faulty.message("smtp")])[0]) == "Unknown connection_lost connection_lost"
    assert faulty.outbox.count() == 2


def test_a_kept_connection_that_ends_before_the_message_is_replaced_at_once(faulty: FaultySandboxes) -> None:
    provider = faulty.provider("smtp")
    provider.send([faulty.message("smtp")])
    faulty.ask("POST", {"provider": "smtp", "kind": "reset_before", "at": "data"})
    assert isinstance(provider.send([faulty.message("smtp")])[0], Sent)
    assert faulty.outbox.count() == 2


def test_numbers_of_one_call_fail_each_for_itself(faulty: FaultySandboxes) -> None:
    content = faulty.message("tencent").content
    group = [Outgoing(f"m{n}", f"+8613800000{n:03d}", content) for n in range(4)]
    for to, code in ((group[1].to, "FailedOperation.PhoneNumberInBlacklist"), (group[3].to, "InternalError.Timeout")):
        faulty.ask("POST", {"provider": "tencent", "kind": "code", "code": code, "to": to})
    outcomes = faulty.provider("tencent").send(group)
    assert [type(outcome) for outcome in outcomes] == [Sent, Rejected, Sent, Unknown]
    assert [delivery.to for delivery in faulty.outbox.all()] == [group[0].to, group[2].to]


@pytest.mark.parametrize(
    ("fault", "expected", "accepted"),
    [
        ({"kind": "delay", "seconds": 0.05}, ["Sent"] * 4, 4),
        ({"kind": "trickle", "seconds": 0.1}, ["Sent"] * 4, 4),
        ({"kind": "reset_before"}, ["Unknown connection_lost ConnectionClosedError"] * 4, 0),
        ({"kind": "reset_after"}, ["Unknown connection_lost ConnectionClosedError"] * 4, 4),
        ({"kind": "status", "status": 503, "accepted": True}, ["Unknown provider_error 503"] * 4, 4),
        ({"kind": "bad_json", "accepted": True}, ["Unknown unrecognised_answer wrong_count"] * 4, 4),
        ({"kind": "throttle"}, ["Retry throttled TooManyRequestsException"] * 4, 0),
        ({"kind": "outage_refused", "seconds": 60}, ["Retry connection_failed EndpointConnectionError"] * 4, 0),
        (
            {"kind": "code", "code": "AccountSuspendedException"},
            ["AccountDown account_suspended AccountSuspendedException"] * 4,
            0,
        ),
        # A refusal that may be about one of them has each go alone.
        ({"kind": "code", "code": "BadRequestException"}, ["Sent"] * 4, 4),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_a_fault_means_to_a_call_for_many(
    fault: dict[str, Any], expected: list[str], accepted: int, faulty: FaultySandboxes
) -> None:
    provider = faulty.new_provider("ses")
    [group] = provider.group([faulty.message("ses", f"u{n}@example.com") for n in range(4)])
    assert faulty.ask("POST", {"provider": "ses", **fault})[0] == 201
    assert ([said(outcome) for outcome in provider.send(group)], faulty.outbox.count()) == (expected, accepted)


def test_messages_of_one_call_fail_each_for_itself(faulty: FaultySandboxes) -> None:
    provider = faulty.new_provider("ses")
    [group] = provider.group([faulty.message("ses", f"u{n}@example.com") for n in range(4)])
    for to, what in (
        (group[0].to, {"kind": "throttle"}),
        (group[1].to, {"kind": "code", "code": "MESSAGE_REJECTED Virus found"}),
        (group[3].to, {"kind": "code", "code": "FAILED", "accepted": True}),
    ):
        assert faulty.ask("POST", {"provider": "ses", "to": to, **what})[0] == 201
    assert [said(outcome) for outcome in provider.send(group)] == [
        "Retry throttled ACCOUNT_THROTTLED",
        "Rejected content_refused MESSAGE_REJECTED",
        "Sent",
        "Unknown provider_error FAILED",
    ]
    assert [delivery.to for delivery in faulty.outbox.all()] == [group[2].to, group[3].to]


def test_members_of_one_message_are_left_out_each_for_itself(faulty: FaultySandboxes) -> None:
    content = faulty.message("app").content
    group = [Outgoing(f"m{n}", f"user{n}", content) for n in range(3)]
    for to, code in (("user0", "invaliduser"), ("user2", "unlicenseduser")):
        faulty.ask("POST", {"provider": "app", "kind": "code", "code": code, "to": to})
    outcomes = faulty.provider("app").send(group)
    assert [said(outcome) for outcome in outcomes] == [
        "Rejected address_unknown invaliduser",
        "Sent",
        "Rejected recipient_blocked unlicenseduser",
    ]
