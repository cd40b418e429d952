"""What Tencent Cloud is told of texts whose code was given back, where its support allows it."""

from typing import Any

import pytest

from local.sandbox.base import Fault, Response
from shared.model.outcome import AccountDown, Rejected, Report, Reported, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.providers.base import Provider
from shared.providers.sms.tencent import SPEC
from tests.contract.sms.tencent.support import APP, Sandbox, send_one

AT = 1_764_500_000_999
NAME = "ReportConversion"


@pytest.fixture
def serial(sandbox: Sandbox, provider: Provider) -> str:
    """Of a text of an application that may report."""
    sandbox.reporters.add(APP)
    outcome = send_one(provider)
    assert isinstance(outcome, Sent)
    return outcome.provider_message_id or ""


def test_it_is_told_by_a_setting_alone() -> None:
    assert [SPEC.reports_conversion(each) for each in ({}, {"report_conversion": True})] == [False, True]


def test_a_code_that_was_given_back_is_reported_with_its_second(
    sandbox: Sandbox, provider: Provider, serial: str
) -> None:
    assert provider.report_conversion(serial, AT) == Reported()
    assert sandbox.conversions == {serial: AT // 1000}
    assert sandbox.requests[-1].headers["x-tc-action"] == NAME
    assert sandbox.bodies[-1] == {"SmsSdkAppId": APP, "SerialNo": serial, "ConversionTime": AT // 1000}
    assert provider.report_conversion(serial, AT + 5_000) == Reported(), "twice does no harm"
    assert sandbox.conversions == {serial: AT // 1000}


def test_a_text_that_it_does_not_know_is_refused(sandbox: Sandbox, provider: Provider, serial: str) -> None:
    assert isinstance(provider.report_conversion(f"{serial}x", AT), Rejected)
    assert sandbox.conversions == {}


def test_an_application_that_may_not_changes_nothing(sandbox: Sandbox, provider: Provider, serial: str) -> None:
    sandbox.reporters.clear()
    assert not isinstance(provider.report_conversion(serial, AT), Reported)
    assert sandbox.conversions == {}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("code", at=NAME, code="AuthFailure.SecretIdNotFound"), AccountDown),
        (Fault("code", at=NAME, code="InternalError.Timeout"), Retry | Unknown),
        (Fault("throttle", at=NAME), Retry),
        (Fault("reset_before", at=NAME), Retry | Unknown),
        (Fault("bad_json", at=NAME), Unknown),
    ],
    ids=lambda each: each.code or each.kind if isinstance(each, Fault) else "",
)
def test_what_its_errors_mean(sandbox: Sandbox, provider: Provider, serial: str, fault: Fault, kind: Any) -> None:
    sandbox.faults.add(fault)
    found: Report = provider.report_conversion(serial, AT)
    assert isinstance(found, kind)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"Code": "ok"}, Reported()),
        ({"Code": "OK"}, Reported()),
        ({"Code": "FailedOperation.X"}, Rejected(Reason.UNRESOLVED, "FailedOperation.X")),
        ({}, Rejected(Reason.UNRESOLVED, "no_status")),
        ("odd", Rejected(Reason.UNRESOLVED, "no_status")),
    ],
)
def test_its_status_is_read_as_it_is_written(
    sandbox: Sandbox, provider: Provider, serial: str, status: Any, expected: Report
) -> None:
    sandbox.answer = Response.of({"Response": {"ReportConversionStatus": status, "RequestId": "r"}})
    assert provider.report_conversion(serial, AT) == expected
