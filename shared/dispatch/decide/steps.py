"""The steps that an envelope's messages go through before anything is sent, in their order."""

from shared.dispatch.decide.attached_files import AttachedFiles
from shared.dispatch.decide.caps import Caps
from shared.dispatch.decide.choose_account import ChooseAccount
from shared.dispatch.decide.duplicates import Duplicates
from shared.dispatch.decide.erased import Erased
from shared.dispatch.decide.expired import Expired
from shared.dispatch.decide.provider_limits import ProviderLimits
from shared.dispatch.decide.quiet_hours import QuietHours
from shared.dispatch.decide.rendering import Rendering
from shared.dispatch.decide.run_state import RunState
from shared.dispatch.decide.simulation import Simulation
from shared.dispatch.decide.step import Step
from shared.dispatch.decide.suppression import Suppression
from shared.dispatch.decide.tracked_links import TrackedLinks
from shared.dispatch.decide.unsubscribe_links import UnsubscribeLinks

STEPS: tuple[type[Step], ...] = (
    Erased,
    Expired,
    RunState,
    Suppression,
    Simulation,
    QuietHours,
    Rendering,
    AttachedFiles,
    Duplicates,
    Caps,
    UnsubscribeLinks,
    TrackedLinks,
    ChooseAccount,
    ProviderLimits,
)
"""What ends a message soonest and costs least comes first. Duplicates and caps take something, so they come after all
that can still end a message without asking an account. Docs: `docs/architecture.md`, `docs/adding-a-policy.md`."""
