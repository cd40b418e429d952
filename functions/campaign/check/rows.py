"""Judges the rows of an audience file: who gets which message with which variables, and who cannot and why.

The check and the sending judge by the same code. Pure: no I/O.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from functions.campaign.check.splitting import Split
from mepush.sheets.erased import is_erased
from mepush.sheets.failures import RowReason
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import find_column
from mepush.sheets.reading import Content, Unreadable, misfit
from mepush.sheets.spoiled import may_be_spoiled, spoiled
from shared.acceptance.sendable import Sendable
from shared.errors import InvalidError
from shared.model.address import canonical
from shared.model.campaigns import Campaign, Columns
from shared.model.envelope import MAX_BYTES
from shared.model.ids import Tagger
from shared.model.policies import checked_zone
from shared.model.reasons import Reason
from shared.model.runs import Run
from shared.model.sizes import json_size
from shared.model.templates import TemplateVersion
from shared.model.tenants import Tenant
from shared.model.variables import check_variables
from shared.policy.admission import Gate, RefusedError
from shared.policy.variables import VariableRules

_REFERENCE_MAX = 100
_ZONE_MAX = 50
_MOST_ZONES = 10_000
_OTHER_BYTES = 2_000
"""Of an envelope, for all but variables; less than half of it is used."""
_WORST_BYTES = 6
"""Of a character, as JSON has it."""


@dataclass(slots=True)
class Good:
    """A row that can be sent."""

    index: int
    """Its place in the shard, from 0."""
    to: str
    """The address in its canonical form."""
    tag: str
    variables: dict[str, Any]
    """Those that the template uses."""
    reference: str
    """The caller's own; empty for none."""
    time_zone: str
    """An IANA name; empty for none."""
    variant: str
    """Its name."""


@dataclass(slots=True)
class HeldOut:
    """A row of somebody in the holdout group."""

    index: int
    tag: str


@dataclass(slots=True)
class Bad:
    """A row that cannot be sent: why, and what is wrong, without values."""

    index: int
    reason: str
    detail: str
    variable: str | None = None
    """The one that is missing."""


Judged = Good | HeldOut | Bad


@dataclass(frozen=True, slots=True)
class Facts:
    """What the judgement of a run's rows depends on besides the run."""

    tenant: Tenant
    versions: Mapping[str, TemplateVersion]
    """Variant's name -> the version that it stands for."""
    team: frozenset[str] | None = None
    """For team keys, the addresses allowed, as `channel:address`."""
    countries: frozenset[str] = frozenset()
    """To whose numbers texts may go; without any, see `Gate`."""
    sendable: Mapping[str, Sendable] = field(default_factory=dict)
    """Variant's name -> what judges its messages as sending does; without one, they are not filled in."""


