"""What functions that a person waits for import as they start: what they use, and nothing else.

Each import is paid for by whoever sends a code when a function has to start. A module that is not here can be used all
the same: import it within the function that needs it, or in a module that only those load who need it. If all of a
function's calls need it, add it here, and look at `python -m bench cold` before and after.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYDANTIC = frozenset({"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"})
POWERTOOLS = frozenset({"aws_lambda_powertools", "botocore", "jmespath"})
"""Powertools imports a little of botocore itself; making a client imports the rest, and dateutil, urllib3 and six."""
CORE = PYDANTIC | POWERTOOLS | {"msgspec"}
RENDERING = frozenset({"jinja2", "markupsafe"})
LIBRARIES: Mapping[str, frozenset[str]] = {
    "authorize": CORE,
    "ingest": CORE,
    "ingest.events": CORE,
    "dispatch_email": CORE | RENDERING,
    "dispatch_sms": CORE | RENDERING,
    "dispatch_wecom": CORE | RENDERING,
}
"""All libraries that a function imports until its parts are made. No provider's SDK and no boto3 is among them."""

SENDING = frozenset(
    {
        "shared.api.*",
        "shared.model.campaigns",
        "shared.model.findings",
        "shared.model.letters",
        "shared.model.runs",
        "shared.model.variables",
        "shared.providers.*.provider",
        "shared.store.audience*",
        "shared.store.campaigns",
        "shared.store.dead_letters",
        "shared.store.idempotency",
        "shared.store.shards",
        "shared.store.texts",
        "shared.store.timeline",
    }
)
NEVER: Mapping[str, frozenset[str]] = {
    "authorize": frozenset(
        {
            *("shared.acceptance*", "shared.api*", "shared.dispatch*", "shared.lifecycle*", "shared.policy*"),
            *("shared.providers*", "shared.rendering*", "shared.function", "mepush*"),
        }
    ),
    "ingest": frozenset(
        {
            *("shared.dispatch*", "shared.lifecycle*", "shared.providers*", "shared.rendering*"),
            *("shared.model.campaigns", "shared.model.letters", "shared.model.runs", "shared.model.suppression"),
        }
    ),
    "dispatch_sms": SENDING,
}
NEVER = {
    **NEVER,
    "ingest.events": NEVER["ingest"],
    "dispatch_email": SENDING,
    "dispatch_wecom": SENDING,
}
"""Modules of ours that a function has no use for, as patterns."""

MODELS: Mapping[str, frozenset[str]] = {
    "authorize": frozenset(
        {"audit", "base", "clock", "ids", "keys", "numbers", "policies", "pumping", "tenants", "topics", "words"}
    ),
    "ingest": frozenset(
        {
            *(
                "accounts",
                "address",
                "attachments",
                "audit",
                "base",
                "clock",
                "content",
                "envelope",
                "events",
                "findings",
                "ids",
            ),
            *(
                "keys",
                "mailboxes",
                "numbers",
                "phones",
                "policies",
                "pumping",
                "reasons",
                "sizes",
                "templates",
                "tenants",
                "topics",
            ),
            *("variables", "verifications", "wire", "words"),
        }
    ),
    "dispatch_sms": frozenset(
        {
            *(
                "accounts",
                "address",
                "attachments",
                "audit",
                "base",
                "clock",
                "content",
                "engagement",
                "envelope",
                "events",
                "ids",
                "keys",
            ),
            *(
                "mailboxes",
                "numbers",
                "origin",
                "outcome",
                "phones",
                "policies",
                "pumping",
                "reasons",
                "receipts",
                "run_states",
                "sizes",
                "suppression",
            ),
            *("templates", "tenants", "topics", "veils", "verifications", "wire", "words"),
        }
    ),
}
"""All modules of `shared.model` that a function imports: what they hold is most of what our own imports take."""

API = frozenset(
    {
        *(
            "attachments",
            "fields",
            "headers",
            "kit",
            "messages",
            "operation",
            "operations",
            "verifications",
        ),
        "problems",
    }
)
"""All modules of `shared.api` that ingest imports: the table of operations, and the models of its own."""

DATACLASSES = frozenset({"shared.dispatch.decide.step", "shared.errors"})
"""Modules of ours with dataclasses: pydantic reads `FieldError`, and a `Batch` keeps what its properties found."""

