"""Accounts with a bounce mailbox: how they are saved, and how the reading of the mailbox is shown."""

from typing import Any

import pytest

from functions.manage.account_input import MASK
from shared.model.inboxes import InboxProblem, InboxState, UnreadMail
from shared.providers.mailboxes import mailbox_of
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import ManageApi

CREATE, PATCH, GET = "POST /v1/accounts", "PATCH /v1/accounts/{id}", "GET /v1/accounts/{id}/mailbox"
MAILBOX = {"host": "imap.example.com"}
SMTP = {
    "provider": "smtp",
    "host": "smtp.example.com",
    "port": 465,
    "security": "tls",
    "username": "me@example.com",
    "from_address": "me@example.com",
}
BODY = {"id": "mail", "name": "Mail", "settings": SMTP | {"bounce_mailbox": MAILBOX}, "secret": {"password": "hunter2"}}


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    return ManageApi(aws, clock)


def changed(**more: Any) -> dict[str, Any]:
    return BODY | {"settings": SMTP | {"bounce_mailbox": MAILBOX | more}}


def test_an_account_with_a_mailbox_is_saved_and_shown_with_the_names_of_its_secrets(manage_api: ManageApi) -> None:
    answer = manage_api.call(CREATE, BODY)
    assert answer.status == 201
    assert answer.json["secret"] == {"password": MASK, "mailbox_password": MASK}
    assert answer.json["settings"]["bounce_mailbox"] == {
        "host": "imap.example.com",
        "port": 993,
        "username": None,
        "folder": "INBOX",
        "ca_pem": None,
    }


def test_another_mailbox_wants_the_secret_again(manage_api: ManageApi) -> None:
    """Or a stored password would go to whatever host somebody names."""
    manage_api.call(CREATE, BODY)
    moved = {"settings": changed(host="imap.evil.example")["settings"]}
    answer = manage_api.call(PATCH, moved, id="mail")
    assert (answer.status, answer.fields) == (422, ["secret"])
    assert "`bounce_mailbox`" in answer.text
    assert manage_api.call(PATCH, moved | {"secret": {"password": "hunter3"}}, id="mail").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254"])
def test_a_mailbox_is_where_accounts_may_be_and_nowhere_else(manage_api: ManageApi, host: str) -> None:
    answer = manage_api.call(CREATE, changed(host=host))
    assert (answer.status, answer.fields) == (422, ["settings.bounce_mailbox.host"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (changed(port=0), "settings.bounce_mailbox.port"),
        (changed(nonsense=1), "settings.bounce_mailbox.nonsense"),
        (changed(username="a\r\nb LOGOUT"), "settings.bounce_mailbox.username"),
        (BODY | {"secret": {"password": "x", "mailbox_password": "two\nlines"}}, "secret.mailbox_password"),
    ],
)
def test_what_does_not_fit_is_named(manage_api: ManageApi, body: dict[str, Any], field: str) -> None:
    answer = manage_api.call(CREATE, body)
    assert (answer.status, answer.fields) == (422, [field])


def test_a_mailbox_that_nobody_has_looked_into_yet(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    answer = manage_api.call(GET, id="mail")
    assert answer.json == {
        "account": "mail",
        "configured": True,
        "looked_at": None,
        "next_look_at": None,
        "failures": 0,
        "failing_since": None,
        "problem": None,
        "counts": {"bounces": 0, "complaints": 0, "auto_replies": 0, "unreadable": 0, "others": 0},
        "unreadable": [],
    }
    manage_api.call(CREATE, {**BODY, "id": "plain", "settings": SMTP})
    assert manage_api.call(GET, id="plain").json["configured"] is False
    assert manage_api.call(GET, id="absent").status == 404
    assert manage_api.call(GET, id="mail", tenant="other").status == 404


def test_how_its_reading_goes_is_shown(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    stored = manage_api.catalog.load_account("default", "mail")
    named = None if stored is None else mailbox_of(stored.value)
    assert named is not None
    state = InboxState(
        where=named[1],
        next_at=1_764_500_600_000,
        looked_at=1_764_400_000_000,
        failures=2,
        failing_since=1_764_450_000_000,
        problem=InboxProblem(code="login_refused", summary="The server refused the login.", action="Mend it."),
        problem_at=1_764_500_000_000,
        counts={"bounces": 3, "began_anew": 1},
        unread=[UnreadMail(at=1_764_300_000_000, kind="notice", reason="It says too little.")],
    )
    manage_api.deps.inboxes.save("default", "mail", state, None)
    shown = manage_api.call(GET, id="mail").json
    assert shown["problem"] == {
        "at": "2025-11-30T10:53:20Z",
        "code": "login_refused",
        "summary": "The server refused the login.",
        "action": "Mend it.",
    }
    assert (shown["failures"], shown["failing_since"], shown["counts"]["bounces"]) == (2, "2025-11-29T21:00:00Z", 3)
    assert shown["unreadable"] == [{"at": "2025-11-28T03:20:00Z", "kind": "notice", "reason": "It says too little."}]
    # What was known of another mailbox tells nothing of this one.
    moved = changed(folder="Bounces")
    manage_api.call(PATCH, {"settings": moved["settings"], "secret": BODY["secret"]}, id="mail")
    assert manage_api.call(GET, id="mail").json["failures"] == 0
