"""Asks an account's provider something, within bounded time."""

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from functions.manage.deps import ManageDeps
from shared.aws.secrets import SecretError, SecretMissingError
from shared.base.logs import log_error
from shared.model.accounts import Account
from shared.providers.base import Provider, Tools, Verification
from shared.providers.registry import build_provider

if TYPE_CHECKING:
    from shared.policy.landing.findings import Sender

logger = Logger(child=True)
_T = TypeVar("_T")


class Trying:
    """Builds accounts' providers and asks them."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps

    def verify(self, account: Account, seconds: float) -> Verification:
        """Try an account; whatever goes wrong is said in words."""
        provider = self._built(account)
        if isinstance(provider, Verification):
            return provider
        found = _bounded(provider, lambda each: each.verify(), seconds, account)
        if found is None:
            return Verification(False, "Trying the account failed in an unforeseen way.", "Look at the function's log.")
        if isinstance(found, TimeoutError):
            return Verification(
                False,
                f"The provider did not answer within {seconds:g} seconds.",
                "Check the server's name and port, and that it can be reached from where the platform runs.",
            )
        return found

    def sender(self, account: Account, seconds: float) -> "Sender | None":
        """Who sends mail for the account's domain; None if the provider could not be asked."""
        provider = self._built(account)
        if isinstance(provider, Verification):
            return None
        found = _bounded(provider, lambda each: each.sender(), seconds, account)
        return None if isinstance(found, TimeoutError) else found

    def _built(self, account: Account) -> Provider | Verification:
        try:
            secret = self._deps.secrets.get(account.tenant, account.id, account.secret_version)
        except SecretMissingError:
            return Verification(
                False, "The account's secret is missing.", "Give the secret again by changing the account."
            )
        except SecretError as error:
            log_error(logger, "a secret cannot be read", error, account=account.id)
            return Verification(
                False,
                "The account's secret cannot be read now.",
                "Try again; if it lasts, check the function's rights.",
            )
        key = f"{account.tenant}/{account.id}"
        tools = Tools(self._deps.clock, self._deps.tokens, key, self._deps.settings.network)
        try:
            return build_provider({**account.settings, "provider": account.provider}, secret, tools)
        except (ValidationError, KeyError) as error:
            log_error(logger, "an account does not fit its provider", error, account=account.id)
            return Verification(False, "The account's settings or secret do not fit its provider.", "Save both again.")


def _bounded(
    provider: Provider, ask: Callable[[Provider], _T], seconds: float, account: Account
) -> _T | TimeoutError | None:
    """Ask in a thread of its own, so that one that hangs does not take the answer with it; None if it failed."""
    answers: queue.SimpleQueue[_T | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(ask(provider))
        except Exception as error:  # of any kind: a thread's own error would be told to nobody
            log_error(logger, "asking a provider failed", error, account=account.id)
            answers.put(None)
        finally:
            provider.close()

    threading.Thread(target=run, name="verify", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return TimeoutError()
