"""Whatever can be told of a message is told in both languages, with what to do."""

import re
from itertools import product

import pytest
from msgspec.structs import asdict

from functions.trace.phrases import EN, Phrases
from functions.trace.phrases_zh import ZH
from functions.trace.views import view
from functions.trace.words import describe, explain
from shared.model.events import EventRow, FallenTo
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.kept_events import KeptEvent

CHINESE = re.compile("[\u4e00-\u9fff]")
ENDS = {"en": ".", "zh": "。"}
ULID, TAG = "01M8K9Z6WDA0TCC3HFT9EV0000", "E9E4R15GWEV11TZ1"


def event(stage: Stage, reason: Reason | None) -> EventRow:
    return EventRow(index=0, tag=TAG, stage=stage.value, nth=0, at=0, reason=reason and reason.value)


@pytest.mark.parametrize(("language", "say"), [("en", EN), ("zh", ZH)])
def test_every_stage_with_every_reason_has_words_and_what_to_do(language: str, say: Phrases) -> None:
    for stage, reason in product(Stage, (None, *Reason)):
        for each in explain(event(stage, reason), say):
            assert each.endswith(ENDS[language]), (stage, reason)
            assert bool(CHINESE.search(each)) is (say is ZH), (stage, reason)


def test_both_languages_fill_in_the_same() -> None:
    english, chinese = asdict(EN), asdict(ZH)
    for name, phrase in english.items():
        if isinstance(phrase, str):
            assert set(re.findall(r"{(\w+)", phrase)) == set(re.findall(r"{(\w+)", chinese[name])), name
        elif name in ("notes", "places", "stages", "reasons"):
            assert phrase.keys() == chinese[name].keys(), name


@pytest.mark.parametrize(
    ("facts", "en", "zh"),
    [
        ({"share": (50, 50)}, "gets 50 % of the messages.", "承担 50% 的消息。"),
        ({"share": (2, 50)}, "would give it 50 %; how accounts do", "按权重应为 50%"),
        ({"because_of": ULID + TAG}, f"Message {ULID + TAG} had the same content.", "的内容相同。"),
        ({"because_of": "m", "listed_at": 0}, "for what was reported of message m.", "因消息 m 的报告"),
        ({"listed_at": 0}, "On the list since 1970-01-01T00:00:00.000Z.", "起在名单上。"),
        ({"limit": (5, 10)}, "The cap is 5 in 10 minutes.", "上限为 10 分钟内 5 条。"),
        ({"limit": (3, 0)}, "The cap is 3 on a calendar day.", "每个自然日 3 条。"),
        ({"clear_at": 1000}, "The next one may go after 1970-01-01T00:00:01.000Z.", "之后可再发送。"),
        ({"arrived_at": 0}, "Told to us at 1970", "得知。"),
        ({"due_at": 4200}, "That is 4.2 s later: a random wait", "即 4.2 s 之后：随机等待"),
        ({"due_at": 4200, "asked_s": 4}, "the provider asked for 4 s.", "服务商要求等待 4 秒。"),
        ({"fell_back_to": FallenTo("sms", "t", 1, TAG)}, f"message {ULID}{TAG} by sms", "改为通过 sms"),
        ({"stands_in_for": TAG}, f"place of message {ULID}{TAG}", "它代替消息"),
    ],
)
def test_figures_are_told_in_both_languages(facts: dict[str, object], en: str, zh: str) -> None:
    row = event(Stage.RETRYING, None)
    for name, value in facts.items():
        setattr(row, name, value)
    assert en in describe(row, ULID)
    assert zh in describe(row, ULID, ZH)


def kept(stage: Stage, at: int, **more: object) -> KeptEvent:
    common = {"channel": "email", "message_class": "notification", "template": "t", "version": 1, "request": ULID}
    return KeptEvent(stage=stage, nth=0, at=at, kind="live", **common, **more)  # type: ignore[arg-type]  # as they come


def test_tries_are_counted() -> None:
    tried = {"account": "a", "provider": "smtp", "took_ms": 5}
    events = [
        kept(Stage.ACCEPTED, 0),
        kept(Stage.RETRYING, 1, reason="throttled", due_at=9, **tried),
        kept(Stage.SENT, 10, **tried),
        kept(Stage.DELIVERED, 11, **tried),
    ]
    told = view(ULID + TAG, events, 20).timeline
    assert [(each.attempt, each.attempts) for each in told] == [(None, None), (1, 8), (2, 8), (None, None)]
    assert told[1].text.endswith("Try 1 of 8.") and told[2].text_zh.endswith("第 2 次尝试，共 8 次。")
    assert told[1].action == "Nothing: the platform tries again by itself."
