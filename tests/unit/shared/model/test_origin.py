"""What providers carry along of a message."""

import re
from typing import Any

import pytest

from shared.model.ids import MAX_PER_BASE, base_of
from shared.model.origin import MAX_LENGTH, origin_of, read_origin, whole_origin
from shared.model.words import KeyKind, MessageClass
from tests.samples import REQUEST, envelope

RUN = "spring-sale.01KAV2M3X80000000000000000"


@pytest.mark.parametrize("message_class", MessageClass)
@pytest.mark.parametrize("kind", KeyKind)
@pytest.mark.parametrize(("run", "variant"), [(None, None), (RUN, None), (RUN, "b"), ("odd", None)])
def test_what_is_written_is_read(
    message_class: MessageClass, kind: KeyKind, run: str | None, variant: str | None
) -> None:
    one = envelope(1, message_class=message_class, kind=kind, run=run, variant=variant, template="a-9", version=12)
    text = whole_origin("acme", "mail-ses", origin_of(one))
    assert text is not None and re.fullmatch(r"[A-Za-z0-9_-]{1,256}", text)
    found = read_origin(text)
    assert found is not None
    assert (found.tenant, found.account, found.template, found.version) == ("acme", "mail-ses", "a-9", 12)
    assert (found.message_class, found.kind, found.run, found.variant) == (message_class, kind, run, variant)


def test_the_longest_names_fit() -> None:
    names: dict[str, Any] = {
        "template": "t" * 60,
        "version": 999_999,
        "run": f"{'c' * 40}.{'0' * 26}",
        "variant": "v" * 20,
    }
    text = whole_origin("n" * 40, "a" * 40, origin_of(envelope(1, **names)))
    assert text is not None and len(text) <= MAX_LENGTH
    assert whole_origin("n" * 40, "a" * 60, origin_of(envelope(1, **names))) is None
    assert whole_origin("acme", "mail", "") is None


@pytest.mark.parametrize(
    "text", ["", "x", "_" * 8, "a_b_c_x_m_l___", "a_b_c_1_z_l___", "a_b_c_1_m_z___", "_b_c_1_m_l___", "a_b_c_1_m_l____"]
)
def test_what_is_no_origin_is_none(text: str) -> None:
    assert read_origin(text) is None


def test_the_request_follows_from_a_messages_own_id() -> None:
    for one in (envelope(3), envelope(100, start=MAX_PER_BASE - 200), envelope(2).child("r1", envelope(2).recipients)):
        assert one.request == REQUEST == base_of(one.root)
