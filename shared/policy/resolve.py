"""Which policies count for an envelope: the template's over the tenant's for its class, over what holds by default."""

from shared.model.policies import NOTHING_SET, Cap, Policies
from shared.model.templates import Template
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, MessageClass

DEFAULT_CAPS: dict[tuple[Channel, MessageClass], Cap] = {
    # Who asks for a sixth code within ten minutes is no person, but somebody who floods a mailbox or a telephone, or
    # who is paid for texts to it.
    (Channel.SMS, MessageClass.VERIFICATION): Cap(count=5, minutes=10),
    (Channel.EMAIL, MessageClass.VERIFICATION): Cap(count=5, minutes=10),
    # A recipient may be a group here, whose members each ask for a code.
    (Channel.WECOM, MessageClass.VERIFICATION): Cap(count=10, minutes=10),
    # A loop in a caller's program, or a form that anybody can submit, costs no more than this per number and day.
    (Channel.SMS, MessageClass.NOTIFICATION): Cap(count=20),
    # Nobody wants a fourth advertisement on a day; it costs money, and unsubscribes.
    (Channel.SMS, MessageClass.MARKETING): Cap(count=3),
}
"""How many messages one recipient gets where nobody has decided otherwise, and why.

Notifications and marketing by email and WeCom have no cap: one costs a write per recipient, and these messages cost
nobody money. The settings or a template set others; a `count` of 0 is no cap.
"""
NONE = NOTHING_SET
_DEFAULTS = {of: Policies(cap=cap) for of, cap in DEFAULT_CAPS.items()}


def resolve(
    settings: TenantSettings, template: Template | None, channel: Channel, message_class: MessageClass
) -> Policies:
    """The policies of a template's messages. template: None if it is gone."""
    defaults = _DEFAULTS.get((channel, message_class), NONE)
    found: Policies = getattr(settings.policies, message_class.value)
    if found is not NONE:
        defaults = found.over(defaults)
    if template is not None and template.policies is not None:
        defaults = template.policies.over(defaults)
    if message_class is MessageClass.VERIFICATION and defaults.quiet_hours is not None:
        defaults = defaults.model_copy(update={"quiet_hours": None})
    return defaults
