"""The operations on accounts. Secrets come in, are kept in Secrets Manager, and never go out again."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from functions.manage.account_input import (
    MASK,
    check_secret_stays,
    check_servers,
    check_together,
    read_secret,
    read_settings,
)
from functions.manage.deps import ManageDeps
from functions.manage.trying import Trying
from shared.api.audit import Auditor
from shared.api.fields import moment
from shared.api.kit import Call, OperationFunction
from shared.api.manage import AccountCreate, AccountList, AccountUpdate, AccountView, VerificationView
from shared.api.open_routes import CALLBACKS
from shared.api.paging import PageQuery
from shared.aws.secrets import NO_SECRET, SecretError, SecretTooLargeError
from shared.base.logs import log_error
from shared.errors import ConflictError, invalid_field, not_found
from shared.model.accounts import Account, ProviderSettings, Rate
from shared.model.audit import AuditRecord
from shared.model.ids import callback_token
from shared.model.words import Channel, KeyKind, Scope
from shared.policy.access import reaches
from shared.providers.declared import fee_of, rate_of
from shared.providers.registry import secret_model, settings_model
from shared.providers.table import PROVIDERS
from shared.store.catalog_items import (
    CatalogConflictError,
    CatalogInUseError,
    CatalogTooLargeError,
    CursorError,
    Stored,
)

logger = Logger(child=True)

VERIFY_SECONDS = 20.0
"""How long a try may take; an HTTP API waits 30 seconds for its answer."""
_ATTEMPTS = 5


def account_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on accounts, by id."""
    accounts = Accounts(deps)
    return {
        "create_account": accounts.create,
        "list_accounts": accounts.page,
        "get_account": accounts.get,
        "update_account": accounts.update,
        "delete_account": accounts.delete,
        "verify_account": accounts.verify,
        "rotate_callback": accounts.rotate_callback,
    }


