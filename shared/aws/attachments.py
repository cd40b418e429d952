"""Files to attach, in the assets bucket under `attachments/<tenant>/<id>`: uploaded by a signed form, read by version.

What there is to know of a file is with its object: its type as Content-Type, its name, the kind of the key that
uploaded it and its digest as metadata. So nothing can be known of a file that is not there.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError
from msgspec import Struct

from shared.errors import NotFoundError
from shared.model.attachments import ID, AttachmentRef
from shared.model.ids import ulid_text
from shared.model.words import KeyKind
from shared.policy.attachments import KEEP_DAYS, PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UPLOAD_SECONDS = 900
"""How long an upload may be begun."""
_DAY_MS = 86_400_000
_NAME, _KIND, _DIGEST = "name", "kind", "sha256"
"""A file's metadata."""
# S3 API reference, "Error responses": HeadObject has no body, hence the bare status.
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


class AttachmentGoneError(NotFoundError):
    """A file that a message names is not there any more. id: the attachment's."""

    def __init__(self, id: str) -> None:
        super().__init__(f"the attachment {id} is gone")
        self.id = id


class Upload(Struct, frozen=True):
    """A form that takes one file, of just the size and type agreed on."""

    url: str
    fields: dict[str, str]
    """Send them before the file."""


class StoredFile(Struct, frozen=True):
    """A file that is there. Times: milliseconds since the epoch."""

    id: str
    version: str
    """The version of the object."""
    name: str
    content_type: str
    size: int
    uploaded_at: int
    kind: KeyKind = KeyKind.LIVE
    """Of the key that uploaded it."""
    sha256: str | None = None
    """In hex, if it was declared; S3 took no other bytes."""

    @property
    def ends_at(self) -> int:
        """From when on a message may not name it."""
        # S3 expires an object at the midnight after, so it is there for so long at least (S3 user guide, "Expiring
        # objects").
        return self.uploaded_at + KEEP_DAYS * _DAY_MS

    def ref(self, cid: str | None) -> AttachmentRef:
        """How an envelope names this very version."""
        return AttachmentRef(self.id, self.version, self.name, self.content_type, self.size, cid, self.sha256)


def new_id(tenant: str, kind: KeyKind, name: str, size: int, sha256: str | None) -> str:
    """An id for a file: drawn, or the same one again for the same name, size and digest by a key of the same kind."""
    if sha256 is None:
        return ulid_text(secrets.randbits(128))
    # Live keys' ids are as they were before the kind was in them, so that a request can be repeated.
    kinds = () if kind is KeyKind.LIVE else (kind.value,)
    parts = "\x1f".join((tenant, *kinds, name, str(size), sha256)).encode()
    return ulid_text(int.from_bytes(hashlib.blake2b(parts, digest_size=16).digest()))


def kind_mark(kind: KeyKind) -> dict[str, str]:
    """The field of a form that says by a key of which kind a file is uploaded; it stays with the file."""
    return {f"x-amz-meta-{_KIND}": kind.value}


def kind_of(metadata: Mapping[str, str]) -> KeyKind:
    """The kind that a file's mark names. One without a mark counts as a live key's: what was uploaded before there were
    marks, and what people put into the bucket themselves."""
    mark = metadata.get(_KIND, "")
    return KeyKind(mark) if mark in set(KeyKind) else KeyKind.LIVE


class AttachmentStore:
    """Signs uploads, finds and reads files; thread-safe.

    client: makes the client on first use, since few calls need it. signer: the one that signs uploads, by the address
    that callers reach the bucket at.
    """

    def __init__(
        self, bucket: str, client: "Callable[[], S3Client]", signer: "Callable[[], S3Client] | None" = None
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._signer = signer or client

    def upload(
        self, tenant: str, id: str, name: str, content_type: str, size: int, kind: KeyKind, sha256: str | None
    ) -> Upload:
        """A form for one file, good for 15 minutes. Makes no request.

        S3 itself checks key, name, type, size, kind and, if one is declared, the digest (in hex): so whoever uses the
        form again can put nothing else in the file's place.
        """
        # Metadata is ASCII (S3 user guide, "Working with object metadata").
        fields = {"Content-Type": content_type, f"x-amz-meta-{_NAME}": quote(name, safe="", errors="replace")}
        fields |= kind_mark(kind)
        if sha256 is not None:
            # S3 API reference, "POST Object": the digest in base64; a file of another one is refused.
            fields["x-amz-checksum-algorithm"] = "SHA256"
            fields["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(sha256)).decode()
            fields[f"x-amz-meta-{_DIGEST}"] = sha256
        signed = self._signer().generate_presigned_post(
            Bucket=self._bucket,
            Key=_key(tenant, id),
            Fields=dict(fields),
            Conditions=[{field: value} for field, value in fields.items()] + [["content-length-range", size, size]],
            ExpiresIn=UPLOAD_SECONDS,
        )
        return Upload(signed["url"], signed["fields"])

    def find(self, tenant: str, id: str) -> StoredFile | None:
        """The file under an id, as it is now; None if it is not there. Raises: what S3 raises."""
        if not ID.match(id):
            return None
        try:
            head = self._client().head_object(Bucket=self._bucket, Key=_key(tenant, id))
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        return StoredFile(
            id,
            head["VersionId"],
            unquote(head["Metadata"].get(_NAME, "")),
            head["ContentType"],
            head["ContentLength"],
            int(head["LastModified"].timestamp() * 1000),
            kind_of(head["Metadata"]),
            head["Metadata"].get(_DIGEST),
        )

    def read(self, tenant: str, ref: AttachmentRef) -> bytes:
        """The very bytes that were there when a message was accepted.

        Raises: AttachmentGoneError, also for others than those whose digest was declared; what S3 raises.
        """
        try:
            found = self._client().get_object(Bucket=self._bucket, Key=_key(tenant, ref.id), VersionId=ref.version)
        except ClientError as error:
            if _is_missing(error):
                raise AttachmentGoneError(ref.id) from None
            raise
        with found["Body"] as body:
            data = body.read()
        if ref.sha256 is not None and hashlib.sha256(data).hexdigest() != ref.sha256:
            raise AttachmentGoneError(ref.id)
        return data


def _key(tenant: str, id: str) -> str:
    return f"{PREFIX}{tenant}/{id}"


def _is_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in _MISSING
