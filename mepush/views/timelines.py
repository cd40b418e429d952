"""How a message's timeline looks to a person: in their language and their time zone."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mepush.output import plain

_GOOD = frozenset({"sent", "delivered", "opened", "clicked", "acknowledged", "verified", "accepted"})
_BAD = frozenset(
    {"rejected", "failed", "unknown", "dead_lettered", "undelivered", "complained", "expired", "not_queued", "invalid"}
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_SAID = (" The provider said: {}.", "服务商的答复：{}。")
"""Where the API's words name a provider's raw code, in both languages. What the platform itself found is none."""
_NAMED = ("reference", "run", "variant")
NARROW = 100
"""Columns below which an event's words stand under its time, and not beside it."""
_EN = {
    "open": "still open",
    "to": "to {}",
    "key": "{} key",
    "reference": "reference {}",
    "run": "run {}",
    "variant": "variant {}",
    "request": "request {}",
    "falls back": "falls back to message {} by {}",
    "fallback of": "fallback of message {}",
    "do": "What to do: {}",
    "id there": "Its id there: {}",
    "code": "Code: {}",
    "zone": "Times are of {}; --utc shows them in UTC.",
}
_ZH = {
    "open": "尚未结束",
    "to": "发往 {}",
    "key": "{} 密钥",
    "reference": "引用 {}",
    "run": "运行 {}",
    "variant": "变体 {}",
    "request": "请求 {}",
    "falls back": "改发消息 {}（{}）",
    "fallback of": "代替消息 {}",
    "do": "怎么办：{}",
    "id there": "服务商处的编号：{}",
    "code": "返回码：{}",
    "zone": "时间为 {}；加 --utc 显示 UTC 时间。",
}


def style_of(status: str) -> str:
    """The colour of a status."""
    return "green" if status in _GOOD else "red" if status in _BAD else "yellow"


class Language(StrEnum):
    """In which the command shows timelines."""

    EN = "en"
    ZH = "zh"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: in which language and time zone, and whether raw codes and providers' ids are of interest."""

    chinese: bool = False
    raw: bool = False
    zone: tzinfo | None = None
    """None for that of the machine."""

    def say(self, what: str, *facts: object) -> str:
        """A few words of the command's own."""
        return (_ZH if self.chinese else _EN)[what].format(*facts)

    def words(self, of: Mapping[str, Any], name: str) -> str:
        """Words of the API; in English where there are no Chinese ones."""
        found = (of.get(f"{name}_zh") if self.chinese else None) or of.get(name) or ""
        return plain(_MOMENT.sub(lambda match: self.moment(match[0], seconds=True), found))

    def moment(self, text: str, *, seconds: bool = False) -> str:
        """A time of the API, to the millisecond or the second."""
        when = datetime.fromisoformat(text).astimezone(self.zone)
        return when.isoformat(" ", "seconds" if seconds else "milliseconds")[: 19 if seconds else 23]

    def zone_name(self, text: str) -> str:
        """The time zone of a time of the API, such as `CST (UTC+08:00)`; empty for UTC."""
        when = datetime.fromisoformat(text).astimezone(self.zone)
        if not when.utcoffset():
            return ""
        return f"{when.tzname()} (UTC{when.isoformat()[-6:]})"


def reader(language: Language | None, *, raw: bool, utc: bool) -> Reader:
    """Who reads. language: None for what the environment says."""
    if language is None:
        spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
        language = Language.ZH if spoken.startswith("zh") else Language.EN
    return Reader(language is Language.ZH, raw, UTC if utc else None)


def timeline(message: dict[str, Any], who: Reader) -> RenderableType:
    """A message: where it stands, why, what to do, and how it got there."""
    head = Text()
    head.append(plain(message["message_id"]), style="bold")
    head.append("  ")
    head.append(plain(message["status"]), style=f"bold {style_of(message['status'])}")
    head.append("" if message["final"] else f"  ({who.say('open')})")
    parts: list[RenderableType] = [head, Text(plain(_about(message, who)), style="dim")]
    if fallback := message.get("falls_back_to"):
        parts.append(Text(plain(who.say("falls back", fallback["message_id"], fallback["channel"]))))
    if message.get("fallback_of"):
        parts.append(Text(plain(who.say("fallback of", message["fallback_of"]))))
    if message.get("address_note"):
        parts.append(Text(plain(message["address_note"])))
    parts.append(Text(who.words(message, "explanation")))
    if message.get("action"):
        parts.append(Text(who.say("do", who.words(message, "action"))))
    parts.append(_Events(message["timeline"], who))
    return Group(*parts)


def about_times(messages: Sequence[dict[str, Any]], who: Reader) -> str:
    """Of which zone the times of messages are; empty for UTC, and for none."""
    zone = who.zone_name(messages[0]["accepted_at"]) if messages else ""
    return who.say("zone", zone) if zone else ""


def _about(message: dict[str, Any], who: Reader) -> str:
    facts = {"to": message.get("address") or message.get("to"), **{name: message.get(name) for name in _NAMED}}
    words = [
        f"{message['template']} v{message['version']}",
        message["channel"],
        message.get("class") or message.get("message_class") or "",
        "" if message["kind"] == "live" else who.say("key", message["kind"]),
        *(who.say(name, value) for name, value in facts.items() if value),
        who.say("request", message["request_id"]),
    ]
    return " · ".join(word for word in words if word)


class _Events:
    """The events: beside their times where there is room, else below them."""

    def __init__(self, events: list[dict[str, Any]], who: Reader) -> None:
        self._events = events
        self._who = who

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= NARROW:
            yield self._table()
            return
        for event in self._events:
            yield Padding(Text.assemble(self._who.moment(event["at"]), "  ", self._stage(event)), (0, 0, 0, 2))
            yield Padding(self._words(event), (0, 0, 0, 4))

    def _table(self) -> Table:
        made = Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
        made.add_column("time", no_wrap=True)
        made.add_column("stage", no_wrap=True)
        made.add_column("words", overflow="fold")
        for event in self._events:
            made.add_row(Text(self._who.moment(event["at"])), self._stage(event), self._words(event))
        return made

    @staticmethod
    def _stage(event: dict[str, Any]) -> Text:
        stage = plain(event["stage"])
        return Text(stage, style=style_of(stage))

    def _words(self, event: dict[str, Any]) -> Text:
        who, code = self._who, event.get("code")
        text = who.words(event, "text")
        for said in _SAID if code else ():
            text = text.replace(plain(said.format(code)), "")
        words = Text(text)
        if who.raw:
            # What one needs to ask the provider.
            facts = (("code", code), ("id there", event.get("provider_message_id")))
            for raw in (who.say(name, value) for name, value in facts if value):
                words.append(plain(f" {raw}"), style="dim")
        return words
