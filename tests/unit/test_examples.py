"""The examples are what they claim to be: messy enough, complete, and the same each time they are made."""

import csv
import importlib.util
import io
import re
import sys
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.demo import read_expected, read_sends
from mepush.files.campaigns import read_campaign
from mepush.files.recipients import read_audience
from mepush.files.templates import find_files, read_template
from shared.api.manage import TemplateCreate
from shared.base.channels import CHANNELS
from shared.model.content import CHANNEL_OF_TYPE
from shared.model.words import Channel, MessageClass
from shared.providers.table import PROVIDERS

EXAMPLES = Path(__file__).parents[2] / "examples"
AUDIENCES = sorted((EXAMPLES / "audience").glob("*.csv"))


@pytest.fixture(scope="module")
def templates() -> dict[str, TemplateCreate]:
    files = map(read_template, find_files([EXAMPLES / "templates"]))
    return {file.id: TemplateCreate.model_validate(file.body) for file in files}


@pytest.fixture(scope="module")
def cells() -> list[str]:
    """Every cell of every file, as Python's own reader sees it."""
    found: list[str] = []
    for path in AUDIENCES:
        text = path.read_bytes().decode("gb18030" if "gb18030" in path.name else "utf-8-sig")
        found += [cell for record in csv.reader(io.StringIO(text, newline="")) for cell in record]
    return found


def accounts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((EXAMPLES / "accounts.toml").read_text(encoding="utf-8"))["account"]
    return found


def test_there_are_enough_recipients_and_both_ends() -> None:
    ends = Counter(end for end, _ in read_expected().values())
    assert sum(ends.values()) >= 600
    assert ends["sent"] >= 600
    assert ends["rejected"] >= 40
    assert ends.keys() == {"sent", "rejected", "undelivered", "complained"}


def test_every_recipient_has_an_expected_end_and_every_file_is_sent_once() -> None:
    expected = read_expected()
    sends = read_sends()
    assert sorted(send.audience for send in sends) == [path.name for path in AUDIENCES]
    for send in sends:
        path = EXAMPLES / "audience" / send.audience
        found = read_audience(path, send.to_column, send.reference_column, send.ignore, send.encoding)
        rows = {row.number for row in found.rows} | {row.number for row in found.broken}
        assert rows == {row for audience, row in expected if audience == send.audience}


def test_the_files_are_as_the_script_makes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_audience", EXAMPLES / "make_audience.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_audience", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module.main()
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.csv")}
    committed = {path.relative_to(EXAMPLES): path.read_bytes() for path in EXAMPLES.rglob("*.csv")}
    assert made == committed


def test_the_files_have_what_spreadsheets_do() -> None:
    data = {path.name: path.read_bytes() for path in AUDIENCES}
    assert sum(content.startswith(b"\xef\xbb\xbf") for content in data.values()) >= 3
    assert sum(not content.startswith(b"\xef\xbb\xbf") for content in data.values()) >= 3
    assert sum(b"\r\n" in content for content in data.values()) >= 3
    assert sum(b"\r\n" not in content for content in data.values()) >= 3
    with pytest.raises(UnicodeDecodeError):
        data["members-gb18030.csv"].decode()


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a quoted line break", r"\S\n\S"),
        ("a quoted comma", r"\w, \w"),
        ("a quoted quote", r'"'),
        ("an emoji", "[\U0001f300-\U0001faff]"),
        ("Chinese", r"^[\u4e00-\u9fff]{2,4}$"),
        ("Japanese", r"[\u3040-\u30ff]|花子"),
        ("Korean", r"[\uac00-\ud7af]"),
        ("Cyrillic", r"[\u0400-\u04ff]"),
        ("markup", r"<b>"),
        ("a full-width blank at an end", r"\u3000$"),
        ("full-width digits", r"^[\uff10-\uff19]{11}$"),
        ("trailing blanks", r"\S  $"),
        ("a plus address", r"^\w+\+\w+@"),
        ("a dotted address", r"^\w+\.\w+\w*@"),
        ("an international domain", r"@(例子|bücher)\.example$"),
        ("a bare mobile", r"^1[3-9]\d{9}$"),
        ("+86", r"^\+861[3-9]\d{9}$"),
        ("0086", r"^00861[3-9]\d{9}$"),
        *((f"country {c}", rf"^\+{c}\d+$") for c in (1, 44, 852, 65, 81, 886, 61, 33, 34, 49)),
        ("a WeCom user", r"^zhangwei$"),
        ("a department", r"^party:\d+$"),
        ("a tag", r"^tag:\d+$"),
        ("everyone", r"^@all$"),
        ("the group", r"^@group$"),
    ],
)
def test_the_cells_have_every_kind_of_thing(cells: list[str], what: str, pattern: str) -> None:
    assert any(re.search(pattern, cell) for cell in cells), what


