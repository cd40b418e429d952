"""Follow-up runs: exactly those get another message of whose first one what is said fits, and nobody gets two.

A run goes to addresses of Amazon SES's mailbox simulator and of its sandbox, which say each something else; then a run
follows for each set.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from local.sandbox.ses_receipts import SIMULATOR
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform, campaign_platform

pytestmark = pytest.mark.xdist_group("local-stack")

DAY_S = 86_400.0
EACH = 4
"""People of each kind."""
KINDS = (
    *("success", "bounce", "ooto", "complaint", "suppressionlist", "full", "mislabelled", "late", "early", "delayed"),
    *("rejected", "notspam", "silent", "opened", "clicked", "blind", "scanned"),
)
"""What stands before the `@` of an address."""
BACK = {"bounce", "suppressionlist", "mislabelled", "late", "rejected"}
SETS = {
    "undelivered": BACK,
    "no_receipt": {"silent"},
    "not_opened": set(KINDS) - BACK - {"complaint", "opened", "clicked", "blind"},
    "not_clicked": set(KINDS) - BACK - {"complaint", "clicked", "blind"},
    "failed": {"refused"},
}


class World:
    """A run that went to people of all kinds, whose receipts are there."""

    def __init__(self, one: CampaignPlatform) -> None:
        self.one = one
        for name in ("sale", "again"):
            content = {"type": "email", "subject": name, "text": "Hello {{ name }}"}
            body = {"id": name, "name": name, "class": "notification", "accounts": ["mail-ses"], "content": content}
            one.api.post("/v1/templates", {**body, "sample": {"name": "Ann"}})
            one.api.post(f"/v1/templates/{name}/versions/1/publish", {})
        self.people = [f"{kind}+{i}@{SIMULATOR}" for i in range(EACH) for kind in KINDS]
        rows = [f'{to},"Ann, of\n{i}"' for i, to in enumerate(self.people)]
        rows[10:10] = ["nobody,Ann", "", f"{self.people[0]},Twice"]
        one.put("E-Mail;name\n".replace(";", ",") + "\n".join(rows))
        self.campaign = one.campaign(
            variants=[{"name": "main", "template": "sale"}],
            audience={"file": "people.csv", "columns": {"to": "E-Mail"}},
            holdout_percent=10,
        )
        self.run = one.start(self.campaign)
        one.work()
        self.wait(2 * DAY_S)
        self.sent = {d.to for d in self.mails("sale")}

    def wait(self, seconds: float) -> None:
        self.one.stack.clock.advance(seconds)
        self.one.work()

    def mails(self, subject: str) -> list[Any]:
        return [d for d in self.one.stack.outbox.all() if d.provider == "ses" and d.data.get("subject") == subject]

    def follow(self, who: str, **more: Any) -> Any:
        """The run that follows, once it is over."""
        audience = {"follows": {"run": self.run, "who": who, **more}}
        id = self.one.start(self.one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience))
        self.one.work()
        return self.one.view(id)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with campaign_platform(shard_rows=20, slice_rows=20) as one:
        yield World(one)


@pytest.mark.parametrize("who", ["no_receipt", "not_opened", "not_clicked", "undelivered"])
def test_exactly_the_right_people_are_written_to_again(world: World, who: str) -> None:
    before = len(world.mails("again"))
    view = world.follow(who)
    wanted = {to for to in world.sent if to.partition("+")[0] in SETS[who]}
    follows = view["follows"]
    assert follows["picked"] == len(wanted)
    assert view["check"]["rows"] == view["check"]["messages"] == len(wanted)
    # Every row of the run is told of: those to whom it was sent, the held out, the broken and the repeated one.
    assert (
        follows["picked"] + sum(each["rows"] for each in follows["others"]) == follows["rows"] == len(world.people) + 2
    )
    got = [d.to for d in world.mails("again")[before:]]
    assert len(got) == len(set(got))
    if who == "undelivered":
        # They are on the suppression list, but for those whose content was refused.
        assert {to.partition("+")[0] for to in got} == {"rejected"}
    else:
        assert set(got) == wanted
    outcomes = view["progress"]["outcomes"]
    assert sum(outcomes.values()) == view["progress"]["accepted"] == len(wanted)
    assert outcomes.get("sent", 0) == len(got)
