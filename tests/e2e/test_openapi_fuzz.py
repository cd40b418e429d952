"""Schemathesis reads the API's own description and calls every operation of it on the local stack."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import ignored_auth
from schemathesis.specs.openapi.schemas import OpenApiSchema

from local.seed import account_body, first_key
from local.stack import LocalStack
from shared.api.examples import EXAMPLES
from shared.api.operation import Operation
from shared.api.operations import OPERATIONS
from shared.model.runs import RunState, run_id
from shared.model.words import Channel
from shared.store.campaigns import Campaigns
from tests.samples import envelope

pytestmark = pytest.mark.xdist_group("local-stack")

FUZZED = 60
"""Cases drawn per operation, besides the examples and those that the coverage phase derives from the description."""
DERIVED, EACH = 150, 5
"""Of the cases that the coverage phase derives for an operation, a plain run tries so many, and then each fifth."""
UNAUTHORISED = 20
"""So many good answers of an operation does a plain run ask for again without a key, and with another one."""
SPARES = 4
CREATING = {"create_account", "create_template", "create_campaign"}
"""What these are given hardly ever fits together by chance; the examples do."""
TO = "fuzz.recipient@example.com"
PHONE = "+8613800138765"
_ACCOUNTS = {entry["settings"]["provider"]: entry for entry in EXAMPLES["create_account"].values()}
_TEMPLATES = [
    *EXAMPLES["create_template"].values(),
    {
        "id": "fixed-words",
        "name": "What any request may send",
        "class": "marketing",
        "accounts": ["mail-main"],
        "content": {"type": "email", "subject": "Hello", "html": "<p>{{ note | default('Hello') }}</p>"},
    },
]


@dataclass
class Platform:
    """A stack with something of everything. ids: what the path of an operation may name, by operation.

    private: what no answer may hold, unless the request held it.
    """

    stack: LocalStack
    key: str
    session: requests.Session = field(default_factory=requests.Session)
    ids: dict[str, list[str]] = field(default_factory=dict)
    private: list[str] = field(default_factory=list)

    def call(self, operation: Operation, body: Any = None, **path: Any) -> requests.Response:
        """Call an operation with the key."""
        return self.session.request(
            operation.method, self.stack.url + operation.path.format(**path), json=body, timeout=30
        )

    def refused(
        self, status: int, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> dict[str, Any]:
        """Send a request as it is, to be refused, and return the problem."""
        connection = HTTPConnection(self.stack.url.removeprefix("http://"), timeout=30)
        with closing(connection):
            connection.putrequest(method, target)
            for name, value in [("Authorization", f"Bearer {self.key}"), ("Content-Length", str(len(body))), *headers]:
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), found
        return found

    def make(self, operation_id: str, body: Any = None, **path: Any) -> Any:
        """Call an operation that must succeed, and return its answer."""
        answer = self.call(BY_ID[operation_id], body, **path)
        assert answer.ok, answer.text
        return answer.json()


BY_ID = {operation.id: operation for operation in OPERATIONS}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    # Without threads nothing is delivered by itself, so the accounts that are tried out are never sent through.
    with LocalStack(port=0, threads=False) as stack:
        made = Platform(stack, first_key(stack))
        with made.session:
            made.session.trust_env = False
            made.session.headers["Authorization"] = f"Bearer {made.key}"
            _fill(made)
            yield made


def _fill(platform: Platform) -> None:
    platform.private += [platform.key, TO, PHONE]
    for provider, entry in _ACCOUNTS.items():
        body = account_body(entry, platform.stack.sandboxes)
        platform.private += [secret for secret in body["secret"].values() if secret]
        platform.make("create_account", body)
        platform.ids.setdefault("verify_account", []).append(body["id"])
        for number in range(SPARES):
            spare = platform.make("create_account", body | {"id": f"spare-{provider}-{number}"})
            platform.ids.setdefault("delete_account" if number else "update_account", []).append(spare["id"])
    platform.ids["get_account"] = platform.ids["get_mailbox"] = platform.ids["get_account_stats"] = platform.ids[
        "verify_account"
    ]
    platform.ids["check_domain"] = ["example.com", "broken.example", "xn--bcher-kva.example"]
    platform.ids["rotate_callback"] = ["spare-tencent-0"]
    platform.ids["mirror_suppressions"] = [each for each in platform.ids["verify_account"] if "ses" in each]
    platform.ids["delete_account"].append("mail-main")  # it is in use
    _fill_templates(platform)
    _fill_reviews(platform)
    _fill_messages(platform)
    _fill_attachments(platform)
    _fill_dead_letters(platform)
    _fill_webhooks(platform)
    for _ in range(SPARES):
        made = platform.make("create_key", EXAMPLES["create_key"]["sender"])
        platform.private.append(made["key"])
        platform.ids.setdefault("revoke_key", []).append(made["id"])
        ended = platform.make("create_key", EXAMPLES["create_key"]["sender"])
        platform.private.append(ended["key"])
        assert platform.call(BY_ID["revoke_key"], id=ended["id"]).status_code == 204
        platform.ids.setdefault("delete_key", []).append(ended["id"])
    # Two versions of the settings.
    platform.make("update_settings", {"review_required": True})
    _review_off(platform)
    # The last, for nothing is delivered after it.
    _fill_campaigns(platform)


def _fill_webhooks(platform: Platform) -> None:
    for number in range(SPARES):
        made = platform.make("create_webhook", {"id": f"spare-{number}", "url": "https://example.com/hooks"})
        platform.private.append(made["secret"])
        for name in ("delete",) if number else ("get", "update", "rotate", "test", "replay"):
            platform.ids.setdefault(f"{name}_webhook", []).append(made["id"])
    platform.ids["list_deliveries"] = platform.ids["get_webhook"]
    platform.ids["get_erasure"] = [platform.make("create_erasure", {"channel": "wecom", "address": "ada"})["id"]]


def _fill_templates(platform: Platform) -> None:
    for body in _TEMPLATES:
        for template in [body["id"], *(f"spare-{body['id']}-{number}" for number in range(SPARES))]:
            platform.make("create_template", body | {"id": template})
            platform.make("publish_version", id=template, version=1)
            if template == body["id"]:
                platform.ids.setdefault("get_template", []).append(template)
            elif template.endswith("-0"):
                platform.ids.setdefault("update_template", []).append(template)
            else:
                platform.ids.setdefault("archive_template", []).append(template)
    for name in ("get_version", "preview_version", "copy_template", "get_link", "get_template_stats"):
        platform.ids[name] = platform.ids["get_template"]
    for name in ("create_version", "publish_version"):
        platform.ids[name] = platform.ids["update_template"]


@contextmanager
def _another_person(platform: Platform) -> Iterator[Platform]:
    """The same stack with another first key: keys that descend from one are one person's with it."""
    key = first_key(platform.stack)
    platform.private.append(key)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {key}"
        yield Platform(platform.stack, key, session)


