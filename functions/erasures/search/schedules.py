"""Takes a person out of what waits for a schedule: retries, and messages that are due later."""

from collections.abc import Iterator
from concurrent.futures import Executor

from functions.erasures.person import Person
from functions.erasures.search.result import Result
from shared.aws.schedules import DueSchedules, message_of, schedule_input
from shared.model.envelope import read_envelope
from shared.model.wire import UnreadableError
from shared.policy.veiling import veiled_envelope

PLACE = "schedules"
PAGE = 100


class ScheduleSearch:
    """Looks at every schedule of messages. pool: for requests side by side."""

    def __init__(self, schedules: DueSchedules, person: Person, pool: Executor) -> None:
        self._schedules = schedules
        self._person = person
        self._pool = pool

    def search(self, position: str, result: Result) -> Iterator[str]:
        """See `Place`. A position is Scheduler's own token for the next page."""
        token: str | None = position or None
        while True:
            names, token = self._schedules.page(PAGE, token)
            result.erased[PLACE] += sum(self._pool.map(self._take, names))
            result.searched[PLACE] += len(names)
            if not token:
                return
            yield token

    def _take(self, name: str) -> bool:
        """Whether a schedule held the person: it fires as before, and what it sends no longer has them."""
        text = self._schedules.input_of(name)
        message = message_of(text) if text and self._person.tagged(text) else None
        if message is None:
            return False
        try:
            envelope = read_envelope(message["MessageBody"])
        except UnreadableError:
            return False
        changed = veiled_envelope(envelope, self._person.veils)
        if changed is envelope:
            return False
        group = message.get("MessageGroupId", "")
        return self._schedules.replace(name, schedule_input(message["QueueUrl"], changed.to_json(), group))
