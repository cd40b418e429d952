"""The operations on campaigns. What a description cannot say of a campaign is checked here, field by field."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from functions.campaign.operations.schedules import Follower, read_schedule
from functions.campaign.operations.views import campaign_view, load_campaign
from functions.campaign.run.variants import Resolved, resolve
from shared.api.audit import Auditor
from shared.api.campaigns import CampaignCreate, CampaignPage, CampaignUpdate, CampaignView, ScheduleIn
from shared.api.kit import Call, OperationFunction
from shared.api.paging import PageQuery
from shared.errors import ConflictError, FieldError, InvalidError, forbidden, invalid, invalid_field
from shared.model.audit import AuditRecord
from shared.model.campaigns import Audience, Campaign, Duplicates, LimitAsked, Schedule, StopRule
from shared.model.clock import Clock
from shared.model.runs import campaign_of
from shared.model.sizes import json_size
from shared.model.variables import check_variables
from shared.model.words import KeyKind
from shared.policy.two_people import Second, second
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.catalog_items import CatalogConflictError, CatalogTooLargeError, CursorError, Stored

_ATTEMPTS = 5
MAX_SHARED_BYTES = 30_000
"""Of the variables that all recipients have in common: each envelope carries them."""
_EMPTIED: Mapping[str, Any] = {
    "schedule": None,
    "throttle": None,
    "stop_rule": None,
    "approve_above": None,
    "ttl": None,
    "variables": {},
    "holdout_percent": 0,
    "duplicates": Duplicates.FIRST,
}
"""What null makes of a field; what is not here cannot be taken away."""


class CampaignOperations:
    """The operations. Changes made by others in the same moment are read and built upon, some times over."""

    def __init__(self, catalog: Catalog, campaigns: Campaigns, follower: Follower, clock: Clock) -> None:
        self._catalog = catalog
        self._campaigns = campaigns
        self._follower = follower
        self._now = clock.now_ms
        self._auditor = Auditor(catalog, clock)

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {
            "create_campaign": self.create,
            "list_campaigns": self.page,
            "get_campaign": self.get,
            "update_campaign": self.update,
            "archive_campaign": self.archive,
        }

    def create(self, call: Call) -> CampaignView:
        """Save a new campaign, then its schedule; sent again, it makes no other.

        Raises: ConflictError, InvalidError, UnavailableError.
        """
        body: CampaignCreate = call.body
        tenant, now = call.caller.tenant, self._now()
        there = self._campaigns.load(tenant, body.id)
        before = None if there is None else there.value
        _check_kind(call, body.schedule)
        given = {name: getattr(body, name) for name in CampaignCreate.model_fields}
        changes, found = self._checked(tenant, given, before, now)
        campaign = Campaign(
            tenant=tenant,
            created_at=now,
            updated_at=now,
            created_by=call.caller.key_id,
            kind=call.caller.kind,
            **_plain(changes),
        )
        if before is None:
            before = self._save_new(call, campaign, found)
        if before is not None and not _same(campaign, before):
            raise ConflictError(f"There is a campaign `{campaign.id}`. Give another id, or change that one.")
        self._follower.apply(tenant, campaign.id)
        return self._view(before or campaign, found)

    def page(self, call: Call) -> CampaignPage:
        """A page of campaigns by id. Raises: InvalidError."""
        query: PageQuery = call.query
        tenant = call.caller.tenant
        try:
            page = self._campaigns.page(tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        active: dict[str, str] = {}
        for run in self._campaigns.open_runs(tenant) if page.items else ():
            active.setdefault(campaign_of(run), run)
        mine = [campaign for campaign in page.items if call.reaches(campaign.kind)]
        views = [self._view(campaign, None, active.get(campaign.id, "")) for campaign in mine]
        return CampaignPage(campaigns=views, cursor=page.cursor)

    def get(self, call: Call) -> CampaignView:
        """A campaign. Raises: NotFoundError."""
        return self._view(load_campaign(self._campaigns, call).value)

    def update(self, call: Call) -> CampaignView:
        """Change what is given, then the schedule.

        Raises: NotFoundError, ConflictError, InvalidError, UnavailableError.
        """
        body: CampaignUpdate = call.body
        given = {name: getattr(body, name) for name in CampaignUpdate.model_fields if name in body.model_fields_set}
        if kept := [name for name, value in given.items() if value is None and name not in _EMPTIED]:
            errors = [FieldError(field=name, message="cannot be taken away; leave it out to keep it") for name in kept]
            raise invalid(errors, "A campaign needs these fields.")
        changes = {name: _EMPTIED[name] if value is None else value for name, value in given.items()}

        def change(current: Campaign) -> tuple[Campaign, list[Resolved] | None]:
            if current.archived:
                raise ConflictError(f"The campaign `{current.id}` is archived, and not changed any more. Make another.")
            _check_kind(call, current.schedule, changes.get("schedule"))
            now = self._now()
            checked, found = self._checked(current.tenant, changes, current, now)
            checked = {**checked, **self._limited(call, current, checked, now)}
            # From now on it is what a live key wants: keys that reach nobody, or some, have no more say in it.
            kind = KeyKind.LIVE if call.caller.kind is KeyKind.LIVE else current.kind
            return current.changed(**_plain(checked), kind=kind, updated_at=now, changed_by=call.caller.key_id), found

        campaign, found = self._change(call, change)
        self._follower.apply(campaign.tenant, campaign.id)
        return self._view(campaign, found)

    def archive(self, call: Call) -> CampaignView:
        """Have a campaign start no more runs; the one that goes on, goes on.

        Raises: NotFoundError, ConflictError, UnavailableError.
        """

        def change(current: Campaign) -> tuple[Campaign, None]:
            _check_kind(call, current.schedule)
            return current.changed(archived=True, updated_at=self._now()), None

        campaign, _ = self._change(call, change)
        self._follower.apply(campaign.tenant, campaign.id)
        return self._view(campaign)

    def _save_new(self, call: Call, campaign: Campaign, found: list[Resolved] | None) -> Campaign | None:
        """Save a new campaign; the one that is there if another was faster. Raises: ConflictError, InvalidError."""
        record = self._auditor.record(call, f"campaign/{campaign.id}", None, self._view(campaign, found, ""))
        try:
            self._campaigns.save(campaign, None, record)
        except CatalogTooLargeError:
            raise _too_large() from None
        except CatalogConflictError:
            there = self._campaigns.load(campaign.tenant, campaign.id)
            if there is None:
                raise ConflictError("Others are making this campaign; try again.") from None
            return there.value
        return None

    def _change(self, call: Call, change: Any) -> tuple[Campaign, list[Resolved] | None]:
        """Change a campaign as it is now, again if another came first.

        Raises: NotFoundError, ConflictError; `change`'s.
        """
        for _ in range(_ATTEMPTS):
            there = load_campaign(self._campaigns, call)
            campaign, found = change(there.value)
            if _same(campaign, there.value):
                return there.value, found
            try:
                self._campaigns.save(campaign, there.rev, self._record(call, there, campaign, found))
            except CatalogTooLargeError:
                raise _too_large() from None
            except CatalogConflictError:
                continue
            return campaign, found
        raise ConflictError("Others are changing this campaign; look at it and try again.")

    def _record(
        self, call: Call, there: Stored[Campaign], campaign: Campaign, found: list[Resolved] | None
    ) -> AuditRecord:
        before, after = self._view(there.value, None, ""), self._view(campaign, found, "")
        return self._auditor.record(call, f"campaign/{campaign.id}", before, after)

    def _checked(
        self, tenant: str, changes: dict[str, Any], current: Campaign | None, now: int
    ) -> tuple[dict[str, Any], list[Resolved] | None]:
        """What is to be changed as it is stored, and what the variants stand for, if that was looked at.

        Raises: InvalidError naming every field that is wrong.
        """
        errors: list[FieldError] = []
        if (given := changes.get("schedule")) is not None:
            zone = self._time_zone(tenant)
            schedule, wrong = read_schedule(given, zone, now, None if current is None else current.schedule)
            changes, errors = {**changes, "schedule": schedule}, errors + wrong

        def value(name: str) -> Any:
            return changes[name] if name in changes else getattr(current, name)

        found: list[Resolved] | None = None
        audience: Audience = value("audience")
        # What has become of templates since counts for those alone who change what goes with them.
        if changes.keys() & {"variants", "variables", "audience"}:
            found, wrong = resolve(self._catalog, tenant, value("variants"))
            errors += wrong + _variable_problems(value("variables"), audience, None if wrong else found)
        if "audience" in changes:
            errors += self._audience_problems(tenant, audience)
        errors += _rule_problems(changes.get("stop_rule"))
        if errors:
            raise invalid(errors, "The campaign cannot be saved so.")
        return changes, found

    def _audience_problems(self, tenant: str, audience: Audience) -> list[FieldError]:
        """What is wrong with the name of a file, or of the run or campaign that is followed."""
        if audience.file is not None and (problem := file_problem(audience.file)):
            return [FieldError(field="audience.file", message=problem)]
        follows = audience.follows
        if follows is None:
            return []
        if follows.run is not None and self._campaigns.load_run(tenant, follows.run) is None:
            return [FieldError(field="audience.follows.run", message=f"there is no run `{follows.run}`")]
        if follows.campaign is not None and self._campaigns.load(tenant, follows.campaign) is None:
            message = f"there is no campaign `{follows.campaign}`"
            return [FieldError(field="audience.follows.campaign", message=message)]
        return []

    def _limited(self, call: Call, current: Campaign, changes: Mapping[str, Any], now: int) -> dict[str, Any]:
        """What becomes of `approve_above`: two people are needed so that fewer runs wait for an approval."""
        limit = current.approve_above
        wanted = changes.get("approve_above", limit)
        if "approve_above" not in changes:
            return {}
        if limit is None or (wanted is not None and wanted <= limit):
            return {"limit_asked": None}
        by, asked = call.caller.key_id, current.limit_asked
        if asked is not None and asked.value != wanted:
            asked = None
        asked_by, asked_at = (None, None) if asked is None else (asked.by, asked.at)
        match second(asked_by, asked_at, by, now, self._catalog.person):
            case Second.DONE:
                return {"limit_asked": None}
            case Second.FIRST:
                asked = LimitAsked(value=wanted, by=by, at=now)
        return {"approve_above": limit, "limit_asked": asked}

    def _time_zone(self, tenant: str) -> str:
        settings = self._catalog.fresh.settings(tenant)
        stored = self._catalog.tenant(tenant)
        return settings.time_zone or ("UTC" if stored is None else stored.time_zone)

    def _view(
        self, campaign: Campaign, found: Sequence[Resolved] | None = None, active: str | None = None
    ) -> CampaignView:
        """active: the run that is not over; "" for none, None to look for it."""
        template = found[0].template if found else None
        if template is None:
            template = self._catalog.template(campaign.tenant, campaign.variants[0].template)
        if active is None:
            active = next(iter(self._campaigns.open_runs(campaign.tenant, campaign.id)), "")
        return campaign_view(campaign, template, active or None, self._now())


def _check_kind(call: Call, *schedules: Schedule | ScheduleIn | None) -> None:
    """Raises: ForbiddenError for a test or team key, since what a schedule starts reaches everybody."""
    if not call.reaches(KeyKind.LIVE) and any(schedule is not None for schedule in schedules):
        detail = (
            f"What a schedule starts reaches everybody, so a {call.caller.kind} key neither sets one nor changes a "
            "campaign that has one. Use a live key, or leave the schedule out and start runs with this key."
        )
        raise forbidden(detail)


def file_problem(file: str) -> str | None:
    """What is wrong with the name of an audience file, beyond its characters."""
    if any(part in ("", ".", "..") for part in file.split("/")):
        return "is no name of a file: leave out empty parts, `.` and `..`; name it as POST /v1/audiences answered"
    return None


def _variable_problems(
    shared: Mapping[str, Any], audience: Audience, found: Sequence[Resolved] | None
) -> list[FieldError]:
    if problem := check_variables(shared):
        return [FieldError(field="variables", message=problem)]
    if (taken := json_size(shared)) > MAX_SHARED_BYTES:
        message = f"are {taken:,} bytes, more than {MAX_SHARED_BYTES:,}; every message carries them"
        return [FieldError(field="variables", message=message)]
    if found is None:
        return []
    used: Collection[str] = {name for one in found for name in one.placeholders}
    message = "no template of the campaign uses the variable `{}`; leave it out"
    places = {"variables": shared, "audience.columns.variables": audience.columns.variables}
    return [
        FieldError(field=f"{place}.{name}", message=message.format(name))
        for place, names in places.items()
        for name in sorted(names)
        if name not in used
    ]


def _rule_problems(rule: StopRule | None) -> list[FieldError]:
    if rule is None or {rule.failures_percent, rule.complaints_percent, rule.undelivered_percent} != {None}:
        return []
    message = "stops nothing: give failures_percent, complaints_percent or undelivered_percent"
    return [FieldError(field="stop_rule", message=message)]


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as the stored model takes them."""
    return {name: tuple(value) if name == "variants" else value for name, value in changes.items()}


def _same(one: Campaign, other: Campaign) -> bool:
    """Whether two say the same, whoever saved them and when."""
    times = dict.fromkeys(("created_at", "updated_at"), 0) | {"created_by": "", "changed_by": ""}
    return one.model_copy(update=times) == other.model_copy(update=times)


def _too_large() -> InvalidError:
    return invalid_field("", "the campaign is too large to be saved: give fewer or shorter variables and columns")