def _review_off(platform: Platform) -> None:
    """Have versions published without a review: that takes two people."""
    platform.make("update_settings", {"review_required": False})
    with _another_person(platform) as other:
        assert not other.make("update_settings", {"review_required": False})["review_required"]


def _fill_reviews(platform: Platform) -> None:
    """Versions that another person saved and submitted, since nobody approves what is their own."""
    with _another_person(platform) as author:
        for name in ("submit_version", "approve_version", "reject_version"):
            for number in range(SPARES):
                template = f"{name.replace('_', '-')}-{number}"
                author.make("create_template", _TEMPLATES[-1] | {"id": template})
                if name != "submit_version":
                    author.make("submit_version", id=template, version=1)
                platform.ids.setdefault(name, []).append(template)


def _fill_messages(platform: Platform) -> None:
    one, several = EXAMPLES["send_messages"].values()
    first, *others = several["recipients"]
    for body in (one | {"to": TO}, several | {"recipients": [first | {"to": PHONE}, *others]}):
        sent = platform.make("send_messages", body)
        platform.ids.setdefault("get_request", []).append(sent["request_id"])
        platform.ids.setdefault("get_message", []).append(sent["messages"][0]["message_id"])
    platform.ids |= {"recall_request": platform.ids["get_request"], "recall_message": platform.ids["get_message"]}
    for name in ("get_verification", "check_verification", "cancel_verification"):
        for number in range(SPARES):
            body = {"to": f"{name}-{number}@example.com", "template": "login-code", "purpose": "login"}
            platform.ids.setdefault(name, []).append(platform.make("start_verification", body)["id"])
    platform.ids["set_guard_prefix"] = ["62812", "4"]
    platform.ids["delete_guard_prefix"] = [f"6281{digit}" for digit in range(3, 9)]
    for prefix in platform.ids["delete_guard_prefix"]:
        platform.make("set_guard_prefix", {"state": "held"}, prefix=prefix)
    platform.stack.drain(until_due=True, horizon_s=60)


