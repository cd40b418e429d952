"""Places in the rates of accounts and runs, and in the limits per recipient: one item each in the guard table.

| pk | sk | holds |
|---|---|---|
| `rate#<tenant>#<account>` | `lanes` | per lane its end, the day of it and the places taken on that day |
| `rate#<tenant>#<account>#<tag>` | `lanes` | the same of a recipient, who has one lane without days |
| `pace#<tenant>#<run>@<rate>` | `lanes` | what a run with a throttle has queued: until when, and in the last minute |

Taking places is one conditional update that moves a lane's end. It needs to know only whether that is past or ahead, so
functions that take places at the same time do not get in each other's way.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic_core import from_json, to_json

from shared.errors import LostError
from shared.model.clock import Clock
from shared.policy.rates import FOREVER, Booked, Claim, Lane, Lanes, Paced, claim, pace, pick, starts

ATTEMPTS = 20
MAX_RECIPIENTS = 10_000
"""How many recipients' ends a process remembers."""
TTL_S = 30 * 86_400
"""Longer than the places of messages that are still worth sending lie ahead."""
_NOTHING, _NOTHING_PACED = Booked(), Paced()
_LANES = ("main", "code")


class RatesBusyError(LostError):
    """Others took places faster than this function could."""


class Places(Struct, frozen=True):
    """The places that messages got."""

    starts: list[int]
    """When messages may go, in milliseconds since the epoch."""
    ready: int
    """When the rest may ask again."""


