"""The operation on senders' domains: whether mail from one will land."""

from typing import TYPE_CHECKING, Any

from functions.manage.deps import ManageDeps
from functions.manage.trying import Trying
from shared.api.domains import DomainFinding, DomainQuery, DomainRecord, DomainView
from shared.api.kit import Call, OperationFunction
from shared.errors import invalid_field, not_found
from shared.model.words import Channel

if TYPE_CHECKING:
    from shared.model.accounts import Account
    from shared.policy.landing.findings import Finding, Sender

_SECONDS = 8.0
"""For what the provider says of the domain; the DNS has twelve more."""


def domain_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operation, by its id."""
    trying = Trying(deps)

    def check(call: Call) -> DomainView:
        """Look at a domain's records. Raises: NotFoundError for an account; InvalidError for what is no domain."""
        # What reads keys and asks the DNS is loaded by the first check and not by each start.
        from shared.policy.landing.check import check_domain, verdict
        from shared.policy.landing.findings import Check, Finding, Sender, State

        query: DomainQuery = call.query
        domain = _domain(call.path["domain"])
        account = None if query.account is None else _account(deps, call, query.account, domain)
        told = Sender() if account is None else trying.sender(account, _SECONDS)
        sender = told or Sender()
        if query.selectors is not None:
            sender = _signing_with(sender, query.selectors)
        found = check_domain(domain, sender, deps.lookups())
        if told is None:
            found.insert(0, Finding(Check.DOMAIN, State.UNKNOWN, "provider_silent", facts={"name": domain}))
        return DomainView(
            domain=domain,
            account=query.account,
            verdict=verdict(found),
            findings=[_view(finding) for finding in found],
        )

    return {"check_domain": check}


def _account(deps: ManageDeps, call: Call, id: str, domain: str) -> "Account":
    stored = deps.catalog.load_account(call.caller.tenant, id)
    if stored is None:
        raise not_found("account")
    account = stored.value
    if account.channel is not Channel.EMAIL:
        raise invalid_field("account", f"`{id}` sends no email: name an account of the channel email")
    own = _domain(str(account.settings["from_address"]).rpartition("@")[2])
    if own != domain:
        raise invalid_field("account", f"`{id}` sends for {own}: ask for that domain, or name another account")
    return account


def _domain(given: str) -> str:
    """A domain in lower case and in ASCII. Raises: InvalidError."""
    try:
        name = given.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    labels = name.split(".")
    if not (len(labels) > 1 and len(name) <= 253 and all(map(_is_label, labels))) or labels[-1].isdigit():
        raise invalid_field("domain", "give a domain such as `example.com`, without @ and without a path")
    return name


def _is_label(text: str) -> bool:
    return text.replace("-", "").isalnum() and text.isascii() and not text.startswith("-") and not text.endswith("-")


def _signing_with(sender: "Sender", selectors: str) -> "Sender":
    from msgspec.structs import replace

    return replace(sender, selectors=tuple(dict.fromkeys(selectors.lower().split(","))))


def _view(finding: "Finding") -> DomainFinding:
    from shared.policy.landing.words import words

    said: Any = words(finding)
    record = finding.record
    return DomainFinding(
        check=finding.check,
        state=finding.state,
        code=finding.code,
        found=finding.found,
        summary=said.summary,
        summary_zh=said.summary_zh,
        action=said.action,
        action_zh=said.action_zh,
        record=None if record is None else DomainRecord(name=record.name, type=record.type, value=record.value),
    )