def _fill_attachments(platform: Platform) -> None:
    for body in EXAMPLES["create_attachment"].values():
        data = bytes(body["size"])
        declared = {"sha256": sha256(data).hexdigest()} if "sha256" in body else {}
        form = platform.make("create_attachment", body | declared)
        # Without the session's key, as it should be.
        answer = requests.post(form["url"], form["fields"], files={"file": data}, timeout=30)
        assert answer.status_code == 204, answer.text
        platform.ids.setdefault("get_attachment", []).append(form["id"])


def _fill_dead_letters(platform: Platform) -> None:
    """A dead letter of each channel, as the dispatcher would send it."""
    sqs = platform.stack.client("sqs")
    for queue, url in json.loads(platform.stack.outputs["DeadLetterUrls"]).items():
        channel, message_class = queue.split(".")
        one = envelope(1, Channel(channel), message_class=message_class)
        platform.private.append(one.recipients[0].address)
        dead = one.child("d0", one.recipients, reasons={0: ("throttled", "421", "mail-main")})
        sqs.send_message(QueueUrl=url, MessageBody=dead.to_json())
    platform.stack.drain()


def _fill_campaigns(platform: Platform) -> None:
    """Campaigns whose runs wait for each other, and runs that another person started."""
    form = platform.make("create_audience", {})
    rows = f"to,order,carrier\n{PHONE},A-1001,SF Express\n".encode()
    assert requests.post(form["url"], form["fields"], files={"file": rows}, timeout=30).status_code == 204
    waiting = {"expression": "rate(1 day)", "overlap": "queue"}
    body = EXAMPLES["create_campaign"]["by-hand"] | {"audience": {"file": form["file"]}, "schedule": waiting}
    for name in ("get_campaign", "archive_campaign", "update_campaign", "start_run", "approve_run"):
        for number in range(SPARES):
            made = platform.make("create_campaign", body | {"id": f"{name.replace('_', '-')}-{number}"})
            platform.ids.setdefault(name, []).append(made["id"])
    for name in ("check_campaign", "test_campaign", "list_runs"):
        platform.ids[name] = platform.ids["start_run"]
    runs = [platform.make("start_run", {}, id=campaign)["id"] for campaign in platform.ids["get_campaign"]]
    for name in ("get_run", "update_run", "pause_run", "resume_run", "list_rejects"):
        platform.ids[name] = runs[1:]
    platform.ids["cancel_run"] = runs[:1]
    # Another person's: keys that descend from the first one are one person's with it.
    key = first_key(platform.stack)
    platform.private.append(key)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {key}"
        starter = Platform(platform.stack, key, session)
        platform.ids["approve_run"] = [starter.make("start_run", {}, id=id)["id"] for id in platform.ids["approve_run"]]
    stack = platform.stack
    campaigns = Campaigns(stack.client("dynamodb"), stack.outputs["CatalogTable"], stack.clock)
    for run in platform.ids["approve_run"]:
        campaigns.change_run("default", run, lambda found: found.to(RunState.AWAITING_APPROVAL, 0, "platform"))
    stored = campaigns.load_run("default", runs[0])
    assert stored is not None
    ended = stored.value.moved(id=run_id("default", "news", 1), channel=Channel.WECOM, planned=1)
    assert campaigns.create_run(ended.to(RunState.CANCELLED, 1, "platform"))
    platform.ids["recall_run"] = [ended.id]