@pytest.mark.parametrize("prefix", [138, 162, 165, 167, *range(190, 194), *range(195, 200)])
def test_old_and_new_blocks_of_mainland_mobiles(cells: list[str], prefix: int) -> None:
    digits = [re.sub(r"\D", "", unicodedata.normalize("NFKC", cell)) for cell in cells]
    assert any(re.fullmatch(rf"(86|0086)?{prefix}\d{{8}}", cell) for cell in digits)


def test_there_are_duplicates_and_broken_addresses_of_many_kinds(templates: dict[str, TemplateCreate]) -> None:
    expected = read_expected()
    broken: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
    doubles = 0
    for send in read_sends():
        path = EXAMPLES / "audience" / send.audience
        found = read_audience(path, send.to_column, send.reference_column, send.ignore, send.encoding)
        channel = CHANNEL_OF_TYPE[templates[send.template].content.type]
        addresses = [row.recipient["to"] for row in found.rows]
        doubles += len(addresses) - len(set(addresses))
        broken[channel] |= {
            row.recipient["to"] for row in found.rows if expected[send.audience, row.number][1] == "address_invalid"
        }
    assert {channel: len(kinds) >= 8 for channel, kinds in broken.items()} == dict.fromkeys(CHANNELS, True)
    assert doubles >= 4


def test_there_is_a_template_for_every_channel_and_class_in_both_languages(
    templates: dict[str, TemplateCreate],
) -> None:
    found = {(CHANNEL_OF_TYPE[t.content.type], t.message_class) for t in templates.values()}
    assert found == {(channel, message_class) for channel in Channel for message_class in MessageClass}
    types = {t.content.type for t in templates.values()}
    assert types >= {"email", "sms", "text", "markdown", "textcard", "news", "template_card"}
    texts = [str(t.content) for t in templates.values()]
    assert sum(bool(re.search(r"[\u4e00-\u9fff]{4}", text)) for text in texts) >= 5
    assert sum(not re.search(r"[\u4e00-\u9fff]", text) for text in texts) >= 3
    campaigns = [read_campaign(path) for path in sorted((EXAMPLES / "campaigns").glob("*.toml"))]
    split = {variant["template"] for campaign in campaigns for variant in campaign["variants"]}
    assert {send.template for send in read_sends()} | split == templates.keys()


def test_every_provider_has_an_account_that_a_template_uses_and_no_file_holds_a_secret(
    templates: dict[str, TemplateCreate],
) -> None:
    assert {account["settings"]["provider"] for account in accounts()} == set(PROVIDERS)
    used = {account for template in templates.values() for account in template.accounts}
    assert used == {account["id"] for account in accounts()}
    assert all("secret" not in account for account in accounts())


def test_people_are_invented() -> None:
    domains: set[str] = set()
    for path in AUDIENCES:
        text = path.read_bytes().decode("gb18030" if "gb18030" in path.name else "utf-8-sig")
        domains |= {found.lower() for found in re.findall(r"@([\w.-]+\.[a-z]{2,})", text, re.IGNORECASE)}
    kept_for_examples = re.compile(r"(^|\.)example(\.(com|org|net))?$|\.test$")
    # Amazon SES delivers nothing that goes to its simulator.
    assert {domain for domain in domains if not kept_for_examples.search(domain)} == {"simulator.amazonses.com"}
