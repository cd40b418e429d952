"""Makes what judges and packs a run's rows: by what the run settled when it started, so that every look at a row finds
the same."""

from functions.campaign.failures import RunFailedError
from functions.campaign.packing import Packer
from functions.campaign.rows import Facts, Judge
from shared.model.clock import Clock
from shared.model.runs import Run
from shared.model.words import Channel
from shared.policy.ttl import ttl_seconds
from shared.store.catalog import Catalog


class Judges:
    """Makes judges and packers; thread-safe."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock

    def judge(self, run: Run) -> Judge:
        """A judge of a run's rows. Raises: RunFailedError; what the catalog raises."""
        tenant, versions = self._catalog.tenant(run.tenant), {}
        for variant in run.variants:
            version = self._catalog.version(run.tenant, variant.template, variant.version)
            if version is None:
                raise RunFailedError(
                    f"Version {variant.version} of the template `{variant.template}` is gone. Start another run."
                )
            versions[variant.name] = version
        if tenant is None:
            raise RunFailedError("The tenant is gone, and with it the salt by which recipients are told apart.")
        team = None if run.team is None else frozenset(run.team)
        countries = frozenset(run.countries if run.channel is Channel.SMS else ())
        return Judge(run, Facts(tenant, versions, team, countries))

    def packer(self, run: Run) -> Packer:
        """A packer of a run's rows. Raises: RunFailedError; what the catalog raises."""
        ttl_s = {}
        for variant in run.variants:
            template = self._catalog.template(run.tenant, variant.template)
            if template is None:
                raise RunFailedError(f"The template `{variant.template}` is gone. Start another run.")
            ttl_s[variant.name] = ttl_seconds(run.campaign.ttl, template)
        # A run may be paused, or slow, for longer than its messages live: that counts from when they are queued.
        return Packer(run, ttl_s, run.time_zone, self._clock.now_ms())
