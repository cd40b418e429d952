"""Makes the first API key of a deployment in its table, with AWS credentials that may write to it."""

import argparse
import json
import sys
from collections.abc import Sequence

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.model.clock import SystemClock
from shared.model.tenants import DEFAULT_TENANT
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog

_HINTS = {
    "ResourceNotFoundException": "There is no such table in this region; the stack's outputs name it.",
    "AccessDeniedException": "These AWS credentials may not write to the table.",
    "ExpiredTokenException": "The AWS credentials have expired; log in again.",
    "UnrecognizedClientException": "AWS does not know these credentials.",
}


class FirstKeyError(Exception):
    """AWS made no key. hint: what to do about it."""

    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)
        self.hint = hint


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the key alone on standard output; return the exit code: 0 done, 1 AWS said no."""
    args = _parser().parse_args(arguments)
    try:
        made = first_key(args.catalog_table, args.tenant, args.name, args.region, args.operator)
    except FirstKeyError as error:
        if args.json:
            print(json.dumps({"error": str(error), "hint": error.hint}))
        else:
            print(error, error.hint, sep="\n", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({"key": made}))
    else:
        print("Keep this key now; it is not shown again.", file=sys.stderr)
        print(made)
    return 0


def first_key(table: str, tenant: str, name: str, region: str | None, operator: bool | None) -> str:
    """Make a key in a deployed table; return its text. Arguments: as `bootstrap` has them. Raises: FirstKeyError."""
    clock = SystemClock()
    try:
        client = boto3.client("dynamodb", region_name=region)
        return bootstrap(Catalog(client, table, clock), clock, tenant, name, operator)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        hint = _HINTS.get(code, "See whether these AWS credentials may write to the table.")
        raise FirstKeyError(f"AWS refused: {code}.", hint) from None
    except BotoCoreError as error:
        said = str(error).rstrip(".")
        raise FirstKeyError(f"AWS cannot be reached: {said}.", "Check your AWS credentials and --region.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.first_key", description=__doc__)
    parser.add_argument("--catalog-table", required=True, help="the deployed catalog table's name")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="a single team needs no other")
    parser.add_argument("--name", default="first key", help="what the key is for")
    parser.add_argument(
        "--operator",
        action=argparse.BooleanOptionalAction,
        help="whether it may change what all tenants share; by default that of the tenant `default` may",
    )
    parser.add_argument("--region", help="AWS region, else your AWS configuration's")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return parser


if __name__ == "__main__":
    sys.exit(main())
