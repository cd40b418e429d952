"""The operations on runs: start one, look at it, hold it, go on, approve it, end it."""

from collections.abc import Callable
from typing import Protocol

from aws_lambda_powertools import Logger

from functions.campaign.operations.views import load_campaign, load_run, run_record, run_summary
from functions.campaign.run import control
from functions.campaign.run.starting import SCHEDULE, Starter
from shared.api.audit import Auditor
from shared.api.campaigns import RejectsFile, RejectsPage, RunPage, RunStart, RunUpdate, RunView
from shared.api.fields import moment
from shared.api.kit import Call, OperationFunction
from shared.api.paging import PageQuery
from shared.aws.runfiles import LINK_SECONDS, RunFiles
from shared.aws.tasks import TaskError, Tasks
from shared.base.logs import log_error
from shared.errors import ConflictError, InvalidError, NotAppliedError, invalid_field, not_found
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.runs import Purpose, Run, Shard
from shared.store.campaigns import Campaigns
from shared.store.catalog_items import CatalogConflictError, CursorError, from_cursor, to_cursor
from shared.store.keys import KeyStore
from shared.store.shards import Shards

logger = Logger(child=True)

_SHARD = "shard#"


class Reporting(Protocol):
    """Tells how far a run is, or what came of it."""

    def view(self, run: Run) -> RunView:
        """A run as callers see it."""
        ...


