"""Whether addresses are kept: as the tenant's settings say, and never so that something else fails for it."""

from dataclasses import dataclass

from botocore.exceptions import EndpointConnectionError

from shared.acceptance.addresses import Seals
from shared.model.tenants import Tenant, TenantSettings
from shared.policy.sealing import Sealer
from tests.samples import TENANT


@dataclass
class Configured:
    keep: bool = True
    broken: bool = False
    known: bool = True

    def tenant(self, tenant_id: str) -> Tenant | None:
        return TENANT if self.known else None

    def settings(self, tenant: str) -> TenantSettings:
        if self.broken:
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example")
        return TenantSettings(keep_addresses=self.keep)


def test_addresses_are_sealed_by_the_tenants_own_key() -> None:
    seal = Seals(Configured()).of(TENANT.id)
    assert seal is not None
    assert Sealer(TENANT.salt).open("m", seal("m", "ann@example.com")) == "ann@example.com"


def test_they_are_not_kept_where_the_settings_say_so() -> None:
    assert TenantSettings().keep_addresses
    assert Seals(Configured(keep=False)).of(TENANT.id) is None


def test_a_switch_counts_for_who_is_at_work_already() -> None:
    configured = Configured()
    seals = Seals(configured)
    assert seals.of(TENANT.id) is not None
    configured.keep = False
    assert seals.of(TENANT.id) is None


def test_what_cannot_be_read_fails_nothing() -> None:
    assert Seals(Configured(broken=True)).of(TENANT.id) is None
    assert Seals(Configured(known=False)).of(TENANT.id) is None
