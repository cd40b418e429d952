"""Callbacks: who may call, what is kept before the vendor is answered, and what nobody learns."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from functions.callbacks.answering import MAX_BODY_BYTES, Callbacks, as_response
from shared.aws.receipts import ReceiptQueue
from shared.aws.secrets import SecretMissingError
from shared.model.accounts import Account
from shared.model.ids import CALLBACK_TOKEN_LENGTH, callback_token
from shared.model.receipts import Arrived
from shared.model.words import Channel
from shared.providers import callbacks as vendors
from shared.providers.callbacks import MAX_ARRIVED_BYTES, Answered, Asked, CallbackRefusedError
from shared.providers.table import PROVIDERS
from shared.store.catalog import Catalog
from tests.fakes import FakeClock, logged
from tests.memory import tables
from tests.samples import change


class Vendor:
    """A vendor that echoes a question, and has each line of a body put on the queue."""

    def __init__(self) -> None:
        self.asked: list[tuple[Asked, Mapping[str, str], Mapping[str, Any]]] = []

    def answer(self, asked: Asked, secret: Mapping[str, str], settings: Mapping[str, Any]) -> Answered:
        self.asked.append((asked, secret, settings))
        if asked.method == "GET":
            return Answered(asked.query["echo"], content_type="text/plain")
        if asked.body == b"forged":
            raise CallbackRefusedError("the signature does not fit")
        if asked.body == b"odd":
            raise KeyError("13800138000")
        return Answered("taken", arrived=tuple(asked.body.decode().split("\n")))


class Queue:
    """An SQS client that keeps what it is sent, or fails."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.full_after = 1_000_000

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if len(self.bodies) >= self.full_after:
            return {"Failed": [{"Id": each["Id"], "Code": "InternalError"} for each in Entries]}
        self.bodies += [each["MessageBody"] for each in Entries]
        return {"Successful": [{"Id": each["Id"]} for each in Entries]}

    @property
    def arrived(self) -> list[Arrived]:
        return [msgspec.json.decode(body, type=Arrived) for body in self.bodies]


