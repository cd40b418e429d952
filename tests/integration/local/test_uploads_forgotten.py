"""What the bucket forgets, by the rules that are deployed and the tags that objects really have."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local.gateway import Incoming
from local.synth import synthesised
from local.uploads import Uploads
from mepush.sheets.formats import FileFormat
from shared.aws import clients
from shared.aws.attachments import Upload
from shared.aws.audiences import AudienceFiles
from shared.model.words import KeyKind
from shared.policy import attachments, files
from shared.policy.files import audience_key, run_key

BUCKET = "assets"
TENANTS = ["default", "acme", "a" * 40]


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    resources = json.loads(synthesised().read_text(encoding="utf-8"))["Resources"].values()
    (bucket,) = [each["Properties"] for each in resources if each["Type"] == "AWS::S3::Bucket"]
    found: list[dict[str, Any]] = bucket["LifecycleConfiguration"]["Rules"]
    return found


def days(rules: list[dict[str, Any]], key: str, tags: Mapping[str, str] | None = None) -> int | None:
    """How long an object is kept; None for good (S3 user guide, "Lifecycle rules: filters")."""
    fitting = [
        rule["ExpirationInDays"]
        for rule in rules
        if "ExpirationInDays" in rule
        and key.startswith(rule.get("Prefix", ""))
        and all((tags or {}).get(tag["Key"]) == tag["Value"] for tag in rule.get("TagFilters", ()))
    ]
    return min(fitting, default=None)


def send(form: Upload, **changes: str) -> int:
    made = httpx.Request("POST", form.url, data={**form.fields, **changes}, files={"file": b"to\n"})
    path = urlsplit(form.url).path
    request = Incoming("POST", path, "", list(made.headers.items()), made.read(), "127.0.0.1")
    return Uploads(clients.client)(request)[0]


@pytest.fixture
def audiences(moto: None) -> AudienceFiles:
    clients.reset()
    clients.client("s3").create_bucket(Bucket=BUCKET)
    signer = clients.client("s3", endpoint_url="http://127.0.0.1:1/_local/s3", signature_version="s3v4")
    return AudienceFiles(BUCKET, lambda: clients.client("s3"), lambda: signer)


@pytest.mark.parametrize("tenant", TENANTS)
def test_every_tenants_uploads_are_forgotten(
    rules: list[dict[str, Any]], audiences: AudienceFiles, tenant: str
) -> None:
    file, form = audiences.form(tenant, FileFormat.CSV, int(datetime.now(UTC).timestamp() * 1000), KeyKind.LIVE)
    assert send(form) == 204
    key = audience_key(tenant, file)
    tags = clients.client("s3").get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    assert days(rules, key, {tag["Key"]: tag["Value"] for tag in tags}) == files.KEEP_DAYS


def test_nobody_uploads_a_file_that_stays(audiences: AudienceFiles) -> None:
    _, form = audiences.form("acme", FileFormat.CSV, int(datetime.now(UTC).timestamp() * 1000), KeyKind.LIVE)
    without = Upload(form.url, {name: value for name, value in form.fields.items() if name != "tagging"})
    assert send(without) == 403
    assert send(form, tagging=form.fields["tagging"].replace("upload", "other")) == 403


@pytest.mark.parametrize("tenant", TENANTS)
def test_files_of_the_platform_are_forgotten_and_those_that_people_keep_stay(
    rules: list[dict[str, Any]], tenant: str
) -> None:
    assert days(rules, f"{attachments.PREFIX}{tenant}/x") == attachments.KEEP_DAYS
    for kind in ("shards", "rejects", "hashes", "repeats", "compare"):
        assert days(rules, run_key(tenant, "run", kind, 1)) == files.KEEP_DAYS
    assert days(rules, audience_key(tenant, "nightly.csv")) is None


def test_uploads_from_before_there_were_tags_are_forgotten_as_they_were(rules: list[dict[str, Any]]) -> None:
    assert days(rules, audience_key("default", "uploads/1.csv")) == files.KEEP_DAYS
