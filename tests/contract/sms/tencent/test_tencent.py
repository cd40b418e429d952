"""The Tencent Cloud provider, by the real SDK, against its sandbox: sending."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from local.sandbox.base import Fault, Response
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Provider
from tests.contract.sms.support import closed_url, mainland, message, sms, untrusted_url
from tests.contract.sms.tencent.support import ABROAD, ONE, TWO, Sandbox, provider_at, send_one


def test_a_code_is_sent_with_its_signature_and_parameters(sandbox: Sandbox, provider: Provider) -> None:
    (outcome,) = provider.send([message(ONE, sms("2", "135790", "5"), 7)])
    (delivery,) = sandbox.outbox.all("tencent", ONE)
    assert outcome == Sent(delivery.id)
    assert delivery.id.startswith("5000:")
    assert delivery.data == {
        "sign": "微推",
        "template_id": "2",
        "params": ["135790", "5"],
        "context": message(ONE, n=7).message_id,
        "text": "【微推】您的验证码是135790，5分钟内有效。",
    }


def test_200_numbers_go_in_one_call_and_the_201st_in_a_second(sandbox: Sandbox, provider: Provider) -> None:
    groups = provider.group(mainland(201))
    assert [len(group) for group in groups] == [200, 1]
    outcomes = [outcome for group in groups for outcome in provider.send(group)]
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert len({outcome.provider_message_id for outcome in outcomes if isinstance(outcome, Sent)}) == 201
    assert sandbox.outbox.count("tencent") == 201
    assert len(sandbox.requests) == 2
    assert "SessionContext" not in sandbox.bodies[0]


def test_grouping_keeps_every_message_once_and_apart_what_may_not_share_a_call(provider: Provider) -> None:
    other = sms("2", "1", "2")
    messages = [
        message(ONE),
        message(ABROAD),
        message(TWO, other),
        message(TWO),
        message("+85257048426"),
        message("+886903444630"),
        message(ONE, n=1),
        message(ONE, sms("1234", text="the text of another provider")),
        message("+8613712345678"),
    ]
    groups = provider.group(messages)
    assert sorted(map(id, (m for group in groups for m in group))) == sorted(map(id, messages))
    for group in groups:
        assert len({m.to.startswith("+86") for m in group}) == 1
        assert len({(m.content.template_id, m.content.params) for m in group}) == 1  # type: ignore[union-attr] # all are RenderedSms
        assert len({m.to for m in group}) == len(group)
    numbers = [[m.to for m in group] for group in groups]
    assert [ONE, TWO] in numbers
    assert [ABROAD, "+85257048426", "+886903444630"] in numbers


def test_mainland_and_other_numbers_sent_by_group_are_all_accepted(sandbox: Sandbox, provider: Provider) -> None:
    groups = provider.group([message(ONE), message(ABROAD), message(TWO)])
    assert [type(o) for group in groups for o in provider.send(group)] == [Sent, Sent, Sent]
    assert [body.get("SignName") for body in sandbox.bodies] == ["微推", None]


def test_settings_for_numbers_abroad(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, sign_name_abroad="微推", sender_id="MEPUSH", region="ap-singapore")
    send_one(provider, ABROAD)
    send_one(provider, ONE)
    assert [body.get("SenderId") for body in sandbox.bodies] == ["MEPUSH", None]
    assert [body.get("SignName") for body in sandbox.bodies] == ["微推", "微推"]
    assert sandbox.requests[0].headers["x-tc-region"] == "ap-singapore"
    provider.close()


def test_an_endpoint_does_not_take_what_may_not_share_a_call(sandbox: Sandbox, provider: Provider) -> None:
    (first, _) = provider.send([message(ONE), message(ABROAD)])
    raw = "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"
    assert first == Rejected(Reason.CONTENT_INVALID, raw)
    assert provider.send(mainland(201))[0] == Rejected(Reason.CONTENT_INVALID, "LimitExceeded.PhoneNumberCountLimit")
    assert sandbox.outbox.count() == 0


def test_no_template_for_tencent_is_refused_without_a_call(sandbox: Sandbox, provider: Provider) -> None:
    messages = [message(ONE, sms(None, text="hello")), message(TWO, sms(None, text="hello"))]
    refused = Rejected(Reason.TEMPLATE_REFUSED, "no_tencent_template")
    assert [o for group in provider.group(messages) for o in provider.send(group)] == [refused, refused]
    assert sandbox.requests == []


def test_no_signature_for_the_mainland_is_refused_without_a_call(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, sign_name=None)
    assert send_one(provider) == Rejected(Reason.SENDER_REFUSED, "no_sign_name")
    assert sandbox.requests == []
    assert isinstance(send_one(provider, ABROAD), Sent)
    provider.close()


def test_nothing_to_send_is_no_call(sandbox: Sandbox, provider: Provider) -> None:
    assert provider.send([]) == []
    assert provider.group([]) == []
    assert sandbox.requests == []


def test_an_http_200_with_no_error_may_refuse_some_numbers(sandbox: Sandbox, provider: Provider) -> None:
    messages = mainland(6)
    codes = [
        "LimitExceeded.PhoneNumberDailyLimit",
        "LimitExceeded.PhoneNumberThirtySecondLimit",
        "FailedOperation.PhoneNumberInBlacklist",
        "InternalError.Timeout",
        "FailedOperation.NeverHeardOf",
    ]
    for m, code in zip(messages[1:], codes, strict=True):
        sandbox.faults.add(Fault("code", code=code, to=m.to))
    first, *others = provider.send(messages)
    assert first == Sent(sandbox.outbox.all()[0].id)
    assert others == [
        Rejected(Reason.RECIPIENT_LIMIT, codes[0]),
        Retry(Reason.RECIPIENT_LIMIT, codes[1], 30.0),
        Rejected(Reason.RECIPIENT_OPTED_OUT, codes[2]),
        Unknown(Reason.TIMED_OUT, codes[3]),
        Retry(Reason.UNRECOGNISED_ANSWER, codes[4]),
    ]
    assert [d.to for d in sandbox.outbox.all()] == [messages[0].to]


def test_results_are_matched_by_number_not_by_place(sandbox: Sandbox, provider: Provider) -> None:
    rows = [
        {"PhoneNumber": TWO, "Code": "LimitExceeded.PhoneNumberDailyLimit", "SerialNo": ""},
        {"PhoneNumber": ONE, "Code": "Ok", "SerialNo": "5000:1"},
    ]
    sandbox.answer = Response.of({"Response": {"SendStatusSet": rows, "RequestId": "r"}})
    outcomes = provider.send([message(ONE), message(TWO), message("+8613712345678")])
    assert outcomes == [
        Sent("5000:1"),
        Rejected(Reason.RECIPIENT_LIMIT, "LimitExceeded.PhoneNumberDailyLimit"),
        Unknown(Reason.UNRECOGNISED_ANSWER, "no_status"),
    ]


@pytest.mark.parametrize(
    ("answer", "raw"),
    [
        ({"Response": {"RequestId": "r"}}, "no_status_set"),
        ({"Response": {"SendStatusSet": None}}, "no_status_set"),
        ({"Response": {"SendStatusSet": "Ok"}}, "no_status_set"),
        ({"Response": {"SendStatusSet": []}}, "no_status"),
        ({"Response": {"SendStatusSet": ["Ok"]}}, "no_status"),
        ({"Response": {"SendStatusSet": [{"PhoneNumber": ONE}]}}, "no_code"),
        ({"Response": {"SendStatusSet": [{"PhoneNumber": ONE, "Code": None}]}}, "no_code"),
        ({"Response": None}, "bad_json"),
        ({"Response": {"Error": "x"}}, "bad_json"),
        ({}, "bad_json"),
        ([], "bad_json"),
    ],
)
def test_an_unreadable_answer_leaves_the_outcome_unknown(
    sandbox: Sandbox, provider: Provider, answer: object, raw: str
) -> None:
    sandbox.answer = Response.of(answer)
    assert send_one(provider) == Unknown(Reason.UNRECOGNISED_ANSWER, raw)


def test_case_matters_in_ok(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.answer = Response.of({"Response": {"SendStatusSet": [{"PhoneNumber": ONE, "Code": "OK"}]}})
    assert send_one(provider) == Retry(Reason.UNRECOGNISED_ANSWER, "OK")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain"])
def test_an_error_is_read_under_any_content_type(sandbox: Sandbox, provider: Provider, content_type: str) -> None:
    error = {"Code": "UnauthorizedOperation.ServiceSuspendDueToArrears", "Message": "m"}
    sandbox.answer = Response.of({"Response": {"Error": error, "RequestId": "r"}}, content_type=content_type)
    assert send_one(provider) == AccountDown(Reason.BALANCE_EXHAUSTED, error["Code"])


@pytest.mark.parametrize(
    ("fault", "expected", "accepted"),
    [
        (Fault("throttle"), Retry(Reason.THROTTLED, "RequestLimitExceeded"), 0),
        (Fault("status", status=500), Unknown(Reason.PROVIDER_ERROR, "ServerNetworkError"), 0),
        (Fault("status", status=503), Unknown(Reason.PROVIDER_ERROR, "ServerNetworkError"), 0),
        (Fault("outage", seconds=60), Unknown(Reason.PROVIDER_ERROR, "ServerNetworkError"), 0),
        (Fault("bad_json"), Unknown(Reason.UNRECOGNISED_ANSWER, "bad_json"), 0),
        (Fault("reset_before"), Unknown(Reason.CONNECTION_LOST, "ConnectionError"), 0),
        (Fault("reset_after"), Unknown(Reason.CONNECTION_LOST, "ConnectionError"), 1),
        (Fault("code", code="InternalError.Timeout"), Unknown(Reason.TIMED_OUT, "InternalError.Timeout"), 0),
        (Fault("code", code="AuthFailure.New"), AccountDown(Reason.CREDENTIALS_REFUSED, "AuthFailure.New"), 0),
        (Fault("code", code="Novel"), Retry(Reason.UNRECOGNISED_ANSWER, "Novel"), 0),
        (
            Fault("code", code="FailedOperation.MarketingSendTimeConstraint"),
            Retry(Reason.WRONG_HOUR, "FailedOperation.MarketingSendTimeConstraint", 3600.0),
            0,
        ),
    ],
    ids=lambda value: value.kind + value.code if isinstance(value, Fault) else "",
)
def test_faults_of_the_whole_request(
    sandbox: Sandbox, provider: Provider, fault: Fault, expected: Outcome, accepted: int
) -> None:
    sandbox.faults.add(fault)
    assert provider.send([message(ONE), message(TWO)]) == [expected, expected]
    assert sandbox.outbox.count("tencent") == 2 * accepted
    assert len(sandbox.requests) == 1, "each message is tried once"
    sandbox.faults.clear()
    assert isinstance(send_one(provider), Sent), "the provider works again after a fault"


def test_a_slow_answer_is_unknown_since_the_message_may_go_out(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, timeout=0.2)
    sandbox.faults.add(Fault("delay", seconds=0.6))
    assert send_one(provider) == Unknown(Reason.TIMED_OUT, "ReadTimeout")
    assert len(sandbox.requests) == 1
    provider.close()


def test_no_connection_means_not_sent() -> None:
    provider = provider_at(closed_url())
    assert send_one(provider) == Retry(Reason.CONNECTION_FAILED, "ConnectionError")
    provider.close()


def test_no_connection_is_told_from_an_error_that_the_caller_is_handling(sandbox: Sandbox) -> None:
    broken, working = provider_at(closed_url()), provider_at(sandbox.url)
    sandbox.faults.add(Fault("reset_after"))
    try:
        broken._call("SendSms", {})  # type: ignore[attr-defined] # raises what a caller would be handling
    except Exception:  # whatever it is, it is being handled
        outcome = send_one(working)
    assert outcome == Unknown(Reason.CONNECTION_LOST, "ConnectionError")
    broken.close()
    working.close()


def test_an_untrusted_certificate_means_not_sent() -> None:
    with untrusted_url() as url:
        provider = provider_at(url)
        assert send_one(provider) == Retry(Reason.CONNECTION_FAILED, "certificate_self_signed")
        provider.close()


def test_a_redirect_is_not_followed(sandbox: Sandbox, provider: Provider) -> None:
    sandbox.answer = Response(307, b"", {"Location": sandbox.url + "/"})
    assert send_one(provider) == Unknown(Reason.UNRECOGNISED_ANSWER, "redirect")
    assert len(sandbox.requests) == 1


def test_a_code_about_one_number_does_not_condemn_the_others_of_the_request(
    sandbox: Sandbox, provider: Provider
) -> None:
    code = "FailedOperation.PhoneNumberInBlacklist"
    sandbox.faults.add(Fault("code", code=code, times=2))
    assert provider.send([message(ONE), message(TWO)]) == [Retry(Reason.RECIPIENT_OPTED_OUT, code)] * 2
    assert send_one(provider) == Rejected(Reason.RECIPIENT_OPTED_OUT, code)


@pytest.mark.parametrize(
    ("content", "raw"),
    [
        (sms("999"), "FailedOperation.TemplateUnapprovedOrNotExist"),
        (sms("1234", "too many"), "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        (sms("2", "1"), "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
    ],
)
def test_templates_that_do_not_fit_are_refused(sandbox: Sandbox, provider: Provider, content: object, raw: str) -> None:
    (outcome,) = provider.send([message(ONE, content)])  # type: ignore[arg-type] # a RenderedSms
    assert outcome == Rejected(Reason.TEMPLATE_REFUSED, raw)
    assert sandbox.outbox.count() == 0


def test_wrong_keys_take_the_account_down(sandbox: Sandbox) -> None:
    wrong_key, unknown_id = provider_at(sandbox.url, key="wrong"), provider_at(sandbox.url, secret_id="AKIDnobody")
    assert send_one(wrong_key) == AccountDown(Reason.CREDENTIALS_REFUSED, "AuthFailure.SignatureFailure")
    assert send_one(unknown_id) == AccountDown(Reason.CREDENTIALS_REFUSED, "AuthFailure.SecretIdNotFound")
    assert sandbox.outbox.count() == 0
    wrong_key.close()
    unknown_id.close()


def test_a_wrong_signature_text_takes_the_account_down(sandbox: Sandbox) -> None:
    provider = provider_at(sandbox.url, sign_name="他人")
    raw = "FailedOperation.SignatureIncorrectOrUnapproved"
    assert send_one(provider) == AccountDown(Reason.SENDER_REFUSED, raw)
    provider.close()


def test_threads_share_one_provider(sandbox: Sandbox, provider: Provider) -> None:
    groups = [[m] for m in mainland(80)]
    with ThreadPoolExecutor(provider.threads) as pool:
        outcomes = [outcome for found in pool.map(provider.send, groups) for outcome in found]
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(d.to for d in sandbox.outbox.all()) == sorted(m.to for [m] in groups)


def test_a_closed_provider_can_be_used_again(sandbox: Sandbox, provider: Provider) -> None:
    provider.close()
    assert isinstance(send_one(provider), Sent)
    provider.close()
    provider.close()
    assert isinstance(send_one(provider), Sent)