NOBODY = ("asyncio", "email.mime*", "http.server", "multiprocessing*", "unittest*", "xml.*", "boto3*", "s3transfer*")
"""Modules of Python and of libraries that no function imports until its parts are made. (botocore brings `http.client`,
`email` and `xml` with the first client.)"""


@cache
def imported(function: str) -> Mapping[str, str]:
    """What a function imports until its parts are made: each module with the one that asked for it."""
    command = [sys.executable, "-P", str(ROOT / "tests" / "imported.py"), function]
    environment = {"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _why(module: str, found: Mapping[str, str]) -> str:
    """A module and all who had it imported, such as `a, for b, for functions.ingest.handler`."""
    chain = [module]
    while (by := found.get(chain[-1], "")) and by not in chain and by != "__main__":
        chain.append(by)
    return ", for ".join(chain)


def _below(package: str, found: Mapping[str, str]) -> Iterator[str]:
    return (name.removeprefix(f"{package}.") for name in found if name.startswith(f"{package}."))


def _source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


@pytest.mark.parametrize("function", LIBRARIES)
def test_a_function_imports_these_libraries_and_no_others(function: str) -> None:
    found = imported(function)
    ours = {"functions", "mepush", "shared"}
    libraries = {name: name.partition(".")[0] for name in found}
    unknown = [
        _why(name, found)
        for name, top in libraries.items()
        if top not in sys.stdlib_module_names | ours | LIBRARIES[function] and not top.startswith("_")
    ]
    assert unknown == []
    assert LIBRARIES[function] <= set(libraries.values()), "these are not imported any more: take them off the list"


@pytest.mark.parametrize("function", NEVER)
def test_a_function_imports_nothing_of_ours_that_it_has_no_use_for(function: str) -> None:
    found = imported(function)
    patterns = (*NEVER[function], *NOBODY)
    assert [_why(name, found) for name in found if any(fnmatchcase(name, each) for each in patterns)] == []


@pytest.mark.parametrize("function", MODELS)
def test_a_function_imports_these_models_and_no_others(function: str) -> None:
    found = imported(function)
    models = set(_below("shared.model", found))
    assert [_why(f"shared.model.{name}", found) for name in sorted(models - MODELS[function])] == []
    assert MODELS[function] - models == set(), "these are not imported any more: take them off the list"


def test_ingest_imports_the_models_of_its_own_operations() -> None:
    found = imported("ingest")
    names = {name for name in _below("shared.api", found) if not name.startswith("operations.")}
    assert [_why(f"shared.api.{name}", found) for name in sorted(names - API)] == []
    assert API - names == set(), "these are not imported any more: take them off the list"


def test_who_imports_a_module_is_told() -> None:
    found = imported("ingest")
    assert _why("shared.model.content", found).startswith("shared.model.content, for shared.")
    assert _why("shared.model.content", found).endswith(", for functions.ingest.handler")


@pytest.mark.parametrize("function", LIBRARIES)
def test_a_function_imports_hardly_any_dataclasses(function: str) -> None:
    """Each takes as long as twenty of msgspec's classes, since its methods are written and compiled."""
    ours = [name for name in imported(function) if name.partition(".")[0] in ("functions", "shared")]
    found = {name for name in ours if "@dataclass" in _source(name)}
    assert sorted(found - DATACLASSES) == []


def test_the_sdk_of_tencent_is_imported_without_its_models_of_each_call() -> None:
    script = (
        "import sys; from shared.net.network import Network; from shared.providers.sms.tencent import provider; "
        "secret = provider.Secret(secret_id='id', secret_key='key'); "
        "settings = provider.Settings(provider='tencent', sdk_app_id='1'); "
        "provider._client(settings, secret, Network()); "
        "print([name for name in sys.modules if name.startswith('tencentcloud.sms')])"
    )
    command = [sys.executable, "-c", script]
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("function", ["authorize", "ingest", "dispatch_sms"])
def test_pydantic_looks_for_no_plugins(function: str) -> None:
    """It would read the metadata of all that is installed."""
    script = (
        "import importlib.metadata as m; m.entry_points = lambda **_: 1/0; "
        f"import functions.{function}.handler, functions.{function}.deps"
    )
    command = [sys.executable, "-c", script]
    # Of this process's environment, which shared has set already, nothing.
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
