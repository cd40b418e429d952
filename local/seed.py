"""Fills a fresh local stack as a user would fill a deployed one: accounts and templates, through the HTTP API only."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from local.gateway import Answer, Incoming
from local.sandbox.base import HttpSandbox, Sandbox
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tencent import TencentSandbox
from local.sandbox.wecom import WecomSandbox
from mepush.client.api import Client, segment
from mepush.client.errors import ApiError
from mepush.files.accounts import read_accounts
from mepush.files.pushing import push_template
from mepush.files.templates import find_files, in_order, read_template
from mepush.files.toml import read_toml
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog

if TYPE_CHECKING:
    from local.stack import LocalStack

PERSONS = "persons"
"""Under `/_local/`, see `Persons`."""
EXAMPLES = Path(__file__).parent.parent / "examples"

Sandboxes = Mapping[str, Sandbox]
Changes = tuple[dict[str, Any], dict[str, str]]
"""Settings to change, and the secret."""


def seed(url: str, key: str, sandboxes: Sandboxes, folder: Path = EXAMPLES, *, again: bool = False) -> None:
    """Apply the examples' settings, create their accounts, pointed at the sandboxes, and publish their templates.

    sandboxes: `smtp`, `ses`, `tencent`, `aws` and `wecom`, started. again: all is there from an earlier stack; its
    accounts are pointed at these sandboxes, and nothing else is touched, since people may have changed it. Raises:
    MepushError with what the API said.
    """
    with Client(url, key) as api:
        if again:
            for entry in read_accounts(folder / "accounts.toml"):
                _point(api, entry["id"], account_body(entry, sandboxes), sandboxes)
            return
        api.patch("/v1/settings", read_toml(folder / "settings.toml"))
        for entry in read_accounts(folder / "accounts.toml"):
            enter_callback(api.post("/v1/accounts", account_body(entry, sandboxes)), sandboxes)
        for file in in_order([read_template(path) for path in find_files([folder / "templates"])]):
            push_template(api, file, publish=True)


def enter_callback(account: Mapping[str, Any], sandboxes: Sandboxes) -> None:
    """Enter an account's callback URL in its provider's console, if it has one. account: as the API answers it."""
    if account["callback_url"] and account["provider"] == "tencent":
        app = account["settings"]["sdk_app_id"]
        cast(TencentSandbox, sandboxes["tencent"]).callback_urls[app] = account["callback_url"]


def _point(api: Client, account: str, body: Mapping[str, Any], sandboxes: Sandboxes) -> None:
    """Point an account at its sandbox, unless somebody has deleted it."""
    changes = {"settings": body["settings"], "secret": body["secret"]}
    try:
        enter_callback(api.patch(f"/v1/accounts/{segment(account)}", changes), sandboxes)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def first_key(stack: "LocalStack", name: str = "first key") -> str:
    """Make a first key in the stack's own table, as `infra.first_key` does in a deployed one."""
    catalog = Catalog(stack.client("dynamodb"), stack.environment("manage")["CATALOG_TABLE"], stack.clock)
    return bootstrap(catalog, stack.clock, name=name)


class Persons:
    """Makes another person's first key at each POST, so that what takes two people can be tried by one."""

    def __init__(self, stack: "LocalStack") -> None:
        self._stack = stack

    def __call__(self, request: Incoming) -> Answer:
        """Answer the local page."""
        if request.method != "POST":
            return 405, [("allow", "POST")], b""
        body = json.dumps({"key": first_key(self._stack, "another person")}).encode() + b"\n"
        return 200, [("content-type", "application/json"), ("cache-control", "no-store")], body


def account_body(entry: Mapping[str, Any], sandboxes: Sandboxes) -> dict[str, Any]:
    """The request that creates an account of the examples against its sandbox."""
    provider = entry["settings"]["provider"]
    settings, secret = _SANDBOX_SETTINGS[provider](sandboxes)
    body = {name: value for name, value in entry.items() if name != "secret_env"}
    return {**body, "settings": {**entry["settings"], **settings}, "secret": secret}


def _smtp(sandboxes: Sandboxes) -> Changes:
    sandbox = cast(SmtpSandbox, sandboxes["smtp"])
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": sandbox.port, "security": sandbox.security}
    settings["username"] = sandbox.username
    if sandbox.security != "none":
        settings["ca_pem"] = sandbox.ca_pem
    return settings, {"password": sandbox.password} if sandbox.password else {}


def _endpoint(sandboxes: Sandboxes, name: str) -> dict[str, Any]:
    return {"endpoint": cast(HttpSandbox, sandboxes[name]).url}


def _ses(sandboxes: Sandboxes) -> Changes:
    return _endpoint(sandboxes, "ses"), {}


def _aws(sandboxes: Sandboxes) -> Changes:
    return _endpoint(sandboxes, "aws"), {}


def _tencent(sandboxes: Sandboxes) -> Changes:
    from local.stack import TENCENT_KEYS  # loads moto, which reading the examples does not need

    secret_id, secret_key = next(iter(TENCENT_KEYS.items()))
    return _endpoint(sandboxes, "tencent"), {"secret_id": secret_id, "secret_key": secret_key}


def _app(sandboxes: Sandboxes) -> Changes:
    sandbox = cast(WecomSandbox, sandboxes["wecom"])
    agent_id, secret = next(iter(sandbox.apps.items()))
    return {**_endpoint(sandboxes, "wecom"), "corp_id": sandbox.corp_id, "agent_id": agent_id}, {"corp_secret": secret}


def _robot(sandboxes: Sandboxes) -> Changes:
    sandbox = cast(WecomSandbox, sandboxes["wecom"])
    return _endpoint(sandboxes, "wecom"), {"key": next(iter(sandbox.robot_keys))}


_SANDBOX_SETTINGS: dict[str, Callable[[Sandboxes], Changes]] = {
    "smtp": _smtp,
    "ses": _ses,
    "tencent": _tencent,
    "aws": _aws,
    "app": _app,
    "robot": _robot,
}
