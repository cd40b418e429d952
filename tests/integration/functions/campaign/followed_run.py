"""A run that went to people of all kinds, of whom providers say all kinds of things, for tests of runs that follow."""

from typing import Any

from local.sandbox.ses_receipts import SIMULATOR
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform

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


class FollowedRun:
    """A run through Amazon SES to `each` people of each of some kinds, whose receipts are there."""

    def __init__(self, one: CampaignPlatform, kinds: tuple[str, ...] = KINDS, each: int = EACH) -> None:
        self.one = one
        for name in ("sale", "again"):
            content = {"type": "email", "subject": name, "text": "Hello {{ name }}"}
            body = {"id": name, "name": name, "class": "notification", "accounts": ["mail-ses"], "content": content}
            one.api.post("/v1/templates", {**body, "sample": {"name": "Ann"}})
            one.api.post(f"/v1/templates/{name}/versions/1/publish", {})
        self.people = [f"{kind}+{i}@{SIMULATOR}" for i in range(each) for kind in kinds]
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
        id = self.one.start(self.campaign_after(who, **more))
        self.one.work()
        return self.one.view(id)

    def campaign_after(self, who: str, **more: Any) -> str:
        """A new campaign that follows the run; its id."""
        audience = {"follows": {"run": self.run, "who": who, **more}}
        return self.one.campaign(variants=[{"name": "main", "template": "again"}], audience=audience)
