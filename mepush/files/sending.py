"""Sends a template to the recipients of a CSV file, in requests that may be repeated without sending twice."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, MepushError
from mepush.files.recipients import Audience, BrokenRow, Row, spoiled_cell
from mepush.sheets.header import find_column

_IN_RECIPIENT = re.compile(r"^recipients\.(\d+)\.?")
_VARIABLE = re.compile(r"^variables\.")
_POSITION = re.compile(r" \(recipient \d+\)$")
_ERRORS_AT_ONCE = 50
"""How many findings the API lists; when it refuses a larger request row by row entirely, the cause is not the rows."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of a row. `invalid` rows were never sent to the API; `not_sent` ones were not reached."""

    row: int
    status: Literal["accepted", "rejected", "not_queued", "invalid", "not_sent"]
    message_id: str = ""
    field: str = ""
    reason: str = ""
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Without what is empty."""
        values = {name: getattr(self, name) for name in ("row", "status", "message_id", "field", "reason", "detail")}
        return {name: value for name, value in values.items() if value != ""}


@dataclass(slots=True)
class FileResult:
    """What became of a file. error: what ended it early, if anything did; what came before it stays accepted."""

    requests: list[str] = field(default_factory=list)
    rows: list[RowResult] = field(default_factory=list)
    error: MepushError | None = None

    def count(self, *statuses: str) -> int:
        """How many rows have one of the statuses."""
        return sum(row.status in statuses for row in self.rows)

    def refused(self) -> list[RowResult]:
        """The rows that were not accepted, in the file's order."""
        return [row for row in self.rows if row.status != "accepted"]

    @property
    def complete(self) -> bool:
        """Whether every row was accepted."""
        return self.error is None and not self.refused()

    @property
    def resumable(self) -> bool:
        """Whether the same command would send the rest: something failed that is not the request itself."""
        refused = isinstance(self.error, ApiError) and self.error.status == 422
        return not refused and self.count("not_queued", "not_sent") > 0

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        found = {
            "requests": self.requests,
            "accepted": self.count("accepted"),
            "rejected": self.count("rejected", "invalid"),
            "not_queued": self.count("not_queued", "not_sent"),
            "rows": [row.as_json() for row in self.rows],
        }
        return found if self.error is None else {**found, **self.error.as_json()}


def chunk_key(audience: Audience, template: str, position: int, salt: str = "") -> str:
    """The Idempotency-Key of a chunk: follows from the file's bytes, the template and the chunk's position.

    salt: the caller's own key, to send the same file once more on purpose.
    """
    digest = blake2b("\x1f".join((audience.digest, template, salt)).encode(), digest_size=16).hexdigest()
    return f"csv-{digest}-{position}"


def placeholders(api: Client, template: str, version: int | None = None) -> tuple[list[str], list[str]] | None:
    """The required and the optional variables of what would be sent; None with a key that may only send.

    Raises: ApiError, ConnectionProblemError.
    """
    path = f"/v1/templates/{segment(template)}"
    try:
        found = api.get(path)["current"] if version is None else api.get(f"{path}/versions/{version}")
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return found["required"], found["optional"]


def fit(audience: Audience, required: list[str], optional: list[str], shared: Mapping[str, Any]) -> list[str]:
    """Leave out the columns that the template does not use, and set rows aside that lack a required variable.

    Returns the names of the columns left out. shared: variables that the whole file has in common.
    """
    # As in campaigns, a column may differ from its variable by capitals.
    found = [(name, find_column(audience.variables, name)) for name in (*required, *optional)]
    columns = {name: audience.variables[place] for name, place in found if place is not None}
    unused = sorted(set(audience.variables) - set(columns.values()))
    needed = [name for name in required if shared.get(name) is None]
    kept: list[Row] = []
    for row in audience.rows:
        cells: dict[str, Any] = row.recipient.pop("variables", {})
        variables = {name: cells[column] for name, column in columns.items() if column in cells}
        if variables:
            row.recipient["variables"] = variables
        lacking = next((name for name in needed if name not in variables), None)
        if lacking is not None:
            problem = f"the variable `{lacking}` is missing"
            audience.broken.append(BrokenRow(row.number, lacking, "variable_missing", problem))
        elif broken := spoiled_cell(row):
            audience.broken.append(broken)
        else:
            kept.append(row)
    audience.rows[:] = kept
    return unused