class _WrongError(InvalidError):
    """A row cannot be sent."""

    def __init__(self, reason: RowReason | Reason, detail: str, variable: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.variable = variable


class _Variant:
    """A variant of a run: which variables its template takes."""

    def __init__(
        self,
        name: str,
        version: TemplateVersion,
        sendable: Sendable | None,
        columns: Columns,
        campaign: Campaign,
    ) -> None:
        self.name = name
        self._sendable = sendable
        self._rules = VariableRules(version.required, version.optional, campaign.variables)
        self._loops = version.loops
        # Bytes that the recipient's own variables may have.
        self._room = MAX_BYTES - _OTHER_BYTES - json_size(campaign.variables)
        self._columns = [(v, columns.variables.get(v, v)) for v in (*version.required, *version.optional)]

    def check(self, own: dict[str, Any]) -> None:
        """Look whether variables are complete, not too large, and fill the template in. Raises: _WrongError."""
        if not self._rules.fits(own):
            name, wrong = self._rules.problems(own)[0]
            raise _WrongError(RowReason.VARIABLE_MISSING, f"the variable `{name}` {wrong}", name)
        if self._loops and (problem := check_variables(own)):
            raise _WrongError(RowReason.VARIABLE_INVALID, problem)
        if (found := json_size(own)) > self._room:
            most = f"{found:,} bytes, more than the {self._room:,} that the campaign's leave"
            raise _WrongError(RowReason.TOO_LARGE, f"its variables are {most} (JSON in UTF-8)")
        if self._sendable is not None and not self._sendable.is_plain(own):
            unfit = self._sendable.problem(own)
            if unfit is not None:
                raise _WrongError(unfit.reason, unfit.found)


class _CellsVariant(_Variant):
    """One whose variables are cells of a CSV."""

    def __init__(
        self,
        name: str,
        version: TemplateVersion,
        sendable: Sendable | None,
        columns: Columns,
        campaign: Campaign,
        header: tuple[str, ...],
    ) -> None:
        super().__init__(name, version, sendable, columns, campaign)
        found = [(variable, find_column(header, column)) for variable, column in self._columns]
        there = [(variable, place) for variable, place in found if place is not None]
        self._names = [variable for variable, _ in there]
        self._pick = _picker([place for _, place in there])
        # With these, and not many characters, there is nothing to look at more closely.
        self._full = len(self._names) if set(version.required) <= set(self._names) else MAX_BYTES
        self._needed = {name for name in version.required if campaign.variables.get(name) is None}
        names = sum(json_size(name) + len(':"",') for name in self._names)
        few = -1 if self._loops else (self._room - names) // _WORST_BYTES
        self._few = few if sendable is None else min(few, sendable.short)

    def own(self, cells: list[str]) -> dict[str, Any]:
        """The variables of a row; an empty cell is none. Raises: _WrongError."""
        values = self._pick(cells)
        own = {name: value for name, value in zip(self._names, values) if value}  # noqa: B905 -- as many of each
        text = "".join(values)
        if may_be_spoiled(text):
            _check_spoiled(own)
        if len(text) > self._few or (len(own) < self._full and not self._needed <= own.keys()):
            self.check(own)
        return own


class _FieldsVariant(_Variant):
    """One whose variables are fields of an object."""

    def own(self, row: dict[str, Any]) -> dict[str, Any]:
        """The variables of a row: its fields, else those of its `variables`. Null is none. Raises: _WrongError."""
        nested = row.get("variables")
        inner = nested if isinstance(nested, dict) else {}
        found = ((variable, row.get(field, inner.get(field))) for variable, field in self._columns)
        own = {variable: value for variable, value in found if value is not None}
        if problem := check_variables(own):
            raise _WrongError(RowReason.VARIABLE_INVALID, problem)
        self.check(own)
        return own


def _check_spoiled(own: Mapping[str, str]) -> None:
    """Raises: _WrongError for a value that a spreadsheet has destroyed."""
    for name, value in own.items():
        if problem := spoiled(value):
            raise _WrongError(RowReason.VARIABLE_INVALID, f"the variable `{name}` {problem}")


def _picker(columns: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda cells: [cells[column] for column in columns]


class _Cells:
    """Finds address, reference and time zone in the rows of a CSV."""

    def __init__(self, header: tuple[str, ...], columns: Columns) -> None:
        self._width = len(header)
        self._to = find_column(header, columns.to)
        self._reference = None if columns.reference is None else find_column(header, columns.reference)
        self._zone = None if columns.time_zone is None else find_column(header, columns.time_zone)

    def basics(self, cells: list[str]) -> tuple[str, str, str]:
        """Address, reference and time zone. Raises: _WrongError."""
        width, reference, zone = self._width, self._reference, self._zone
        if len(cells) != width and (problem := misfit(cells, width)):
            raise _WrongError(RowReason.COLUMNS_WRONG, problem)
        return (
            "" if self._to is None else cells[self._to],
            "" if reference is None else cells[reference],
            "" if zone is None else cells[zone],
        )


class _Fields:
    """Finds address, reference and time zone in objects."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def basics(self, row: dict[str, Any]) -> tuple[str, str, str]:
        """Address, reference and time zone. Raises: _WrongError."""
        columns = self._columns
        to, reference = _text(row.get(columns.to)), _text(row.get(columns.reference or ""))
        zone = row.get(columns.time_zone or "") or ""
        if to is None:
            raise _WrongError(RowReason.NOT_JSON, f"the field `{columns.to}` is not a text")
        if reference is None:
            raise _WrongError(RowReason.REFERENCE_INVALID, f"the field `{columns.reference}` is not a text")
        if not isinstance(zone, str):
            raise _WrongError(RowReason.TIME_ZONE_UNKNOWN, f"the field `{columns.time_zone}` is not a text")
        return to, reference, zone


def _no(raw: str) -> None:
    """Admits no address without a look."""


def _text(value: Any) -> str | None:
    """A text, or a whole number as one; None for anything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


class Judge:
    """Judges the rows of a run whose file is planned; not thread-safe."""

    def __init__(self, run: Run, facts: Facts) -> None:
        campaign, columns = run.campaign, run.campaign.audience.columns
        header = () if run.file is None else run.file.header
        versions = [(variant.name, facts.versions[variant.name]) for variant in run.variants]
        self._variants: Sequence[Any]
        if campaign.audience.format is FileFormat.CSV:
            self._variants = [
                _CellsVariant(name, v, facts.sendable.get(name), columns, campaign, header) for name, v in versions
            ]
            self._basics: Callable[[Any], tuple[str, str, str]] = _Cells(header, columns).basics
        else:
            self._variants = [
                _FieldsVariant(name, v, facts.sendable.get(name), columns, campaign) for name, v in versions
            ]
            self._basics = _Fields(columns).basics
        self._split = None
        if len(versions) > 1 or campaign.holdout_percent:
            weights = [variant.weight for variant in run.variants]
            self._split = Split(campaign.id, weights, campaign.holdout_percent)
        self._channel = run.channel.value
        gate = Gate(facts.tenant.region, facts.team, facts.countries)
        self._admit = gate.admit
        # Where every address may be sent to, most need not be asked about.
        self._admitted: Callable[[str], object] = canonical(self._channel) if gate.admits_all(self._channel) else _no
        self._tag = Tagger(facts.tenant.salt, self._channel).__call__
        self._zones: dict[str, bool] = {}

    def judge(self, index: int, content: Content) -> Judged:
        """Judge a row as it was read. index: its place in the shard."""
        try:
            if type(content) is Unreadable:
                return Bad(index, content.reason, content.detail)
            if is_erased(content):
                return Bad(index, RowReason.ERASED, "was the row of somebody whose data were erased")
            raw, reference, zone = self._basics(content)
            to = raw if self._admitted(raw) else self._admit("to", self._channel, raw)
            if zone or reference:
                self._check(zone, reference)
            tag = self._tag(to)
            place = 0 if self._split is None else self._split(tag)
            if place is None and self._split is not None:
                # Only who could be sent to can be compared with those who are.
                self._variants[self._split.otherwise(tag)].own(content)
                return HeldOut(index, tag)
            variant = self._variants[place or 0]
            return Good(index, to, tag, variant.own(content), reference, zone, variant.name)
        except RefusedError as refused:
            return Bad(index, refused.reason, refused.detail)
        except _WrongError as wrong:
            return Bad(index, wrong.reason, wrong.detail, wrong.variable)

    __call__ = judge

    def _check(self, zone: str, reference: str) -> None:
        """Look whether a time zone is one, and a reference short enough. Raises: _WrongError."""
        if len(reference) > _REFERENCE_MAX:
            raise _WrongError(RowReason.REFERENCE_INVALID, f"the reference has more than {_REFERENCE_MAX} characters")
        if zone not in self._zones:
            if len(self._zones) > _MOST_ZONES:
                self._zones.clear()
            self._zones[zone] = not zone or _is_zone(zone)
        if not self._zones[zone]:
            raise _WrongError(RowReason.TIME_ZONE_UNKNOWN, "the time zone is no IANA name, such as Asia/Shanghai")


def _is_zone(name: str) -> bool:
    try:
        return len(name) <= _ZONE_MAX and checked_zone(name) == name
    except ValueError:
        return False
