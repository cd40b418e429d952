"""Starts runs: settles what one sends, and sees to it that a campaign has one at a time.

A run is saved as `waiting` first and then takes its campaign's turn, so of two that start at the same moment one goes
on, wherever a function breaks off. The other is left out or waits, as its schedule has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from functions.campaign.follow.finding import FollowedError, check_known, check_new, find, following, its_file
from functions.campaign.run.variants import Resolved, resolve
from shared.errors import ConflictError, PlatformError, RequestError, forbidden, invalid, invalid_field
from shared.model.audit import AuditRecord
from shared.model.campaigns import Campaign, Overlap, Schedule
from shared.model.clock import Clock
from shared.model.envelope import MAX_RECIPIENTS
from shared.model.runs import MAX_BLOCK, AudienceFile, PinnedVariant, Purpose, Run, RunState, run_id
from shared.model.tasks import DriveTask, StartTask
from shared.model.words import Channel, KeyKind, MessageClass
from shared.policy.access import reaches
from shared.policy.files import audience_key
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog

logger = Logger(child=True)

MAX_CHAINS = 16
CHAIN_PER_MINUTE = 6_000
"""So many messages a minute keep one chain at work."""
BLOCK_S = 10
"""Of a run with a throttle a block, and so an envelope, has at most the messages of so many seconds."""
SCHEDULE = "schedule"
"""Who starts runs that nobody starts."""

Recorder = Callable[[Run], AuditRecord]


class Files(Protocol):
    """Where audience files are. head: an object as it is now; None if there is none."""

    def head(self, key: str) -> AudienceFile | None: ...


class TaskQueue(Protocol):
    """Where tasks go."""

    def send(self, tasks: list[DriveTask], delay_s: float = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts runs of campaigns."""

    campaigns: Campaigns
    catalog: Catalog
    files: Files
    tasks: TaskQueue
    clock: Clock

    def start(
        self,
        tenant: str,
        campaign: Campaign,
        fired_at: int,
        by: str,
        kind: KeyKind,
        purpose: Purpose = Purpose.SEND,
        throttle: int | None = None,
        record: Recorder | None = None,
    ) -> Run:
        """Start a run that a person wants. by: the key's id. throttle: instead of the campaign's. record: for the audit
        log.

        Raises: ForbiddenError for a file that the key does not reach; ConflictError if the campaign is archived or a
        run is going on; InvalidError if it cannot be sent so; what the stores and the queue raise.
        """
        if campaign.archived:
            raise ConflictError("The campaign is archived and starts no runs any more. Save it anew under another id.")
        run = self._settled(tenant, campaign, fired_at, by, kind, purpose, throttle)
        if purpose is Purpose.SEND and _overlap(campaign) is Overlap.SKIP and (other := self._before(run, any_=True)):
            raise ConflictError(f"The run {other} of this campaign is not over. Wait for its end, or cancel it.")
        while not self.campaigns.create_run(run, None if record is None else record(run)):
            # Somebody starts another one in the same millisecond.
            run = run.moved(id=run_id(tenant, campaign.id, run.fired_at + 1), fired_at=run.fired_at + 1)
        return self.admit(run)

    def fire(self, task: StartTask) -> Run | None:
        """Start the run for which a schedule fired; one that cannot be sent is there as failed. None if none is due.

        The same firing again is the same run. Raises: ValueError for a time that is none; what the stores and the
        queue raise.
        """
        fired_at = moment(task.scheduled_at)
        id = run_id(task.tenant, task.campaign, fired_at)
        found = self.campaigns.load_run(task.tenant, id)
        if found is not None:
            return self.admit(found.value)
        stored = self.campaigns.load(task.tenant, task.campaign)
        if stored is None or not _due(stored.value, fired_at):
            logger.info("a schedule fired that does not count any more", campaign=task.campaign)
            return None
        try:
            run = self._settled(
                task.tenant, stored.value, fired_at, SCHEDULE, KeyKind.LIVE, Purpose.SEND, stored.value.throttle
            )
        except FollowedError as error:
            run = self._without(RunState.SKIPPED, stored.value, fired_at, f"Left out. {error.detail}")
        except (RequestError, ConflictError) as error:
            run = self._without(RunState.FAILED, stored.value, fired_at, _in_words(error))
        self.campaigns.create_run(run)
        return self.admit(run)

    def admit(self, run: Run) -> Run:
        """Let a run that waits go on if it is its turn; otherwise it waits on, or is left out.

        Any run may be asked about, and again. Raises: what the stores and the queue raise.
        """
        if run.state is RunState.WAITING:
            run = self._admitted(run)
        if run.state is RunState.PLANNING and run.tick == 0:
            self.tasks.send([DriveTask(tenant=run.tenant, run=run.id, tick=run.tick)])
        return run

    def _admitted(self, run: Run) -> Run:
        now = self.clock.now_ms()
        if run.purpose is Purpose.SEND and (self._before(run) or not self.campaigns.take_turn(run)):
            if _overlap(run.campaign) is Overlap.QUEUE:
                return run
            other = self._before(run, any_=True)
            named = f" ({other})" if other else ""
            problem = (
                f"Left out, since the run before{named} was not over. To have runs wait instead, set the schedule's "
                "`overlap` to `queue`."
            )
            return self._moved(run, RunState.SKIPPED, now, problem)
        stored = self.campaigns.load(run.tenant, run.campaign.id)
        if stored is not None and stored.value.archived:
            return self._moved(run, RunState.SKIPPED, now, "Left out, since the campaign was archived while it waited.")
        return self._moved(run, RunState.PLANNING, now, None)

    def _moved(self, run: Run, state: RunState, now: int, problem: str | None) -> Run:
        def change(found: Run) -> Run | None:
            return found.to(state, now, "platform", problem=problem) if found.state is RunState.WAITING else None

        return self.campaigns.change_run(run.tenant, run.id, change) or run

    def _before(self, run: Run, any_: bool = False) -> str | None:
        """The run of the campaign that comes before this one and is not over. any_: or after it."""
        for id in self.campaigns.open_runs(run.tenant, run.campaign.id):
            if id == run.id:
                if any_:
                    continue
                return None
            found = self.campaigns.load_run(run.tenant, id)
            if found is not None and not found.value.over and _same_lane(found.value, run):
                return id
        return None

    def _settled(
        self,
        tenant: str,
        campaign: Campaign,
        fired_at: int,
        by: str,
        kind: KeyKind,
        purpose: Purpose,
        throttle: int | None,
    ) -> Run:
        """A new run with all that it sends. Raises: ForbiddenError, InvalidError, ConflictError."""
        variants, errors = resolve(self.catalog, tenant, campaign.variants)
        if errors:
            raise invalid(errors, "The campaign cannot be sent as it is.")
        rate = throttle if throttle is not None else campaign.throttle
        # Who starts a run by hand means now, on every clock.
        local = campaign.schedule is not None and campaign.schedule.local and by == SCHEDULE
        envelope, block = sizes(rate, len(variants), local=local)
        now = self.clock.now_ms()
        campaign, file = self._audience(tenant, campaign, kind, purpose, now)
        return Run(
            id=run_id(tenant, campaign.id, fired_at),
            tenant=tenant,
            fired_at=fired_at,
            purpose=purpose,
            state=RunState.WAITING,
            state_at=now,
            state_by=by,
            kind=kind,
            started_by=by,
            campaign=campaign,
            channel=variants[0].template.channel,
            message_class=variants[0].template.message_class,
            variants=tuple(self._pinned(one) for one in variants),
            file=file,
            created_at=now,
            envelope=envelope,
            block=block,
            chains=chains(rate),
            throttle=rate,
            **self._facts(tenant, by, kind),
        )

    def _facts(self, tenant: str, by: str, kind: KeyKind) -> dict[str, Any]:
        """What else decides which rows are packed together, which must be the same whenever that is done."""
        settings, home = self.catalog.fresh.settings(tenant), self.catalog.tenant(tenant)
        team = self.catalog.fresh.team(by, kind)
        return {
            "team": None if team is None else tuple(sorted(team)),
            "countries": tuple(settings.countries),
            "time_zone": settings.time_zone or (home.time_zone if home else "UTC"),
        }

    def _pinned(self, one: Resolved) -> PinnedVariant:
        """A variant with what decides which of its rows can be sent."""
        variant, template = one.variant, one.template
        accounts = [self.catalog.account(template.tenant, id) for id in template.accounts]
        return PinnedVariant(
            name=variant.name,
            template=template.id,
            version=one.version.version,
            weight=variant.weight,
            providers=tuple(dict.fromkeys(account.provider for account in accounts if account is not None)),
        )

    def _audience(
        self, tenant: str, campaign: Campaign, kind: KeyKind, purpose: Purpose, now: int
    ) -> tuple[Campaign, AudienceFile]:
        """The campaign as this run has it, and the file with its recipients.

        kind: of the key that wants it read. Raises: ForbiddenError, InvalidError, ConflictError.
        """
        if campaign.audience.follows is None:
            return campaign, self._file(tenant, campaign.audience.file or "", kind)
        followed = find(self.campaigns, tenant, campaign.audience.follows, kind, now)
        templates = (self.catalog.template(tenant, each.template) for each in followed.campaign.variants)
        check_known(campaign.audience.follows, templates)
        if purpose is Purpose.SEND:
            check_new(self.campaigns, tenant, campaign, followed)
        return following(campaign, campaign.audience.follows, followed), its_file(followed)

    def _file(self, tenant: str, name: str, kind: KeyKind) -> AudienceFile:
        """A file as it is now. kind: of the key that wants it read. Raises: ForbiddenError, InvalidError."""
        key = audience_key(tenant, name)
        found = self.files.head(key)
        if found is None:
            raise invalid_field(
                "audience.file",
                f"there is no file `{name}`; upload it (POST /v1/audiences) or copy it to `{key}` in the assets bucket",
            )
        if not reaches("check_campaign", kind, found.kind):
            raise forbidden(f"The file `{name}` {foreign(kind, found)}.", "audience.file")
        if found.size == 0:
            raise invalid_field("audience.file", f"the file `{name}` is empty; upload it again")
        return found

    def _without(self, state: RunState, campaign: Campaign, fired_at: int, problem: str) -> Run:
        """A run that is not sent, so that people see that it was due."""
        now = self.clock.now_ms()
        template = self.catalog.template(campaign.tenant, campaign.variants[0].template)
        return Run(
            id=run_id(campaign.tenant, campaign.id, fired_at),
            tenant=campaign.tenant,
            fired_at=fired_at,
            state=state,
            state_at=now,
            state_by="platform",
            started_by=SCHEDULE,
            campaign=campaign,
            channel=Channel.EMAIL if template is None else template.channel,
            message_class=MessageClass.MARKETING if template is None else template.message_class,
            created_at=now,
            over_at=now,
            problem=problem,
        )


