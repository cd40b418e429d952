"""What a run has sent is taken back, where a provider does that."""

from collections import Counter
from collections.abc import Iterator

import pytest

from functions.recall import operations as recalling
from mepush.client.errors import ApiError
from shared.model.runs import RunState
from tests.integration.functions.campaign.campaign_platform import CampaignPlatform, campaign_platform

PEOPLE = 25


@pytest.fixture(scope="module")
def one() -> Iterator[CampaignPlatform]:
    """A platform with ten rows to a shard, and a template for WeCom."""
    with campaign_platform(shard_rows=10) as found:
        content = {"type": "text", "content": "Hello {{ name }}"}
        body = {"id": "news", "name": "news", "class": "notification", "accounts": ["wecom-app"], "content": content}
        found.api.post("/v1/templates", {**body, "sample": {"name": "Ann"}})
        found.api.post("/v1/templates/news/versions/1/publish", {})
        yield found


def recall(one: CampaignPlatform, run: str) -> Counter[str]:
    """Recall a run to the end; how many messages came to which result."""
    found: Counter[str] = Counter()
    path = f"/v1/runs/{run}/recall"
    for _ in range(50):
        answer = one.api.post(path)
        found.update(answer["counts"])
        if answer["cursor"] is None:
            return found
        path = f"/v1/runs/{run}/recall?cursor={answer['cursor']}"
    raise AssertionError("no end")


def finished(one: CampaignPlatform, template: str, people: list[str]) -> str:
    one.file(people)
    run = one.start(one.campaign(variants=[{"name": "main", "template": template}]))
    one.work()
    assert one.run(run).state is RunState.FINISHED
    return run


def test_what_wecom_was_sent_is_taken_back_page_by_page(one: CampaignPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "RUN_PAGE", 1)
    run = finished(one, "news", [f"member{i}" for i in range(PEOPLE)])
    assert recall(one, run) == {"withdrawn": PEOPLE}
    one.work()
    assert one.counts(one.run(run))["withdrawn"] == PEOPLE
    # Once more changes nothing.
    assert recall(one, run) == {"withdrawn": PEOPLE}


def test_emails_are_not_taken_back(one: CampaignPlatform) -> None:
    run = finished(one, "spring", one.people(3))
    with pytest.raises(ApiError) as refused:
        recall(one, run)
    assert refused.value.status == 409


def test_a_run_that_goes_on_is_to_be_cancelled_first(one: CampaignPlatform) -> None:
    one.file([f"member{i}" for i in range(3)])
    run = one.start(one.campaign(variants=[{"name": "main", "template": "news"}]))
    with pytest.raises(ApiError) as refused:
        recall(one, run)
    assert (refused.value.status, "Cancel" in str(refused.value)) == (409, True)
    one.api.post(f"/v1/runs/{run}/cancel")
    assert recall(one, run) == {}
    with pytest.raises(ApiError) as unknown:
        recall(one, "nobody.01KAV2M3X80000000000000000")
    assert unknown.value.status == 404
