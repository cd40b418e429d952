"""Campaigns and runs as callers see them, and how they are found by what is in a path."""

from functions.campaign.operations.schedules import schedule_view
from shared.api.campaigns import CampaignView, LimitView, RunSummary
from shared.api.fields import moment, moment_or_none
from shared.api.kit import Call
from shared.errors import not_found
from shared.model.base import Model
from shared.model.campaigns import Campaign
from shared.model.runs import Purpose, Run, RunState
from shared.model.templates import Template
from shared.model.words import Channel, KeyKind, MessageClass
from shared.store.campaigns import Campaigns
from shared.store.catalog_items import Stored


def load_campaign(campaigns: Campaigns, call: Call) -> Stored[Campaign]:
    """The campaign that a call names, as it is now. Raises: ForbiddenError, NotFoundError."""
    found = campaigns.load(call.caller.tenant, call.path["id"])
    if found is None:
        raise not_found("campaign")
    call.require(found.value.kind, "campaign")
    return found


def load_run(campaigns: Campaigns, call: Call) -> Run:
    """The run that a call names, as it is now. Raises: ForbiddenError, NotFoundError."""
    found = campaigns.load_run(call.caller.tenant, call.path["id"])
    if found is None:
        raise not_found("run")
    run = found.value
    call.require(run.kind, "run")
    # A report tells of rows, and rejects hold them.
    if run.file is not None:
        call.require(run.file.kind, "run's audience file")
    return run


def campaign_view(campaign: Campaign, template: Template | None, active: str | None, now: int) -> CampaignView:
    """A campaign. template: of its first variant. active: its run that is not over. now: milliseconds."""
    return CampaignView(
        id=campaign.id,
        name=campaign.name,
        kind=campaign.kind,
        # Templates are never deleted.
        channel=Channel.EMAIL if template is None else template.channel,
        message_class=MessageClass.MARKETING if template is None else template.message_class,
        variants=list(campaign.variants),
        audience=campaign.audience,
        variables=campaign.variables,
        schedule=None if campaign.schedule is None else schedule_view(campaign.schedule, now, campaign.archived),
        throttle=campaign.throttle,
        stop_rule=campaign.stop_rule,
        holdout_percent=campaign.holdout_percent,
        duplicates=campaign.duplicates,
        approve_above=campaign.approve_above,
        approve_above_asked=_asked(campaign),
        ttl=campaign.ttl,
        archived=campaign.archived,
        active_run=active,
        created_at=moment(campaign.created_at),
        updated_at=moment(campaign.updated_at),
    )


def _asked(campaign: Campaign) -> LimitView | None:
    asked = campaign.limit_asked
    return None if asked is None else LimitView(value=asked.value, by=asked.by, at=moment(asked.at))


class RunRecord(Model):
    """What the audit log keeps of a run: what people decide."""

    id: str
    purpose: Purpose
    state: RunState
    kind: KeyKind
    started_by: str
    approved_by: str | None
    throttle: int | None
    file: str
    templates: list[str]


def run_record(run: Run) -> RunRecord:
    """A run for the audit log."""
    return RunRecord(
        id=run.id,
        purpose=run.purpose,
        state=run.state,
        kind=run.kind,
        started_by=run.started_by,
        approved_by=run.approved_by,
        throttle=run.throttle,
        file=_recipients(run),
        templates=[f"{variant.template}/{variant.version}" for variant in run.variants],
    )


def _recipients(run: Run) -> str:
    follows = run.campaign.audience.follows
    return (
        run.campaign.audience.file or "" if follows is None else f"{follows.who} of {follows.run or follows.campaign}"
    )


def run_summary(run: Run) -> RunSummary:
    """A run in a list. Its messages: those it has queued, or will, as far as is known."""
    return RunSummary(
        id=run.id,
        purpose=run.purpose,
        state=run.state,
        fired_at=moment(run.fired_at),
        over_at=moment_or_none(run.over_at),
        messages=_messages(run),
    )


def _messages(run: Run) -> int | None:
    if run.over and run.sending_at is not None:
        return run.tally.accepted
    return None if run.checked_at is None else run.tally.messages