class Accounts:
    """The operations. verify_seconds: how long trying an account may take."""

    def __init__(self, deps: ManageDeps, verify_seconds: float = VERIFY_SECONDS) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.catalog, deps.clock)
        self._trying = Trying(deps)
        self._verify_seconds = verify_seconds

    def create(self, call: Call) -> AccountView:
        """Configure an account: first its secret, then the account that names the secret's version."""
        body: AccountCreate = call.body
        tenant = call.caller.tenant
        settings = self._settings(body.settings)
        secret = read_secret(settings.provider, body.secret)
        check_together(settings, secret)
        if self._deps.catalog.load_account(tenant, body.id) is not None:
            raise ConflictError(f"There is an account `{body.id}` already.")
        now = self._deps.clock.now_ms()
        account = Account(
            id=body.id,
            tenant=tenant,
            name=body.name,
            channel=PROVIDERS[settings.provider].channel,
            provider=settings.provider,
            settings=settings.model_dump(mode="json"),
            weight=body.weight,
            rate=body.rate,
            fee=body.fee,
            secret_version=self._put_secret(tenant, body.id, secret, PROVIDERS[settings.provider].channel),
            created_at=now,
            updated_at=now,
        )
        try:
            self._deps.catalog.create_account(account, self._record(call, None, account))
        except CatalogConflictError:
            # Another made it in this moment; it names its own version of the secret, not ours.
            raise ConflictError(f"There is an account `{body.id}` already.") from None
        except CatalogTooLargeError:
            raise invalid_field("settings", "the settings are too large") from None
        return self._shown(call, account)

    def page(self, call: Call) -> AccountList:
        """A page of the tenant's accounts by id. Raises: InvalidError."""
        query: PageQuery = call.query
        try:
            page = self._deps.catalog.page_accounts(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        return AccountList(accounts=[view(account) for account in page.items], cursor=page.cursor)

    def get(self, call: Call) -> AccountView:
        """One account."""
        return self._shown(call, self._stored(call).value)

    def update(self, call: Call) -> AccountView:
        """Change what is given; the new settings and the new secret begin to count at the same moment."""
        body: AccountUpdate = call.body
        stored = self._stored(call)
        before = stored.value
        change = self._read_change(body, before)
        for _ in range(_ATTEMPTS):
            account = self._changed(stored.value, body, change)
            change.check(before, stored.value, account)
            try:
                record = self._record(call, stored.value, account)
                self._deps.catalog.update_account(account, stored.rev, record)
            except CatalogConflictError:
                stored = self._stored(call)
                if stored.value.created_at != before.created_at:
                    break
                continue
            except CatalogTooLargeError:
                raise invalid_field("settings", "the settings are too large") from None
            if account.secret_version == NO_SECRET != before.secret_version:
                self._drop_secret(account)
            return self._shown(call, account)
        raise _unsettled()

    def delete(self, call: Call) -> None:
        """Delete an account that no template names, then its secret."""
        for _ in range(_ATTEMPTS):
            stored = self._stored(call)
            account = stored.value
            try:
                self._deps.catalog.delete_account(account, stored.rev, self._record(call, account, None))
            except CatalogInUseError as error:
                names = ", ".join(error.templates)
                detail = f"Templates send through this account: {names}. Change or archive them first."
                raise ConflictError(detail) from None
            except CatalogConflictError:
                continue
            self._drop_secret(account)
            return
        raise _unsettled()

    def verify(self, call: Call) -> VerificationView:
        """Try an account, within bounded time; what the provider says of its rate is kept."""
        stored = self._stored(call)
        found = self._trying.verify(stored.value, self._verify_seconds)
        if found.rate is not None and found.rate != stored.value.verified_rate:
            self._keep_rate(call, stored, found.rate)
        facts = {"summary": found.summary, "action": found.action, "raw_code": found.raw_code, "rate": found.rate}
        return VerificationView(ok=found.ok, **facts)

    def rotate_callback(self, call: Call) -> AccountView:
        """Make the callback URL anew. Raises: ConflictError for a provider that calls nobody."""
        for _ in range(_ATTEMPTS):
            stored = self._stored(call)
            before = stored.value
            if not calls_back(before):
                raise ConflictError(f"The provider {before.provider} makes no callbacks.")
            changes = {
                "callback_generation": before.callback_generation + 1,
                "updated_at": max(self._deps.clock.now_ms(), before.updated_at + 1),
            }
            account = before.model_copy(update=changes)
            try:
                self._deps.catalog.update_account(account, stored.rev, self._record(call, before, account))
            except CatalogConflictError:
                continue
            return self._shown(call, account)
        raise _unsettled()

    def _shown(self, call: Call, account: Account) -> AccountView:
        """An account, with its callback URL for those who may make it anew."""
        shown = view(account)
        may = Scope.MANAGE in call.caller.scopes and reaches("rotate_callback", call.caller.kind, KeyKind.LIVE)
        tenant = self._deps.catalog.tenant(account.tenant) if may and calls_back(account) else None
        if tenant is None:
            return shown
        token = callback_token(tenant.salt, account.id, account.callback_generation)
        path = CALLBACKS.format(tenant=account.tenant, account=account.id, token=token)
        return shown.model_copy(update={"callback_url": f"{call.origin}{path}"})

    def _keep_rate(self, call: Call, stored: Stored[Account], rate: Rate) -> None:
        before = stored.value
        now = max(self._deps.clock.now_ms(), before.updated_at + 1)
        account = before.model_copy(update={"verified_rate": rate, "updated_at": now})
        # Who changes the account in this moment may verify it anew.
        with suppress(CatalogConflictError):
            self._deps.catalog.update_account(account, stored.rev, self._record(call, before, account))

    def _stored(self, call: Call) -> Stored[Account]:
        found = self._deps.catalog.load_account(call.caller.tenant, call.path["id"])
        if found is None:
            raise not_found("account")
        return found

    def _record(self, call: Call, before: Account | None, after: Account | None) -> AuditRecord:
        hidden = () if before is None or after is None else _hidden_changes(before, after)
        return self._auditor.record(
            call,
            f"account/{call.path['id'] if after is None else after.id}",
            None if before is None else view(before),
            None if after is None else view(after),
            hidden=hidden,
        )

    def _settings(self, given: dict[str, object]) -> ProviderSettings:
        settings = read_settings(given)
        check_servers(settings, self._deps.settings.network)
        return settings

    def _read_change(self, body: AccountUpdate, before: Account) -> "_Change":
        settings = None if body.settings is None else self._settings(body.settings)
        if settings is not None and settings.provider != before.provider:
            raise invalid_field(
                "settings.provider", f"the provider stays `{before.provider}`; create another account instead"
            )
        secret = None if body.secret is None else read_secret(before.provider, body.secret)
        version = None if secret is None else self._put_secret(before.tenant, before.id, secret, before.channel)
        return _Change(None if settings is None else settings.model_dump(mode="json"), secret, version)

    def _put_secret(self, tenant: str, account_id: str, secret: dict[str, str], channel: Channel) -> int:
        if not secret:
            return NO_SECRET
        try:
            return self._deps.secrets.put(tenant, account_id, secret, channel)
        except SecretTooLargeError as error:
            raise invalid_field("secret", f"is too large: {error}") from None

    def _drop_secret(self, account: Account) -> None:
        try:
            self._deps.secrets.delete(account.tenant, account.id)
        except SecretError as error:
            # Nothing reads it any more, so the caller's wish is fulfilled; what is left is for the operator.
            log_error(logger, "the secret of a deleted account is left behind", error, account=account.id)

    def _changed(self, account: Account, body: AccountUpdate, change: "_Change") -> Account:
        changes: dict[str, Any] = {
            "name": body.name,
            "settings": change.settings,
            "weight": body.weight,
            "state": body.state,
            "secret_version": change.version,
            # Always another time: by it the senders see that the account changed.
            "updated_at": max(self._deps.clock.now_ms(), account.updated_at + 1),
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        # These two may be taken away by null.
        changes |= {name: getattr(body, name) for name in ("rate", "fee") if name in body.model_fields_set}
        return account.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class _Change:
    """What a caller changes of an account's settings and secret; None for what stays."""

    settings: dict[str, Any] | None
    secret: dict[str, str] | None
    version: int | None
    """Of the new secret."""

    def check(self, seen: Account, now: Account, after: Account) -> None:
        """Check that the secret goes with the settings, and to nobody whom it was not given for.

        seen: the account that the caller changes. now: as it is stored, which another may have changed since.
        Raises: ConflictError, InvalidError.
        """
        if self.settings is None and self.secret is None:
            return
        if self.secret is None and now.secret_version != NO_SECRET:
            check_secret_stays(now.provider, now.settings, after.settings)
        model = settings_model(now.provider)
        if self.settings is None and model.binding_changes(seen.settings, now.settings):
            # The new secret was given for the server that the account had.
            raise _unsettled()
        check_together(read_settings(after.settings), _secret_fields(after) if self.secret is None else self.secret)


def view(account: Account) -> AccountView:
    """An account as callers see it: of its secret only the names of the fields."""
    masked: dict[str, str] = {}
    if account.provider in PROVIDERS:
        masked = dict.fromkeys(_secret_fields(account), MASK)
    rate, rate_from = rate_of(account)
    fee, fee_from = fee_of(account)
    return AccountView(
        id=account.id,
        name=account.name,
        channel=account.channel,
        provider=account.provider,
        settings=account.settings,
        secret=masked,
        weight=account.weight,
        rate=rate,
        rate_from=None if rate is None else rate_from,
        fee=fee,
        fee_from=None if fee is None else fee_from,
        state=account.state,
        created_at=moment(account.created_at),
        updated_at=moment(account.updated_at),
    )


def calls_back(account: Account) -> bool:
    """Whether the account's provider says by callbacks what became of messages."""
    spec = PROVIDERS.get(account.provider)
    return spec is not None and spec.callback


def _hidden_changes(before: Account, after: Account) -> tuple[str, ...]:
    """What changed that views mask or leave out."""
    changed = {
        "secret": before.secret_version != after.secret_version,
        "callback_url": before.callback_generation != after.callback_generation,
    }
    return tuple(name for name, differs in changed.items() if differs)


def _secret_fields(account: Account) -> Collection[str]:
    """The fields of the secret that is stored."""
    if account.secret_version == NO_SECRET:
        return ()
    return settings_model(account.provider).secret_fields(account.settings, secret_model(account.provider).model_fields)


def _unsettled() -> ConflictError:
    return ConflictError("Others are changing this account; look at it and try again.")