def sizes(throttle: int | None, variants: int, *, local: bool) -> tuple[int, int]:
    """How many recipients an envelope has at most, and how many rows are packed together.

    As many as may be where each recipient has a time of their own, so that envelopes are full all the same.
    """
    block = max(MAX_RECIPIENTS * variants, MAX_BLOCK if local else 0)
    if throttle is not None:
        # A block goes at once, so it must not be more than some seconds' worth, whatever it consists of.
        block = max(1, min(block, throttle * BLOCK_S // 60))
    return min(MAX_RECIPIENTS, block), block


def chains(per_minute: float | None) -> int:
    """How many shards are worked on side by side, if there are as many. per_minute: messages, at most."""
    return MAX_CHAINS if per_minute is None else max(1, min(MAX_CHAINS, int(per_minute // CHAIN_PER_MINUTE)))


def moment(text: str) -> int:
    """A time as EventBridge Scheduler writes it, in milliseconds since the epoch. Raises: ValueError."""
    found = datetime.fromisoformat(text)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def foreign(kind: KeyKind, file: AudienceFile) -> str:
    """Why a key of a kind may not have a file read, and what to do."""
    return (
        f"belongs to {file.kind} keys, and a {kind} key reads no such file: upload one with this key, or use a live key"
    )


def _due(campaign: Campaign, fired_at: int) -> bool:
    schedule: Schedule | None = campaign.schedule
    if schedule is None or campaign.archived:
        return False
    return (schedule.starts_at or fired_at) <= fired_at <= (schedule.ends_at or fired_at)


def _overlap(campaign: Campaign) -> Overlap:
    return Overlap.SKIP if campaign.schedule is None else campaign.schedule.overlap


def _same_lane(one: Run, other: Run) -> bool:
    """Whether one waits for the other: checks wait for nothing, and no team's or test's run keeps back a live one."""
    return one.purpose is Purpose.SEND and other.purpose is Purpose.SEND and one.kind is other.kind


def _in_words(error: PlatformError) -> str:
    found = [f"`{each.field}`: {each.message}" for each in error.errors]
    return f"The run did not start. {'; '.join(found) or error.detail}."
