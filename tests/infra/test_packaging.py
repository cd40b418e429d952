"""The functions' packages: what is in them, that they are enough, and that they are always the same."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from infra import packaging, pages, trimming
from infra.packaging import HOST, LAMBDA, ROOT, PackagingError, locked_requirements
from infra.specs import AWS_SERVICES, FUNCTIONS
from shared.api.operations import OPERATIONS
from shared.function import (
    ADDRESS_PACKAGES,
    DNS_PACKAGES,
    ApiTrigger,
    AuthorizerTrigger,
    FunctionSpec,
    OpenRoutes,
    QueueTrigger,
    StreamTrigger,
)
from shared.model.words import Channel
from shared.providers.table import PROVIDERS
from tests.infra.template import Template

WRITTEN = [spec for spec in FUNCTIONS.values() if (ROOT / "functions" / spec.folder / "handler.py").is_file()]

ENDS = {"returned", "200", "404", "405", "EndpointConnectionError", "EventNotAcceptedError"}
"""How a call that asks for nothing may end where AWS is out of reach: all that it needs was there."""

DECLARING = {"__init__.py", "limits.py", "rights.py", "spec.py", "table.py", "declared.py"}
"""What functions carry of `shared/providers/` that send nothing: they judge and price what others send."""


@pytest.fixture
def build() -> Path:
    """Where packages for this machine are built, and kept from run to run under a hash of what went in."""
    return packaging.BUILD / "tests"


def _names(requirements: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", requirements, re.MULTILINE))


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _event(spec: FunctionSpec) -> dict[str, Any]:
    """A call that asks for nothing, as what calls the function makes it."""
    if any(isinstance(each, QueueTrigger | StreamTrigger) for each in spec.triggers):
        return {"Records": []}
    if any(isinstance(each, ApiTrigger | OpenRoutes | AuthorizerTrigger) for each in spec.triggers):
        request = {
            "http": {"method": "GET", "path": "/", "sourceIp": "127.0.0.1"},
            "requestId": "r",
            "stage": "$default",
        }
        keys = [key for each in spec.triggers if isinstance(each, OpenRoutes) for key in each.routes]
        keys += [key for each in OPERATIONS if each.function == spec.name and not each.scope for key in each.route_keys]
        return {
            "version": "2.0",
            "routeKey": next(iter(keys), "GET /"),
            "rawPath": "/",
            "headers": {},
            "pathParameters": {"tenant": "-", "account": "-", "token": "-"},
            "requestContext": request,
        }
    return {}


def _environment(spec: FunctionSpec, template: Template) -> dict[str, str]:
    """As deployed, in a Region that answers nothing."""
    variables: dict[str, str] = template.functions()[spec.name].properties.get("Environment", {}).get("Variables", {})
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**variables, **nowhere, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_MAX_ATTEMPTS": "1"}


@pytest.mark.parametrize("spec", WRITTEN, ids=lambda spec: spec.name)
def test_a_handler_is_called_with_nothing_but_its_package(
    spec: FunctionSpec, build: Path, tmp_path: Path, prod: Template
) -> None:
    packaging.copy_sources(spec, tmp_path)
    if spec.pages:
        pages.write(tmp_path)
    dependencies = packaging.install(spec.distributions, HOST, build)
    # Addresses are normalised at the API and only masked elsewhere, and only the former loads these two.
    missing = "" if set(ADDRESS_PACKAGES) <= set(spec.distributions) else "email_validator,phonenumbers"
    missing += "" if set(DNS_PACKAGES) <= set(spec.distributions) else ",dns.exception,dns.name,dns.resolver"
    missing += ",snapshot_restore_py"  # is part of Lambda's Python
    script = Path(__file__).with_name("isolated.py")
    compiled = f"pycache_prefix={build / 'compiled'}"
    interpreter = [sys.executable, "-I", "-S", "-X", compiled]
    command = [
        *interpreter,
        str(script),
        spec.handler,
        missing,
        json.dumps(_event(spec)),
        str(tmp_path),
        str(dependencies),
    ]
    environment = _environment(spec, prod)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    modules, ended = done.stdout.splitlines()[-1].split()
    assert int(modules) > 5
    assert ended in ENDS, done.stdout + done.stderr


def test_a_package_is_code_and_dependencies_built_once(build: Path) -> None:
    spec = FUNCTIONS["authorize"]
    package = packaging.package(spec, HOST, build)
    assert (package / "functions" / "authorize" / "handler.py").is_file()
    assert (package / "pydantic" / "__init__.py").is_file()
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*")}
    assert packaging.package(spec, HOST, build) == package
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*")} == before


def test_two_builds_of_the_same_are_the_same_to_the_byte(build: Path, tmp_path: Path) -> None:
    spec = FUNCTIONS["authorize"]
    first, second = packaging.package(spec, HOST, build), packaging.package(spec, HOST, tmp_path)
    assert (first.name, _digests(first)) == (second.name, _digests(second))


def test_a_package_holds_no_traces_of_its_installation(build: Path) -> None:
    folder = packaging.install(FUNCTIONS["authorize"].distributions, HOST, build)
    names = {path.name for path in folder.rglob("*")}
    assert names.isdisjoint({"RECORD", "INSTALLER", "REQUESTED", "__pycache__", "bin", "requirements.txt"})
    services = {path.name for path in (folder / "botocore" / "data").iterdir() if path.is_dir()}
    assert services == set(AWS_SERVICES)


def test_earlier_packages_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaging, "FUNCTIONS", {"authorize": FUNCTIONS["authorize"]})
    old = [tmp_path / "functions" / HOST.name / "authorize-0", tmp_path / "dependencies" / f"{HOST.name}-0"]
    other = tmp_path / "dependencies" / "lambda-0"
    for folder in (*old, other):
        folder.mkdir(parents=True)
    packages = packaging.package_all(HOST, tmp_path)
    assert list((tmp_path / "functions" / HOST.name).iterdir()) == [packages["authorize"]]
    assert not any(folder.exists() for folder in old)
    assert other.exists()


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PackagingError("no space left")

    monkeypatch.setattr(trimming, "trim", fail)
    with pytest.raises(PackagingError, match="no space left"):
        packaging.install(("jinja2",), HOST, tmp_path)
    assert list((tmp_path / "dependencies").iterdir()) == []


@pytest.mark.parametrize("spec", FUNCTIONS.values(), ids=lambda spec: spec.name)
def test_a_function_carries_its_own_code_and_its_own_channels_providers(spec: FunctionSpec) -> None:
    files = {str(path) for path in packaging.sources(spec)}
    assert "functions/__init__.py" in files
    assert {path.split("/")[1] for path in files if path.startswith("functions/")} == {"__init__.py", spec.folder}
    assert {path.split("/")[0] for path in files} == {"functions", "mepush", "shared"}
    assert {path.split("/")[1] for path in files if path.startswith("mepush/")} == {"__init__.py", "sheets"}
    assert {path.split("/")[2] for path in files if path.endswith("/provider.py")} == set(spec.channels)
    assert ("shared/providers/base.py" in files) == bool(spec.channels or spec.receipts)
    assert {f"shared/providers/{each.channel}/{each.name}/__init__.py" for each in PROVIDERS.values()} < files
    names = {path.rpartition("/")[2] for path in files if path.startswith("shared/providers/")}
    assert names >= DECLARING and (names == DECLARING) == (not spec.channels and not spec.receipts)
    assert any("/replies/" in path for path in files) == (Channel.EMAIL in spec.channels or spec.receipts)
    assert not [path for path in files if "__pycache__" in path or path.endswith(".pyc") or "/." in path]


def test_only_those_who_send_carry_what_sends() -> None:
    carried = {name: spec.channels for name, spec in FUNCTIONS.items() if spec.channels}
    assert carried == {
        "dispatch_email": (Channel.EMAIL,),
        "dispatch_sms": (Channel.SMS,),
        "dispatch_wecom": (Channel.WECOM,),
        "manage": tuple(Channel),
        "pulling": (Channel.EMAIL, Channel.SMS),
        "receipts": (Channel.WECOM, Channel.SMS),
        "recall": (Channel.WECOM,),
    }
    for provider, function in product(PROVIDERS.values(), FUNCTIONS.values()):
        if provider.packages:
            # Who posts to tenants' endpoints needs the same library, and no provider.
            if set(provider.packages) <= set(function.packages):
                assert function.name == "webhooks_send"
                continue
            carries = set(provider.packages) <= set(function.distributions)
            assert carries == (provider.channel in function.channels), (provider.name, function.name)


@pytest.mark.parametrize(
    ("function", "there", "not_there"),
    [
        ("authorize", {"pydantic", "pydantic-core", "botocore"}, {"jinja2", "httpx", "phonenumbers", "rich", "typer"}),
        ("ingest", {"phonenumbers", "email-validator"}, {"dnspython", "jinja2", "httpx", "requests"}),
        ("dispatch_sms", {"tencentcloud-sdk-python-sms", "requests", "jinja2"}, {"httpx", "phonenumbers"}),
        ("dispatch_wecom", {"httpx", "httpcore", "jinja2"}, {"tencentcloud-sdk-python-sms", "phonenumbers"}),
        (
            "manage",
            {"dnspython", "httpx", "tencentcloud-sdk-python-sms", "jinja2", "phonenumbers"},
            {"rich", "typer", "moto"},
        ),
    ],
)
def test_requirements_are_the_locked_ones_of_what_a_function_needs(
    function: str, there: set[str], not_there: set[str]
) -> None:
    requirements = locked_requirements(tuple(sorted(FUNCTIONS[function].distributions)))
    names = _names(requirements)
    assert there <= names
    assert names.isdisjoint({*not_there, "aws-cdk-lib", "pytest", "uv"})
    assert requirements.count("--hash=sha256:") >= len(names)


def test_a_package_that_the_platform_does_not_depend_on_is_refused() -> None:
    with pytest.raises(PackagingError, match="not among the platform's dependencies: leftpad"):
        locked_requirements(("leftpad",))


def test_a_function_without_a_handler_is_refused(tmp_path: Path) -> None:
    spec = FunctionSpec("nobody", "functions.nobody.handler.lambda_handler", "")
    with pytest.raises(PackagingError, match=r"there is no module functions\.nobody\.handler"):
        packaging.package(spec, HOST, tmp_path)


def test_packages_for_lambda_are_built_for_its_processor_and_its_python() -> None:
    assert LAMBDA.arguments == ("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.14")


def test_every_aws_service_that_the_code_calls_is_packaged() -> None:
    called = set()
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            # `client("sqs")`, or `partial(client, "s3")` for one that is made later
            if isinstance(node, ast.Call) and (words := [ast.unparse(node.func), *map(ast.unparse, node.args)]):
                made = words[1:2] if words[0].endswith("client") else words[2:3] if words[1:2] == ["client"] else []
                called |= {ast.literal_eval(word) for word in made if word[0] in "'\""}
    assert called == set(AWS_SERVICES)


def test_the_description_is_rendered_into_the_package_of_who_serves_it(build: Path) -> None:
    package = packaging.package(FUNCTIONS["describe"], HOST, build)
    rendered = {path.name: path.read_bytes() for path in (package / pages.FOLDER).iterdir()}
    assert rendered == pages.render()
    assert sum(map(len, rendered.values())) < 200_000
    assert [spec.name for spec in FUNCTIONS.values() if spec.pages] == ["describe"]