class RunOperations:
    """The operations. Each that changes a run can be sent again: what is done already is not done twice."""

    def __init__(
        self,
        keys: KeyStore,
        campaigns: Campaigns,
        shards: Shards,
        starter: Starter,
        reporting: Reporting,
        tasks: Tasks,
        files: RunFiles,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._campaigns = campaigns
        self._shards = shards
        self._starter = starter
        self._reporting = reporting
        self._tasks = tasks
        self._files = files
        self._now = clock.now_ms
        self._auditor = Auditor(keys, clock)

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {
            "check_campaign": self.check,
            "start_run": self.start,
            "list_runs": self.page,
            "get_run": self.get,
            "update_run": self.update,
            "pause_run": self.pause,
            "resume_run": self.resume,
            "approve_run": self.approve,
            "cancel_run": self.cancel,
            "list_rejects": self.rejects,
        }

    def check(self, call: Call) -> RunView:
        """Start a run that only reads the file.

        Raises: NotFoundError, ConflictError, InvalidError, UnavailableError.
        """
        return self._start(call, Purpose.CHECK, None)

    def start(self, call: Call) -> RunView:
        """Start a run now, of the kind of the caller's key.

        Raises: NotFoundError, ConflictError, InvalidError, UnavailableError.
        """
        body: RunStart = call.body
        return self._start(call, Purpose.SEND, body.throttle)

    def page(self, call: Call) -> RunPage:
        """A page of a campaign's runs, the newest first. Raises: NotFoundError, InvalidError."""
        query: PageQuery = call.query
        campaign = load_campaign(self._campaigns, call).value
        try:
            page = self._campaigns.runs(campaign.tenant, campaign.id, query.limit, query.cursor)
        except CursorError:
            raise _cursor_problem() from None
        return RunPage(runs=[run_summary(run) for run in page.items if call.reaches(run.kind)], cursor=page.cursor)

    def get(self, call: Call) -> RunView:
        """How far a run is, or its report. Raises: NotFoundError."""
        return self._reporting.view(load_run(self._campaigns, call))

    def update(self, call: Call) -> RunView:
        """Change a run's throttle. Raises: NotFoundError, ConflictError, UnavailableError."""
        body: RunUpdate = call.body
        return self._change(call, lambda run: control.throttled(run, self._now(), body.throttle))

    def pause(self, call: Call) -> RunView:
        """Hold a run. Raises: NotFoundError, ConflictError, UnavailableError."""
        return self._change(call, lambda run: control.pause(run, self._now(), call.caller.key_id))

    def resume(self, call: Call) -> RunView:
        """Go on with a run. Raises: NotFoundError, ConflictError, UnavailableError."""
        return self._change(call, lambda run: control.resume(run, self._now(), call.caller.key_id))

    def approve(self, call: Call) -> RunView:
        """Let a large run begin. Raises: NotFoundError, ConflictError, UnavailableError."""

        def change(run: Run) -> Run:
            approved = control.approve(run, self._now(), call.caller.key_id)
            if self._keys.person(call.caller.key_id) in self._starters(run):
                raise ConflictError(
                    "The run was started with this key, or one that descends from the same first key, which are one "
                    "person's: nobody approves their own. Use another person's key."
                )
            return approved

        return self._change(call, change)

    def _starters(self, run: Run) -> set[str]:
        """Who wanted a run: whoever started it or, if its schedule did, made the campaign or changed it last."""
        keys = (run.campaign.created_by, run.campaign.changed_by) if run.started_by == SCHEDULE else (run.started_by,)
        return {self._keys.person(key) for key in keys if key}

    def cancel(self, call: Call) -> RunView:
        """End a run. Raises: NotFoundError, ConflictError, UnavailableError."""
        return self._change(call, lambda run: control.cancel(run, self._now(), call.caller.key_id))

    def rejects(self, call: Call) -> RejectsPage:
        """Links to the rows that were rejected, by part of the file. Raises: NotFoundError, InvalidError."""
        query: PageQuery = call.query
        run = load_run(self._campaigns, call)
        after = -1
        if query.cursor is not None:
            try:
                after = int(from_cursor(query.cursor, _SHARD).removeprefix(_SHARD))
            except ValueError:
                raise _cursor_problem() from None
        shards = self._shards.all(run.tenant, run.id, consistent=False)
        left = [shard for shard in shards if shard.number > after and _rejected(shard)]
        page = left[: query.limit]
        cursor = to_cursor(f"{_SHARD}{page[-1].number:06d}") if len(left) > len(page) else None
        return RejectsPage(files=[self._rejects_file(run, shard) for shard in page], cursor=cursor)

    def _rejects_file(self, run: Run, shard: Shard) -> RejectsFile:
        return RejectsFile(
            first_row=run.campaign.audience.format.shown(shard.first_row),
            rows=shard.rows,
            rejected=_rejected(shard),
            url=self._files.link(run.tenant, run.id, "rejects", shard.number, f"rejects-{shard.number:06d}.csv"),
            expires_at=moment(self._now() + LINK_SECONDS * 1000),
        )

    def _start(self, call: Call, purpose: Purpose, throttle: int | None) -> RunView:
        campaign, caller = load_campaign(self._campaigns, call).value, call.caller

        def record(run: Run) -> AuditRecord:
            return self._auditor.record(call, _target(run), None, run_record(run))

        def start() -> Run:
            return self._starter.start(
                caller.tenant, campaign, self._now(), caller.key_id, caller.kind, purpose, throttle, record
            )

        return self._reporting.view(self._told(start))

    def _change(self, call: Call, change: Callable[[Run], Run]) -> RunView:
        """Change a run as it is now, then tell who works on it.

        Raises: NotFoundError, ConflictError, UnavailableError; `change`'s.
        """

        def record(before: Run, after: Run) -> AuditRecord:
            return self._auditor.record(call, _target(after), run_record(before), run_record(after))

        def checked(run: Run) -> Run:
            call.require(run.kind, "run")
            return change(run)

        try:
            run = self._campaigns.change_run(call.caller.tenant, call.path["id"], checked, record)
        except CatalogConflictError:
            raise ConflictError("Others are changing this run; look at it and try again.") from None
        if run is None:
            raise not_found("run")
        changed = run

        def tell() -> Run:
            self._tasks.send(control.tasks_after(changed))
            return changed

        return self._reporting.view(self._told(tell))

    def _told(self, tell: Callable[[], Run]) -> Run:
        """Raises: NotAppliedError if who works on runs could not be told; `tell`'s."""
        try:
            return tell()
        except TaskError as error:
            log_error(logger, "run not told", error)
            detail = "It is saved, and takes effect within five minutes by itself; look at the run then."
            raise NotAppliedError(detail) from None


def _target(run: Run) -> str:
    return f"campaign/{run.campaign.id}/run/{run.id}"


def _rejected(shard: Shard) -> int:
    return 0 if shard.checked is None else sum(shard.checked.rejected.values())


def _cursor_problem() -> InvalidError:
    return invalid_field("query.cursor", "give back the cursor of an earlier page as it was")