class Rates:
    """Takes places. What it saw last is only a guess at what is there; a wrong one costs another request."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._seen: dict[str, dict[str, Booked]] = {}
        self._ends: dict[str, int] = {}
        self._paced: dict[str, Paced] = {}

    def reserve(
        self, tenant: str, account: str, lanes: Lanes, wanted: int, until: int | None, codes: bool, after: int = 0
    ) -> Places:
        """Take up to `wanted` of an account's next places that begin before `until` and not before `after`.

        until, after: milliseconds since the epoch. Fewer are had when a day's are used up, or when the others would
        begin too late. Raises: RatesBusyError; what the table raises.
        """
        return self._reserve(f"rate#{tenant}#{account}", lanes, wanted, until, codes, after)

    def pace(self, tenant: str, run: str, messages: int, per_minute: float, ahead: int) -> int | None:
        """Note that so many messages of a run go now, if they may (None); else when to ask again (ms since the epoch).

        At another rate a run begins anew: what went at the one before does not hold it up. ahead: see
        `shared.policy.rates.pace`. Raises: RatesBusyError; what the table raises.
        """
        name = f"pace#{tenant}#{run}@{per_minute:g}"
        for _ in range(ATTEMPTS):
            seen, now = self._paced.get(name, _NOTHING_PACED), self._clock.now_ms()
            ready, after = pace(seen, messages, per_minute, now, ahead)
            if ready > now and name in self._paced:
                # Others can only have made it later.
                return ready
            if ready <= now and self._write_paced(name, seen, after, now):
                return None
        raise RatesBusyError

    def _write_paced(self, name: str, seen: Paced, after: Paced, now: int) -> bool:
        """Write what a run has queued, if it is as it was seen; else look at what is there."""
        update = self._update(
            name,
            "main = :end, sent = :sent, #ttl = :ttl",
            "main = :seen" if seen.end else "attribute_not_exists(main)",
            {":end": after.end, ":ttl": now // 1000 + TTL_S} | ({":seen": seen.end} if seen.end else {}),
        )
        update["ExpressionAttributeValues"][":sent"] = {"S": to_json(after.sent).decode()}
        try:
            self._client.update_item(**update)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            self._paced[name] = _paced(error.response.get("Item", {}))
            return False
        self._paced[name] = after
        return True

    def next_free(self, tenant: str, account: str, lanes: Lanes) -> int:
        """When the next message of an account that is no code could go, in milliseconds since the epoch; takes no
        place. Raises: what the table raises."""
        key = {"pk": {"S": f"rate#{tenant}#{account}"}, "sk": {"S": "lanes"}}
        item = self._client.get_item(TableName=self._table, Key=key).get("Item", {})
        return -(-claim(lanes.main, _booked(item)["main"], self._clock.now_ms() * 1000, 1).ready // 1000)

    def _reserve(self, name: str, lanes: Lanes, wanted: int, until: int | None, codes: bool, after: int = 0) -> Places:
        bound = FOREVER if until is None else until * 1000
        found: list[int] = []
        for _ in range(ATTEMPTS):
            now = max(self._clock.now_ms(), after) * 1000
            seen = self._seen.get(name, {})
            lane, best = pick(
                lanes, seen.get("main", _NOTHING), seen.get("code", _NOTHING), now, wanted - len(found), bound, codes
            )
            if best.count == 0:
                return Places(found, -(-best.ready // 1000))
            width = lanes.code if lane == "code" and lanes.code is not None else lanes.main
            first = self._take(name, lane, width, best, now)
            if first is not None:
                found += starts(width, first, best.count, now)
            if len(found) == wanted:
                return Places(found, found[-1])
        raise RatesBusyError

    def admit(
        self, tenant: str, account: str, lane: Lane, wanted: Mapping[str, int], until: int | None
    ) -> dict[str, Places]:
        """Take places of recipients (up to 100, by tag): so many of each, or those that begin before `until`.

        All in one request, as long as nothing else is sent to them. Raises: RatesBusyError; what the table raises.
        """
        bound = FOREVER if until is None else until * 1000
        prefix = f"rate#{tenant}#{account}#"
        ends = {tag: self._ends.get(prefix + tag, 0) for tag in wanted}
        for _ in range(ATTEMPTS):
            now = self._clock.now_ms() * 1000
            claims = {tag: claim(lane, Booked(ends[tag]), now, n, bound) for tag, n in wanted.items()}
            moves = {
                tag: (ends[tag], max(ends[tag], now) + one.count * lane.interval)
                for tag, one in claims.items()
                if one.count
            }
            met = self._move(prefix, moves, now)
            if met is None:
                if len(self._ends) > MAX_RECIPIENTS:
                    self._ends = {}
                self._ends.update({prefix + tag: end for tag, (_, end) in moves.items()})
                return {
                    tag: Places(starts(lane, max(ends[tag], now), one.count, now), -(-one.ready // 1000))
                    for tag, one in claims.items()
                }
            ends |= met
        raise RatesBusyError

    def _take(self, name: str, lane: str, width: Lane, best: Claim, now: int) -> int | None:
        """Take the places of a claim; where the first of them is, or None if they were not to be had."""
        move = best.count * width.interval
        sets = [f"{lane} = :end" if best.idle else f"{lane} = {lane} + :move", "#ttl = :ttl"]
        values = {":now": now, ":ttl": now // 1_000_000 + TTL_S}
        if best.idle:
            condition = f"(attribute_not_exists({lane}) OR {lane} < :now)"
            values |= {":end": now + move}
        else:
            condition = f"{lane} BETWEEN :now AND :most"
            values |= {":move": move, ":most": best.most}
        if width.per_day is not None:
            values |= {":day": best.day, ":count": best.count}
            if best.fresh:
                condition += f" AND (attribute_not_exists({lane}_day) OR {lane}_day < :day)"
                sets += [f"{lane}_day = :day", f"{lane}_used = :count"]
            else:
                condition += f" AND {lane}_day = :day AND {lane}_used <= :left"
                sets += [f"{lane}_used = {lane}_used + :count"]
                values |= {":left": width.per_day - best.count}
        try:
            answer = self._client.update_item(
                **self._update(name, ", ".join(sets), condition, values), ReturnValues="UPDATED_NEW"
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            self._seen[name] = _booked(error.response.get("Item", {}))
            return None
        found = _booked(answer["Attributes"])[lane]
        self._seen[name] = {**self._seen.get(name, {}), lane: found}
        return found.end - move

    def _move(self, prefix: str, moves: Mapping[str, tuple[int, int]], now: int) -> dict[str, int] | None:
        """Move the ends of recipients' lanes from what is known of them, all or none.

        Returns None when that is done, else the ends of those where it was not so.
        """
        updates = []
        for tag, (old, new) in moves.items():
            condition, known = "main = :old", {":old": old}
            if old < now:
                condition, known = "attribute_not_exists(main) OR main < :now", {":now": now}
            # Where the end is past it says nothing, so the item may go soon.
            values = known | {":end": new, ":ttl": new // 1_000_000 + 60}
            updates.append(self._update(prefix + tag, "main = :end, #ttl = :ttl", condition, values))
        try:
            if len(updates) == 1:
                self._client.update_item(**updates[0])
            elif updates:
                self._client.transact_write_items(TransactItems=[{"Update": each} for each in updates])
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return {next(iter(moves)): _booked(error.response.get("Item", {}))["main"].end}
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = error.response["CancellationReasons"]
            if not {reason["Code"] for reason in reasons} <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                raise
            return {
                tag: _booked(reason.get("Item", {}))["main"].end
                for tag, reason in zip(moves, reasons, strict=True)
                if reason["Code"] == "ConditionalCheckFailed"
            }
        return None

    def _update(self, name: str, sets: str, condition: str, values: Mapping[str, int]) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Key": {"pk": {"S": name}, "sk": {"S": "lanes"}},
            "UpdateExpression": f"SET {sets}",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {key: {"N": str(value)} for key, value in values.items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _paced(item: Mapping[str, Any]) -> Paced:
    if "main" not in item:
        return _NOTHING_PACED
    # One that an earlier version wrote says nothing of the last minute.
    sent = from_json(item["sent"]["S"]) if "sent" in item else []
    return Paced(int(item["main"]["N"]), tuple((at, count) for at, count in sent))


def _booked(item: Mapping[str, Any]) -> dict[str, Booked]:
    def number(name: str) -> int:
        return int(item[name]["N"]) if name in item else 0

    return {lane: Booked(number(lane), number(f"{lane}_day"), number(f"{lane}_used")) for lane in _LANES}
