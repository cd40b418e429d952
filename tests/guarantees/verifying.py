"""Verifications on the whole platform, step by step: what a site asks, what people get, and what must hold of both."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.seed import first_key
from mepush.client.api import Client
from shared.model.ids import ULID_LENGTH
from shared.model.words import Stage
from tests.guarantees.platform import Platform, ViolationError, platform

CODES = "codes"
"""A template for SMS whose codes fall back to email."""
MAILED = "codes-mailed"
CONTENT = {"type": "sms", "text": "{{ code }}"}
MAIL = {"type": "email", "subject": "Your code", "text": "Enter {{ code }}"}
TRIES = 5


class Site:
    """A site that starts and checks verifications as a careful caller does: it repeats what was not answered."""

    def __init__(self, one: Platform) -> None:
        self.one, self.points = one, one.points
        self.answers: Counter[str] = Counter()
        with Client(one.stack.url, first_key(one.stack)) as api:
            for name, account, content in ((MAILED, "mail-smtp", MAIL), (CODES, "sms-aws", CONTENT)):
                fallback = {"fallback": {"template": MAILED}} if name == CODES else {}
                body = {"id": name, "name": name, "class": "verification", "accounts": [account], "content": content}
                api.post("/v1/templates", {**body, **fallback, "sample": {"code": "123456"}})
                api.post(f"/v1/templates/{name}/versions/1/publish", {})

    def reset(self) -> None:
        """Forget all that was sent and started, and what functions remember of it."""
        self.one.reset()
        self.one.script = lambda message, n: None
        self.one.stack.clock.advance(11)
        self.answers.clear()

    # What the site asks

    def start(self, to: str, key: str | None = None, **more: Any) -> dict[str, Any]:
        """Start a verification. key: the Idempotency-Key; None for none."""
        body = {"to": to, "template": CODES, "purpose": "login", **more}
        event = self.one.event("POST /v1/verifications", body)
        if key is not None:
            event["headers"]["idempotency-key"] = key
        started: dict[str, Any] = self.one.ask("ingest", event)
        return started

    def check(self, id: str, code: str) -> str:
        """Have a code checked, by whoever entered it; returns what was answered."""
        event = self.one.event("POST /v1/verifications/{id}/check", {"code": code}, id=id)
        answer = self.one.ask("verify", event)["result"]
        self.answers[answer] += 1
        return str(answer)

    def cancel(self, id: str) -> str:
        """Cancel a verification, unless it was approved; returns its status."""
        event = self.one.event("POST /v1/verifications/{id}/cancel", None, id=id)
        return str(self.one.ask("verify", event, refused=409).get("status", "approved"))

    def show(self, id: str) -> dict[str, Any]:
        """A verification as anybody can look at it."""
        shown: dict[str, Any] = self.one.ask("verify", self.one.event("GET /v1/verifications/{id}", None, id=id))
        return shown

    def recall(self, *ids: str) -> None:
        """Recall what carries a code, if it can be found."""
        for id in ids:
            self.one.recall([id])

    # What people get

    def codes(self, to: str) -> set[str]:
        """The codes that somebody got, by whatever channel."""
        found = (re.search(r"(?<!\d)\d{6}(?!\d)", str(each.data)) for each in self.one.stack.outbox.all(to=to))
        return {each[0] for each in found if each is not None}

    # What must hold

    def check_promises(self, id: str, *people: str, keyed: bool = True) -> Counter[str]:
        """Check what is promised of a verification and its messages; returns the messages' ends and all answers.

        Nobody else has started one. people: to whom it was sent. keyed: whether all starts had an Idempotency-Key; of
        one without a message may be noted that was never accepted. Raises: ViolationError.
        """
        self.one.work()
        codes = {code for to in people for code in self.codes(to)}
        if len(codes) > 1:
            raise ViolationError(f"{len(codes)} codes were sent")
        shown, answers = self.show(id), self._all_answers()
        self._check_answers(shown, answers)
        self._check_messages(shown, keyed)
        self.one.work()
        timelines = self.one.timelines()
        ends = self.one.check(list(timelines))
        self._check_told(shown, [stage for each in timelines.values() for stage in (e.stage for e in each)])
        self._check_counted(shown)
        return ends + Counter({f"check {name}": n for name, n in self.answers.items()})

    def _all_answers(self) -> Counter[str]:
        """What was answered to anybody, those among them whose answer the struck function did not see."""
        hidden = (json.loads(each["body"]) for each in self.points.answers if isinstance(each, dict) and "body" in each)
        return self.answers + Counter(each["result"] for each in hidden if "checks_left" in each and "result" in each)

    @staticmethod
    def _check_answers(shown: dict[str, Any], answers: Counter[str]) -> None:
        if answers["approved"] > 1:
            raise ViolationError(f"approved {answers['approved']} times")
        if answers["approved"] and shown["status"] != "approved":
            raise ViolationError(f"approved, and shown as {shown['status']}")
        # A try whose answer was lost counts, too.
        left = TRIES if shown["status"] == "approved" else shown["checks_left"]
        if answers["wrong"] > TRIES or (shown["status"] != "approved" and answers["wrong"] > TRIES - left):
            raise ViolationError(f"{answers['wrong']} wrong codes were answered, and {left} tries are left")

    def _check_messages(self, shown: dict[str, Any], keyed: bool) -> None:
        """All messages of a verification are accepted, and there are no others but those by which they fell back."""
        timelines = self.one.timelines()
        first = {id for id, events in timelines.items() if not any(e.stands_in_for for e in events)}
        noted = set(shown["messages"])
        if len(noted) != len(shown["messages"]):
            raise ViolationError("a message is noted twice")
        if not first or first != (noted if keyed else noted & first):
            raise ViolationError(f"{len(first)} messages, and {len(noted)} in the verification")
        if {id[:ULID_LENGTH] for id in timelines} != {id[:ULID_LENGTH] for id in first}:
            raise ViolationError("a message is of no start")

    @staticmethod
    def _check_told(shown: dict[str, Any], stages: list[str]) -> None:
        wanted = int(shown["status"] == "approved")
        if stages.count(Stage.VERIFIED) != wanted:
            raise ViolationError(f"{shown['status']}, and told as verified {stages.count(Stage.VERIFIED)} times")

    def _check_counted(self, shown: dict[str, Any]) -> None:
        """The guard counts each text of a verification once, or once more where it was struck, and never as more than
        the texts approved."""
        counts: Counter[str] = Counter()
        for item in self.one.items("guard"):
            if item["pk"].startswith("pumping#") and item["sk"].startswith("minute#"):
                counts.update({name: int(n) for name, n in item.items() if name in ("s", "a", "r")})
        texts, approved = len(shown["messages"]), shown["status"] == "approved"
        if self.points.struck is None:
            wanted = {"s": texts, "a": texts} if approved else {"s": texts}
            right = dict(counts) == wanted
        else:
            right = counts["s"] <= texts + 1 and not counts["r"] and counts["a"] <= (texts if approved else 0)
        if not right:
            raise ViolationError(f"the guard counted {dict(counts)} for {texts} texts")


@contextmanager
def site() -> Iterator[Site]:
    """A site on a platform whose functions' calls, and whose providers, can be struck."""
    with platform() as one:
        yield Site(one)
