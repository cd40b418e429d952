"""Files to attach, against moto: forms, what is there, and what a request that names some is told."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from msgspec.structs import replace

from functions.ingest.attachments import Attachments
from shared.api.kit import Api
from shared.aws.attachments import AttachmentGoneError, AttachmentStore
from shared.model.attachments import AttachmentRef
from shared.model.content import Content, EmailContent, SmsContent
from shared.policy.attachments import MAX_BYTES
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.ingest.test_service import IngestHarness

BUCKET = "assets"
PNG = b"\x89PNG" * 10
DAY_MS = 86_400_000
WITH_LOGO = EmailContent.model_validate(
    {
        "subject": "s",
        "html": "<img src=cid:logo><img src=cid:photo>",
        "attachments": [
            {"name": f"{cid}.png", "cid": cid, "data": base64.b64encode(PNG).decode()} for cid in ("logo", "photo")
        ],
    }
)


class AttachmentsHarness(IngestHarness):
    """The ingest function with a bucket."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        super().__init__(aws, clock)
        self.s3 = aws.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.store = AttachmentStore(BUCKET, lambda: self.s3, lambda: aws.client("s3", signature_version="s3v4"))
        attachments = Attachments(self.store, clock)
        self.ingest = replace(self.ingest, attachments=attachments)
        self.api = Api(
            {
                "send_messages": self.ingest.send_messages,
                "create_attachment": attachments.create,
                "get_attachment": attachments.get,
            }
        )

    def call(self, route: str, body: Any = None, id: str = "", tenant: str = "default") -> tuple[int, Any]:
        event = {
            "routeKey": route,
            "headers": {"content-type": "application/json"},
            "pathParameters": {"id": id},
            "body": json.dumps(body),
            "requestContext": {"authorizer": {"lambda": self.caller | {"tenant": tenant}}},
        }
        answer = self.api(event)
        return answer["statusCode"], json.loads(answer["body"])

    def put(self, name: str = "a.pdf", data: bytes = b"%PDF", tenant: str = "default") -> str:
        """Upload a file as the form would have it; returns its id."""
        size = len(data)
        status, form = self.call("POST /v1/attachments", {"name": name, "size": size}, tenant=tenant)
        assert status == 201, form
        fields = form["fields"]
        self.s3.put_object(
            Bucket=BUCKET,
            Key=fields["key"],
            Body=data,
            ContentType=fields["Content-Type"],
            Metadata={"name": fields["x-amz-meta-name"]},
        )
        # moto keeps the time by itself.
        head = self.s3.head_object(Bucket=BUCKET, Key=fields["key"])
        self.clock.set(int(head["LastModified"].timestamp() * 1000))
        return str(form["id"])

    def send_with(self, *attachments: dict[str, str], **more: Any) -> tuple[int, Any]:
        return self.send({"template": "welcome", "to": "a@example.com", "attachments": list(attachments), **more})


@pytest.fixture
def bare(aws: Aws, clock: FakeClock) -> AttachmentsHarness:
    return AttachmentsHarness(aws, clock)


@pytest.fixture
def ingest_harness(bare: AttachmentsHarness) -> AttachmentsHarness:
    bare.add_template(EmailContent(subject="s", text="t"))
    return bare


def test_a_form_fixes_everything_about_the_file(ingest_harness: AttachmentsHarness) -> None:
    status, form = ingest_harness.call("POST /v1/attachments", {"name": "发票 1.pdf", "size": 48213})
    assert (status, form["name"], form["content_type"], form["size"]) == (201, "发票 1.pdf", "application/pdf", 48213)
    conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    assert ["content-length-range", 48213, 48213] in conditions
    for condition in (
        {"key": f"attachments/default/{form['id']}"},
        {"bucket": BUCKET},
        {"Content-Type": "application/pdf"},
        {"x-amz-meta-name": "%E5%8F%91%E7%A5%A8%201.pdf"},
    ):
        assert condition in conditions
    assert form["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert form["expires_at"].startswith("2025-01-15T10:15")


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"name": "setup.exe", "size": 1}, "name", "no kind that may be attached"),
        ({"name": "a.pdf.exe", "size": 1, "content_type": "application/pdf"}, "name", "no kind"),
        ({"name": "../a.pdf", "size": 1}, "name", "path"),
        ({"name": "a.pdf", "size": 1, "content_type": "text/html"}, "content_type", "may not be attached"),
        ({"name": "a.pdf", "size": 1, "content_type": "image/png"}, "content_type", "application/pdf"),
        ({"name": "a.pdf", "size": MAX_BYTES + 1}, "size", "7000000"),
        ({"name": "a.pdf", "size": 0}, "size", "1"),
        ({"name": "a.pdf", "size": True}, "size", "number"),
        ({"name": "a.pdf", "size": 1, "url": "https://example.com/a.pdf"}, "url", ""),
    ],
)
def test_a_file_that_may_not_be_attached_is_refused(
    ingest_harness: AttachmentsHarness, body: dict[str, Any], field: str, text: str
) -> None:
    status, problem = ingest_harness.call("POST /v1/attachments", body)
    [error] = problem["errors"]
    assert (status, error["field"]) == (422, field)
    assert text in error["message"]


