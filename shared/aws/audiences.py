"""Audience files, in the assets bucket: uploaded by a signed form, or put there by people."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from mepush.sheets.formats import FileFormat
from shared.aws.attachments import Upload, kind_mark, kind_of
from shared.model.ids import ulid_text
from shared.model.runs import AudienceFile
from shared.model.words import KeyKind
from shared.policy.files import UPLOAD_TAG, UPLOADS, audience_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UPLOAD_SECONDS = 3600
"""How long an upload may be begun."""
MAX_BYTES = 5 * 1024**3
"""The largest object that one form takes (S3 user guide, "Uploading objects")."""


# S3 API reference, "POST Object", the form field `tagging`.
_TAGGING = "<Tagging><TagSet><Tag><Key>{}</Key><Value>{}</Value></Tag></TagSet></Tagging>".format(*UPLOAD_TAG)
# S3 API reference, "Error responses": HeadObject has no body, hence the bare status.
_MISSING = frozenset({"404", "NoSuchKey"})


class AudienceFiles:
    """Signs uploads and finds files; thread-safe.

    client: makes the client on first use. signer: the one that signs uploads, by the address that callers reach the
    bucket at.
    """

    def __init__(
        self, bucket: str, client: "Callable[[], S3Client]", signer: "Callable[[], S3Client] | None" = None
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._signer = signer or client

    def head(self, key: str) -> AudienceFile | None:
        """An object as it is now; None if there is none. Raises: what S3 raises."""
        try:
            found = self._client().head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _MISSING:
                return None
            raise
        kind = kind_of(found["Metadata"])
        return AudienceFile(key=key, version=found["VersionId"], size=found["ContentLength"], kind=kind)

    def form(self, tenant: str, format: FileFormat, now: int, kind: KeyKind) -> tuple[str, Upload]:
        """A new file's name, and a form for it, good for an hour. Makes no request. now: milliseconds since the epoch.

        kind: of the key that asks, which goes with the file. S3 itself checks key, mark and size, and tags the file as
        one to be forgotten.
        """
        mark = kind_mark(kind)
        file = f"{UPLOADS}{ulid_text(now << 80 | secrets.randbits(80))}.{format}"
        signed = self._signer().generate_presigned_post(
            Bucket=self._bucket,
            Key=audience_key(tenant, file),
            Fields={**mark, "tagging": _TAGGING},
            Conditions=[mark, {"tagging": _TAGGING}, ["content-length-range", 1, MAX_BYTES]],
            ExpiresIn=UPLOAD_SECONDS,
        )
        return file, Upload(signed["url"], signed["fields"])
