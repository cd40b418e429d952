"""What the command knows of the platform without asking is what the platform says."""

import dataclasses
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from mepush import words
from mepush.files import campaigns as campaign_files
from mepush.files import templates as template_files
from mepush.files.campaigns import Given
from mepush.files.pushing import DEFAULTS, said
from mepush.files.toml import ANY
from shared.api.campaigns import CampaignCreate, CampaignUpdate
from shared.api.manage import TemplateCreate
from shared.api.messages import MAX_RECIPIENTS
from shared.api.operation import MAX_BODY_BYTES
from shared.model import campaigns as campaign_models
from shared.model import letters, reasons, suppression, webhooks
from shared.model import words as platform
from shared.model.content import CHANNEL_OF_TYPE
from shared.model.ids import MESSAGE_ID_LENGTH, ULID_LENGTH
from shared.policy.attachments import MAX_BYTES, TYPES
from shared.policy.starts import FIRST_ZONE
from shared.providers.registry import secret_model

ENUMS: list[tuple[type[StrEnum], type[StrEnum]]] = [
    (words.Channel, platform.Channel),
    (words.MessageClass, platform.MessageClass),
    (words.KeyKind, platform.KeyKind),
    (words.Scope, platform.Scope),
    (words.SuppressionScope, suppression.SuppressionScope),
    (words.DeliveryState, webhooks.DeliveryState),
    (words.SuppressionReason, suppression.SuppressionReason),
    (words.LetterState, letters.LetterState),
    (words.Reason, reasons.Reason),
    (words.Duplicates, campaign_models.Duplicates),
    (words.Overlap, campaign_models.Overlap),
    (words.Who, campaign_models.Who),
]


@pytest.mark.parametrize(("ours", "theirs"), ENUMS, ids=[ours.__name__ for ours, _ in ENUMS])
def test_words_are_the_platforms(ours: type[StrEnum], theirs: type[StrEnum]) -> None:
    assert {each.name: each.value for each in ours} == {each.name: each.value for each in theirs}


def test_every_word_is_compared() -> None:
    made = {each for each in vars(words).values() if isinstance(each, type) and issubclass(each, StrEnum)}
    assert made - {StrEnum} == {ours for ours, _ in ENUMS}


def test_limits_and_lengths_are_the_platforms() -> None:
    assert (words.MESSAGE_ID_LENGTH, words.REQUEST_ID_LENGTH) == (MESSAGE_ID_LENGTH, ULID_LENGTH)
    assert (words.MAX_RECIPIENTS, words.MAX_BODY_BYTES) == (MAX_RECIPIENTS, MAX_BODY_BYTES)
    assert words.MAX_FILE_BYTES == MAX_BYTES
    assert set(words.FILE_ENDINGS) == {ending for endings in TYPES.values() for ending in endings}
    assert words.FIRST_ZONE == FIRST_ZONE
    assert words.CHANNEL_OF_TYPE == CHANNEL_OF_TYPE


@pytest.mark.parametrize("provider", words.NEEDED_SECRETS)
def test_secrets_that_are_asked_for_are_those_that_a_provider_needs(provider: str) -> None:
    fields = secret_model(provider).model_fields
    assert words.NEEDED_SECRETS[provider] == tuple(name for name, field in fields.items() if field.is_required())


def test_a_files_fields_are_those_that_the_api_takes() -> None:
    assert template_files.FIELDS.keys() == taken(TemplateCreate).keys()
    needed = {field.alias or name for name, field in TemplateCreate.model_fields.items() if field.is_required()}
    assert set(template_files.NEEDED) == needed
    assert taken(CampaignCreate) == campaign_files.FIELDS
    assert {name: None for name in campaign_files.FIELDS if name != "id"}.keys() == taken(CampaignUpdate).keys()


def test_options_have_the_bounds_of_the_fields_that_they_set() -> None:
    options = {each.name: get_args(each.type)[1] for each in dataclasses.fields(Given)}
    schema = CampaignCreate.model_json_schema()
    inner = (schema["$defs"][name]["properties"] for name in ("StopRule", "ScheduleIn", "Variant", "Follows"))
    fields = reduce(or_, inner, schema["properties"])
    where = {"holdout": "holdout_percent", "stop_after": "after", "window": "window_minutes"}
    bound = {name: option for name, option in options.items() if option.min is not None}
    named = {"version", "throttle", "holdout", "stop_after", "window", "approve_above", "ttl", "after_hours"}
    assert bound.keys() == named
    for name, option in bound.items():
        field = fields[where.get(name, name)]
        field = field["anyOf"][0] if "anyOf" in field else field
        assert (option.min, option.max or field["maximum"]) == (field["minimum"], field["maximum"])


def test_defaults_that_make_no_difference_are_the_platforms() -> None:
    found: dict[str, list[Any]] = {}
    for model in reached(TemplateCreate):
        made = model.model_construct().model_dump(mode="json", by_alias=False, warnings=False)
        for name, field in model.model_fields.items():
            # A content always says its type.
            if not field.is_required() and name != "type" and made[name] not in (None, [], {}, ""):
                found.setdefault(name, []).append(made[name])
    assert found.keys() == DEFAULTS.keys()
    for name, value in DEFAULTS.items():
        # `said` goes by the name alone, so wherever there is a field of the name it has this default.
        assert found[name] == [value] * sum(name in model.model_fields for model in reached(TemplateCreate))


def test_what_may_as_well_be_absent_is_left_out() -> None:
    news: dict[str, Any] = {
        "type": "file",
        "media_id": None,
        "data": "QQ==",
        "filename": "file",
        "list": [],
        "zero": 0,
        "no": False,
    }
    assert said(news) == {"type": "file", "data": "QQ==", "zero": 0, "no": False}
    assert said({"card": {"main": None, "action": "defer"}}) == {"card": {"main": None, "action": "defer"}}
    assert said({"quiet_hours": {"windows": [], "action": "defer", "spread_minutes": 15}}) == {"quiet_hours": {}}


def taken(model: type[BaseModel]) -> Mapping[str, Any]:
    """The fields of a model as the command has them."""
    return {field.alias or name: _inside(field.annotation) for name, field in model.model_fields.items()}


def _inside(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return taken(annotation)
    if getattr(annotation, "__origin__", None) is dict:
        return ANY
    inner = [found for each in get_args(annotation) if (found := _inside(each)) is not None]
    if not inner:
        return None
    return inner if getattr(annotation, "__origin__", None) is list else inner[0]


def reached(annotation: Any, seen: set[Any] | None = None) -> Iterator[type[BaseModel]]:
    """The models within an annotation, each once."""
    seen = set() if seen is None else seen
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from reached(field.annotation, seen)
    for each in get_args(annotation):
        yield from reached(each, seen)
