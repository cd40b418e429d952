"""What all tenants share belongs to the deployment: an operator's key sets it, and every tenant is told."""

from typing import Any

import pytest

from shared.model.tenants import TenantSettings
from shared.model.words import Scope
from shared.store.bootstrap import bootstrap
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import ManageApi
from tests.samples import change

GET, SET, AUDIT = "GET /v1/deployment", "PATCH /v1/deployment", "GET /v1/audit"
OPERATOR = "read manage operate"


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    made = ManageApi(aws, clock)
    for tenant in ("default", "b", "c"):
        made.catalog.ensure_tenant(tenant)
    return made


def test_queues_follow_what_an_operator_sets(manage_api: ManageApi) -> None:
    assert manage_api.call(GET).json == {"concurrency": {}, "changed_by": None, "changed_at": None}
    first = {"email.marketing": 50}
    assert manage_api.call(SET, {"concurrency": first}, scopes=OPERATOR).json["concurrency"] == first
    manage_api.call(SET, {"concurrency": {"email.marketing": 5, "sms.verification": 100}}, scopes=OPERATOR)
    assert manage_api.lambdas.limits == [("uuid-1", 50), ("uuid-1", 5), ("uuid-2", 100)]
    assert manage_api.call(GET, tenant="b").json["concurrency"] == {"email.marketing": 5, "sms.verification": 100}


@pytest.mark.parametrize("caller", [{}, {"kind": "test", "scopes": OPERATOR}, {"kind": "team", "scopes": OPERATOR}])
def test_nobody_else_sets_it(manage_api: ManageApi, caller: dict[str, Any]) -> None:
    answer = manage_api.call(SET, {"concurrency": {"email.marketing": 2}}, tenant="b", **caller)
    assert answer.status == 403
    assert "--operator" in answer.text or "live keys only" in answer.text
    assert manage_api.call("PATCH /v1/settings", {"concurrency": {"email.marketing": 2}}, tenant="b").status == 422
    # Nor by a key that a manager makes, or by settings of before, when each tenant could.
    assert manage_api.call("POST /v1/keys", {"name": "x", "scopes": ["operate"]}, tenant="b").status == 403
    for version, concurrency in ((1, {"email.marketing": 2}), (2, {})):
        found = manage_api.catalog.load_settings("b")
        settings = TenantSettings(version=version, concurrency=concurrency, time_zone="UTC" if version == 2 else None)
        manage_api.catalog.save_settings("b", settings, None if found is None else found.rev, change())
    assert manage_api.call("POST /v1/settings/restore", {"version": 1}, tenant="b").json["restored"] == 1
    assert manage_api.lambdas.limits == []


def test_every_tenant_is_told(manage_api: ManageApi) -> None:
    manage_api.call(SET, {"concurrency": {"email.marketing": 50}}, scopes=OPERATOR, who="op")
    for tenant in ("default", "b", "c"):
        [record] = manage_api.call(AUDIT, query={"target": "deployment"}, tenant=tenant).json["records"]
        assert (record["who"], record["action"]) == ("op", "update_deployment")
        assert record["after"]["concurrency"] == {"email.marketing": 50}


@pytest.mark.parametrize("concurrency", [{"email.marketing": 1}, {"fax.marketing": 5}, {"email.marketing": True}])
def test_what_is_wrong_is_named(manage_api: ManageApi, concurrency: Any) -> None:
    answer = manage_api.call(SET, {"concurrency": concurrency}, scopes=OPERATOR)
    assert answer.status == 422
    assert answer.fields[0].startswith("concurrency.")


def test_what_could_not_be_applied_is_applied_by_the_same_request(manage_api: ManageApi) -> None:
    manage_api.lambdas.broken = True
    answer = manage_api.call(SET, {"concurrency": {"email.marketing": 50}}, scopes=OPERATOR)
    assert (answer.status, answer.json["type"]) == (503, "urn:mepush:problem:not-applied")
    manage_api.lambdas.broken = False
    assert manage_api.call(SET, {"concurrency": {"email.marketing": 50}}, scopes=OPERATOR).status == 200
    assert manage_api.lambdas.limits == [("uuid-1", 50)]
    assert len(manage_api.call(AUDIT, query={"target": "deployment"}).json["records"]) == 1


@pytest.mark.parametrize(
    ("tenant", "operator", "may"), [("default", None, True), ("b", None, False), ("b", True, True)]
)
def test_who_runs_the_deployment_makes_operators(
    manage_api: ManageApi, tenant: str, operator: bool | None, may: bool
) -> None:
    key = manage_api.catalog.key(
        bootstrap(manage_api.catalog, manage_api.clock, tenant, operator=operator).split("_")[2]
    )
    assert key is not None
    assert (Scope.OPERATE in key.scopes) is may