@pytest.fixture(scope="module")
def described(platform: Platform) -> OpenApiSchema:
    """The description as it is served, with examples of what there is for the places in paths."""
    found = deepcopy(platform.make("get_openapi"))
    for methods in found["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    known = [1] if parameter["name"] == "version" else platform.ids[operation["operationId"]]
                    parameter["examples"] = {str(value): {"value": value} for value in known}
    return schemathesis.openapi.from_dict(found, config=_config(platform))


def _config(platform: Platform) -> schemathesis.Config:
    operations: list[dict[str, Any]] = []
    dictionaries: dict[str, Any] = {"template": {"values": platform.ids["get_template"]}, "version": {"values": [1, 2]}}
    for name, known in platform.ids.items():
        dictionaries[name] = {"values": known}
        place = "path.prefix" if "{prefix}" in BY_ID[name].path else "path.id"
        parameters = {place: {"dictionary": name, "probability": 0.7}}
        if "{version}" in BY_ID[name].path:
            parameters["path.version"] = {"dictionary": "version", "probability": 0.7}
        if name == "get_link":
            dictionaries["target"] = {"values": ["https://shop.example.cn/sale"]}
            parameters["query.target"] = {"dictionary": "target", "probability": 0.7}
        operations.append({"include-operation-id": name, "parameters": parameters})
    send = {
        "body.template": {"dictionary": "template", "probability": 0.7},
        "body.attachments[*].id": {"dictionary": "get_attachment", "probability": 0.7},
    }
    operations.append({"include-operation-id": "send_messages", "parameters": send})
    return schemathesis.Config.from_dict(
        {
            "headers": {"Authorization": f"Bearer {platform.key}"},
            "generation": {"deterministic": True, "max-examples": FUZZED},
            "suppress-health-check": ["too_slow"],  # it looks at the clock
            "dictionaries": dictionaries,
            "operations": operations,
            "phases": {
                # What no route takes is answered by API Gateway, before any code of ours.
                "coverage": {"unexpected-methods": []},
                # These two make a case depend on the answers before it, and answers hold ids that are drawn.
                "fuzzing": {"error-feedback": {"enabled": False}, "extra-data-sources": {"responses": False}},
            },
            # That what fits the description is accepted cannot be asked for: a template or an account may not be
            # there, variables may not fit. `_check` asks that at least the models take it.
            "checks": {"positive_data_acceptance": {"enabled": False}},
        }
    )


@pytest.mark.parametrize(("name", "example"), [(i, e) for i, found in EXAMPLES.items() for e in found])
def test_an_example_of_the_description_works(name: str, example: str, platform: Platform) -> None:
    body = EXAMPLES[name][example]
    if name in CREATING:
        body = body | {"id": f"example-{example}"}
    answer = platform.call(BY_ID[name], body, id=(known := platform.ids.get(name, [""]))[0], prefix=known[0], version=1)
    assert answer.status_code == BY_ID[name].success, answer.text


NOT_JSON = [b"", b"{", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"to": NaN}', b'{"to": "\\ud800"}', b"[" * 100_000]
GOOD = {"template": "fixed-words", "to": TO}


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_not_json_is_400(body: bytes, platform: Platform) -> None:
    problem = platform.refused(400, "POST", "/v1/messages", [], body)
    assert [error["field"] for error in problem["errors"]] == [""]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (GOOD | {"reference": 7}, "reference"),
        (GOOD | {"unknown": 7}, "unknown"),
        (GOOD | {"template": "fixed\0words"}, "template"),
        (GOOD | {"template": "\U0001f600/../x"}, "template"),
        (GOOD | {"to": "a\0b@example.com"}, "to"),
        (GOOD | {"to": "\uffff@example.com"}, "to"),
        (GOOD | {"version": 10**30}, "version"),
        (GOOD | {"version": True}, "version"),
        (GOOD | {"ttl": "60"}, "ttl"),
        (GOOD | {"ttl": -(10**400)}, "ttl"),
        (GOOD | {"send_at": 0}, "send_at"),
        (GOOD | {"send_at": "0"}, "send_at"),
        (GOOD | {"send_at": "2025-01-15T08:00:00"}, "send_at"),
        (GOOD | {"variables": {"\0": 1}}, "variables.\0"),
        (GOOD | {"variables": []}, "variables"),
    ],
)
def test_a_hostile_field_is_422_and_named(body: dict[str, Any], field: str, platform: Platform) -> None:
    problem = platform.refused(422, "POST", "/v1/messages", [], json.dumps(body).encode())
    assert field in [error["field"] for error in problem["errors"]]


def test_a_number_beyond_all_bounds_is_422(platform: Platform) -> None:
    body = json.dumps(GOOD | {"variables": {"note": 0}}).encode().replace(b'"note": 0', b'"note": 1e999')
    problem = platform.refused(422, "POST", "/v1/messages", [], body)
    assert [error["field"] for error in problem["errors"]] == ["variables"]
    many = {"template": "fixed-words", "recipients": [{"to": TO}, {"to": TO, "variables": {"note": 0}}]}
    body = json.dumps(many).encode().replace(b'"note": 0', b'"note": -1e999')
    problem = platform.refused(422, "POST", "/v1/messages", [], body)
    assert [error["field"] for error in problem["errors"]] == ["recipients.1.variables"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "field"),
    [
        ([("Content-Type", "text/plain")], b"{}", 415, "Content-Type"),
        ([("Content-Type", "application/json"), ("Content-Type", "application/json")], b"{}", 415, "Content-Type"),
        ([("Content-Type", "application/json")], b" " * 5_000_001, 413, ""),
        ([("Idempotency-Key", "")], None, 422, "Idempotency-Key"),
        ([("Idempotency-Key", "x" * 201)], None, 422, "Idempotency-Key"),
        ([("Idempotency-Key", "a\tb")], None, 422, "Idempotency-Key"),
        ([("Idempotency-Key", "\x85")], None, 422, "Idempotency-Key"),
        ([("Authorization", "Bearer mp_live_x")], None, 401, "Authorization"),
    ],
)
def test_a_hostile_header_is_named(
    headers: list[tuple[str, str]], body: bytes | None, status: int, field: str, platform: Platform
) -> None:
    problem = platform.refused(
        status, "POST", "/v1/messages", headers, json.dumps(GOOD).encode() if body is None else body
    )
    assert [error["field"] for error in problem["errors"]] == [field]


