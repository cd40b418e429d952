"""A run's files in the assets bucket: parts of the audience file, and what is worked out of them, one per shard."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from shared.errors import NotFoundError
from shared.policy.files import run_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LINK_SECONDS = 900
"""How long a link to a file is good for."""
PIECE_BYTES = 1024 * 1024
ATTEMPTS = 5
"""Connections in a row that bring nothing, until it is given up."""
# S3 API reference, "Error responses". A version that was deleted answers as one that never was.
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


class FileGoneError(NotFoundError):
    """A file is not in the bucket any more. key: of the object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the file {key} is gone")
        self.key = key


class RunFiles:
    """Reads and writes objects; thread-safe.

    client: makes the client on first use. signer: the one that signs links, by the address that callers reach the
    bucket at.
    """

    def __init__(
        self, bucket: str, client: "Callable[[], S3Client]", signer: "Callable[[], S3Client] | None" = None
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._signer = signer or client

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        """Bytes of one version of an object, from `start` up to `end`. Raises: FileGoneError; what S3 raises."""
        if start >= end:
            return b""
        try:
            found = self._client().get_object(
                Bucket=self._bucket, Key=key, VersionId=version, Range=f"bytes={start}-{end - 1}"
            )
        except ClientError as error:
            raise self._gone(error, key) from None
        with closing(found["Body"]) as body:
            return body.read()

    def stream(self, key: str, version: str, size: int, start: int = 0) -> Iterator[bytes]:
        """One version of an object from `start` on, in pieces of at most a megabyte. size: of the object.

        Where the connection breaks another takes over. Raises: FileGoneError; what S3 raises.
        """
        broken = 0
        while start < size:
            try:
                for piece in self._open(key, version, start):
                    start += len(piece)
                    broken = 0
                    yield piece
            except (HTTPClientError, IncompleteReadError):
                broken += 1
                if broken == ATTEMPTS:
                    raise

    def _open(self, key: str, version: str, start: int) -> Iterator[bytes]:
        """The pieces that one request brings."""
        try:
            found = self._client().get_object(Bucket=self._bucket, Key=key, VersionId=version, Range=f"bytes={start}-")
        except ClientError as error:
            raise self._gone(error, key) from None
        with closing(found["Body"]) as body:
            yield from body.iter_chunks(PIECE_BYTES)

    def put(self, tenant: str, run: str, kind: str, number: int, body: bytes, content_type: str = "") -> str:
        """Write one of a run's files, over the one that is there; returns its version. kind, number: see `run_key`.

        Raises: as S3 does.
        """
        found = self._client().put_object(
            Bucket=self._bucket,
            Key=run_key(tenant, run, kind, number),
            Body=body,
            ContentType=content_type or "application/octet-stream",
        )
        return found["VersionId"]

    def get(self, tenant: str, run: str, kind: str, number: int, start: int = 0, end: int | None = None) -> bytes:
        """One of a run's files as it is now, or some of its bytes. Raises: FileGoneError; what S3 raises."""
        if end is not None and start >= end:
            return b""
        key, stop = run_key(tenant, run, kind, number), "" if end is None else end - 1
        whole = not start and end is None
        try:
            if whole:
                found = self._client().get_object(Bucket=self._bucket, Key=key)
            else:
                found = self._client().get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{stop}")
        except ClientError as error:
            raise self._gone(error, key) from None
        with closing(found["Body"]) as body:
            return body.read()

    def link(self, tenant: str, run: str, kind: str, number: int, name: str) -> str:
        """A link to one of a run's files, good for 15 minutes. name: what it is saved as. Makes no request."""
        return self._signer().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": run_key(tenant, run, kind, number),
                "ResponseContentDisposition": f'attachment; filename="{name}"',
            },
            ExpiresIn=LINK_SECONDS,
        )

    def _gone(self, error: ClientError, key: str) -> Exception:
        missing = error.response.get("Error", {}).get("Code") in _MISSING
        return FileGoneError(key) if missing else error
