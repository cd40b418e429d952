"""What recipients want, and what follows from it on the suppression list."""

from collections.abc import Iterable

import pytest

from functions.preferences.page import preferences
from functions.preferences.wishes import BadFormError, Wish, read_form, wish_of, wish_on, with_wish
from shared.api.language import Language, language_of
from shared.model.suppression import Suppressed, SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.topics import Topic
from shared.model.words import Channel

TOPICS = {"sale": Topic(name="Sales", name_zh="促销"), "news": Topic(name="News <b>", about="Once a month")}
FORM = "application/x-www-form-urlencoded"


def entry(reason: str = "unsubscribe", topic: str | None = None, scope: str = "marketing") -> SuppressionEntry:
    return SuppressionEntry(
        scope=SuppressionScope(scope), reason=SuppressionReason(reason), topic=topic, at=1, by="somebody"
    )


def recipient(*entries: SuppressionEntry) -> Suppressed:
    return Suppressed(
        tenant="default", channel=Channel.EMAIL, address="a***@example.com", tag="T" * 16, entries=list(entries)
    )


def by_name(entries: Iterable[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return sorted(entries, key=str)


def after(found: Suppressed, wish: Wish, *, add: bool = False) -> list[tuple[str, str | None]]:
    changed = with_wish(found, wish, TOPICS, at=7, message="m", add=add)
    return by_name((each.reason.value, each.topic) for each in changed.entries)


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n'
    b'--x\r\nContent-Disposition: form-data; name="topic"\r\n\r\nsale\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("body", "kind", "found"),
    [
        (b"List-Unsubscribe=One-Click", FORM, {"List-Unsubscribe": ["One-Click"]}),
        (b"List-Unsubscribe=One-Click", f"{FORM}; charset=utf-8", {"List-Unsubscribe": ["One-Click"]}),
        (b"List-Unsubscribe=One-Click", "", {"List-Unsubscribe": ["One-Click"]}),
        (MULTIPART, "multipart/form-data; boundary=x", {"List-Unsubscribe": ["One-Click"], "topic": ["sale"]}),
        (b"do=save&topic=a&topic=b", FORM, {"do": ["save"], "topic": ["a", "b"]}),
        (b"", FORM, {}),
    ],
)
def test_forms_are_read_as_browsers_and_mail_programs_post_them(
    body: bytes, kind: str, found: dict[str, list[str]]
) -> None:
    assert read_form(body, kind) == found


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"x" * 20_001, FORM),
        (b"\xff=1", FORM),
        (b"a=1&" * 300, FORM),
        (b"no parts", "multipart/form-data"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(BadFormError):
        read_form(body, kind)


@pytest.mark.parametrize(
    ("form", "about", "wish"),
    [
        ({"List-Unsubscribe": ["One-Click"]}, "sale", Wish(nothing=False, unwanted=frozenset({"sale"}))),
        ({"List-Unsubscribe": ["One-Click"]}, None, Wish(nothing=True)),
        ({"List-Unsubscribe": ["One-Click"]}, "gone", Wish(nothing=True)),
        ({"do": ["none"], "topic": ["sale"]}, "sale", Wish(nothing=True)),
        ({"do": ["save"], "topic": ["sale", "evil"]}, None, Wish(nothing=False, unwanted=frozenset({"news"}))),
        ({"do": ["save"], "nothing": ["on"]}, None, Wish(nothing=True, unwanted=frozenset(TOPICS))),
        ({"do": ["save"], "topic": ["sale", "news"], "untracked": ["on"]}, None, Wish(nothing=False, untracked=True)),
        ({"do": ["dance"]}, "sale", None),
        ({"List-Unsubscribe": ["maybe"]}, "sale", None),
        ({}, "sale", None),
    ],
)
def test_what_a_form_says(form: dict[str, list[str]], about: str | None, wish: Wish | None) -> None:
    assert wish_of(form, TOPICS, about) == wish


def test_a_wish_is_what_is_on_the_list_afterwards_and_other_reasons_stay() -> None:
    before = recipient(entry("bounce", scope="all"), entry("complaint", scope="all"), entry(), entry(topic="old"))
    kept = [("bounce", None), ("complaint", None), ("unsubscribe", "old")]
    assert after(before, Wish(nothing=False)) == by_name(kept)
    assert after(before, Wish(nothing=False, unwanted=frozenset({"sale"}))) == by_name([*kept, ("unsubscribe", "sale")])
    assert ("unsubscribe", None) in after(before, Wish(nothing=True))


def test_one_click_takes_nothing_off_the_list() -> None:
    before = recipient(entry(topic="news"))
    wish = Wish(nothing=False, unwanted=frozenset({"sale"}))
    assert after(before, wish, add=True) == [("unsubscribe", "news"), ("unsubscribe", "sale")]
    assert after(before, wish) == [("unsubscribe", "sale")]


def test_not_to_be_tracked_is_a_wish_of_its_own() -> None:
    private = recipient(entry(scope="tracking"))
    assert wish_on(private, TOPICS) == Wish(nothing=False, untracked=True)
    # Who unsubscribes by one click, or from everything, still is not tracked; who saves without it is again.
    for wish in (Wish(nothing=True), Wish(nothing=False, unwanted=frozenset({"sale"}))):
        changed = with_wish(private, wish, TOPICS, at=7, message="m", add=True)
        assert wish_on(changed, TOPICS).untracked and len(changed.entries) == 2
    assert with_wish(private, Wish(nothing=False), TOPICS, at=7, message="m", add=False).entries == []
    both = with_wish(recipient(), Wish(nothing=True, untracked=True), TOPICS, at=7, message="m", add=False)
    assert {each.scope.value for each in both.entries} == {"marketing", "tracking"}


def test_done_again_it_changes_nothing() -> None:
    wish = Wish(nothing=True, unwanted=frozenset({"news"}))
    once = with_wish(recipient(), wish, TOPICS, at=7, message="m", add=False)
    assert with_wish(once, wish, TOPICS, at=9, message="n", add=False) == once
    assert wish_on(once, TOPICS) == wish


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh-TW;q=0.5", "zh"),
        ("de,fr", "en"),
        ("zh;q=0.1,en;q=0.9", "en"),
        ("zh;q=much", "zh"),
    ],
)
def test_the_page_is_in_the_language_that_is_asked_for(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_the_page_shows_topics_in_words_and_nothing_that_they_could_make_of_it() -> None:
    page = preferences(TOPICS, Wish(nothing=False, unwanted=frozenset({"news"})), Language.ZH, saved=False)
    assert "促销" in page and 'value="sale" checked' in page and 'value="news">' in page
    assert "News &lt;b&gt;" in page and "<b>" not in page and 'lang="zh-CN"' in page
    assert "<script" not in page and "a***@example.com" not in page
