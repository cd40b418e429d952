"""Test keys: their messages come to the end that their address asks for, and no provider is called."""

import random

from shared.dispatch.decide.rendering import rendered
from shared.dispatch.decide.step import Batch, Step, Taken
from shared.lifecycle.verdict import GENERATION, Via, judge
from shared.model.words import KeyKind
from shared.policy import simulation


class Simulation(Step):
    """Renders the messages of test keys and plays what becomes of them (see `shared/policy/simulation.py`)."""

    def take(self, batch: Batch) -> Taken:
        envelope = batch.envelope
        if envelope.kind is not KeyKind.TEST:
            return batch.candidates, []
        filled, failed = rendered(batch, batch.candidates, (), self.sources.clock)
        now, via = self.now(), Via(simulation.PROVIDER, simulation.PROVIDER)
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        # What was redriven is past the tries that come to nothing.
        tries = GENERATION * envelope.generation + envelope.attempt
        played = []
        for candidate in filled:
            to, id = candidate.recipient.address, candidate.message.message_id
            outcome = simulation.outcome_of(envelope.channel, to, tries, id)
            played.append(judge(envelope, candidate.recipient, outcome, now, chance, via))
        return [], [*failed, *played]
