"""What judges a run's rows: the versions and providers that the run settled, and nothing that changes meanwhile."""

from typing import Any

import pytest

from functions.campaign.check.rows import Bad, Good
from functions.campaign.file.failures import RunFailedError
from functions.campaign.send import judges
from functions.campaign.send.judges import Judges
from shared.model.accounts import Account
from shared.model.runs import AudienceFile, Run
from shared.model.words import Channel
from shared.rendering.render import TemplateError
from tests.samples import NOW, TENANT, change
from tests.unit.functions.campaign.run_harness import RunHarness, run_harness


def account(**changes: Any) -> Account:
    values: dict[str, Any] = {
        "id": "main", "tenant": TENANT.id, "name": "main", "channel": Channel.EMAIL, "provider": "smtp", "settings": {},
        "weight": 100, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return Account(**values | changes)


def planned(one: RunHarness) -> Run:
    """A run of a file with two columns."""
    # A list cannot be shown, so a row without a name of its own cannot be sent to.
    run = one.start(one.campaign(variables={"name": ["x"]}))
    return run.model_copy(update={"file": AudienceFile(key="k", version="v", size=1, header=("to", "name"))})


def test_a_run_settles_the_providers_of_its_templates_and_each_row_is_filled_in() -> None:
    with run_harness() as one:
        one.catalog.create_account(account(), change())
        run = planned(one)
        assert [variant.providers for variant in run.variants] == [("smtp",)]
        judge = Judges(one.catalog, one.clock).checking(run)
        assert isinstance(judge(0, ["a@example.com", "Ada"]), Good)
        found = judge(1, ["b@example.com", ""])
        assert isinstance(found, Bad) and found.reason == "rendering_failed" and "a list" in found.detail
        # What was checked is not filled in once more: of two answers one would move rows into other envelopes.
        assert isinstance(Judges(one.catalog, one.clock).sending(run)(1, ["b@example.com", ""]), Good)


def test_a_run_that_began_before_providers_were_settled_goes_on_as_it_began() -> None:
    with run_harness() as one:
        run = planned(one)
        old = run.model_copy(update={"variants": tuple(v.model_copy(update={"providers": None}) for v in run.variants)})
        judge = Judges(one.catalog, one.clock).checking(old)
        assert isinstance(judge(1, ["b@example.com", ""]), Good)


def test_a_version_that_a_newer_rule_refuses_ends_the_run_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: object) -> None:
        raise TemplateError("content.html", "line 1: int has no arguments")

    with run_harness() as one:
        run = planned(one)
        monkeypatch.setattr(judges, "compile_content", refuse)
        with pytest.raises(RunFailedError) as caught:
            Judges(one.catalog, one.clock).checking(run)
        assert "`welcome` breaks a rule that is newer than itself: content.html: line 1: int" in caught.value.problem