class Secrets:
    """Secrets of accounts; counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.missing = False

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, str]:
        self.asked += 1
        if self.missing:
            raise SecretMissingError("the secret of the account is missing")
        return {"token": f"{tenant}/{account_id}/{version}"}


class Site:
    """A function of callbacks, with an account `hooked` of a vendor that calls and `mute` of one that does not."""

    def __init__(self, client: Any, clock: FakeClock) -> None:
        self.catalog = Catalog(client, "catalog", clock)
        self.clock, self.queue, self.secrets = clock, Queue(), Secrets()
        queue: Any = ReceiptQueue(self.queue, "url")
        secrets: Any = self.secrets
        self.callbacks = Callbacks(self.catalog, lambda: secrets, queue, clock)
        self.tenant = self.catalog.ensure_tenant("default")
        self.catalog.ensure_tenant("other")
        for id, provider in (("hooked", "caller"), ("mute", "smtp")):
            self.catalog.create_account(account(id, provider), change())

    def token(self, id: str = "hooked", generation: int = 0) -> str:
        return callback_token(self.tenant.salt, id, generation)

    def call(
        self, body: str = "", token: str | None = None, id: str = "hooked", tenant: str = "default", **event: Any
    ) -> tuple[int, str]:
        token = self.token(id) if token is None else token
        full = {
            "routeKey": "POST /callbacks/{tenant}/{account}/{token}",
            "rawPath": f"/callbacks/{tenant}/{id}/{token}",
            "pathParameters": {"tenant": tenant, "account": id, "token": token},
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": "POST"}},
            "body": body,
            **event,
        }
        answer = as_response(self.callbacks.run(full).answered)
        assert answer["headers"]["cache-control"] == "no-store"
        return answer["statusCode"], answer["body"]


def account(id: str, provider: str) -> Account:
    made = {"settings": {"app": "1"}, "created_at": 1, "updated_at": 1, "secret_version": 7}
    return Account(id=id, tenant="default", name=id, channel=Channel.SMS, provider=provider, **made)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    made = Vendor()
    spec = msgspec.structs.replace(PROVIDERS["aws"], name="caller", callback=True)
    monkeypatch.setitem(PROVIDERS, "caller", spec)
    monkeypatch.setattr("functions.callbacks.answering.callback_of", lambda spec: made)
    return made


@pytest.fixture
def site(vendor: Vendor, clock: FakeClock) -> Iterator[Site]:
    with tables(clock, "catalog") as client:
        yield Site(client, clock)


def test_what_a_vendor_says_is_on_the_queue_as_it_came_and_for_whom(site: Site, vendor: Vendor) -> None:
    assert site.call("one\ntwo é") == (200, "taken")
    who: dict[str, Any] = {"provider": "caller", "tenant": "default", "account": "hooked", "at": site.clock.now_ms()}
    assert site.queue.arrived == [Arrived(body="one", **who), Arrived(body="two é", **who)]
    ((asked, secret, settings),) = vendor.asked
    assert (asked.method, asked.headers, asked.body) == (
        "POST",
        {"content-type": "application/json"},
        "one\ntwo é".encode(),
    )
    assert (secret, settings, site.secrets.asked) == ({}, {"app": "1"}, 0)


def test_a_question_is_answered_and_a_body_of_bytes_is_read(site: Site, vendor: Vendor) -> None:
    http: dict[str, Any] = {"requestContext": {"http": {"method": "GET"}}}
    assert site.call(queryStringParameters={"echo": "42"}, **http) == (200, "42")
    assert site.queue.bodies == []
    site.call(base64.b64encode(b"one").decode(), isBase64Encoded=True)
    assert [each.body for each in site.queue.arrived] == ["one"]


def test_the_accounts_secret_is_read_for_vendors_that_need_it_alone(
    site: Site, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing = msgspec.structs.replace(PROVIDERS["caller"], callback_needs_secret=True)
    monkeypatch.setitem(PROVIDERS, "caller", needing)
    assert site.call("one")[0] == 200
    assert vendor.asked[0][1] == {"token": "default/hooked/7"}
    site.secrets.missing = True
    assert site.call("two") == (503, "Service Unavailable")
    assert [each.body for each in site.queue.arrived] == ["one"]


def test_whatever_is_wrong_with_a_callback_url_is_answered_alike(site: Site, vendor: Vendor) -> None:
    good = site.token()
    answers = {
        "no such tenant": site.call("one", tenant="nobody"),
        "another tenant": site.call("one", tenant="other"),
        "no such account": site.call("one", id="nope"),
        "no callbacks": site.call("one", id="mute"),
        "a wrong token": site.call("one", token="0" * CALLBACK_TOKEN_LENGTH),
        "another account's": site.call("one", token=site.token("mute")),
        "another generation's": site.call("one", token=site.token(generation=1)),
        "a part": site.call("one", token=good[:-1]),
        "more": site.call("one", token=f"{good}0"),
        "small letters": site.call("one", token=good.lower()),
        "none": site.call("one", token=""),
        "odd signs": site.call("one", token="ü\udc80" * 13),
        "odd names": site.call("one", id="\udc80", token=good),
        "a long name": site.call("one", tenant="x" * 3000, token=good),
        "too large": site.call("x" * (MAX_BODY_BYTES + 1), token="0" * 26),
    }
    assert set(answers.values()) == {(404, "Not Found")}
    assert vendor.asked == []
    assert site.queue.bodies == []


def test_what_cannot_be_a_callback_url_is_not_looked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.catalog, "tenant", lambda _: pytest.fail("looked for"))
    for odd in ({"tenant": "A"}, {"id": "x" * 41}, {"token": "O" * 25}, {"token": "!" * 26}):
        assert site.call("one", **odd)[0] == 404


def test_a_url_that_was_made_anew_counts_within_ten_seconds_and_the_old_one_no_more(site: Site) -> None:
    old, new = site.token(), site.token(generation=1)
    assert site.call("one", token=old)[0] == 200
    stored = Catalog(site.catalog._client, "catalog", site.clock).load_account("default", "hooked")
    assert stored is not None
    rotated = stored.value.model_copy(update={"callback_generation": 1})
    # By another process, so this one does not know at once.
    Catalog(site.catalog._client, "catalog", site.clock).update_account(rotated, stored.rev, change())
    site.clock.advance(10)
    assert site.call("two", token=old)[0] == 404
    assert site.call("three", token=new)[0] == 200
    assert [each.body for each in site.queue.arrived] == ["one", "three"]


def test_a_vendor_calls_again_if_the_queue_did_not_take_everything(site: Site) -> None:
    site.queue.full_after = 1
    assert site.call("one\ntwo") == (503, "Service Unavailable")
    site.queue.full_after = 10
    assert site.call("one\ntwo") == (200, "taken")
    assert [each.body for each in site.queue.arrived] == ["one", "one", "two"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("x" * MAX_BODY_BYTES, 413),
        ("\n".join(["x" * MAX_ARRIVED_BYTES] * 2), 200),
        ("x" * (MAX_BODY_BYTES + 1), 413),
        ("é" * (MAX_ARRIVED_BYTES // 2 + 1), 413),
    ],
    ids=["one too long", "two of the longest", "too much", "too long in bytes"],
)
def test_what_is_too_large_is_refused_and_the_largest_fits_the_queue(site: Site, body: str, status: int) -> None:
    assert site.call(body)[0] == status
    assert len(site.queue.bodies) == (2 if status == 200 else 0)


def test_what_is_too_much_is_not_even_read(site: Site, vendor: Vendor) -> None:
    lines = ["x" * 99_999] * (MAX_BODY_BYTES // 100_000)
    assert site.call("\n".join([*lines, ""]))[0] == 200
    assert len(vendor.asked) == 1
    assert site.call("\n".join([*lines, "x"]))[0] == 413
    assert len(vendor.asked) == 1


def test_the_longest_text_fits_into_a_message_however_it_is_escaped() -> None:
    text = '"' * MAX_ARRIVED_BYTES
    assert len(json.dumps({"body": text})) < 1_048_576


def test_nothing_of_the_path_or_the_body_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert site.call("forged") == (400, "Refused")
    assert site.call("odd") == (500, "Internal Server Error")
    site.queue.full_after = 0
    assert site.call("13900139000")[0] == 503
    text = logged(caplog.records)
    assert "the signature does not fit" in text
    assert "KeyError" in text
    for secret in (site.token(), "13800138000", "13900139000"):
        assert secret not in text


def test_a_token_depends_on_the_tenant_the_account_and_the_generation() -> None:
    made = {
        callback_token(salt, account, generation)
        for salt in (b"1" * 32, b"2" * 32)
        for account in ("a", "b")
        for generation in (0, 1)
    }
    assert len(made) == 8
    assert {len(token) for token in made} == {CALLBACK_TOKEN_LENGTH}
    assert all(token.isalnum() and token.isascii() for token in made)


def test_a_vendors_module_is_found_in_its_folder() -> None:
    spec = msgspec.structs.replace(PROVIDERS["aws"], name="none")
    with pytest.raises(ModuleNotFoundError, match=r"shared\.providers\.sms\.none"):
        vendors.callback_of(spec)
