"""What libraries may write: nothing of a request, though somebody has turned the root logger to DEBUG."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from local.sandbox.wecom import CORP_SECRET, ROBOT_KEY
from shared.aws.secrets import SecretStore
from shared.base.quiet import LEVELS
from shared.model.content import RenderedEmail, RenderedSms
from shared.model.outcome import Sent
from shared.model.words import Channel
from shared.providers.base import Outgoing
from shared.providers.table import PROVIDERS
from tests.conftest import Aws
from tests.contract.faulty import KEYS, TO, FaultySandboxes
from tests.contract.wecom.kit import wecom
from tests.fakes import logged
from tests.security.attempts import Attempts

TEXT = "Your-code-is-271828"
((SECRET_ID, SECRET_KEY),) = KEYS.items()
HIDDEN = {TEXT, "271828", SECRET_ID, SECRET_KEY, CORP_SECRET, ROBOT_KEY, "access_token=", *TO.values()} - {"@group"}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySandboxes]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with ExitStack() as stack:
        yield FaultySandboxes(stack)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that reaches the root logger, which takes all."""
    caplog.set_level(logging.DEBUG)
    return caplog


def content(provider: str) -> Any:
    if provider in {"smtp", "ses"}:
        return RenderedEmail(TEXT, None, TEXT)
    if provider in {"app", "robot"}:
        return wecom("text", content=TEXT, mentioned_list=[], mentioned_mobile_list=[])
    return RenderedSms(TEXT, "1234", (TEXT,))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_provider_and_no_library_below_it_writes_requests(
    provider: str, faulty: FaultySandboxes, heard: pytest.LogCaptureFixture, attempts: Attempts
) -> None:
    made = faulty.provider(provider)
    message = Outgoing("01K00000000000000000000001abcdefghijklmnop", TO[provider], content(provider))
    made.verify()
    [outcome] = made.send([message])
    assert isinstance(outcome, Sent)
    faulty.sandbox(provider).stop()
    made.close()
    made.send([message])
    told = logged(heard.records)
    for secret in HIDDEN:
        attempts.check(f"{provider}: {secret}", held=secret not in told)


def test_no_secret_that_is_saved_or_read_is_written(
    aws: Aws, heard: pytest.LogCaptureFixture, attempts: Attempts
) -> None:
    store = SecretStore(aws.client("secretsmanager"), "mepush", cache_seconds=0)
    version = store.put("default", "mail", {"password": "hunter2-secret"}, Channel.EMAIL)
    assert store.get("default", "mail", version) == {"password": "hunter2-secret"}
    aws.dynamodb.put_item(TableName=aws.guard, Item={"pk": {"S": "ada@example.com"}, "sk": {"S": TEXT}})
    told = logged(heard.records)
    for secret in ("hunter2-secret", "ada@example.com", TEXT):
        attempts.check(secret, held=secret not in told)


@pytest.mark.parametrize("name", LEVELS)
def test_a_library_is_held_back_whatever_its_logger_is_set_to(
    name: str, caplog: pytest.LogCaptureFixture, attempts: Attempts
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger(f"{name}.deep.below").debug("below")
    caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger(name).debug("itself")
    logging.getLogger(name).warning("a warning")
    attempts.check(name, held=[record.message for record in caplog.records] == ["a warning"])
