"""Whether it can ever be known of a template's messages what they must come to before they fall back."""

from collections.abc import Sequence

from shared.errors import invalid_field
from shared.model.accounts import Account
from shared.model.content import Content, WecomTemplateCard
from shared.model.templates import Template
from shared.model.words import Until
from shared.providers.table import PROVIDERS
from shared.providers.wecom.app.tasks import is_pressed

_UNTIL, _MINUTES = "fallback.until", "fallback.after_minutes"


def check_until(template: Template, content: Content, accounts: Sequence[Account]) -> None:
    """Check that what a template's fallback waits for can come to be known, by all accounts.

    Raises: InvalidError that says what to do.
    """
    fallback = template.fallback
    if fallback is None or fallback.until is Until.SENT:
        return
    if fallback.until is Until.ACKNOWLEDGED:
        _check_acknowledgeable(content)
        return
    for account in accounts:
        _check_told(account, fallback.after_minutes)


def _check_told(account: Account, after_minutes: int | None) -> None:
    spec = PROVIDERS.get(account.provider)
    if spec is None:
        return  # it is refused elsewhere
    if spec.sent_is_final:
        raise invalid_field(
            _UNTIL,
            f"nobody tells whether messages through the account `{account.id}` ({account.provider}) arrive; use "
            "`sent`, or `acknowledged` with a card that has buttons",
        )
    if not spec.failures_alone:
        return
    if after_minutes is not None:
        raise invalid_field(
            _MINUTES,
            f"of messages through the account `{account.id}` ({account.provider}) only those are reported that come "
            "back, so all others would fall back as well; leave it out: then a message falls back when it comes back",
        )
    if not account.settings.get("bounce_mailbox"):
        raise invalid_field(
            _UNTIL,
            f"nothing comes back through the account `{account.id}`; name its `bounce_mailbox` first, or use `sent`",
        )


def _check_acknowledgeable(content: Content) -> None:
    if not isinstance(content, WecomTemplateCard) or not is_pressed(content.card):
        raise invalid_field(
            _UNTIL,
            "nothing in the content lets people acknowledge it: use a WeCom card with buttons (`button_interaction`), "
            "or another `until`",
        )
    if not content.acknowledges:
        raise invalid_field(
            _UNTIL, "`acknowledges` of the content is false, so nothing acknowledges it; leave that out, or use `sent`"
        )
    if content.card.get("task_id"):
        raise invalid_field(
            "content.card.task_id",
            "what is pressed on a card with a task id of its own is not known; leave it out",
        )
