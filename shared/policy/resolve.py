"""Which policies count for an envelope: the template's over the tenant's for its class, over what holds by default."""

from shared.model.policies import Cap, Policies
from shared.model.templates import Template
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, MessageClass

CODES_PER_NUMBER = Cap(count=5, minutes=10)
"""Of codes by SMS, where nobody has decided otherwise: fraudsters have codes sent to numbers that pay them for it."""
NONE = Policies()


def resolve(
    settings: TenantSettings, template: Template | None, channel: Channel, message_class: MessageClass
) -> Policies:
    """The policies of a template's messages. template: None if it is gone."""
    codes = message_class is MessageClass.VERIFICATION
    defaults = Policies(cap=CODES_PER_NUMBER) if codes and channel is Channel.SMS else NONE
    found: Policies = getattr(settings.policies, message_class.value)
    if found is not NONE:
        defaults = found.over(defaults)
    if template is not None and template.policies is not None:
        defaults = template.policies.over(defaults)
    if codes and defaults.quiet_hours is not None:
        defaults = defaults.model_copy(update={"quiet_hours": None})
    return defaults
