"""What a template's content, sample and accounts must hold against each other before any of them is saved."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import FieldError, invalid, invalid_field
from shared.model.accounts import Account
from shared.model.content import CHANNEL_OF_TYPE, Content, EmailContent, Rendered, WecomTemplateCard
from shared.model.policies import Policies
from shared.model.templates import Template, TemplateVersion, TrackingMode
from shared.model.topics import Topic
from shared.model.variables import check_variables
from shared.model.words import Channel, MessageClass
from shared.policy.attachments import content_problems
from shared.policy.blocked_words import blocked_word
from shared.policy.tracked_html import ACKNOWLEDGES
from shared.policy.unsubscribing import VARIABLE
from shared.providers.declared import check, usable_by
from shared.providers.table import PROVIDERS
from shared.providers.wecom.app.tasks import has_buttons
from shared.rendering.render import Analysis, RenderingError, TemplateError, analyse, compile_content
from shared.store.catalog import Catalog

_NO_LINKS_IN_SMS = (
    "texts are not tracked; leave it out. In mainland China a link must be a constant part of the template that the "
    "carriers' review approved, of a domain with an ICP filing, so it says of nobody who followed it; elsewhere a link "
    "of ours would cost each recipient another text or two"
)
MAX_ERRORS = 50
MAX_CARD_DEPTH = 20
"""Far beyond the cards that WeCom documents."""


def channel_of(content: Content) -> Channel:
    """The channel that a content is for."""
    return CHANNEL_OF_TYPE[content.type]


def check_accounts(ids: Sequence[str], found: Mapping[str, Account], channel: Channel) -> list[Account]:
    """The accounts named, in order. found: those of them that exist, by id.

    Raises: InvalidError naming each that is unknown, of another channel or named twice.
    """
    errors = []
    for position, account_id in enumerate(ids):
        account = found.get(account_id)
        if account is None:
            message = f"there is no account `{account_id}`"
        elif account.channel is not channel:
            message = f"the account `{account_id}` is for {account.channel}, the content for {channel}"
        elif account_id in ids[:position]:
            message = f"the account `{account_id}` is named twice"
        else:
            continue
        errors.append(FieldError(field=f"accounts.{position}", message=message))
    if errors:
        raise invalid(errors, "The accounts do not fit the template.")
    return [found[account_id] for account_id in ids]


def check_content(
    content: Content, message_class: MessageClass, sample: dict[str, Any], accounts: Sequence[Account], new: bool
) -> Analysis:
    """Check that a content is a template, that its sample fills it in, and that every account's provider takes that.

    new: whether the accounts come with the content, so that one which cannot carry it is to blame; else the content is.
    Raises: InvalidError naming each field.
    """
    try:
        analysis = analyse(content)
    except TemplateError as error:
        raise invalid_field(error.field, error.message) from None
    errors = _variable_errors(analysis, sample, "sample")
    if analysis.unsubscribes and not (isinstance(content, EmailContent) and message_class is MessageClass.MARKETING):
        message = f"`{VARIABLE}` is the link to unsubscribe of marketing emails; call a variable of yours otherwise"
        errors.append(FieldError(field="content", message=message))
    if isinstance(content, WecomTemplateCard) and (problem := check_variables(content.card, MAX_CARD_DEPTH)):
        errors.append(FieldError(field="content.card", message=problem))
    if isinstance(content, WecomTemplateCard) and content.taken is not None and not has_buttons(content.card):
        message = "only cards of a type with buttons (`..._interaction`) show who took them; leave it out"
        errors.append(FieldError(field="content.taken", message=message))
    if isinstance(content, EmailContent):
        errors += [FieldError(field=f"content.{field}", message=text) for field, text in content_problems(content)]
    for position, account in enumerate(accounts):
        if problem := _unusable(content, account):
            field = f"accounts.{position}" if new else "content"
            errors.append(FieldError(field=field, message=f"the account `{account.id}` cannot carry it: {problem}"))
    if errors:
        raise invalid(errors[:MAX_ERRORS], "The content, its sample and the accounts do not fit together.")
    rendered = _render(content, sample, "sample")
    errors = [
        FieldError(field=f"content.{field}", message=f"{message} (with the sample; provider {provider})")
        for provider in dict.fromkeys(account.provider for account in accounts)
        for field, message in check(rendered, provider, message_class)
    ]
    if errors:
        raise invalid(errors[:MAX_ERRORS], "The content, filled in with its sample, breaks a provider's limit.")
    return analysis


def check_fit(version: TemplateVersion, message_class: MessageClass, accounts: Sequence[Account]) -> None:
    """Check that accounts can carry a version that was saved before.

    Raises: InvalidError naming each account that cannot.
    """
    rendered = _render(version.content, version.sample, "sample")
    errors = [
        FieldError(
            field=f"accounts.{position}",
            message=f"the account `{account.id}` cannot carry version {version.version}: {problem}",
        )
        for position, account in enumerate(accounts)
        for problem in problems_of(version.content, message_class, rendered, account)
    ]
    if errors:
        raise invalid(errors[:MAX_ERRORS], "An account cannot carry the template's content.")


def check_words(content: Content, sample: dict[str, Any], words: Sequence[str]) -> None:
    """Check that a content, filled in with its sample, holds no blocked word. Raises: InvalidError naming it."""
    if words and (word := blocked_word(_render(content, sample, "sample"), words)):
        raise invalid_field("content", f"holds `{word}`, which `blocked_words` in the settings forbids; leave it out")


def topics_of(catalog: Catalog, tenant: str) -> Mapping[str, Topic]:
    """The topics in the settings as they are now: what has just been added counts."""
    found = catalog.load_settings(tenant)
    return {} if found is None else found.value.topics


def check_topic(template: Template, catalog: Catalog) -> None:
    """Check that a template may be about its topic. Raises: InvalidError."""
    if template.topic is None:
        return
    topics = topics_of(catalog, template.tenant)
    if template.message_class is not MessageClass.MARKETING:
        raise invalid_field("topic", "only marketing has topics: nobody unsubscribes from the rest; leave it out")
    if template.topic not in topics:
        there = ", ".join(topics) or "none yet"
        raise invalid_field("topic", f"is none of the topics in the settings ({there}); add it there first")


def check_tracking(template: Template, content: Content | None = None) -> None:
    """Check that a template's messages may be tracked. content: what is sent with it. Raises: InvalidError."""
    html = content.html if isinstance(content, EmailContent) else None
    if template.tracking == TrackingMode.ANONYMOUS and html and ACKNOWLEDGES in html:
        message = f"`{ACKNOWLEDGES}` in the html says whose message it is; leave one of the two out"
        raise invalid_field("tracking", f"links of anonymous templates say of nobody whose they are, and {message}")
    if not template.tracking:
        return
    if template.channel is Channel.SMS:
        raise invalid_field("tracking", _NO_LINKS_IN_SMS)
    if template.channel is not Channel.EMAIL:
        raise invalid_field(
            "tracking", f"only emails are tracked, and the template is for {template.channel}; leave it out"
        )
    if template.message_class is MessageClass.VERIFICATION:
        raise invalid_field("tracking", "codes are not tracked: their links must lead straight on; leave it out")


