"""The crash matrix of verifications: whatever is struck, there is one code, five tries, and one approval.

A site starts a verification, sends it again, cancels it, has its message recalled or fall back, and people enter codes.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.guarantees.fault_points import Position
from tests.guarantees.matrix import Ends, cover
from tests.guarantees.platform import ViolationError
from tests.guarantees.test_crash_matrix import REFUSED, refused
from tests.guarantees.verifying import TRIES, Site, site

pytestmark = [pytest.mark.rotates, pytest.mark.xdist_group("crash-verifications")]

ONE_WRITE = (Position.PARTIAL,)
"""What is not found where nothing is sent: one write is done, or not."""
Rest = Callable[[], Ends]


@pytest.fixture(scope="module")
def one() -> Iterator[Site]:
    with site() as made:
        yield made


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def enter(one: Site, id: str, *codes: str) -> None:
    """Have somebody enter codes one after the other, who gives up once one is right."""
    for code in codes:
        one.check(id, code)


def begun(one: Site, to: str) -> tuple[str, str]:
    """A verification whose text has arrived, and its code."""
    id = one.start(to, one.one.new_key())["id"]
    one.one.work()
    [code] = one.codes(to)
    return id, code


@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without"])
def test_a_start_may_die_anywhere(one: Site, keyed: bool) -> None:
    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)

        def rest() -> Ends:
            id = one.start(to, one.one.new_key() if keyed else None)["id"]
            one.one.work()
            for code in one.codes(to):
                enter(one, id, wrong(code), code, code)
            return one.check_promises(id, to, keyed=keyed)

        return rest

    ends = {"verified": 1, "check wrong": 1, "check approved": 1, "check used": 1}
    cover(one, f"a code, {'with a key' if keyed else 'without one'}", scenario, ends)


def test_what_is_sent_again_may_die_anywhere(one: Site) -> None:
    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)
        id, code = begun(one, to)

        def rest() -> Ends:
            again = one.start(to, one.one.new_key())
            if again["id"] != id:
                raise ViolationError("it is another verification")
            one.one.work()
            enter(one, id, code)
            return one.check_promises(id, to)

        return rest

    cover(one, "a code sent again", scenario, {"sent": 1, "verified": 1, "check approved": 1})


def test_the_last_try_may_die_anywhere(one: Site) -> None:
    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)
        id, code = begun(one, to)
        enter(one, id, *[wrong(code)] * (TRIES - 1))

        def rest() -> Ends:
            enter(one, id, wrong(code), code, wrong(code))
            found = one.check_promises(id, to)
            if found["check approved"]:
                raise ViolationError("a sixth try was heard")
            return found

        return rest

    cover(one, "the last try", scenario, {"sent": 1, "check wrong": TRIES, "check locked": 2}, ONE_WRITE)


def test_somebody_else_may_check_at_any_moment(one: Site) -> None:
    """Whoever enters the right code just before a check is struck is the only one who is approved."""

    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)
        id, code = begun(one, to)
        one.points.visitor = lambda: enter(one, id, code)

        def rest() -> Ends:
            enter(one, id, wrong(code), code)
            return one.check_promises(id, to)

        return rest

    cover(one, "a check at any moment", scenario, {"verified": 1, "check wrong": 1, "check approved": 1})


@pytest.mark.parametrize("meanwhile", [False, True], ids=["alone", "while it is checked"])
def test_it_may_be_cancelled_at_any_moment(one: Site, meanwhile: bool) -> None:
    """A cancelled one is never approved, and an approved one never cancelled."""

    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)
        id, code = begun(one, to)
        one.points.visitor = (lambda: enter(one, id, code)) if meanwhile else None

        def rest() -> Ends:
            status = one.cancel(id)
            enter(one, id, code)
            found = one.check_promises(id, to)
            if (status == "cancelled") is bool(found["check approved"]):
                raise ViolationError(f"{status}, and approved {found['check approved']} times")
            return found

        return rest

    name = "cancelled while it is checked" if meanwhile else "cancelled"
    cover(one, name, scenario, {"sent": 1, "check cancelled": 1}, ONE_WRITE)


def test_it_may_be_recalled_at_any_moment(one: Site) -> None:
    """What a recall reports holds, and whoever has got the code can enter it."""

    def scenario(one: Site) -> Rest:
        [to] = one.one.addresses("aws", 1)
        started: list[str] = []
        one.one.script = lambda message, n: refused(1)(n)
        one.points.visitor = lambda: one.recall(*started)

        def rest() -> Ends:
            started.append(one.start(to, one.one.new_key())["id"])
            one.one.work()
            for code in one.codes(to):
                enter(one, started[0], code)
            return one.check_promises(started[0], to)

        return rest

    cover(one, "a code recalled at any moment", scenario, {"verified": 1, "check approved": 1})


def test_it_may_die_anywhere_while_it_falls_back(one: Site) -> None:
    def scenario(one: Site) -> Rest:
        [to], [mail] = one.one.addresses("aws", 1), one.one.addresses("smtp", 1)
        one.one.script = lambda message, n: REFUSED if message.to == to else None

        def rest() -> Ends:
            id = one.start(to, one.one.new_key(), fallback={"email": mail})["id"]
            one.one.work()
            for code in one.codes(mail):
                enter(one, id, code)
            return one.check_promises(id, to, mail)

        return rest

    cover(one, "a code falling back", scenario, {"failed": 1, "sent": 1, "check approved": 1})
