"""Account secrets in Secrets Manager: `<prefix>/<tenant>/account/<id>`, each a JSON object of strings.

Every change makes a version with a number of its own, and an account names the version it goes with. So an account's
settings and its secret change together, at the one moment when the account is saved.
"""

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.aws.errors import AWS_ERRORS
from shared.base.cache import TtlCache
from shared.base.rights import CHANNEL_TAG
from shared.base.settings import ConfigurationError
from shared.model.clock import Clock, SystemClock
from shared.model.sizes import size
from shared.model.words import Channel

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import TagTypeDef

NO_SECRET = 0
"""The version of an account that has no secret."""
MAX_BYTES = 65_536
TENANT_TAG, ACCOUNT_TAG = "mepush:tenant", "mepush:account"
"""A secret's tags. By the last a dispatch function may read those of its own channel's accounts and no others."""
RECOVERY_DAYS = 7
MISS_SECONDS = 5.0
TRIES = 3
"""To save a secret under a version that nobody has taken."""


class SecretError(ConfigurationError):
    """A secret cannot be read or written now; the message never holds any of it."""


class SecretMissingError(SecretError):
    """There is no such secret, or not in this version."""


class SecretTooLargeError(SecretError):
    """The secret is larger than Secrets Manager takes."""


class SecretStore:
    """Reads and writes the secrets of accounts, or of another kind of things; thread-safe.

    cache_seconds: how long a version read is kept in memory. kind: stands in the secrets' names.
    """

    def __init__(
        self,
        client: "SecretsManagerClient",
        prefix: str,
        cache_seconds: float = 300,
        clock: Clock | None = None,
        kind: str = "account",
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._kind = kind
        self._clock = clock or SystemClock()
        self._cache: TtlCache[dict[str, str]] = TtlCache(
            self._clock, cache_seconds, 500, min(MISS_SECONDS, cache_seconds)
        )

    def put(self, tenant: str, account_id: str, secret: Mapping[str, str], channel: Channel | str) -> int:
        """Save a secret, and return the number of its version; the version before can still be read.

        channel: the label by which functions may read it, see `shared.base.rights.read_secrets`.

        An id whose secret was deleted in the last days gets it back, with this version.
        Raises: SecretError.
        """
        text = json.dumps(dict(secret), ensure_ascii=False)
        if size(text) > MAX_BYTES:
            raise SecretTooLargeError(f"a secret takes at most {MAX_BYTES:,} bytes as JSON")
        name = self._name(tenant, account_id)
        tags = {TENANT_TAG: tenant, ACCOUNT_TAG: account_id, CHANNEL_TAG: str(channel)}
        for left in reversed(range(TRIES)):
            # Grows with time; the random part keeps apart what is saved in the same millisecond, but for one in 1,024.
            version = self._clock.now_ms() << 10 | secrets.randbits(10)
            try:
                self._write(name, tags, text, _version_id(version))
            except AWS_ERRORS as error:
                # The version is there already, with another secret (Secrets Manager API, "PutSecretValue", errors).
                if left and _code(error) == "ResourceExistsException":
                    continue
                raise SecretError(f"the secret of the {self._kind} cannot be saved: {_code(error)}") from None
            return version
        raise AssertionError("unreachable")  # the last try returns or raises

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]:
        """A version of an account's secret; empty for version 0, which stands for none.

        Raises: SecretMissingError; SecretError if it cannot be read now.
        """
        if version == NO_SECRET:
            return {}
        name = self._name(tenant, account_id)
        found = self._cache.get(f"{name}#{version}", lambda: self._read(name, version))
        if found is None:
            raise SecretMissingError(f"the secret of the {self._kind} is missing")
        return dict(found)

    def delete(self, tenant: str, account_id: str) -> None:
        """Delete an account's secret, if it has one; it can be had back for seven days. Raises: SecretError."""
        try:
            self._client.delete_secret(SecretId=self._name(tenant, account_id), RecoveryWindowInDays=RECOVERY_DAYS)
        except AWS_ERRORS as error:
            # The second says that it is on its way out already.
            if _code(error) not in {"ResourceNotFoundException", "InvalidRequestException"}:
                raise SecretError(f"the secret of the {self._kind} cannot be deleted: {_code(error)}") from None

    def _name(self, tenant: str, account_id: str) -> str:
        return f"{self._prefix}/{tenant}/{self._kind}/{account_id}"

    def _write(self, name: str, tags: Mapping[str, str], text: str, version_id: str) -> None:
        labels: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        try:
            self._client.create_secret(
                Name=name,
                ClientRequestToken=version_id,
                SecretString=text,
                Description=f"mePush: the secret of {self._kind} {tags[ACCOUNT_TAG]} of tenant {tags[TENANT_TAG]}",
                Tags=labels,
            )
            return
        except ClientError as error:
            # It exists, or it is waiting for its deletion (Secrets Manager API, "CreateSecret", errors).
            if _code(error) not in {"ResourceExistsException", "InvalidRequestException"}:
                raise
        with suppress(self._client.exceptions.InvalidRequestException):
            self._client.restore_secret(SecretId=name)
        # It may be from before secrets were labelled with their channel.
        self._client.tag_resource(SecretId=name, Tags=labels)
        self._client.put_secret_value(SecretId=name, ClientRequestToken=version_id, SecretString=text)

    def _read(self, name: str, version: int) -> dict[str, str] | None:
        try:
            got = self._client.get_secret_value(SecretId=name, VersionId=_version_id(version))
            secret = json.loads(got["SecretString"])
        except AWS_ERRORS as error:
            if _code(error) in {"ResourceNotFoundException", "InvalidRequestException"}:
                return None
            raise SecretError(f"the secret of the {self._kind} cannot be read: {_code(error)}") from None
        except (KeyError, ValueError):
            raise SecretError(f"the secret of the {self._kind} is not a JSON object") from None
        if not isinstance(secret, dict):
            raise SecretError(f"the secret of the {self._kind} is not a JSON object")
        return secret


def _version_id(version: int) -> str:
    """Secrets Manager wants at least 32 characters."""
    return f"{version:032d}"


def _code(error: Exception) -> str:
    """What went wrong without the error's text, which may repeat a parameter."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
