"""The crash matrix of what happens after messages were sent: receipts, webhooks, mailboxes, links, callbacks.

What is said is struck on its way at each call that changes something. In the end each receipt counts once, whoever must
be on the suppression list is, and the endpoint knows each event by one id.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from local.sandbox.returned import SIMULATOR as MAILBOX
from local.sandbox.ses_receipts import SIMULATOR
from local.sandbox.tencent_receipts import PLAYERS
from tests.guarantees.afterwards import Afterwards, afterwards
from tests.guarantees.matrix import cover
from tests.guarantees.platform import ViolationError
from tests.integration.functions.receipts.harness import ses_event

pytestmark = [pytest.mark.rotates, pytest.mark.xdist_group("crash-afterwards")]

SENT = ["accepted", "sent"]
Rest = Callable[[], Counter[str]]


@pytest.fixture(scope="module")
def one() -> Iterator[Afterwards]:
    with afterwards() as made:
        yield made


def test_receipts_may_be_struck_anywhere(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        label = one.label()
        names = ("success", "bounce", "complaint", "delayed", "clicked", "full")
        ids = one.send("ses", *(f"{name}+{label}@{SIMULATOR}" for name in names))
        more = (
            ["delivered"],
            ["undelivered"],
            ["delivered", "complained"],
            ["delayed", "delivered"],
            ["delivered", "opened", "opened.times", "clicked", "clicked.times"],
            ["undelivered.transient"],
        )
        expected = {id: SENT + said for id, said in zip(ids, more, strict=True)}
        one.fail_first()

        def rest() -> Counter[str]:
            # All of it is due, so that each run makes the same calls.
            one.stack.clock.advance(10)
            one.work()
            return one.check(expected, {ids[1]: "bounce", ids[2]: "complaint"})

        return rest

    ends = {"accepted": 6, "sent": 6, "delivered": 4, "undelivered": 1, "undelivered.transient": 1, "complained": 1}
    engaged = {"delayed": 1, "opened": 1, "opened.times": 1, "clicked": 1, "clicked.times": 1}
    cover(one, "receipts of ses, webhooks", scene, ends | engaged)


def test_receipts_that_come_early_may_be_struck_anywhere(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        # As if it were of another provider: SES's own receipts say whose they are.
        [id] = one.send("ses", f"silent+{one.label()}@{SIMULATOR}", traced=False)
        event = json.loads(ses_event(id))
        event["detail"]["mail"]["tags"] |= {"mepush_tenant": ["default"]}

        def rest() -> Counter[str]:
            one.said(event)
            one.work()
            return one.check({id: [*SENT, "delivered"]})

        return rest

    cover(one, "receipts before the trace", scene, {"accepted": 1, "sent": 1, "delivered": 1})


def test_a_mailbox_may_be_struck_anywhere(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        label = one.label()
        ids = one.send("smtp", *(f"{name}+{label}@{MAILBOX}" for name in ("bounce", "full", "quiet", "complaint")))
        more: tuple[list[str], ...] = (["undelivered"], ["undelivered.transient"], [], ["complained"])

        def rest() -> Counter[str]:
            one.run_each_ten_minutes("mailboxes")
            expected = {id: SENT + said for id, said in zip(ids, more, strict=True)}
            return one.check(expected, {ids[0]: "bounce", ids[3]: "complaint"})

        return rest

    ends = {"accepted": 4, "sent": 4, "undelivered": 1, "undelivered.transient": 1, "complained": 1}
    cover(one, "the mailbox", scene, ends)


def test_callbacks_and_pulling_may_be_struck_anywhere(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        ids = one.send("text", *(f"{PLAYERS}{one.label()[-1]}{end}" for end in ("0145", "7777")))

        def rest() -> Counter[str]:
            one.work()
            one.run_each_ten_minutes("pulling")
            expected = {ids[0]: [*SENT, "undelivered"], ids[1]: [*SENT, "delivered"]}
            return one.check(expected, {ids[0]: "unsubscribe"})

        return rest

    cover(one, "callbacks, pulling", scene, {"accepted": 2, "sent": 2, "undelivered": 1, "delivered": 1})


def test_whoever_wants_no_more_is_on_the_list_whatever_is_struck(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        [id] = one.send("sale", f"ada{one.label()}@example.com")
        link = one.links(id)[1]

        def rest() -> Counter[str]:
            one.visit("preferences", link, "POST", "List-Unsubscribe=One-Click")
            if list(one.listed().values()) != [["unsubscribe"]]:
                raise ViolationError("it was answered that it is saved, and is not")
            one.work()
            return one.check({id: [*SENT, "unsubscribed"]}, {id: "unsubscribe"})

        return rest

    cover(one, "no longer wanted", scene, {"accepted": 1, "sent": 1, "unsubscribed": 1})


def test_whoever_clicks_is_led_on_and_nothing_counts_twice_whatever_is_struck(one: Afterwards) -> None:
    def scene(one: Afterwards) -> Rest:
        [id] = one.send("sale", f"ada{one.label()}@example.com")
        link = one.links(id)[0]

        def rest() -> Counter[str]:
            visits = one.visit("engagement", link)
            one.work()
            told = one.told()
            names = Counter(told[id])
            # What is not told is not counted, and somebody who came twice may be counted twice.
            if names["clicked"] != min(1, names["clicked.times"]) or names["clicked.times"] > visits:
                raise ViolationError(f"{visits} visits, told as {names}")
            return one.check_books(told)

        return rest

    cover(one, "clicks", scene, {"accepted": 1, "sent": 1, "clicked": 1, "clicked.times": 1})