def test_the_same_file_has_the_same_id_where_a_digest_is_given(ingest_harness: AttachmentsHarness) -> None:
    def made(**more: Any) -> str:
        return str(ingest_harness.call("POST /v1/attachments", {"name": "a.pdf", "size": 4, **more})[1]["id"])

    one, two = "a" * 64, "b" * 64
    assert made(sha256=one) == made(sha256=one)
    others = [made(), made(), made(sha256=two), made(sha256=one, name="b.pdf"), made(sha256=one, size=5)]
    assert len({made(sha256=one), *others}) == 6
    theirs = ingest_harness.call("POST /v1/attachments", {"name": "a.pdf", "size": 4, "sha256": one}, tenant="other")[
        1
    ]["id"]
    assert theirs != made(sha256=one)


def test_a_file_can_be_looked_at_once_it_is_there(ingest_harness: AttachmentsHarness) -> None:
    id = ingest_harness.put("发票.pdf", b"%PDF-1.7")
    status, view = ingest_harness.call("GET /v1/attachments/{id}", id=id)
    assert (status, view["name"], view["content_type"], view["size"]) == (200, "发票.pdf", "application/pdf", 8)
    for wrong, tenant in ((id, "other"), ("0" * 26, "default"), (f"../default/{id}", "other"), ("", "default")):
        status, problem = ingest_harness.call("GET /v1/attachments/{id}", id=wrong, tenant=tenant)
        assert (status, problem["detail"][:27]) == (404, "There is no such attachment")


def test_envelopes_name_the_very_versions_that_were_there(ingest_harness: AttachmentsHarness) -> None:
    id = ingest_harness.put(data=b"first")
    assert ingest_harness.send_with({"id": id})[0] == 202
    first_version = ingest_harness.s3.head_object(Bucket=BUCKET, Key=f"attachments/default/{id}")["VersionId"]
    [envelope] = ingest_harness.envelopes()
    [ref] = envelope.attachments
    assert ref == AttachmentRef(id, first_version, "a.pdf", "application/pdf", 5)
    ingest_harness.s3.put_object(Bucket=BUCKET, Key=f"attachments/default/{id}", Body=b"other")
    assert ingest_harness.store.read("default", ref) == b"first"
    # Expired or deleted by hand, the version is still there for a while.
    ingest_harness.s3.delete_object(Bucket=BUCKET, Key=f"attachments/default/{id}")
    assert ingest_harness.store.read("default", ref) == b"first"
    assert ingest_harness.store.find("default", id) is None
    ingest_harness.s3.delete_object(Bucket=BUCKET, Key=f"attachments/default/{id}", VersionId=ref.version)
    with pytest.raises(AttachmentGoneError) as gone:
        ingest_harness.store.read("default", ref)
    assert gone.value.id == id


def test_each_file_that_cannot_go_along_is_named(ingest_harness: AttachmentsHarness) -> None:
    there, theirs = ingest_harness.put(), ingest_harness.put(tenant="other")
    status, problem = ingest_harness.send_with(
        {"id": there}, {"id": "0" * 26}, {"id": theirs}, {"id": there}, {"id": "?"}
    )
    assert status == 422
    assert {e["field"]: e["message"].partition(";")[0].partition(":")[0] for e in problem["errors"]} == {
        "attachments.1.id": "there is no such attachment",
        "attachments.2.id": "there is no such attachment",
        "attachments.3.id": "is named twice",
        "attachments.4.id": "there is no such attachment",
    }
    assert ingest_harness.envelopes() == []


