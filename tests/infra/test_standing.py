"""What a stage costs while nothing is sent, as docs/deploy.md has it."""

from bench.standing import lines
from infra.packaging import ROOT
from tests.infra.template import Template


def _bill(*templates: Template) -> dict[str, float]:
    resources = [raw for template in templates for raw in template.json["Resources"].values()]
    return {line.name: line.usd for line in lines(resources) if line.quantity}


def test_the_guide_has_the_bills_of_both_stages(
    dev: Template, dev_data: Template, prod: Template, prod_data: Template
) -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    bills = [_bill(dev, dev_data), _bill(prod, prod_data)]
    for name in {**bills[0], **bills[1]}:
        cells = [f"{bill[name]:.2f}" if name in bill else "" for bill in bills]
        assert f"| {name} | {cells[0]} | {cells[1]} |" in page
    assert f"| **all** | **{sum(bills[0].values()):.2f}** | **{sum(bills[1].values()):.2f}** |" in page


def test_what_is_there_by_choice_is_charged(full: Template, full_data: Template) -> None:
    bill = _bill(full, full_data)
    assert (bill["keys"], round(bill["hours of NAT gateways"], 2)) == (1.0, 64.8)
