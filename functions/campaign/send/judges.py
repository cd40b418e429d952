"""Makes what judges and packs a run's rows: by what the run settled when it started, so that every look at a row finds
the same."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from functions.campaign.check.rows import Facts, Judge
from functions.campaign.file.failures import RunFailedError
from functions.campaign.send.packing import Packer
from shared.acceptance.sendable import Sendable
from shared.model.clock import Clock
from shared.model.runs import PinnedVariant, Run
from shared.model.templates import TemplateVersion
from shared.model.words import Channel
from shared.policy.ttl import ttl_seconds
from shared.rendering.render import Compiled, TemplateError, compile_content
from shared.store.catalog import Catalog


class Judges:
    """Makes judges and packers; thread-safe."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._compiled: Callable[[str, str, int], Compiled] = lru_cache(64)(self._compile)

    def checking(self, run: Run) -> Judge:
        """A judge of a run's rows, who fills their messages in. Raises: RunFailedError; what the catalog raises."""
        return self._judge(run, dict(self._sendable(run)))

    def sending(self, run: Run) -> Judge:
        """The same for rows that were checked, whose messages are not filled in once more. Raises: as `checking`."""
        return self._judge(run, {})

    def _judge(self, run: Run, sendable: Mapping[str, Sendable]) -> Judge:
        tenant = self._catalog.tenant(run.tenant)
        versions = {variant.name: self._version(run.tenant, variant) for variant in run.variants}
        if tenant is None:
            raise RunFailedError("The tenant is gone, and with it the salt by which recipients are told apart.")
        team = None if run.team is None else frozenset(run.team)
        countries = frozenset(run.countries if run.channel is Channel.SMS else ())
        return Judge(run, Facts(tenant, versions, team, countries, sendable))

    def _version(self, tenant: str, variant: PinnedVariant) -> TemplateVersion:
        version = self._catalog.version(tenant, variant.template, variant.version)
        if version is None:
            raise RunFailedError(
                f"Version {variant.version} of the template `{variant.template}` is gone. Start another run."
            )
        return version

    def _sendable(self, run: Run) -> Iterator[tuple[str, Sendable]]:
        """What judges the messages of each variant. Raises: RunFailedError."""
        for variant in run.variants:
            # Runs that began before providers were settled go on as they began.
            if variant.providers is None:
                continue
            try:
                compiled = self._compiled(run.tenant, variant.template, variant.version)
            except TemplateError as error:
                raise RunFailedError(
                    f"Version {variant.version} of the template `{variant.template}` breaks a rule that is newer than "
                    f"itself: {error}. Save and publish another version."
                ) from None
            yield variant.name, Sendable(compiled, run.campaign.variables, variant.providers, run.message_class)

    def _compile(self, tenant: str, template: str, number: int) -> Compiled:
        version = self._catalog.version(tenant, template, number)
        if version is None:
            raise RunFailedError(f"Version {number} of the template `{template}` is gone. Start another run.")
        return compile_content(version.content)

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
