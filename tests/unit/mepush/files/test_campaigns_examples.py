"""The campaigns of `examples/` are ones."""

from pathlib import Path

import pytest

from mepush.files.campaigns import Given, creation
from shared.api.campaigns import CampaignCreate
from shared.model.campaigns import Schedule
from shared.policy.starts import next_starts

FOLDER = Path(__file__).parents[4] / "examples" / "campaigns"
FILES = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_can_be_saved(path: Path) -> None:
    made = creation(path.stem, Given(file=path))
    audience = {**made["audience"]}
    if "path" in audience:
        audience["file"] = audience.pop("path").name
    found = CampaignCreate.model_validate({**made, "audience": audience})
    if found.schedule is not None:
        schedule = Schedule(expression=found.schedule.expression, time_zone=found.schedule.time_zone)
        assert next_starts(schedule, 1_790_000_000_000)


def test_there_are_some() -> None:
    assert len(FILES) >= 4
