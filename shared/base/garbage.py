"""Lets a process start without a look for garbage: of what is imported there is none, and all of it would be looked at
several times, which takes a tenth to a quarter of the start.
"""

import gc
import os

HOW = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""How Lambda starts this process; nobody else sets it (Lambda developer guide, "Defined runtime environment
variables")."""


def put_off() -> None:
    """Look for no garbage until `resume`, if Lambda starts this process."""
    if HOW in os.environ:
        gc.disable()


def resume() -> None:
    """Look for garbage from now on, among what comes from now on: what is there stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
