"""Takes the forms that the platform signs for uploads, as S3 does, on loopback: policy, signature and all.

After the S3 API reference, "POST Object", "POST Policy" and "Authenticating Requests: Browser-Based Uploads Using POST
(AWS Signature Version 4)". What is good goes into moto's bucket.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any
from xml.sax.saxutils import escape

from local.clock import RealClock
from local.gateway import Answer, Incoming
from shared.model.clock import Clock

PATH = "s3"
"""Under `/_local/`, followed by the bucket's name."""

_UNCHECKED = frozenset({"policy", "x-amz-signature"})
"""Fields that no policy has a condition for, besides the file and those that are to be ignored."""
_IGNORED = "x-ignore-"


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Uploads:
    """Answers the forms for the buckets of a stack. client: makes boto3 clients; its credentials sign and check."""

    def __init__(self, client: Callable[[str], Any], clock: Clock | None = None) -> None:
        self._client = client
        # boto3 signs by the real time, whatever the stack's clock shows.
        self._clock = clock or RealClock()

    def __call__(self, request: Incoming) -> Answer:
        """Answer one form."""
        bucket = request.path.rpartition(f"/{PATH}/")[2]
        try:
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

    def _check(self, bucket: str, fields: Mapping[str, str], file: bytes) -> None:
        for name in ("key", "policy", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if name not in fields:
                raise _denied(f"Bucket POST must contain a field named '{name}'.")
        if not hmac.compare_digest(self._signature(fields).encode(), fields["x-amz-signature"].encode()):
            raise _RefusedError(403, "SignatureDoesNotMatch", "The signature does not match.")
        policy = json.loads(base64.b64decode(fields["policy"]))
        if datetime.fromisoformat(policy["expiration"]) <= datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC):
            raise _denied("Invalid according to Policy: Policy expired.")
        unchecked = set(fields) - _UNCHECKED - {name for name in fields if name.startswith(_IGNORED)}
        for condition in policy["conditions"]:
            unchecked -= _hold(condition, {**fields, "bucket": bucket}, len(file))
        if unchecked:
            raise _denied(f"Invalid according to Policy: Extra input fields: {', '.join(sorted(unchecked))}")

    def _signature(self, fields: Mapping[str, str]) -> str:
        secret = self._client("s3")._get_credentials().secret_key
        key = f"AWS4{secret}".encode()
        for part in fields["x-amz-credential"].split("/")[1:]:
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, fields["policy"].encode(), hashlib.sha256).hexdigest()


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


def _denied(message: str) -> _RefusedError:
    return _RefusedError(403, "AccessDenied", message)
