"""Wall time of the whole of `examples/` on the local stack: accepted, sent and traced."""

from bench.figures import Figure
from local.demo import run_demo
from local.seed import first_key, seed
from local.stack import LocalStack


def run() -> list[Figure]:
    """examples_seconds."""
    with LocalStack() as stack:
        key = first_key(stack)
        seed(stack.url, key, stack.sandboxes)
        report = run_demo(stack, key)
    if not report.ok:
        raise RuntimeError("not every recipient came to the expected end")
    return [Figure("examples_seconds", report.seconds, "seconds", most=20)]
