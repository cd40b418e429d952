"""`mepush recall`."""

from typing import Any

from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import NOW, TAG, ULID, FakeApi

MESSAGE, REQUEST = f"{ULID}0{TAG}", f"{ULID}0"


def answer(result: str, number: int = 0, **more: Any) -> dict[str, Any]:
    common = {"before": None, "status": None, "at": None, "detail": "It is not sent."}
    return {"message_id": f"{ULID}{number}{TAG}", "result": result, **common, **more}


def test_a_message_is_recalled(api: FakeApi, mepush: Mepush) -> None:
    api.recalls = [answer("recalled", before="queued", status="recalled", at=NOW)]
    ran = mepush("recall", f" {MESSAGE.lower()} ")
    assert (ran.code, ran.err) == (0, "")
    assert api.requests[0][:2] == ("POST", f"/v1/messages/{MESSAGE}/recall")
    first, head, line = ran.out.splitlines()
    assert first == f"request {REQUEST}: 1 recalled"
    assert " ".join(head.split()) == "message result it was status since what happened"
    assert line.split()[:6] == [MESSAGE, "recalled", "queued", "recalled", "2026-11-24", "09:12:03.120"]


def test_what_did_not_go_as_asked_comes_first_and_fails_the_command(api: FakeApi, mepush: Mepush) -> None:
    late = answer("too_late", 2, status="sent", at=NOW, detail="It had been sent.")
    api.recalls = [answer("recalled", 1, before="deferred"), late, answer("in_progress", 3)]
    ran = mepush("recall", REQUEST)
    assert ran.code == 1 and api.requests[0][1] == f"/v1/requests/{REQUEST}/recall"
    lines = ran.out.splitlines()
    assert lines[0].endswith("1 in_progress, 1 recalled, 1 too_late")
    assert [line.split()[1] for line in lines[2:5]] == ["too_late", "in_progress", "recalled"]
    assert "run the same command again" in lines[-1]
    assert mepush("recall", REQUEST, "--json").json["counts"] == {"recalled": 1, "too_late": 1, "in_progress": 1}


def test_of_many_the_first_are_shown(api: FakeApi, mepush: Mepush) -> None:
    api.recalls = [answer("withdrawn", number % 10) for number in range(60)]
    ran = mepush("recall", REQUEST)
    assert ran.code == 0 and "... and 10 more; --json has them all" in ran.out


def test_what_is_no_id_is_not_asked_for(api: FakeApi, mepush: Mepush) -> None:
    ran = mepush("recall", MESSAGE[:-1])
    assert ran.code != 0 and "is no id" in ran.err and not api.requests
    assert mepush("recall", MESSAGE).code == 1
