"""A vendor is one folder: what it declares loads nothing that sends, and nobody below decides by a provider's name."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.api.openapi import document
from shared.model.content import SmsContent
from shared.providers.table import FOLDERS, PROVIDERS

ROOT = Path(__file__).parents[4]
SHARED = ROOT / "shared"
NAMELESS = sorted(
    path for pattern in ("policy/**/*.py", "model/**/*.py", "rendering/**/*.py") for path in SHARED.glob(pattern)
)
CALLERS_WORD = {"model/content.py": ["tencent"]}
"""The API's field for a template that a vendor approved is called after the only vendor that has such."""
CDKS_WORDS = {"aws", "app"}
"""In the infrastructure these mean the cloud, and what the CDK calls the root of its constructs."""
MAIL_DOMAIN = {"infra/mail.py": {"ses"}, "infra/stage.py": {"ses", "smtp"}}
"""What a stage may have of SES is made there, and a Region without it is pointed to the other way."""
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _said(tree: ast.AST) -> Iterator[str]:
    """Every name and every text of a module, but for what explains: texts that stand alone."""
    explaining = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in explaining:
                yield node.value
            continue
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(found := getattr(node, field, None), str):
                yield found


def providers_named(code: str) -> list[str]:
    """The providers that code, not its docstrings or comments, names; whole or as a word of a name."""
    said = (word.lower() for text in _said(ast.parse(code)) for word in WORDS.findall(text))
    return sorted(word for word in said if word in PROVIDERS)


@pytest.mark.parametrize("path", NAMELESS, ids=lambda path: str(path.relative_to(SHARED)))
def test_what_decides_names_no_provider(path: Path) -> None:
    assert providers_named(path.read_text(encoding="utf-8")) == CALLERS_WORD.get(str(path.relative_to(SHARED)), [])


@pytest.mark.parametrize("path", sorted((ROOT / "infra").glob("**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_infrastructure_names_no_provider(path: Path) -> None:
    assert set(providers_named(path.read_text(encoding="utf-8"))) <= CDKS_WORDS | MAIL_DOMAIN.get(
        str(path.relative_to(ROOT)), set()
    )


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ('if account.provider == "ses": pass', ["ses"]),
        ("TENCENT_CODE = 1", ["tencent"]),
        ("class TencentTemplate: pass", ["tencent"]),
        ("from shared.providers.email import smtp as mail", ["smtp"]),
        ("def f(robot): return g(app=1)", ["app", "robot"]),
        ('LIMITS = {"smtp": 1, "aws": 2}', ["aws", "smtp"]),
        ('"""Such as Amazon SES."""\nuses = append(x)  # ses', []),
    ],
)
def test_a_name_is_found_wherever_code_says_it(code: str, named: list[str]) -> None:
    assert providers_named(code) == named


def test_a_folder_declares_the_provider_that_it_is_called_after() -> None:
    assert [f"{spec.channel}.{spec.name}" for spec in PROVIDERS.values()] == list(FOLDERS)
    sending = {path.parent for path in (SHARED / "providers").glob("*/*/provider.py")}
    assert {SHARED / "providers" / folder.replace(".", "/") for folder in FOLDERS} == sending


def test_what_vendors_declare_loads_nothing_that_sends() -> None:
    command = [sys.executable, "-c", "import sys, shared.providers.declared; print(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert {spec.module.rpartition(".")[0] for spec in PROVIDERS.values()} <= loaded
    theirs = "boto3|botocore|httpx|requests|tencentcloud|jinja2|aws_lambda_powertools"
    ours = r"shared\.(net|dispatch|providers\.(base|registry|.*\.provider))"
    assert [name for name in loaded if re.match(rf"({theirs}|{ours})\b", name)] == []


def test_callers_and_what_is_kept_go_on_to_say_the_vendors_name() -> None:
    kept = {"type": "sms", "text": None, "tencent": {"template_id": "1", "params": ["{{ code }}"]}}
    content = SmsContent.model_validate(kept)
    assert content.model_dump() == json.loads(content.model_dump_json()) == kept
    with pytest.raises(ValidationError):
        SmsContent.model_validate({"type": "sms", "approved": kept["tencent"]})
    schemas = document()["components"]["schemas"]
    assert "TencentTemplate" in schemas and "ApprovedTemplate" not in schemas
    assert {"$ref": "#/components/schemas/TencentTemplate"} in schemas["SmsContent"]["properties"]["tencent"]["anyOf"]
