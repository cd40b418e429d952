"""Links of templates, and which of them a link of a message is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.template_links import Numbers, links_of, numbers_in

HTML = (
    '<a href="https://a.cn/?x=1&amp;y=2">A</a> <a href="https://a.cn/o/{{ order }}">B</a> <a href="mailto:x@a.cn">C</a>'
    '<a href="{{ url }}">D</a> <a href="https://a.cn/?x=1&amp;y=2">A again</a> <a href="{{ unsubscribe_url }}">E</a>'
    '<a href="https://a.cn/p" data-untracked>F</a> <a href="https://a.cn/o/{{ order }}/{{ line }}/pay">G</a>'
)


def test_links_are_as_the_template_has_them_and_each_is_there_once() -> None:
    assert links_of(HTML) == [
        "https://a.cn/?x=1&y=2",
        "https://a.cn/o/{{ order }}",
        "{{ url }}",
        "https://a.cn/o/{{ order }}/{{ line }}/pay",
    ]


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("https://a.cn/?x=1&y=2", 1),
        ("https://a.cn/o/A-7", 2),
        ("https://elsewhere.cn/", 3),
        ("https://a.cn/o/A-7/2/pay", 4),
        ("https://a.cn/o//pay", 2),
    ],
)
def test_the_link_that_leaves_least_to_variables_is_meant(target: str, number: int) -> None:
    assert numbers_in(HTML)(target) == number


def test_what_no_link_of_the_template_leads_to_has_no_number() -> None:
    find = Numbers(["https://a.cn/{{ x }}/end", "https://b.cn/"])
    assert [find(each) for each in ("https://a.cn/end", "https://a.cn//end", "https://b.cn/x")] == [0, 1, 0]


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_fills_a_link_in_it_is_found(one: str, two: str) -> None:
    assert Numbers(["https://a.cn/{{ a }}/x/{{ b }}?z"])(f"https://a.cn/{one}/x/{two}?z") == 1