STRANGE = ["%00", "%2F", "..%2F..", "%FF", "%F0%9F%98%80", "%ED%A0%80", "%23", "a%0Ab", "x" * 5000]


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if "{" in o.path and o.request is None], ids=lambda operation: operation.id
)
def test_a_strange_id_is_404(operation: Operation, platform: Platform) -> None:
    for name in STRANGE:
        path = operation.path.format(id=name, version=1, prefix=name, domain=name)
        path += "?target=https://example.com" if operation.id == "get_link" else ""
        if operation.id == "check_domain":
            problem = platform.refused(422, operation.method, path, [], b"")
            assert [error["field"] for error in problem["errors"]] == ["domain"]
            continue
        problem = platform.refused(404, operation.method, path, [], b"")
        assert problem["detail"].startswith("There is no such ")


@pytest.mark.rotates
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_answer_is_as_described(
    operation: Operation, described: OpenApiSchema, platform: Platform, whole: bool
) -> None:
    answered: Counter[int] = Counter()
    derived = count()
    if operation.id == "publish_version":
        _review_off(platform)  # whatever was tried on the settings before

    def check(ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]) -> None:
        _check(response, case, platform)

    def try_one(case: schemathesis.Case[Any]) -> None:
        if _is_derived(case) and (n := next(derived)) >= DERIVED and n % EACH and not whole:
            return
        if operation.id == "send_messages":
            _make_sendable(case)
        response = case.call(base_url=platform.stack.url, session=platform.session)
        answered[response.status_code] += 1
        again = whole or answered[operation.success] <= UNAUTHORISED
        case.validate_response(response, additional_checks=[check], excluded_checks=[] if again else [ignored_auth])

    # As schemathesis' own plugin does; that takes a description that is there when tests are collected.
    target = described[operation.path][operation.method]
    settings = described.config.get_hypothesis_settings(operation=target, phase="fuzzing")
    config = HypothesisTestConfig(project=described.config, modes=list(HypothesisTestMode), settings=settings)
    create_test(operation=target, test_func=try_one, config=config)()
    assert answered[operation.success] or operation.id in CREATING, answered
    assert sum(answered.values()) >= (FUZZED if operation.request or "{" in operation.path else 1)


def _is_derived(case: schemathesis.Case[Any]) -> bool:
    return case.meta is not None and case.meta.phase.name is TestPhase.COVERAGE


def _make_sendable(case: schemathesis.Case[Any]) -> None:
    """Give every other request that fits the description something that can be sent, as it would hardly be drawn."""
    body: Any = case.body
    if case.meta is None or not case.meta.generation.mode.is_positive or len(str(body)) % 2:
        return
    body = body | {"template": "fixed-words", "version": None, "variables": {}}
    if body.get("to") is not None:
        body["to"] = TO
    if body.get("recipients") is not None:
        body["recipients"] = [{"to": TO} for _ in body["recipients"]]
    case.body = body


ADDRESSES = frozenset({TO, PHONE})


def _unmasks(case: schemathesis.Case[Any]) -> bool:
    body = case.body if isinstance(case.body, dict) else {}
    return body.get("unmask") is True or (case.query or {}).get("unmask") == "true"


def _check(response: schemathesis.Response, case: schemathesis.Case[Any], platform: Platform) -> None:
    text = response.text
    assert "Traceback" not in text
    assert 'File "' not in text
    sent = f"{response.request.url} {response.request.body!r}"
    # An address is whole where it was asked for so; a secret never is.
    asked = ADDRESSES if response.status_code == 200 and _unmasks(case) else frozenset()
    private = [each for each in platform.private if each not in asked]
    assert [secret for secret in private if secret in text and secret not in sent] == []
    if response.status_code < 400:
        return
    problem = json.loads(text)
    assert problem["status"] == response.status_code
    assert problem["detail"]
    if response.status_code in (400, 413, 415, 422):
        assert problem["errors"]
        assert all(error["message"] for error in problem["errors"])
    if case.meta is not None and case.meta.generation.mode.is_positive:
        assert "field(s) are not valid" not in problem["detail"], "the models refuse what the description allows"
