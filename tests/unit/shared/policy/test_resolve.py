"""How many messages one recipient gets where nobody has decided, and that everybody can decide otherwise."""

import itertools

import pytest

from shared.model.policies import MAX_CAP, Cap, ClassPolicies, Policies
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, MessageClass
from shared.policy.resolve import DEFAULT_CAPS, resolve
from tests import samples

PAIRS = list(itertools.product(Channel, MessageClass))
FREE = {(c, m) for c in (Channel.EMAIL, Channel.WECOM) for m in MessageClass if m is not MessageClass.VERIFICATION}


@pytest.mark.parametrize(("channel", "of"), PAIRS)
def test_codes_and_whatever_costs_money_have_a_cap_by_default(channel: Channel, of: MessageClass) -> None:
    cap = resolve(TenantSettings(), None, channel, of).cap
    assert (cap is None) == ((channel, of) in FREE)
    assert cap is None or 1 <= cap.count <= MAX_CAP


def test_a_number_gets_five_codes_twenty_notices_and_three_advertisements() -> None:
    found = [DEFAULT_CAPS[Channel.SMS, of] for of in (MessageClass.VERIFICATION, MessageClass.NOTIFICATION)]
    assert found == [Cap(count=5, minutes=10), Cap(count=20)]
    assert DEFAULT_CAPS[Channel.SMS, MessageClass.MARKETING] == Cap(count=3)


@pytest.mark.parametrize(("channel", "of"), PAIRS)
@pytest.mark.parametrize("cap", [Cap(count=0), Cap(count=7, minutes=60)], ids=["none", "another"])
def test_settings_and_templates_set_another_or_none(channel: Channel, of: MessageClass, cap: Cap) -> None:
    wanted = Policies(cap=cap)
    settings = TenantSettings(policies=ClassPolicies.model_validate({of.value: wanted}))
    template = samples.template()[0].model_copy(update={"policies": wanted})
    assert resolve(settings, None, channel, of).cap == cap
    assert resolve(TenantSettings(), template, channel, of).cap == cap
    # Settings that decide about something else leave the cap as it is.
    other = TenantSettings(policies=ClassPolicies.model_validate({of.value: Policies(duplicate_seconds=60)}))
    assert resolve(other, None, channel, of).cap == DEFAULT_CAPS.get((channel, of))
