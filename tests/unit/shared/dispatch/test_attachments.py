"""Files that go along: fetched once, for all recipients, never other bytes; and few at a time on their way."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from shared.dispatch.attachments import Files, Room
from shared.dispatch.plan import Call
from shared.model.accounts import Account
from shared.model.attachments import Attachment, AttachmentRef, encode
from shared.model.content import EmailContent, RenderedEmail
from shared.model.outcome import Outcome, Retry, Sent
from shared.model.reasons import Reason
from shared.model.words import Channel, KeyKind
from shared.providers.base import Outgoing
from tests.samples import envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, ScriptedProvider, harness

REF: AttachmentRef = AttachmentRef(id="F1", version="1", name="a.pdf", type="application/pdf", size=3)
LOGO: AttachmentRef = AttachmentRef(id="F2", version="1", name="l.png", type="image/png", size=3, cid="logo")
ONE = envelope(3, attachments=[REF])


def files_of(message: Outgoing) -> tuple[Attachment, ...]:
    assert isinstance(message.content, RenderedEmail)
    return message.content.attachments


def sent(w: DispatchHarness) -> list[Outgoing]:
    return w.providers["main"].sent


def last(w: DispatchHarness) -> list[tuple[str, str | None, str | None]]:
    return [(e.stage, e.reason, e.code) for e in w.records[-1].events if e.stage != "accepted"]


def test_all_recipients_share_what_is_fetched_and_encoded_once() -> None:
    with harness() as w:
        w.stored["F1", "1"] = b"pdf"
        assert w.run(ONE) == []
        assert w.run(envelope(3, start=100, attachments=[REF])) == []
        assert len(sent(w)) == 6
        [file] = {id(file): file for message in sent(w) for file in files_of(message)}.values()
        assert (file.name, file.content_type, file.size, file.cid) == ("a.pdf", "application/pdf", 3, None)
        assert file.encoded == base64.b64encode(b"pdf")
        assert w.log.count("read_file") == 1


def test_the_templates_own_files_go_along_and_make_way_for_the_requests() -> None:
    data = base64.b64encode(b"own").decode()
    with harness() as w:
        w.add_template(
            EmailContent.model_validate(
                {
                    "subject": "s",
                    "html": "<img src=cid:logo>",
                    "attachments": [
                        {"name": "own.png", "data": data, "cid": "logo"},
                        {"name": "terms.pdf", "data": data},
                    ],
                }
            )
        )
        w.stored.update({("F1", "1"): b"pdf", ("F2", "1"): b"png"})
        w.run(envelope(1, recipients=envelope(1).recipients, attachments=[REF, LOGO]))
        assert [file.name for file in files_of(sent(w)[0])] == ["terms.pdf", "a.pdf", "l.png"]


def test_a_file_that_is_gone_fails_every_recipient_and_no_provider_is_asked() -> None:
    with harness() as w:
        assert w.run(ONE) == []
        assert last(w) == [("failed", "attachment_gone", "F1")] * 3
        assert (sent(w), w.dispatched, w.dead) == ([], [], [])


def test_for_nobody_nothing_is_fetched() -> None:
    with harness() as w:
        w.run(envelope(2, attachments=[REF], recipients=[replace(r, variables={}) for r in ONE.recipients]))
        assert {(stage, why) for stage, why, _ in last(w)} == {("failed", "rendering_failed")}
        assert "read_file" not in w.log


def test_another_version_is_another_file() -> None:
    with harness() as w:
        w.stored["F1", "2"] = b"other"
        w.run(ONE)
        assert {stage for stage, _, _ in last(w)} == {"failed"}


def test_who_may_have_got_it_already_is_unknown_and_not_failed() -> None:
    with harness() as w:
        w.run(envelope(2, attachments=[REF], attempt=1, maybe_sent=[1]))
        assert {e.index: e.stage for e in w.records[-1].events} == {0: "failed", 1: "unknown"}


def test_when_the_storage_is_away_the_envelope_returns_to_its_queue() -> None:
    with harness() as w:
        w.stored["F1", "1"] = b"pdf"
        w.broken.add("read_file")
        assert w.run(ONE, envelope(1, start=100)) == ["0"]
        assert len(sent(w)) == 1
        assert ONE.id not in w.entries
        w.broken.clear()
        assert w.run(ONE) == []
        assert len(sent(w)) == 4


def test_a_retry_carries_the_files_on() -> None:
    def busy(message: Outgoing) -> Outcome:
        return Retry(Reason.PROVIDER_BUSY, "421") if tries else Sent("p")

    tries = [1]
    with harness(busy) as w:
        w.stored["F1", "1"] = b"pdf"
        w.run(ONE)
        tries.clear()
        [retry] = w.dispatched
        assert retry.envelope.attachments == [REF]
        w.run(retry.body)
        assert len(files_of(sent(w)[-1])) == 1


def test_a_test_key_needs_no_bytes() -> None:
    with harness() as w:
        w.run(envelope(1, attachments=[REF], kind=KeyKind.TEST))
        assert "read_file" not in w.log
        assert last(w)[0][0] == "sent"


# What is kept


def _files(most: int = 1000) -> tuple[Files, list[str]]:
    asked: list[str] = []

    def read(tenant: str, ref: AttachmentRef) -> bytes:
        asked.append(f"{tenant}/{ref.id}/{ref.version}")
        return b"x" * ref.size

    return Files(read, most), asked


def _ref(id: str, size: int = 300, **changes: str) -> AttachmentRef:
    return replace(AttachmentRef(id, "1", "a.pdf", "application/pdf", size), **changes)


def test_the_least_recently_used_file_makes_room() -> None:
    files, asked = _files()  # two of them take 810 bytes encoded
    for id in ("a", "b", "a", "c", "a", "b"):
        files.of("t", [_ref(id)])
    assert asked == ["t/a/1", "t/b/1", "t/c/1", "t/b/1"]


def test_a_file_larger_than_the_cache_is_kept_alone() -> None:
    files, asked = _files(100)
    for id in ("a", "a", "b", "a"):
        files.of("t", [_ref(id)])
    assert asked == ["t/a/1", "t/b/1", "t/a/1"]


def test_tenants_versions_and_places_are_told_apart() -> None:
    files, asked = _files()
    files.of("t", [_ref("a"), _ref("a", version="2")])
    files.of("other", [_ref("a")])
    [shown] = files.of("t", [_ref("a", cid="logo")])
    assert shown.cid == "logo"
    assert asked == ["t/a/1", "t/a/2", "other/a/1", "t/a/1"]


def test_envelopes_that_come_at_once_fetch_a_file_once() -> None:
    files, asked = _files(10**6)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: files.of("t", [_ref("a")]), range(32)))
    assert asked == ["t/a/1"]
    assert len({id(file) for (file,) in found}) == 1


# On their way


def _call(size: int) -> Call:
    account = Account(
        id="main", tenant="t", name="m", channel=Channel.EMAIL, provider="smtp", settings={}, created_at=0, updated_at=0
    )
    files = (encode("a.pdf", "application/pdf", b"x" * size),) if size else ()
    message = Outgoing("m", "a@example.com", RenderedEmail("s", None, "t", files))
    return Call(account, ScriptedProvider(lambda _: Sent("p")), [message], envelope(1).recipients)


def _entering(room: Room, call: Call) -> tuple[threading.Event, Callable[[], None]]:
    """Enter in a thread of its own; returns what says that it is inside, and what lets it leave."""
    inside, leave = threading.Event(), threading.Event()

    def run() -> None:
        with room.for_call(call, 60) as roomy:
            assert roomy
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=run)
    thread.start()

    def done() -> None:
        leave.set()
        thread.join(10)

    return inside, done


def test_only_so_much_is_on_its_way_at_once() -> None:
    room = Room(1000)
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(room.for_call(_call(300), 0))
        with room.for_call(_call(300), 0) as third:
            assert not third, "1,212 bytes encoded"
        with room.for_call(_call(0), 0) as without:
            assert without, "what carries none never waits"
    with room.for_call(_call(300), 0) as again:
        assert again


def test_who_waits_goes_on_as_soon_as_there_is_room() -> None:
    room = Room(1000)
    with room.for_call(_call(500), 0):
        inside, done = _entering(room, _call(500))
        assert not inside.is_set()
    assert inside.wait(10)
    done()


def test_what_is_larger_than_all_the_room_goes_alone() -> None:
    room = Room(10)
    with room.for_call(_call(300), 0) as large:
        assert large
        with room.for_call(_call(300), 0) as second:
            assert not second


def test_a_call_without_room_in_time_is_carried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(1)
    monkeypatch.setattr("shared.dispatch.sending.Room", lambda: room)
    with harness() as w, room.for_call(_call(300), 0):
        w.stored["F1", "1"] = b"pdf"
        # Just time for the call, and none to wait.
        w.remaining_ms = lambda: 15_000
        w.run(ONE)
        assert sent(w) == []
        [left] = w.dispatched
        assert left.envelope.id == f"{ONE.id}/c1"
        assert (len(left.envelope.recipients), left.envelope.attachments) == (3, [REF])
