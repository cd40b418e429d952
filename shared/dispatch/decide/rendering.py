"""Rendering: the template is filled in; what cannot be rendered, or holds a blocked word, fails."""

from collections.abc import Sequence

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import failed
from shared.model.clock import Clock
from shared.model.reasons import Reason
from shared.rendering.render import TemplateError


class Rendering(Step):
    """Renders messages, for as long as an envelope may take (see `filling.py`)."""

    def take(self, batch: Batch) -> Taken:
        return rendered(batch, batch.candidates, batch.settings.blocked_words, self.sources.clock)


def rendered(batch: Batch, candidates: Sequence[Candidate], words: Sequence[str], clock: Clock) -> Taken:
    """Render some messages. words: those that no message may hold."""
    try:
        filling = batch.filling
    except TemplateError as error:
        # Saved before a rule for templates became stricter: no try can help.
        found, now = str(error), clock.now_ms()
        reason = Reason.RENDERING_FAILED
        return [], [failed(batch.envelope, each.recipient, reason, found, now) for each in candidates]
    pairs, rows = filling.fill([candidate.recipient for candidate in candidates], words)
    return [Candidate(recipient, message) for recipient, message in pairs], rows
