"""Account secrets on moto's Secrets Manager."""

import traceback
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from shared.aws.secrets import SecretError, SecretMissingError, SecretStore, SecretTooLargeError
from shared.base.settings import ConfigurationError
from shared.model.words import Channel
from tests.conftest import Aws
from tests.fakes import FakeClock

LABELS = {"mepush:tenant": "default", "mepush:account": "mail", "mepush:channel": "email"}
SECRET = {"password": "hunter2-密码"}


@pytest.fixture
def store(aws: Aws, clock: FakeClock) -> SecretStore:
    return SecretStore(aws.client("secretsmanager"), "mepush", clock=clock)


class Failing:
    """A client whose named call fails; the others reach the client behind it."""

    def __init__(self, client: Any, call: str, error: Exception) -> None:
        self._client, self._call, self._error = client, call, error

    def __getattr__(self, name: str) -> Any:
        if name != self._call:
            return getattr(self._client, name)

        def fail(**_: Any) -> None:
            raise self._error

        return fail


def test_a_secret_comes_back(store: SecretStore, aws: Aws) -> None:
    version = store.put("default", "mail", SECRET, Channel.EMAIL)
    assert store.get("default", "mail", version) == SECRET
    listed = aws.client("secretsmanager").list_secrets()["SecretList"]
    assert [s["Name"] for s in listed] == ["mepush/default/account/mail"]
    assert {t["Key"]: t["Value"] for t in listed[0]["Tags"]} == LABELS
    assert "mail" in listed[0]["Description"]


def test_secrets_of_one_millisecond_have_versions_of_their_own(
    store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([7, 7, 7, 8])
    monkeypatch.setattr("shared.aws.secrets.secrets.randbits", lambda _: next(drawn))
    versions = [store.put("default", "mail", {"password": word}, Channel.EMAIL) for word in ("one", "two")]
    assert len(set(versions)) == 2
    assert [store.get("default", "mail", version)["password"] for version in versions] == ["one", "two"]


def test_what_is_never_saved_is_told(store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.aws.secrets.secrets.randbits", lambda _: 7)
    store.put("default", "mail", {"password": "one"}, Channel.EMAIL)
    with pytest.raises(SecretError, match="cannot be saved: ResourceExistsException"):
        store.put("default", "mail", {"password": "two"}, Channel.EMAIL)


def test_a_secret_of_before_there_were_channels_is_labelled_when_it_is_saved(store: SecretStore, aws: Aws) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="mepush/default/account/mail", SecretString="{}")
    store.put("default", "mail", SECRET, Channel.EMAIL)
    found = secrets.describe_secret(SecretId="mepush/default/account/mail")["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in found} == LABELS


def test_each_version_is_read_as_it_was_saved(store: SecretStore, clock: FakeClock) -> None:
    first = store.put("default", "mail", {"password": "one"}, Channel.EMAIL)
    clock.advance(1)
    second = store.put("default", "mail", {"password": "two"}, Channel.EMAIL)
    assert second > first
    assert store.get("default", "mail", second) == {"password": "two"}
    assert store.get("default", "mail", first) == {"password": "one"}


def test_version_zero_is_no_secret(store: SecretStore) -> None:
    assert store.get("default", "mail", 0) == {}


def test_a_secret_is_read_once_in_five_minutes(aws: Aws, clock: FakeClock) -> None:
    client = aws.client("secretsmanager")
    version = SecretStore(client, "mepush", clock=clock).put("default", "mail", SECRET, Channel.EMAIL)
    reads: list[str] = []

    class Counting:
        def get_secret_value(self, **kwargs: Any) -> Any:
            reads.append(kwargs["SecretId"])
            return client.get_secret_value(**kwargs)

    counting: Any = Counting()
    store = SecretStore(counting, "mepush", clock=clock)
    for _ in range(3):
        store.get("default", "mail", version)
    assert len(reads) == 1
    clock.advance(300)
    store.get("default", "mail", version)
    assert len(reads) == 2


def test_what_is_handed_out_is_the_callers_own(store: SecretStore) -> None:
    version = store.put("default", "mail", SECRET, Channel.EMAIL)
    store.get("default", "mail", version).clear()
    assert store.get("default", "mail", version) == SECRET


def test_a_missing_secret_or_version_is_told_apart(store: SecretStore) -> None:
    with pytest.raises(SecretMissingError):
        store.get("default", "none", 7)
    store.put("default", "mail", SECRET, Channel.EMAIL)
    with pytest.raises(SecretMissingError):
        store.get("default", "mail", 7)
    with pytest.raises(ConfigurationError):
        store.get("another", "mail", 7)


def test_a_deleted_id_can_be_used_again(store: SecretStore, aws: Aws, clock: FakeClock) -> None:
    before = store.put("default", "mail", SECRET, Channel.EMAIL)
    store.delete("default", "mail")
    store.delete("default", "mail")
    store.delete("default", "never-there")
    with pytest.raises(SecretMissingError):
        SecretStore(aws.client("secretsmanager"), "mepush", clock=clock).get("default", "mail", before)
    clock.advance(1)
    after = store.put("default", "mail", {"password": "new"}, Channel.EMAIL)
    assert store.get("default", "mail", after) == {"password": "new"}


def test_a_deleted_id_can_be_used_again_as_aws_answers(store: SecretStore, aws: Aws, clock: FakeClock) -> None:
    """AWS answers CreateSecret for a secret on its way out otherwise than moto does."""
    store.put("default", "mail", SECRET, Channel.EMAIL)
    store.delete("default", "mail")
    refusal = ClientError({"Error": {"Code": "InvalidRequestException", "Message": "m"}}, "CreateSecret")
    client: Any = Failing(aws.client("secretsmanager"), "create_secret", refusal)
    version = SecretStore(client, "mepush", clock=clock).put("default", "mail", {"password": "new"}, Channel.EMAIL)
    assert store.get("default", "mail", version) == {"password": "new"}


def test_a_secret_too_large_is_refused(store: SecretStore) -> None:
    with pytest.raises(SecretTooLargeError):
        store.put("default", "mail", {"password": "x" * 65_536}, Channel.EMAIL)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InternalServiceError", "Message": "hunter2-密码"}}, "Any"),
        EndpointConnectionError(endpoint_url="https://hunter2-密码"),
    ],
)
@pytest.mark.parametrize("call", ["create_secret", "get_secret_value", "delete_secret"])
def test_errors_hold_no_secret(aws: Aws, clock: FakeClock, call: str, error: Exception) -> None:
    client: Any = Failing(aws.client("secretsmanager"), call, error)
    store = SecretStore(client, "mepush", clock=clock)
    uses: dict[str, Any] = {
        "create_secret": lambda: store.put("default", "mail", SECRET, Channel.EMAIL),
        "get_secret_value": lambda: store.get("default", "mail", 7),
        "delete_secret": lambda: store.delete("default", "mail"),
    }
    with pytest.raises(SecretError) as caught:
        uses[call]()
    told = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in told
    assert type(caught.value) is SecretError


@pytest.mark.parametrize("text", ["not json hunter2", '"hunter2"', "[]"])
def test_what_is_no_object_is_refused_without_showing_it(aws: Aws, clock: FakeClock, text: str) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name="mepush/default/account/mail", SecretString=text, ClientRequestToken=f"{7:032d}")
    with pytest.raises(SecretError) as caught:
        SecretStore(client, "mepush", clock=clock).get("default", "mail", 7)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
