"""What callers ask and read about a sender's domain."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from shared.model.base import Model
from shared.policy.landing.check import Verdict
from shared.policy.landing.findings import Check, State

MAX_SELECTORS = 10
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"


def _selectors(given: str) -> str:
    if len(given.split(",")) > MAX_SELECTORS:
        raise ValueError(f"name at most {MAX_SELECTORS} selectors")
    return given


class DomainQuery(Model):
    """For whom a domain is looked at."""

    model_config = ConfigDict(extra="forbid")

    account: str | None = Field(default=None, min_length=1, max_length=64)
    """The account that sends for the domain: its provider's servers and keys are looked for."""
    selectors: Annotated[str, AfterValidator(_selectors)] | None = Field(
        default=None, max_length=640, pattern=rf"^{_LABEL}(\.{_LABEL})*(,{_LABEL}(\.{_LABEL})*)*$"
    )
    """Where the DKIM keys lie, such as `s1,s2`; else what the account's provider says, else usual ones are tried."""


class DomainRecord(Model):
    """A record to copy into the domain's zone."""

    name: str
    type: str
    value: str


class DomainFinding(Model):
    """One thing found."""

    check: Check
    state: State
    code: str
    """Its name, the same whatever the words."""
    found: str
    """The record as it is; empty if there is none."""
    summary: str
    summary_zh: str
    action: str
    """What to do; empty if nothing is."""
    action_zh: str
    record: DomainRecord | None
    """What to publish."""


class DomainView(Model):
    """Whether mail from a domain will land, by what its records say."""

    domain: str
    account: str | None
    verdict: Verdict
    findings: list[DomainFinding]
