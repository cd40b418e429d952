"""Dispatch: takes envelopes off a queue, sends their messages, records what became of them, and hands on the rest."""
