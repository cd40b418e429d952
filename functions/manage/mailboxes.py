"""The operation on bounce mailboxes: how their reading goes."""

from functions.manage.deps import ManageDeps
from shared.api.fields import moment, moment_or_none
from shared.api.kit import Call, OperationFunction
from shared.api.mailboxes import MailboxCounts, MailboxProblem, MailboxView, UnreadableMail
from shared.errors import not_found
from shared.model.inboxes import InboxState
from shared.providers.mailboxes import mailbox_of


def mailbox_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operation, by its id."""

    def get(call: Call) -> MailboxView:
        """How the reading of an account's bounce mailbox goes. Raises: NotFoundError."""
        stored = deps.catalog.load_account(call.caller.tenant, call.path["id"])
        if stored is None:
            raise not_found("account")
        account = stored.value
        named = mailbox_of(account)
        known = deps.inboxes.inbox(account.tenant, account.id)
        # What was known of another mailbox tells nothing of this one.
        current = known is not None and named is not None and known.value.where == named[1]
        return view(account.id, named is not None, known.value if known is not None and current else InboxState())

    return {"get_mailbox": get}


def view(account: str, configured: bool, state: InboxState) -> MailboxView:
    """What is known of a mailbox as callers see it."""
    problem = None
    if state.problem is not None and state.problem_at is not None:
        problem = MailboxProblem(
            at=moment(state.problem_at),
            code=state.problem.code,
            summary=state.problem.summary,
            action=state.problem.action,
        )
    return MailboxView(
        account=account,
        configured=configured,
        looked_at=moment_or_none(state.looked_at),
        next_look_at=moment_or_none(state.next_at or None),
        failures=state.failures,
        failing_since=moment_or_none(state.failing_since),
        problem=problem,
        counts=MailboxCounts(**{name: state.counts.get(name, 0) for name in MailboxCounts.model_fields}),
        unreadable=[UnreadableMail(at=moment(each.at), kind=each.kind, reason=each.reason) for each in state.unread],
    )
