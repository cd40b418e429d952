"""Calls for many messages as the sandbox of Amazon SES plays them, by the vendor's documentation."""

import json
from typing import Any

import pytest

from local.sandbox.base import Fault, Request
from local.sandbox.ses import SesSandbox

TEMPLATE = {"Subject": "Hello {{{name}}}", "Html": "<p>{{name}} {{{name}}}</p>", "Text": "{{{ name }}}"}


@pytest.fixture
def sandbox() -> SesSandbox:
    made = SesSandbox(configuration_sets=frozenset({"mepush"}))
    assert ask(made, "/templates", {"TemplateName": "t", "TemplateContent": TEMPLATE}) == (200, {})
    return made


def ask(sandbox: SesSandbox, path: str, body: Any) -> tuple[int, Any]:
    response = sandbox.handle(Request("POST", f"/v2/email{path}", {}, {}, json.dumps(body).encode()))
    return response.status, json.loads(response.body)


def entry(to: str, data: str = '{"name": "<张三>"}', **more: Any) -> dict[str, Any]:
    content = {"ReplacementTemplate": {"ReplacementTemplateData": data}}
    return {"Destination": {"ToAddresses": [to]}, "ReplacementEmailContent": content, **more}


def bulk(sandbox: SesSandbox, *entries: dict[str, Any], **more: Any) -> tuple[int, Any]:
    content = {"Template": {"TemplateName": "t", "TemplateData": "{}"}}
    body = {"FromEmailAddress": "n@example.com", "DefaultContent": content, "BulkEmailEntries": list(entries), **more}
    return ask(sandbox, "/outbound-bulk-emails", body)


def statuses(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200
    return [result["Status"] for result in answer[1]["BulkEmailEntryResults"]]


def test_two_braces_escape_and_three_do_not(sandbox: SesSandbox) -> None:
    assert statuses(bulk(sandbox, entry("a@example.com"))) == ["SUCCESS"]
    [delivery] = sandbox.outbox.all()
    assert delivery.data["subject"] == "Hello <张三>"
    assert delivery.data["html"].strip() == "<p>&lt;张三&gt; <张三></p>"
    _, answer = ask(sandbox, "/templates/t/render", {"TemplateData": '{"name": "{{{name}}} <b>"}'})
    # What is put in is no template.
    assert "{{{name}}} <b>" in answer["RenderedTemplate"] and answer["RenderedTemplate"].startswith("Subject: ")


def test_what_cannot_be_rendered_is_taken_and_never_delivered(sandbox: SesSandbox) -> None:
    assert statuses(bulk(sandbox, entry("a@example.com", "{}"), entry("b@example.com"))) == ["SUCCESS"] * 2
    assert [delivery.to for delivery in sandbox.outbox.all()] == ["b@example.com"]
    assert len(sandbox.rendering_failures) == 1
    assert ask(sandbox, "/templates/t/render", {"TemplateData": "{}"})[0] == 400


def test_each_has_its_own_result(sandbox: SesSandbox) -> None:
    sandbox.faults.add(Fault("throttle", to="b@example.com"))
    sandbox.faults.add(Fault("code", code="MessageRejected", at="entry", to="c@example.com"))
    header, tag = [{"Name": "X", "Value": "é"}], [{"Name": "X", "Value": "a b"}]
    found = bulk(
        sandbox,
        *(entry(f"{name}@example.com") for name in "abc"),
        entry("d@example.com", "no json"),
        entry("e@example.com", ReplacementHeaders=header),
        entry("f@example.com", ReplacementTags=tag),
        entry("g@example.com", ReplacementHeaders=[{"Name": f"X-{n}", "Value": "1"} for n in range(16)]),
    )
    invalid = ["INVALID_PARAMETER"] * 4
    assert statuses(found) == ["SUCCESS", "ACCOUNT_THROTTLED", "MESSAGE_REJECTED", *invalid]
    assert sandbox.outbox.count() == 1


@pytest.mark.parametrize(
    ("entries", "more", "code"),
    [
        ([], {}, 400),
        ([entry("a@example.com")] * 51, {}, 400),
        ([entry("a@example.com"), entry("bad address")], {}, 400),
        ([entry("a@example.com")], {"ConfigurationSetName": "other"}, 404),
        ([entry("a@example.com")], {"DefaultContent": {}}, 400),
    ],
)
def test_some_refusals_are_of_the_whole_call(entries: Any, more: Any, code: int, sandbox: SesSandbox) -> None:
    assert (bulk(sandbox, *entries, **more)[0], sandbox.outbox.count()) == (code, 0)


def test_templates_are_made_once_and_may_be_taken_away(sandbox: SesSandbox) -> None:
    assert ask(sandbox, "/templates", {"TemplateName": "t", "TemplateContent": TEMPLATE})[0] == 400
    del sandbox.templates["t"]
    assert ask(sandbox, "/templates/t/render", {"TemplateData": "{}"})[0] == 404
    assert statuses(bulk(sandbox, entry("a@example.com"))) == ["TEMPLATE_NOT_FOUND"]


def test_in_the_ses_sandbox_each_recipient_must_be_verified(sandbox: SesSandbox) -> None:
    sandbox.production, sandbox.verified = False, frozenset({"example.com"})
    assert statuses(bulk(sandbox, entry("a@example.com"), entry("a@other.example"))) == ["SUCCESS", "MESSAGE_REJECTED"]


def test_a_mixture_strikes_calls_and_recipients(sandbox: SesSandbox) -> None:
    sandbox.faults.add(Fault("mixed", times=-1, rate=0.2, seed=3))
    answers = []
    for _ in range(60):
        request = {
            "FromEmailAddress": "n@example.com",
            "DefaultContent": {"Template": {"TemplateName": "t"}},
            "BulkEmailEntries": [entry(f"u{n}@example.com") for n in range(8)],
        }
        response = sandbox.handle(
            Request("POST", "/v2/email/outbound-bulk-emails", {}, {}, json.dumps(request).encode())
        )
        if not response.drop and response.status == 200 and response.body != sandbox.broken:
            answers.append((200, json.loads(response.body)))
    found = {status for answer in answers for status in statuses(answer)}
    assert len(answers) < 60 and found >= {"SUCCESS", "FAILED", "ACCOUNT_THROTTLED", "TRANSIENT_FAILURE"}
