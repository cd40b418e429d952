"""The local stack's place for uploads, with forms that boto3 signs: what S3 takes, and what it refuses."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec.structs import replace as changed

from local.gateway import Incoming
from local.uploads import Uploads
from shared.aws import clients
from shared.aws.attachments import AttachmentGoneError, AttachmentStore
from shared.aws.runfiles import LINK_SECONDS, RunFiles
from shared.model.words import KeyKind
from tests.fakes import FakeClock

BUCKET = "assets"
DATA = b"%PDF\r\n--boundary\r\n" + bytes(range(256))
SHA = sha256(DATA).hexdigest()


class Bucket:
    """A bucket, and forms for it."""

    def __init__(self) -> None:
        self.s3 = clients.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.clock = FakeClock(int(datetime.now(UTC).timestamp() * 1000))
        self.uploads = Uploads(clients.client, self.clock)
        signer = clients.client("s3", endpoint_url="http://127.0.0.1:1/_local/s3", signature_version="s3v4")
        self.files = RunFiles(BUCKET, lambda: self.s3, lambda: signer)
        self.store = AttachmentStore(BUCKET, lambda: self.s3, lambda: signer)
        self.form = self.store.upload("default", "0" * 26, "发票.pdf", "application/pdf", len(DATA), KeyKind.TEAM, SHA)

    def request(self, fields: dict[str, str] | None = None, data: bytes = DATA, **file: Any) -> Incoming:
        made = httpx.Request("POST", self.form.url, data=fields or self.form.fields, files=file or {"file": data})
        body = made.read()
        return Incoming("POST", "/_local/s3/assets", "", list(made.headers.items()), body, "127.0.0.1")

    def answer(self, request: Incoming) -> tuple[int, str]:
        status, _, body = self.uploads(request)
        return status, body.decode().partition("</Code>")[0].rpartition(">")[2]


@pytest.fixture
def bucket(moto: None) -> Bucket:
    clients.reset()
    return Bucket()


def test_a_good_form_is_stored_as_it_says(bucket: Bucket) -> None:
    assert bucket.answer(bucket.request()) == (204, "")
    found = bucket.store.find("default", "0" * 26)
    assert found is not None
    assert (found.name, found.content_type, found.size) == ("发票.pdf", "application/pdf", len(DATA))
    assert (found.kind, found.sha256) == (KeyKind.TEAM, SHA)
    assert bucket.store.read("default", found.ref(None)) == DATA


def test_a_form_takes_the_declared_bytes_alone(bucket: Bucket) -> None:
    other = DATA[:-1] + b"!"
    assert bucket.answer(bucket.request(data=other)) == (400, "BadDigest")
    # Nor another digest than the signed one, nor another mark.
    for name, value in (
        ("x-amz-checksum-sha256", b64encode(sha256(other).digest()).decode()),
        ("x-amz-meta-sha256", sha256(other).hexdigest()),
        ("x-amz-meta-kind", "live"),
    ):
        assert bucket.answer(bucket.request({**bucket.form.fields, name: value}, other))[0] in (400, 403)
        left_out = {field: text for field, text in bucket.form.fields.items() if field != name}
        assert bucket.answer(bucket.request(left_out, other))[0] == 403
    assert bucket.store.find("default", "0" * 26) is None


def test_other_bytes_than_those_declared_are_not_read(bucket: Bucket) -> None:
    bucket.answer(bucket.request())
    found = bucket.store.find("default", "0" * 26)
    assert found is not None
    with pytest.raises(AttachmentGoneError):
        bucket.store.read("default", changed(found, sha256="0" * 64).ref(None))


def test_it_may_be_sent_again(bucket: Bucket) -> None:
    versions = set()
    for _ in range(2):
        assert bucket.answer(bucket.request())[0] == 204
        found = bucket.store.find("default", "0" * 26)
        assert found is not None
        versions.add(found.version)
    assert len(versions) == 2


def test_it_ends_when_it_says(bucket: Bucket) -> None:
    bucket.clock.advance(899)
    assert bucket.answer(bucket.request()) == (204, "")
    bucket.clock.advance(2)
    assert bucket.answer(bucket.request()) == (403, "AccessDenied")


@pytest.mark.parametrize("missing", ["key", "policy", "x-amz-signature", "Content-Type", "x-amz-meta-name"])
def test_a_field_that_is_missing_is_refused(bucket: Bucket, missing: str) -> None:
    fields = {name: value for name, value in bucket.form.fields.items() if name != missing}
    assert bucket.answer(bucket.request(fields)) == (403, "AccessDenied")


def test_a_field_that_the_policy_does_not_know_is_refused_unless_it_is_to_be_ignored(bucket: Bucket) -> None:
    assert bucket.answer(bucket.request(bucket.form.fields | {"acl": "public-read"})) == (403, "AccessDenied")
    assert bucket.answer(bucket.request(bucket.form.fields | {"x-ignore-me": "1"})) == (204, "")


def test_what_is_no_form_is_refused(bucket: Bucket) -> None:
    request = bucket.request()
    assert bucket.answer(bucket.request(other=DATA)) == (400, "InvalidArgument")
    assert bucket.answer(replace(request, method="PUT")) == (405, "MethodNotAllowed")
    assert bucket.answer(replace(request, path="/_local/s3/assets/key")) == (405, "MethodNotAllowed")
    assert bucket.answer(replace(request, headers=[("content-type", "text/plain")])) == (412, "PreconditionFailed")
    assert bucket.answer(replace(request, path="/_local/s3/another")) == (403, "AccessDenied")


def link(bucket: Bucket, number: int = 0) -> Incoming:
    """A request for the link to one of a run's files."""
    parts = urlsplit(bucket.files.link("default", "spring.01", "rejects", number, "rejects 0.csv"))
    return Incoming("GET", parts.path, parts.query, [("Host", parts.netloc)], b"", "127.0.0.1")


def test_a_link_gives_out_its_file_under_its_name(bucket: Bucket) -> None:
    bucket.files.put("default", "spring.01", "rejects", 0, DATA, "text/csv")
    status, headers, body = bucket.uploads(link(bucket))
    assert (status, body) == (200, DATA)
    assert ("content-disposition", 'attachment; filename="rejects 0.csv"') in headers
    assert ("content-type", "text/csv") in headers
    assert bucket.answer(link(bucket, 1)) == (404, "NoSuchKey")


def test_a_link_is_good_for_its_file_and_its_time_only(bucket: Bucket) -> None:
    bucket.files.put("default", "spring.01", "rejects", 0, DATA)
    bucket.files.put("default", "spring.01", "rejects", 1, DATA)
    good = link(bucket)
    assert bucket.answer(replace(good, path=good.path[:-1] + "1")) == (403, "SignatureDoesNotMatch")
    longer = good.raw_query.replace(f"Expires={LINK_SECONDS}", "Expires=604800")
    assert bucket.answer(replace(good, raw_query=longer)) == (403, "SignatureDoesNotMatch")
    assert bucket.answer(replace(good, headers=[("Host", "elsewhere")])) == (403, "SignatureDoesNotMatch")
    assert bucket.answer(replace(good, raw_query="")) == (403, "AccessDenied")
    bucket.clock.advance(LINK_SECONDS + 2)
    assert bucket.answer(good) == (403, "AccessDenied")