def send_file(
    api: Client,
    audience: Audience,
    request: dict[str, Any],
    salt: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FileResult:
    """Send `request` (template, variables, ...) to every good row; stops at the first request that fails as a whole.

    progress: called with rows done and rows in all.
    """
    result = FileResult()
    result.rows += [RowResult(b.number, "invalid", "", b.column, b.reason, b.detail) for b in audience.broken]
    done = 0
    for position, chunk in enumerate(audience.chunks()):
        if result.error is None:
            _send_chunk(api, request, chunk, chunk_key(audience, request["template"], position, salt), result)
        else:
            result.rows += [RowResult(row.number, "not_sent") for row in chunk]
        done += len(chunk)
        progress(done, len(audience.rows))
    # The API calls every address `to`; its sender knows the column by the file's own name.
    rows = [replace(row, field=audience.to_column) if row.field == "to" else row for row in result.rows]
    result.rows = sorted(rows, key=lambda row: row.row)
    return result


def _send_chunk(api: Client, request: dict[str, Any], chunk: list[Row], key: str, result: FileResult) -> None:
    """Send one chunk. Rows that make the API refuse a request are set aside and the others sent without them.

    Nothing of a refused request was accepted, so its Idempotency-Key is still free.
    """
    kept = chunk
    while kept:
        body = {**request, "recipients": [row.recipient for row in kept]}
        try:
            answer = api.send(body, key)
        except MepushError as error:
            refused = _refused(error, kept)
            result.rows += refused.values()
            kept = [row for row in kept if row.number not in refused]
            if refused and (kept or len(chunk) <= _ERRORS_AT_ONCE):
                continue
            result.error = _with_rows(error, kept or chunk)
            result.rows += [RowResult(row.number, "not_sent") for row in kept]
            return
        result.requests.append(answer["request_id"])
        result.rows += [_row_result(kept[m["index"]], m) for m in answer["messages"]]
        return


def _refused(error: MepushError, rows: list[Row]) -> dict[int, RowResult]:
    """The rows that the API named as the only causes of its refusal, by row number."""
    if not isinstance(error, ApiError) or error.status != 422:
        return {}
    found: dict[int, RowResult] = {}
    for path, message in error.details:
        index = _index(path, len(rows))
        if index is None:
            return {}
        column = recipient_field(path)
        reason = "address_invalid" if column == "to" else "variable_invalid"
        number = rows[index].number
        found.setdefault(number, RowResult(number, "rejected", "", column, reason, _POSITION.sub("", message)))
    return found


def _index(path: str, count: int) -> int | None:
    match = _IN_RECIPIENT.match(path)
    return int(match[1]) if match and int(match[1]) < count else None


def recipient_field(path: str) -> str:
    """A field of a result as its sender knows it: the column, without the place in the request."""
    return _VARIABLE.sub("", _IN_RECIPIENT.sub("", path))


def _row_result(row: Row, message: dict[str, Any]) -> RowResult:
    return RowResult(
        row.number,
        message["status"],
        message["message_id"],
        recipient_field(message.get("field") or ""),
        message.get("reason") or "",
        message.get("detail") or "",
    )


def _with_rows(error: MepushError, chunk: list[Row]) -> MepushError:
    """The same error with row numbers in place of positions in the request."""
    if isinstance(error, ApiError):
        if any(path == "Idempotency-Key" for path, _ in error.details):
            error.hint = "The same file was sent with other options. To send it anew, give a new --idempotency-key."
        error.details = [(_row_path(path, chunk), _POSITION.sub("", message)) for path, message in error.details]
    return error


def _row_path(path: str, chunk: list[Row]) -> str:
    index = _index(path, len(chunk))
    return path if index is None else f"row {chunk[index].number}, {recipient_field(path) or 'recipient'}"
