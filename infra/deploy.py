"""Deploys a stage, shows what would change, or takes it away: `python -m infra.deploy VERB --stage NAME`.

`make` has a target for each verb. docs/deploy.md is the guide.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound

from infra.cdk_app import synth
from infra.cdk_command import CdkError, cdk
from infra.first_key import FirstKeyError, first_key
from infra.options import EDGE_REGION
from infra.packaging import BUILD, PackagingError
from infra.protection import protections
from infra.stage import Stage, StageError, stage_named, stage_names
from shared.model.tenants import DEFAULT_TENANT

_LOGIN = "Log in with `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
_HINTS = {
    "AccessDenied": "These AWS credentials may not do this; docs/deploy.md names what they need.",
    "ExpiredToken": _LOGIN,
    "ExpiredTokenException": _LOGIN,
    "InvalidClientTokenId": _LOGIN,
    "UnrecognizedClientException": _LOGIN,
}


class DeployError(Exception):
    """Nothing was changed; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage is deployed. session: with the credentials for it."""

    account: str
    region: str
    session: boto3.Session


def place_of(stage: Stage) -> Place:
    """Where a stage belongs, by its file and the AWS credentials that are set.

    Raises: DeployError without credentials or a Region, and for another account than the stage's.
    """
    if stage.allow_loopback:
        raise DeployError(f"The stage {stage.name} is for `make run`: allow_loopback is never deployed.")
    try:
        session = boto3.Session(region_name=stage.region or os.environ.get("AWS_REGION"))
        if session.region_name is None:
            raise NoRegionError
        account = session.client("sts").get_caller_identity()["Account"]
    except NoRegionError:
        said = f"There is no AWS Region: write `region` into infra/stages/{stage.name}.toml, or set AWS_REGION."
        raise DeployError(said) from None
    except NoCredentialsError:
        raise DeployError(f"There are no AWS credentials. {_LOGIN}") from None
    except ProfileNotFound as error:
        raise DeployError(f"{error}. {_LOGIN}") from None
    if stage.account not in (None, account):
        raise DeployError(
            f"The stage {stage.name} belongs in the account {stage.account}; these credentials are for {account}."
        )
    return Place(account, session.region_name, session)


def bootstrap(stage: Stage, place: Place) -> int:
    """Prepare an account for the CDK, once, in all Regions that the stage has stacks in."""
    regions = {place.region, EDGE_REGION} if stage.domain is not None and stage.domain.edge else {place.region}
    return cdk(("bootstrap", *(f"aws://{place.account}/{each}" for each in sorted(regions))), place.region)


def deploy(stage: Stage, place: Place) -> int:
    """Deploy what there is. Raises: DeployError where the CDK has not been prepared for."""
    if not _bootstrapped(place):
        raise DeployError(
            f"The account {place.account} is not prepared for the CDK in {place.region}: "
            f"run `make bootstrap STAGE={stage.name}` once."
        )
    arguments = ("deploy", "--all", "--app", str(_synthesised(stage)), "--require-approval", "broadening")
    return cdk(arguments, place.region)


def diff(stage: Stage, place: Place) -> int:
    """Show what a deployment would change."""
    return cdk(("diff", "--app", str(_synthesised(stage))), place.region)


def destroy(stage: Stage, place: Place) -> int:
    """Take a stage away, once the CDK's question is answered. Raises: DeployError while data is protected."""
    if found := protections(stage, place.session):
        what = "\n".join(f"- {each}" for each in found)
        raise DeployError(
            f"Nothing was deleted: the stage {stage.name} holds data that is protected.\n{what}\n"
            f"To give it up for good: write `keep_data = false` into infra/stages/{stage.name}.toml, "
            f"run `make deploy STAGE={stage.name}`, empty the buckets, and run this again."
        )
    return cdk(("destroy", "--all", "--app", str(_synthesised(stage, stub_assets=True))), place.region)


def make_first_key(stage: Stage, place: Place) -> int:
    """Make the first API key of a deployed stage and print it. Raises: DeployError; FirstKeyError."""
    stacks = place.session.client("cloudformation").describe_stacks(StackName=stage.prefix)["Stacks"]
    tables = [each["OutputValue"] for each in stacks[0].get("Outputs", []) if each["OutputKey"] == "CatalogTable"]
    if not tables:
        raise DeployError(f"The stack {stage.prefix} has no table yet: run `make deploy STAGE={stage.name}`.")
    print("Keep this key now; it is not shown again.", file=sys.stderr)
    print(first_key(tables[0], DEFAULT_TENANT, "first key", place.region, None))
    return 0


VERBS: dict[str, Callable[[Stage, Place], int]] = {
    "bootstrap": bootstrap,
    "deploy": deploy,
    "diff": diff,
    "destroy": destroy,
    "first-key": make_first_key,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code: 0 done, 1 refused, else the CDK's."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=__doc__)
    parser.add_argument("verb", choices=tuple(VERBS))
    parser.add_argument("--stage", required=True, help=f"a file in infra/stages: {', '.join(stage_names())}")
    options = parser.parse_args(arguments)
    try:
        stage = stage_named(options.stage)
        return VERBS[options.verb](stage, place_of(stage))
    except (DeployError, StageError, PackagingError, CdkError) as error:
        print(error, file=sys.stderr)
    except FirstKeyError as error:
        print(error, error.hint, sep="\n", file=sys.stderr)
    except ClientError as error:
        said = error.response.get("Error", {})
        code = said.get("Code", "")
        # CloudFormation has no code of its own for a stack that there is not.
        missing = code == "ValidationError" and "does not exist" in said.get("Message", "")
        hint = f"Run `make deploy STAGE={options.stage}` first." if missing else _HINTS.get(code, "")
        print(f"AWS refused: {code}. {hint}".strip(), file=sys.stderr)
    except BotoCoreError as error:
        print(f"AWS cannot be reached: {str(error).rstrip('.')}. {_LOGIN}", file=sys.stderr)
    return 1


def _synthesised(stage: Stage, *, stub_assets: bool = False) -> Path:
    """A folder with the stage's templates. stub_assets: without code, which taking away does not need."""
    folder = BUILD / "deploy" / stage.name
    synth(folder, stub_assets=stub_assets, stage=stage)
    return folder


def _bootstrapped(place: Place) -> bool:
    try:
        place.session.client("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ParameterNotFound":
            return False
        raise
    return True


if __name__ == "__main__":
    sys.exit(main())
