"""Takes the forms and the links that the platform signs, as S3 does, on loopback: policy, signature and all.

After the S3 API reference, "POST Object", "POST Policy", "Authenticating Requests: Browser-Based Uploads Using POST
(AWS Signature Version 4)" and "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". What is good
goes into moto's bucket, or comes from there.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode
from xml.sax.saxutils import escape, unescape

from botocore.exceptions import ClientError

from local.clock import RealClock
from local.gateway import Answer, Incoming
from shared.model.clock import Clock

PATH = "s3"
"""Under `/_local/`, followed by the bucket's name."""

_UNCHECKED = frozenset({"policy", "x-amz-signature"})
"""Fields that no policy has a condition for, besides the file and those that are to be ignored."""
_IGNORED = "x-ignore-"
_CHECKSUM = "x-amz-checksum-sha256"
"""A field whose digest, in base64, is compared with the file's."""
_LINK_FIELDS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
"""Of a link, each after `X-Amz-`."""
_TAG = re.compile(r"<Tag><Key>([^<]*)</Key><Value>([^<]*)</Value></Tag>")
_LINK_SIGNATURE = "X-Amz-Signature="


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Uploads:
    """Answers the forms for the buckets of a stack, and links to what is in them.

    client: makes boto3 clients; its credentials sign and check.
    """

    def __init__(self, client: Callable[[str], Any], clock: Clock | None = None) -> None:
        self._client = client
        # boto3 signs by the real time, whatever the stack's clock shows.
        self._clock = clock or RealClock()

    def __call__(self, request: Incoming) -> Answer:
        """Answer one form, or one link."""
        bucket = request.path.partition(f"/{PATH}/")[2]
        try:
            if request.method == "GET":
                return self._download(request, bucket)
            if request.method != "POST" or "/" in bucket:
                raise _RefusedError(405, "MethodNotAllowed", "Post a form to a bucket.")
            headers = {name.lower(): value for name, value in request.headers}
            fields, file = _form(headers.get("content-type", ""), request.body)
            self._check(bucket, fields, file)
            put = self._client("s3").put_object(
                Bucket=bucket,
                Key=fields["key"],
                Body=file,
                ContentType=fields.get("content-type", "binary/octet-stream"),
                Tagging=_tags(fields.get("tagging", "")),
                Metadata={
                    name.removeprefix("x-amz-meta-"): value
                    for name, value in fields.items()
                    if name.startswith("x-amz-meta-")
                },
            )
        except _RefusedError as refused:
            body = f"<Error><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
            return refused.status, [("content-type", "application/xml")], body.encode()
        return 204, [("etag", put["ETag"]), ("x-amz-version-id", put.get("VersionId", "null"))], b""

    def _download(self, request: Incoming, path: str) -> Answer:
        """Answer a link. path: the bucket's name and the object's key, encoded. Raises: _RefusedError."""
        query = dict(parse_qsl(request.raw_query, keep_blank_values=True))
        if any(f"X-Amz-{name}" not in query for name in _LINK_FIELDS):
            raise _denied("Query-string authentication needs its parameters.")
        if not hmac.compare_digest(self._link_signature(request, query).encode(), query["X-Amz-Signature"].encode()):
            raise _RefusedError(403, "SignatureDoesNotMatch", "The signature does not match.")
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if signed + timedelta(seconds=int(query["X-Amz-Expires"])) <= self._now():
            raise _denied("Request has expired")
        bucket, _, key = path.partition("/")
        try:
            found = self._client("s3").get_object(Bucket=bucket, Key=unquote(key))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise _RefusedError(404, code, "The specified key does not exist.") from None
        headers = [("content-type", found["ContentType"])]
        if disposition := query.get("response-content-disposition"):
            headers.append(("content-disposition", disposition))
        return 200, headers, found["Body"].read()

    def _link_signature(self, request: Incoming, query: Mapping[str, str]) -> str:
        host = next((value for name, value in request.headers if name.lower() == "host"), "")
        signed = "&".join(sorted(p for p in request.raw_query.split("&") if not p.startswith(_LINK_SIGNATURE)))
        canonical = "\n".join([request.method, request.path, signed, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
        scope = query["X-Amz-Credential"].partition("/")[2]
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join([query["X-Amz-Algorithm"], query["X-Amz-Date"], scope, digest])
        return self._signed(query["X-Amz-Credential"], text)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def _check(self, bucket: str, fields: Mapping[str, str], file: bytes) -> None:
        for name in ("key", "policy", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if name not in fields:
                raise _denied(f"Bucket POST must contain a field named '{name}'.")
        signature = self._signed(fields["x-amz-credential"], fields["policy"])
        if not hmac.compare_digest(signature.encode(), fields["x-amz-signature"].encode()):
            raise _RefusedError(403, "SignatureDoesNotMatch", "The signature does not match.")
        policy = json.loads(base64.b64decode(fields["policy"]))
        if datetime.fromisoformat(policy["expiration"]) <= self._now():
            raise _denied("Invalid according to Policy: Policy expired.")
        unchecked = set(fields) - _UNCHECKED - {name for name in fields if name.startswith(_IGNORED)}
        for condition in policy["conditions"]:
            unchecked -= _hold(condition, {**fields, "bucket": bucket}, len(file))
        if unchecked:
            raise _denied(f"Invalid according to Policy: Extra input fields: {', '.join(sorted(unchecked))}")
        if fields.get(_CHECKSUM) not in (None, _sha256(file)):
            raise _RefusedError(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")

    def _signed(self, credential: str, text: str) -> str:
        secret = self._client("s3")._get_credentials().secret_key
        key = f"AWS4{secret}".encode()
        for part in credential.split("/")[1:]:
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """A form's fields, their names in lower case, and its file. What follows the file is ignored."""
    if not content_type.lower().startswith("multipart/form-data"):
        raise _RefusedError(412, "PreconditionFailed", "The body must be multipart/form-data.")
    fields: dict[str, str] = {}
    for part in message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body).walk():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(data, bytes):
            continue
        if name.lower() == "file":
            return fields, data
        fields[name.lower()] = data.decode(errors="replace")
    raise _RefusedError(400, "InvalidArgument", "POST requires exactly one file upload per request.")


def _hold(condition: Any, values: Mapping[str, str], size: int) -> set[str]:
    """The field that a condition is about. Raises: _RefusedError if it does not hold."""
    if isinstance(condition, dict):
        ((field, wanted),) = condition.items()
        condition = ("eq", f"${field}", wanted)
    operator, name, value = condition
    if operator == "content-length-range":
        if not name <= size <= value:
            code = "EntityTooLarge" if size > value else "EntityTooSmall"
            raise _RefusedError(400, code, "Your proposed upload is not of the allowed size.")
        return set()
    about = name.removeprefix("$").lower()
    found = values.get(about, "")
    if (operator == "eq" and found == value) or (operator == "starts-with" and found.startswith(value)):
        return {about}
    raise _denied(f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}")


def _sha256(file: bytes) -> str:
    return base64.b64encode(hashlib.sha256(file).digest()).decode()


def _tags(tagging: str) -> str:
    """A form's tags, which are XML, as PutObject takes them."""
    return urlencode([(unescape(key), unescape(value)) for key, value in _TAG.findall(tagging)])


def _denied(message: str) -> _RefusedError:
    return _RefusedError(403, "AccessDenied", message)
