"""The operations on a tenant's settings: every change is a new version, and an old one can be taken up again."""

from collections.abc import Callable
from typing import Any

from functions.manage.deps import ManageDeps
from shared.api.audit import Auditor
from shared.api.governance import PoliciesUpdate, SettingsPage, SettingsRestore, SettingsUpdate, SettingsView
from shared.api.kit import Call, OperationFunction
from shared.api.paging import PageQuery
from shared.errors import ConflictError, invalid_field, not_found
from shared.model.policies import ClassPolicies
from shared.model.tenants import TenantSettings
from shared.policy.two_people import Second, second
from shared.store.catalog_items import CatalogConflictError, CursorError

_ATTEMPTS = 5
_KEPT_ON: dict[str, Any] = {"review_off_by": "", "review_off_at": None}
"""Nobody wants the review switched off."""


def settings_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on settings, by id."""
    settings = Settings(deps)
    return {
        "get_settings": settings.get,
        "update_settings": settings.update,
        "list_settings": settings.page,
        "restore_settings": settings.restore,
    }


class Settings:
    """The operations. A change that changes nothing makes no version."""

    def __init__(self, deps: ManageDeps) -> None:
        self._catalog = deps.catalog
        self._now = deps.clock.now_ms
        self._auditor = Auditor(deps.catalog, deps.clock)

    def get(self, call: Call) -> SettingsView:
        """The settings that count."""
        found = self._catalog.load_settings(call.caller.tenant)
        return SettingsView.of(TenantSettings() if found is None else found.value)

    def update(self, call: Call) -> SettingsView:
        """Change what is given; the review is switched off once a second person has asked for it.

        Raises: ConflictError, InvalidError.
        """
        body: SettingsUpdate = call.body
        given = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}

        def change(current: TenantSettings) -> TenantSettings:
            changes: dict[str, Any] = {**given, "restored": None}
            if body.review_required:
                changes |= _KEPT_ON
            if body.verification_guard is not None:
                changes["verification_guard"] = body.verification_guard.applied(current.verification_guard)
            if body.policies is not None:
                changes["policies"] = _with(current.policies, body.policies)
            return current.model_copy(update=changes)

        return self._change(call, change)

    def page(self, call: Call) -> SettingsPage:
        """A page of versions by number. Raises: InvalidError."""
        query: PageQuery = call.query
        try:
            page = self._catalog.list_settings(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        return SettingsPage(settings=[SettingsView.of(settings) for settings in page.items], cursor=page.cursor)

    def restore(self, call: Call) -> SettingsView:
        """Save the values of an earlier version as the next one. Raises: NotFoundError, ConflictError."""
        body: SettingsRestore = call.body
        wanted = self._catalog.load_settings_version(call.caller.tenant, body.version)
        if wanted is None:
            raise not_found("version of the settings")
        return self._change(call, lambda _: wanted.model_copy(update={"restored": wanted.version} | _KEPT_ON))

    def _change(self, call: Call, change: Callable[[TenantSettings], TenantSettings]) -> SettingsView:
        """Change the settings as they are now, again if another came first. Raises: ConflictError."""
        tenant = call.caller.tenant
        for _ in range(_ATTEMPTS):
            found = self._catalog.load_settings(tenant)
            current = TenantSettings() if found is None else found.value
            wanted = self._reviewed(call, current, change(current))
            if _values(wanted) == _values(current):
                return SettingsView.of(current)
            who = {"version": current.version + 1, "changed_by": call.caller.key_id, "changed_at": self._now()}
            settings = wanted.model_copy(update=who)
            after = SettingsView.of(settings)
            record = self._auditor.record(call, "settings", SettingsView.of(current), after)
            try:
                self._catalog.save_settings(tenant, settings, None if found is None else found.rev, record)
            except CatalogConflictError:
                continue
            return after
        raise ConflictError("Others are changing the settings; look at them and try again.")

    def _reviewed(self, call: Call, current: TenantSettings, wanted: TenantSettings) -> TenantSettings:
        """The settings that are wanted, their review still required until a second person wants it off."""
        if wanted.review_required or not current.review_required:
            return wanted
        asked = current.review_off_by, current.review_off_at
        by, now = call.caller.key_id, self._now()
        match second(*asked, by, now, self._catalog.person):
            case Second.DONE:
                return wanted.model_copy(update=_KEPT_ON)
            case Second.SAME:
                by, now = asked[0], asked[1] or now
        return wanted.model_copy(update={"review_required": True, "review_off_by": by, "review_off_at": now})


def _with(policies: ClassPolicies, changed: PoliciesUpdate) -> ClassPolicies:
    """Policies with those of some classes replaced. Raises: InvalidError."""
    given = {name: value for name in changed.model_fields_set if (value := getattr(changed, name)) is not None}
    if changed.verification is not None and changed.verification.quiet_hours is not None:
        raise invalid_field("policies.verification.quiet_hours", "codes are sent at any hour; leave it out")
    return policies.model_copy(update=given)


def _values(settings: TenantSettings) -> dict[str, object]:
    return settings.model_dump(exclude={"version", "changed_by", "changed_at", "restored"})