def test_files_must_not_be_too_much_for_one_message(ingest_harness: AttachmentsHarness) -> None:
    ids = [ingest_harness.put(f"{n}.txt", bytes(MAX_BYTES // 2)) for n in "ab"] + [ingest_harness.put("c.txt", b"1")]
    assert ingest_harness.send_with(*({"id": id} for id in ids[:2]))[0] == 202
    status, problem = ingest_harness.send_with(*({"id": id} for id in ids))
    [error] = problem["errors"]
    assert (status, error["field"]) == (422, "attachments.2.id")
    assert "more than 7,000,000" in error["message"]


def test_a_file_must_outlive_the_message(ingest_harness: AttachmentsHarness) -> None:
    id = ingest_harness.put()
    uploaded_at = ingest_harness.clock.now_ms()

    def send(ahead_ms: int, ttl: int) -> tuple[int, Any]:
        at = datetime.fromtimestamp((uploaded_at + ahead_ms) / 1000, UTC)
        return ingest_harness.send_with({"id": id}, send_at=at.isoformat(), ttl=ttl)

    assert send(30 * DAY_MS - 60_000, 60)[0] == 202
    status, problem = send(30 * DAY_MS - 60_000, 61)
    [error] = problem["errors"]
    assert (status, error["field"]) == (422, "attachments.0.id")
    assert "before the message's time to live does" in error["message"]


@pytest.mark.parametrize(
    ("cids", "field", "text"),
    [
        (["logo"], "", ""),
        (["logo", "photo"], "", ""),
        (["nothing"], "attachments.0.cid", "shows no `cid:nothing`"),
        (["logo", "logo"], "attachments.1.cid", "given twice"),
    ],
)
def test_an_image_has_its_place_in_the_html(bare: AttachmentsHarness, cids: list[str], field: str, text: str) -> None:
    bare.add_template(WITH_LOGO)
    ids = [bare.put(f"{n}.png", PNG) for n, _ in enumerate(cids)]
    status, answer = bare.send_with(*({"id": id, "cid": cid} for id, cid in zip(ids, cids, strict=True)))
    if field:
        [error] = answer["errors"]
        assert (status, error["field"], text in error["message"]) == (422, field, True)
    else:
        [envelope] = bare.envelopes()
        assert [ref.cid for ref in envelope.attachments] == cids


def test_only_images_are_shown(bare: AttachmentsHarness) -> None:
    bare.add_template(WITH_LOGO)
    status, answer = bare.send_with({"id": bare.put("a.pdf"), "cid": "logo"})
    assert (status, answer["errors"][0]["field"]) == (422, "attachments.0.cid")


def test_only_emails_carry_files(bare: AttachmentsHarness) -> None:
    content: Content = SmsContent(text="t")
    bare.add_template(content)
    status, answer = bare.send({"template": "welcome", "to": "13800138000", "attachments": [{"id": bare.put()}]})
    assert (status, answer["errors"][0]["field"]) == (422, "attachments")


def test_a_repeat_is_answered_though_the_file_has_ended(ingest_harness: AttachmentsHarness) -> None:
    id = ingest_harness.put()
    body = {"template": "welcome", "to": "a@example.com", "attachments": [{"id": id}]}
    first = ingest_harness.send(body, idempotency_key="k")
    ingest_harness.s3.delete_object(Bucket=BUCKET, Key=f"attachments/default/{id}")
    assert ingest_harness.send(body, idempotency_key="k") == first
    assert len(ingest_harness.envelopes()) == 1
    assert ingest_harness.send(body, idempotency_key="other")[0] == 422


def test_when_the_storage_is_away_nothing_is_accepted(
    ingest_harness: AttachmentsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = ingest_harness.put()

    def away(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(ingest_harness.s3, "head_object", away)
    status, problem = ingest_harness.send_with({"id": id})
    assert (status, problem["type"]) == (503, "urn:mepush:problem:unavailable")
    assert ingest_harness.envelopes() == []


def test_a_refusal_of_the_storage_is_not_taken_for_absence(
    ingest_harness: AttachmentsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = ingest_harness.put()

    def refused(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    monkeypatch.setattr(ingest_harness.s3, "head_object", refused)
    assert ingest_harness.call("GET /v1/attachments/{id}", id=id)[0] == 503


def test_requests_without_files_ask_the_storage_nothing(
    ingest_harness: AttachmentsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_harness.store, "_client", lambda: pytest.fail("asked"))
    assert ingest_harness.send({"template": "welcome", "to": "a@example.com"})[0] == 202
    [envelope] = ingest_harness.envelopes()
    assert "attachments" not in envelope.to_json()
    assert samples.envelope().attachments == []
