"""What the vendors declare, asked for by a provider's name or by an account."""

from shared.model.accounts import Account, Rate, UnitFee
from shared.model.content import CHANNEL_OF_TYPE, Content, Rendered, RenderedEmail, RenderedSms
from shared.model.words import MessageClass
from shared.policy import fees, rates
from shared.policy.limits import Issue, not_sent
from shared.providers.spec import plain_parts
from shared.providers.table import PROVIDERS


def usable_by(content: Content, provider: str) -> str | None:
    """Say why this content can never go through that provider, or None when it can.

    Raises: KeyError for a provider that is not registered.
    """
    channel, spec = CHANNEL_OF_TYPE[content.type], PROVIDERS[provider]
    if spec.channel is not channel:
        return f"{content.type} content is for {channel}; the provider {provider} is for {spec.channel}"
    return spec.usable(content)


def check(rendered: Rendered, provider: str, message_class: MessageClass) -> list[Issue]:
    """Name every limit of the provider's vendor that the rendered content breaks; empty when it may be sent.

    Raises: KeyError for a provider that is not registered.
    """
    kind, spec = _kind(rendered), PROVIDERS[provider]
    if spec.channel is not CHANNEL_OF_TYPE.get(kind):
        return not_sent(kind, provider)
    return spec.check(rendered, message_class)


def rate_of(account: Account) -> tuple[Rate | None, rates.Origin]:
    """The rate that counts for an account, and where it is from; of an unknown provider only what the account says."""
    spec = PROVIDERS.get(account.provider)
    return rates.effective(account, None if spec is None else spec.rate)


def fee_of(account: Account) -> tuple[UnitFee | None, fees.Origin]:
    """The fee that counts for an account, and where it is from; of an unknown provider only what the account says."""
    spec = PROVIDERS.get(account.provider)
    return fees.effective(account, None if spec is None else spec.fee)


def units_of(rendered: Rendered, account: Account, to: str) -> int:
    """For how many units a message is charged that an account sends to a normalised address."""
    spec = PROVIDERS.get(account.provider)
    parts = plain_parts if spec is None else spec.parts
    return fees.units_of(rendered, lambda text: parts(text, account, to))


def _kind(rendered: Rendered) -> str:
    if isinstance(rendered, RenderedEmail):
        return "email"
    return "sms" if isinstance(rendered, RenderedSms) else rendered.type
