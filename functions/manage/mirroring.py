"""The operation on a provider's own suppression list: compare it with ours, take it over, or take addresses off it.

A call does a page, so that no list is too long for it. What is added is recorded in the audit log before it is, with
its number; whatever breaks off can be asked for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from functions.manage.deps import ManageDeps
from functions.manage.suppressions import Naming
from shared.api.audit import Auditor
from shared.api.kit import Call, OperationFunction
from shared.api.suppressions import MirrorAction, MirrorAudit, MirrorReport, MirrorRequest
from shared.aws.secrets import NO_SECRET
from shared.errors import ConflictError, invalid_field, not_found
from shared.model.accounts import Account
from shared.model.address import AddressError
from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.providers.base import ListedAddress, ListError, Provider, Tools
from shared.providers.registry import build_provider
from shared.providers.table import PROVIDERS
from shared.store.catalog_items import CatalogConflictError, Stored

logger = Logger(child=True)

BAD_CURSOR = frozenset({"BadRequestException", "InvalidNextTokenException"})
"""What providers call one of another list, or of none."""


def mirror_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on providers' own lists, by id."""
    return {"mirror_suppressions": Mirroring(deps).mirror}


@dataclass(slots=True)
class _Page:
    """A page of a provider's list, and who of it is on ours."""

    theirs: dict[str, ListedAddress] = field(default_factory=dict)
    """`theirs` and `named`: by tag, the address as the provider writes it, and the recipient without entries."""
    named: dict[str, Suppressed] = field(default_factory=dict)
    unreadable: int = 0
    there: Mapping[str, Stored[Suppressed]] = field(default_factory=dict)

    def ours(self, tag: str) -> bool:
        """Whether nothing is sent to a recipient anyway."""
        found = self.there.get(tag)
        return found is not None and any(each.scope is SuppressionScope.ALL for each in found.value.entries)

    @property
    def missing(self) -> list[str]:
        """The tags of those that only the provider's list has."""
        return [tag for tag in self.theirs if not self.ours(tag)]


class Mirroring:
    """The operation."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.catalog, deps.clock)

    def mirror(self, call: Call) -> MirrorReport:
        """Do one page. Raises: NotFoundError, ConflictError, InvalidError."""
        body: MirrorRequest = call.body
        account = self._deps.catalog.account(call.caller.tenant, call.path["id"])
        if account is None:
            raise not_found("account")
        if not PROVIDERS[account.provider].lists:
            raise ConflictError(f"The provider {account.provider} keeps no suppression list that can be read.")
        naming = Naming(self._deps, call.caller.tenant, account.channel)
        wanted = self._tags(naming, body.addresses)
        provider = self._provider(account)
        try:
            return self._do(call, account, provider, naming, wanted)
        except ListError as error:
            if body.cursor is not None and error.code in BAD_CURSOR:
                raise invalid_field("cursor", "give back the cursor of an earlier page as it was") from None
            logger.warning("a provider's list is out of reach", account=account.id, code=error.code)
            detail = f"The provider does not let its list be read or changed now: {error.code}."
            raise ConflictError(f"{detail} See to the rights and the Region of the account, or try again.") from None
        finally:
            provider.close()

    def _do(self, call: Call, account: Account, provider: Provider, naming: Naming, wanted: set[str]) -> MirrorReport:
        body: MirrorRequest = call.body
        listed = provider.listed(body.cursor)
        page = self._read(naming, account, listed.addresses)
        only_theirs = page.missing
        missing = [tag for tag in only_theirs if tag in wanted or not wanted]
        added = self._add(call, page, missing) if body.action is MirrorAction.MIRROR else 0
        release = wanted & set(missing) if body.action is MirrorAction.RELEASE else set()
        return MirrorReport(
            theirs=len(listed.addresses),
            on_both=len(page.theirs) - len(only_theirs),
            missing=[page.named[tag].address for tag in missing],
            unreadable=page.unreadable,
            added=added,
            released=self._release(call, provider, page, release),
            kept=len(wanted & page.theirs.keys() - set(only_theirs)),
            cursor=listed.cursor,
        )

    def _read(self, naming: Naming, account: Account, addresses: Sequence[ListedAddress]) -> _Page:
        page = _Page()
        for each in addresses:
            try:
                recipient = naming(each.address)
            except AddressError:
                page.unreadable += 1
                continue
            page.theirs[recipient.tag], page.named[recipient.tag] = each, recipient
        page.there = self._deps.suppressions.load_all(account.tenant, account.channel, list(page.theirs))
        return page

    def _add(self, call: Call, page: _Page, missing: Sequence[str]) -> int:
        if not missing:
            return 0
        self._record(call, MirrorAction.MIRROR, len(missing))
        added = [page.named[tag].plus([self._entry(call, page.theirs[tag])]) for tag in missing]
        try:
            self._deps.suppressions.add_all(added, page.there)
        except CatalogConflictError:
            raise ConflictError("Others are changing the same recipients; try again.") from None
        return len(added)

    def _entry(self, call: Call, each: ListedAddress) -> SuppressionEntry:
        since = datetime.fromtimestamp(each.at / 1000, UTC)
        return SuppressionEntry(
            scope=SuppressionScope.ALL,
            reason=SuppressionReason.PROVIDER,
            at=self._deps.clock.now_ms(),
            by=call.caller.key_id,
            note=f"On the list of account {call.path['id']} for {each.reason} since {since:%Y-%m-%d}",
        )

    def _release(self, call: Call, provider: Provider, page: _Page, tags: set[str]) -> int:
        if not tags:
            return 0
        self._record(call, MirrorAction.RELEASE, len(tags))
        return sum(provider.release(page.theirs[tag].address) for tag in sorted(tags))

    def _record(self, call: Call, action: MirrorAction, addresses: int) -> None:
        after = MirrorAudit(action=action, addresses=addresses)
        self._deps.audit.add(self._auditor.record(call, f"account/{call.path['id']}", None, after))

    def _provider(self, account: Account) -> Provider:
        version = account.secret_version
        secret = {} if version == NO_SECRET else self._deps.secrets.get(account.tenant, account.id, version)
        tools = Tools(
            self._deps.clock, self._deps.tokens, f"{account.tenant}/{account.id}", self._deps.settings.network
        )
        return build_provider({**account.settings, "provider": account.provider}, secret, tools)

    @staticmethod
    def _tags(naming: Naming, addresses: Sequence[str]) -> set[str]:
        found = set()
        for number, address in enumerate(addresses):
            try:
                found.add(naming(address).tag)
            except AddressError as error:
                raise invalid_field(f"addresses.{number}", str(error)) from None
        return found
