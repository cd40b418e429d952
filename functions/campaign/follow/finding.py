"""Finds the run that another one follows, and what of it the new one has: its file, as it was cut."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from shared.errors import ConflictError, InvalidError, PlatformError, forbidden, invalid_field
from shared.model.campaigns import Audience, Campaign, Columns, Follows, Who
from shared.model.runs import AudienceFile, Purpose, Run
from shared.model.templates import Template, TrackingMode
from shared.model.words import KeyKind
from shared.policy.files import KEEP_DAYS
from shared.store.catalog_items import Page, Stored

DAY_MS = 86_400_000
PAGE, PAGES = 20, 10
"""So many runs of a campaign are looked through, the newest first."""
_FIELD = "audience.follows"


class FollowedError(ConflictError):
    """A campaign has followed a run already."""

    def __init__(self, followed: str, by: str) -> None:
        super().__init__(
            f"The campaign has followed the run `{followed}` already, by its run `{by}`: the same people would get the "
            "same again. Make another campaign if they are to."
        )


class Runs(Protocol):
    """See `shared.store.campaigns.Campaigns`."""

    def load_run(self, tenant: str, run: str) -> Stored[Run] | None: ...

    def runs(self, tenant: str, campaign: str, limit: int, cursor: str | None = None) -> Page[Run]: ...


def find(runs: Runs, tenant: str, follows: Follows, kind: KeyKind, now: int) -> Run:
    """The run that is followed. kind: of the key that wants it. now: milliseconds since the epoch.

    Raises: InvalidError, ConflictError, ForbiddenError, all with what to do; what the store raises.
    """
    run = _latest(runs, tenant, follows.campaign, kind) if follows.campaign is not None else None
    if follows.run is not None:
        stored = runs.load_run(tenant, follows.run)
        if stored is None:
            raise invalid_field(f"{_FIELD}.run", f"there is no run `{follows.run}`")
        run = stored.value
    if run is None:
        raise invalid_field(
            f"{_FIELD}.campaign",
            f"the campaign `{follows.campaign}` has no run of {kind} keys yet that sent and is over",
        )
    if (problem := _problem(run, kind, now)) is not None:
        raise problem
    return run


def check_known(follows: Follows, templates: Iterable[Template | None]) -> None:
    """Raises: InvalidError if nobody can know who is meant. templates: of the run that is followed."""
    if follows.who not in (Who.NOT_OPENED, Who.NOT_CLICKED):
        return
    anonymous = [each.id for each in templates if each is not None and each.tracking == TrackingMode.ANONYMOUS]
    if anonymous:
        raise invalid_field(
            f"{_FIELD}.who",
            f"the template `{anonymous[0]}` is tracked anonymously, so nobody knows who has not opened or clicked; "
            "follow by `no_receipt` or `undelivered`, or track the template by `recipient` from its next run on",
        )


def check_new(runs: Runs, tenant: str, campaign: Campaign, followed: Run) -> None:
    """Raises: FollowedError if a campaign has followed a run already for the same people, or is about to.

    A schedule may fire again before the run that it follows has a successor.
    """
    follows = campaign.audience.follows
    for run in _newest(runs, tenant, campaign.id):
        theirs = run.campaign.audience.follows
        if theirs is None or follows is None or run.purpose is not Purpose.SEND or run.kind is not followed.kind:
            continue
        if (theirs.run, theirs.who) == (followed.id, follows.who) and (_sent(run) or not run.over):
            raise FollowedError(followed.id, run.id)


def _latest(runs: Runs, tenant: str, campaign: str, kind: KeyKind) -> Run | None:
    found = (run for run in _newest(runs, tenant, campaign) if run.kind is kind and run.over and _sent(run))
    return next(found, None)


def _newest(runs: Runs, tenant: str, campaign: str) -> Iterator[Run]:
    """The runs of a campaign, the newest first, as far as they are looked through."""
    cursor = None
    for _ in range(PAGES):
        page = runs.runs(tenant, campaign, PAGE, cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _sent(run: Run) -> bool:
    return run.purpose is Purpose.SEND and run.sending_at is not None and run.file is not None


def _problem(run: Run, kind: KeyKind, now: int) -> PlatformError | None:
    """Why a run cannot be followed; None if it can."""
    if run.kind is not kind:
        return forbidden(
            f"The run `{run.id}` is one of {run.kind} keys, and is followed by their runs alone: they reach other "
            f"people than those of {kind} keys.",
            _FIELD,
        )
    if not run.over:
        return ConflictError(
            f"The run `{run.id}` is not over, so nobody knows who will be `{run.state}` still. Wait for its end, or "
            "cancel it."
        )
    if not _sent(run):
        return _invalid(f"the run `{run.id}` has sent nothing, so there is nothing to follow up")
    if now - (run.over_at or run.fired_at) > KEEP_DAYS * DAY_MS:
        return _invalid(gone(run.id))
    return None


def _invalid(problem: str) -> InvalidError:
    return invalid_field(_FIELD, problem)


def gone(run: str) -> str:
    """That the rows of a run are gone, and what to do."""
    return (
        f"the rows of the run `{run}` are gone: they are kept for {KEEP_DAYS} days. Look the people up in your own "
        "data or in the trace, and upload them as a file"
    )


def following(campaign: Campaign, follows: Follows, followed: Run) -> Campaign:
    """The campaign as a run has it that follows another: it names that run, and reads as that one's file is read."""
    there = followed.campaign.audience
    named = campaign.audience.columns
    columns = there.columns if named == Columns() else named
    pinned = Follows(run=followed.id, who=follows.who, after_hours=follows.after_hours)
    return campaign.model_copy(update={"audience": Audience(follows=pinned, format=there.format, columns=columns)})


def its_file(followed: Run) -> AudienceFile:
    """What the shards of a run that follows another are cut from. Raises: ValueError if that one has no file."""
    if followed.file is None:
        raise ValueError("the run has no file")
    # The rows that are picked are objects of their own, as those of a file are that had to be written anew.
    return followed.file.model_copy(update={"recoded": True})
