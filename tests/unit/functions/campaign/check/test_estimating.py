"""What a run will cost and how long it will take, for each provider and with several accounts and variants."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.campaign.check.estimating import Estimator
from functions.campaign.check.rows import Good
from shared.model.accounts import Account, AccountState, Rate, UnitFee
from shared.model.content import ApprovedTemplate, Content, EmailContent, SmsContent, WecomText
from shared.model.policies import Policies
from shared.model.runs import Estimate, Fee, Run, Tally
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, KeyKind
from tests.samples import EMAIL, template
from tests.unit.functions.campaign.audience import run_of

TENCENT = {"provider": "tencent", "sdk_app_id": "14", "sign_name": "示例"}
CNY = UnitFee(amount=0.045, currency="CNY")


@dataclass
class Configured:
    """What people have configured: accounts by id, templates by id."""

    accounts: dict[str, Account] = field(default_factory=dict)
    templates: dict[str, tuple[Template, TemplateVersion]] = field(default_factory=dict)
    policies: TenantSettings = field(default_factory=TenantSettings)

    def settings(self, tenant: str) -> TenantSettings:
        return self.policies

    def account(self, tenant: str, account_id: str) -> Account | None:
        return self.accounts.get(account_id)

    def template(self, tenant: str, template_id: str) -> Template | None:
        return self.templates[template_id][0] if template_id in self.templates else None

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None:
        return self.templates[template_id][1] if template_id in self.templates else None


def account(id: str, provider: str, **changes: Any) -> Account:
    channel = {"smtp": "email", "ses": "email", "tencent": "sms", "aws": "sms"}.get(provider, "wecom")
    facts = {"id": id, "tenant": "default", "name": id, "channel": channel, "settings": {"provider": provider}}
    return Account.model_validate({**facts, "provider": provider, "created_at": 0, "updated_at": 0, **changes})


def configured(content: Content, *accounts: Account, **changes: Any) -> Configured:
    ids = [each.id for each in accounts] + ["gone"]
    return Configured({each.id: each for each in accounts}, {"welcome": template(content, accounts=ids, **changes)})


def run(messages: int, channel: Channel = Channel.EMAIL, **changes: Any) -> Run:
    tally = Tally(rows=messages, good=messages, suppressed=changes.pop("suppressed", 0))
    moved = {name: changes.pop(name) for name in ("kind", "throttle") if name in changes}
    return run_of(b"to,name\n", channel=channel, **changes).moved(tally=tally, **moved)


def good(name: str, to: str = "+8613800138000", variant: str = "a") -> Good:
    return Good(0, to, "T", {"name": name}, "", "", variant)


def estimate(found: Configured, of: Run, *sample: Good) -> Estimate:
    return Estimator(found).estimate(of, sample)


def fees(found: Estimate) -> list[tuple[str, int, float | None, str | None]]:
    return [(fee.account, fee.units, fee.amount, fee.currency) for fee in found.fees]


@pytest.mark.parametrize(
    ("provider", "content", "amount", "currency"),
    [
        ("smtp", EMAIL, 0, "USD"),
        ("ses", EMAIL, 1.0, "USD"),
        ("app", WecomText(type="text", content="Hello {{ name }}"), 0, "USD"),
        ("robot", WecomText(type="text", content="Hello {{ name }}"), 0, "USD"),
        ("aws", SmsContent(text="Hello {{ name }}"), None, None),
        ("tencent", SmsContent(tencent=ApprovedTemplate(template_id="1", params=["{{ name }}"])), None, None),
    ],
)
def test_what_ten_thousand_messages_cost_by_list_price(
    provider: str, content: Content, amount: float | None, currency: str | None
) -> None:
    channel = account("x", provider).channel
    found = estimate(configured(content, account("x", provider)), run(10_000, channel), good("Ann"))
    assert found.messages == 10_000
    assert found.fees == (Fee(account="x", provider=provider, units=10_000, amount=amount, currency=currency),)


def test_parts_of_texts_are_counted_by_a_sample() -> None:
    content = SmsContent(text="{{ name }}")
    found = configured(content, account("x", "aws", fee=UnitFee(amount=0.02, currency="USD")))
    # Of four one has two parts, and one cannot be rendered.
    sample = [good("a"), good("a"), good("a"), good("a" * 200), Good(4, "+8613800138000", "T", {}, "", "", "a")]
    assert fees(estimate(found, run(1000, Channel.SMS), *sample)) == [("x", 1250, 25.0, "USD")]


def test_only_the_first_two_hundred_of_a_variant_are_rendered() -> None:
    content = SmsContent(text="{{ name }}")
    found = configured(content, account("x", "aws"))
    sample = [good("a")] * 200 + [good("a" * 200)] * 800
    assert fees(estimate(found, run(1000, Channel.SMS), *sample)) == [("x", 1000, None, None)]


def test_tencent_counts_the_signature_and_aws_does_not() -> None:
    content = SmsContent(text="{{ name }}", tencent=ApprovedTemplate(template_id="1", params=["{{ name }}"]))
    tencent = account("t", "tencent", settings=TENCENT, fee=CNY, weight=75)
    found = configured(content, tencent, account("w", "aws", weight=25))
    sample = [good("字" * 68)]
    assert fees(estimate(found, run(1000, Channel.SMS), *sample)) == [("t", 1500, 67.5, "CNY"), ("w", 250, None, None)]


def test_accounts_share_by_weight_and_those_without_get_nothing() -> None:
    accounts = [
        account("big", "ses", weight=2),
        account("small", "smtp", weight=1),
        account("none", "ses", weight=0),
        account("off", "ses", weight=9, state=AccountState.DISABLED),
    ]
    found = estimate(configured(EMAIL, *accounts), run(1000))
    assert fees(found) == [("big", 667, 0.0667, "USD"), ("small", 333, 0, "USD")]
    only = estimate(configured(EMAIL, accounts[2]), run(1000))
    assert fees(only) == [("none", 1000, 0.1, "USD")]
    assert estimate(configured(EMAIL, accounts[3]), run(1000)) == Estimate(messages=1000)


def test_weights_of_the_policies_come_first() -> None:
    accounts = [account("a", "ses", weight=1), account("b", "smtp", weight=1)]
    found = configured(EMAIL, *accounts, policies=Policies(weights={"a": 1, "b": 3}))
    assert [units for _, units, _, _ in fees(estimate(found, run(1000)))] == [250, 750]


def test_no_message_is_lost_between_variants_and_accounts() -> None:
    accounts = [account(f"a{i}", "smtp", weight=1) for i in range(3)]
    found = configured(EMAIL, *accounts)
    for messages in range(12):
        of = run(messages, weights={"a": 1, "b": 1, "c": 1})
        assert sum(fee.units for fee in estimate(found, of).fees) == messages


def test_each_variant_is_rendered_by_itself() -> None:
    found = configured(SmsContent(text="{{ name }}"), account("x", "aws"))
    of = run(1000, Channel.SMS, weights={"a": 3, "b": 1})
    sample = [good("a"), good("a" * 200, variant="b")]
    assert fees(estimate(found, of, *sample)) == [("x", 1250, None, None)]


def test_suppressed_messages_cost_nothing_and_test_keys_neither() -> None:
    found = configured(EMAIL, account("x", "ses", rate=Rate(per_second=10, burst=1, code_share=0)))
    part = estimate(found, run(1000, suppressed=400))
    assert (part.messages, fees(part), part.seconds) == (1000, [("x", 600, 0.06, "USD")], 60)
    assert estimate(found, run(1000, kind=KeyKind.TEST)) == Estimate(messages=1000)


def test_the_slowest_account_says_how_long_it_takes() -> None:
    accounts = [
        account("fast", "ses", rate=Rate(per_second=100, burst=10, code_share=0)),
        account("slow", "smtp", rate=Rate(per_second=1, burst=10, code_share=0)),
        account("free", "smtp"),
    ]
    found = estimate(configured(EMAIL, *accounts), run(3000))
    assert (found.seconds, found.per_second) == (1000, 3)


def test_the_part_of_a_rate_that_is_kept_for_codes_is_not_used() -> None:
    found = configured(EMAIL, account("x", "ses", rate=Rate(per_second=10, burst=10, code_share=0.5)))
    assert estimate(found, run(1000)).seconds == 200


def test_a_daily_limit_takes_days() -> None:
    rate = Rate(per_second=10, burst=10, per_day=1000, code_share=0)
    found = configured(EMAIL, account("x", "ses", rate=rate))
    assert estimate(found, run(1000)).seconds == 100
    assert estimate(found, run(1001)).seconds == 86_400 + 0.1
    assert estimate(found, run(2500)).seconds == 2 * 86_400 + 50


def test_the_throttle_counts_where_it_is_slower() -> None:
    found = configured(EMAIL, account("x", "ses", rate=Rate(per_second=10, burst=1, code_share=0)))
    assert estimate(found, run(1000, throttle=60)).seconds == 1000
    assert estimate(found, run(1000, throttle=6000)).seconds == 100
    unlimited = configured(EMAIL, account("x", "ses"))
    assert estimate(unlimited, run(1000, throttle=600)).per_second == 10
    assert estimate(unlimited, run(1000)).seconds is None


def test_a_robot_has_the_rate_of_its_provider() -> None:
    found = configured(WecomText(type="text", content="Hi"), account("x", "robot"))
    assert estimate(found, run(100, Channel.WECOM)).seconds == 400


def test_nothing_to_send_takes_no_time() -> None:
    found = configured(EMAIL, account("x", "ses", rate=Rate(per_second=10, burst=1)))
    assert estimate(found, run(0, throttle=60)) == Estimate(messages=0, seconds=0)


def test_a_template_that_is_gone_has_no_estimate() -> None:
    assert estimate(Configured(), run(10)) == Estimate(messages=10)


def test_an_email_is_not_rendered() -> None:
    broken = EmailContent(subject="{{ name }}", text="x")
    found = configured(broken, account("x", "ses"))
    assert fees(estimate(found, run(10), Good(0, "a@example.com", "T", {}, "", "", "a")))[0][1] == 10
