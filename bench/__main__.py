"""Run all benchmarks, or those named: `python -m bench [email|ses|ingest|requests|expand|campaign|scale|...]`."""

import sys

from bench import (
    archive,
    campaign,
    cold,
    drill,
    email,
    examples,
    expand,
    guard,
    ingest,
    isolation,
    latency,
    providers,
    receipts,
    requests,
    rtt,
    scale,
    ses,
    start,
    verify,
)
from bench.figures import report

ALL = {
    "email": email.run,
    "rtt": rtt.run,
    "providers": providers.run,
    "ses": ses.run,
    "ingest": ingest.run,
    "requests": requests.run,
    "expand": expand.run,
    "campaign": campaign.run,
    "receipts": receipts.run,
    "archive": archive.run,
    "latency": latency.run,
    "scale": scale.run,
    "isolation": isolation.run,
    "examples": examples.run,
    "drill": drill.run,
    "guard": guard.run,
    "start": start.run,
    "verify": verify.run,
    "cold": cold.run,
}


def main() -> int:
    """Print the figures; 1 if a target was missed."""
    figures = [figure for name in sys.argv[1:] or ALL for figure in ALL[name]()]
    report(figures)
    return 0 if all(f.met is not False for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