def check_policies(template: Template) -> None:
    """Check a template's own policies against its class and accounts. Raises: InvalidError naming each field."""
    policies, errors = template.policies or Policies(), []
    if template.message_class is MessageClass.VERIFICATION and policies.quiet_hours is not None:
        message = "codes are sent at any hour; leave it out"
        errors.append(FieldError(field="policies.quiet_hours", message=message))
    errors += [
        FieldError(field=f"policies.weights.{account[:60]}", message="is no account of the template; leave it out")
        for account in policies.weights or ()
        if account not in template.accounts
    ]
    if errors:
        raise invalid(errors, "The policies do not fit the template.")


def render_checked(content: Content, analysis: Analysis, variables: dict[str, Any]) -> Rendered:
    """Fill a saved content in. Raises: InvalidError naming each variable that is missing or superfluous."""
    errors = _variable_errors(analysis, variables, "variables")
    if errors:
        raise invalid(errors[:MAX_ERRORS], "The variables do not fit the content.")
    return _render(content, variables, "variables")


def problems_of(content: Content, message_class: MessageClass, rendered: Rendered, account: Account) -> list[str]:
    """What an account's provider would refuse, in words."""
    problem = _unusable(content, account)
    if problem is not None:
        return [problem]
    return [f"{field}: {message}" for field, message in check(rendered, account.provider, message_class)]


def _unusable(content: Content, account: Account) -> str | None:
    if account.provider not in PROVIDERS:
        return f"the provider {account.provider} is not known"
    return usable_by(content, account.provider)


def _variable_errors(analysis: Analysis, variables: Mapping[str, Any], where: str) -> list[FieldError]:
    used = {*analysis.required, *analysis.optional}
    errors = [
        FieldError(field=f"{where}.{name}", message=f"the variable `{name}` is missing; the content uses it")
        for name in analysis.required
        if variables.get(name) is None
    ]
    errors += [
        FieldError(
            field=f"{where}.{name[:60]}",
            message=f"the variable `{name[:60]}` is not used by the content; leave it out",
        )
        for name in variables
        if name not in used
    ]
    problem = check_variables(variables)
    return errors if problem is None else [*errors, FieldError(field=where, message=problem)]


def _render(content: Content, variables: dict[str, Any], where: str) -> Rendered:
    try:
        return compile_content(content).render({}, variables)
    except (TemplateError, RenderingError) as error:
        raise invalid_field(error.field, f"{error.message} (filled in with the {where})") from None
