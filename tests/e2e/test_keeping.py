"""A local stack that is ended, or killed, and the next one that goes on from what was kept."""

import gzip
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import keeping
from local.keeping import Keeper, KeepError, load, put_aside, restore, taken
from local.seed import PERSONS, Persons, first_key, seed
from local.stack import LocalStack
from mepush.client.api import Client
from shared.model.clock import iso

pytestmark = pytest.mark.xdist_group("local-stack")

CODE = {"template": "login-code-cn", "variables": {"code": "123456"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".mepush" / "local.json.gz"


@contextmanager
def serving(path: Path, later_s: float = 0) -> Iterator[tuple[LocalStack, Client, Keeper]]:
    """As the program serves with --keep, but nothing happens by itself. later_s: so much time has passed meanwhile."""
    kept = load(path)
    made = LocalStack(threads=False, memory=True, log_file=path.parent.parent / "log", kept=kept)
    made.clock.advance(later_s)
    with made as stack:
        key = kept["key"] if kept else first_key(stack)
        seed(stack.url, key, stack.sandboxes, again=kept is not None)
        with Client(stack.url, key) as api:
            yield stack, api, Keeper(stack, key, path)


def statuses(api: Client, message: str) -> str:
    found: dict[str, Any] = api.get(f"/v1/messages/{message}")
    return str(found["status"])


def send(api: Client, **more: Any) -> str:
    answer = api.post("/v1/messages", {**CODE, **more})
    return str(answer["messages"][0]["message_id"])


def test_what_was_there_is_there_again_and_goes_on(path: Path) -> None:
    """Killed with one message sent, one on its queue and one on a schedule; the next stack sends the two, once."""
    with serving(path) as (stack, api, keeper):
        sent = send(api, to="13800138001")
        stack.drain()
        queued = send(api, to="13800138002")
        at = iso(stack.clock.now_ms() + int(timedelta(hours=2).total_seconds() * 1000))
        deferred = send(api, to="13800138003", send_at=at, ttl=7200)
        audit, before = api.get("/v1/audit"), stack.outbox.count()
        keeper.keep()
    assert (before, statuses_of(path, "queues"), statuses_of(path, "schedules")) == (1, 1, 1)
    with serving(path) as (stack, api, keeper):
        assert statuses(api, sent) == "sent"
        stack.drain()
        assert [statuses(api, each) for each in (sent, queued)] == ["sent", "sent"]
        assert [record["id"] for record in audit["records"]] == known(api, audit)
        keeper.keep()
    with serving(path, later_s=3 * 3600) as (stack, api, _):
        stack.drain()
        assert statuses(api, deferred) == "sent"
        assert stack.outbox.count() == 1


def statuses_of(path: Path, kind: str) -> int:
    state = load(path)
    assert state is not None
    held = state[kind]
    return len(held) if isinstance(held, list) else sum(len(each) for name, each in held.items() if "Dead" not in name)


def known(api: Client, audit: dict[str, Any]) -> list[str]:
    """Of the records of before, those that are there still, in their order."""
    ids = {record["id"] for record in api.get("/v1/audit?limit=100")["records"]}
    return [record["id"] for record in audit["records"] if record["id"] in ids]


def test_everything_that_is_held_comes_back_as_it_was(path: Path, tmp_path: Path) -> None:
    with serving(path) as (stack, api, keeper):
        form = api.post("/v1/attachments", {"name": "a.pdf", "size": 3})
        httpx.post(form["url"], data=form["fields"], files={"file": b"abc"}, trust_env=False).raise_for_status()
        send(api, to="13800138001")
        stack.drain()
        keeper.keep()
        before = taken(stack)
    kept = load(path)
    assert kept is not None
    with LocalStack(threads=False, memory=True, log_file=tmp_path / "log", kept=kept) as stack:
        after = taken(stack)
    for kind in ("tables", "queues", "streams", "schedules", "secrets", "files"):
        assert after[kind] == before[kind], kind
    assert before["files"] != {} and before["secrets"] != [] and any(before["streams"].values())
    for table in ("TablesGuard", "TablesTimeline"):
        (items,) = [held for name, held in before["tables"].items() if name.startswith(table)]
        assert items and all("ttl" in item for item in items), "what docs/security.md says ends by itself"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_it_is_kept_on_demand_and_at_the_end(path: Path) -> None:
    with serving(path) as (stack, _, keeper):
        stack.pages[keeping.PATH] = keeper
        with keeper:
            url, headers = f"{stack.url}/_local/keep", {"Content-Type": "application/json"}
            assert httpx.get(url, trust_env=False).status_code == 405
            assert httpx.post(url, headers=headers, trust_env=False).status_code == 204
            path.unlink()
        assert path.exists()


def test_what_people_changed_is_theirs(path: Path) -> None:
    with serving(path) as (_, api, keeper):
        api.patch("/v1/settings", {"countries": ["FR"], "review_required": True})
        for template in ("oncall-alert-group", "weekly-digest"):
            api.post(f"/v1/templates/{template}/archive", {})
        api.delete("/v1/accounts/wecom-robot")
        keeper.keep()
    with serving(path) as (_, api, _):
        settings = api.get("/v1/settings")
        assert (settings["countries"], settings["review_required"]) == (["FR"], True)
        assert api.get("/v1/templates/weekly-digest")["archived"]
        assert "wecom-robot" not in {each["id"] for each in api.get("/v1/accounts")["accounts"]}


def test_one_may_try_what_takes_two(path: Path) -> None:
    with serving(path) as (stack, api, _):
        stack.pages[PERSONS] = Persons(stack)
        url, headers = f"{stack.url}/_local/{PERSONS}", {"Content-Type": "application/json"}
        assert httpx.get(url, trust_env=False).status_code == 405
        key = httpx.post(url, headers=headers, trust_env=False).json()["key"]
        api.patch("/v1/settings", {"review_required": True})
        assert api.patch("/v1/settings", {"review_required": False})["review_required"]
        with Client(stack.url, key) as other:
            assert not other.patch("/v1/settings", {"review_required": False})["review_required"]


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"{"), gzip.compress(b"[]")], ids=["empty", "no gzip", "broken", "list"]
)
def test_what_cannot_be_read_is_said_and_put_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(KeepError, match="cannot be read"):
        load(path)
    aside = put_aside(path)
    assert aside.read_bytes() == content
    assert load(path) is None


def test_another_format_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(gzip.compress(json.dumps({"format": 0}).encode()))
    with pytest.raises(KeepError, match="has the format 0, and this version reads 1"):
        load(path)


def test_moto_is_not_kept(tmp_path: Path) -> None:
    with LocalStack(threads=False, log_file=tmp_path / "log") as stack:
        with pytest.raises(RuntimeError, match="in memory"):
            taken(stack)
        with pytest.raises(RuntimeError, match="in memory"):
            restore(stack, {})
