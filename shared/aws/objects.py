"""Objects of the assets bucket with all their versions: listed, read, written anew as they stream by, deleted."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE_BYTES = 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
"""Of an upload in parts, of which there are 10,000 at most (S3 user guide, "Multipart upload limits")."""
BEFORE = "mepush-before"
"""The metadata of an object that was written anew: of which version."""


class Version(Struct, frozen=True):
    """A version of an object."""

    key: str
    id: str
    latest: bool
    size: int


class Objects:
    """Reads and writes them; thread-safe. client: makes the client on first use."""

    def __init__(self, bucket: str, client: "Callable[[], S3Client]") -> None:
        self._bucket = bucket
        self._client = client

    def keys(self, prefix: str, after: str = "") -> Iterator[list[Version]]:
        """All versions of each object, the newest first, by key. after: only keys behind it. Raises: what S3 raises."""
        found: list[Version] = []
        for version in self._versions(prefix, after):
            if found and found[-1].key != version.key:
                yield found
                found = []
            found.append(version)
        if found:
            yield found

    def read(self, version: Version) -> Iterator[bytes]:
        """A version in pieces of at most a megabyte. Raises: what S3 raises."""
        found = self._client().get_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
        with closing(found["Body"]) as body:
            yield from body.iter_chunks(PIECE_BYTES)

    def before(self, version: Version) -> str:
        """The version of which one was written anew; empty for none. Raises: what S3 raises."""
        found = self._client().head_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
        return found["Metadata"].get(BEFORE, "")

    def rewrite(self, version: Version, pieces: Iterable[bytes]) -> str:
        """Write an object anew in the place of a version, with its kind and its tags; returns the new version.

        Raises: what S3 raises; then nothing is written.
        """
        client = self._client()
        head = client.head_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
        tags = client.get_object_tagging(Bucket=self._bucket, Key=version.key, VersionId=version.id)["TagSet"]
        about: Any = {
            "Metadata": {**head["Metadata"], BEFORE: version.id},
            "ContentType": head["ContentType"],
            "Tagging": "&".join(f"{tag['Key']}={tag['Value']}" for tag in tags),
        }
        parts = _parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        if second is None:
            return client.put_object(Bucket=self._bucket, Key=version.key, Body=first, **about)["VersionId"]
        return self._in_parts(version.key, [first, second], parts, about)

    def delete(self, version: Version) -> None:
        """Delete a version for good. Raises: what S3 raises."""
        self._client().delete_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)

    def _versions(self, prefix: str, after: str) -> Iterator[Version]:
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        if after:
            asked["KeyMarker"] = after
        while True:
            page: Any = self._client().list_object_versions(**asked)
            for each in page.get("Versions", ()):
                yield Version(each["Key"], each["VersionId"], each["IsLatest"], each["Size"])
            if not page.get("IsTruncated"):
                return
            asked |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _in_parts(self, key: str, begun: list[bytes], rest: Iterator[bytes], about: Any) -> str:
        client: Any = self._client()
        place = {"Bucket": self._bucket, "Key": key}
        upload: Any = {**place, "UploadId": client.create_multipart_upload(**place, **about)["UploadId"]}
        done: list[Any] = []
        try:
            for parts in (iter(begun), rest):
                for part in parts:
                    number = len(done) + 1
                    tag = client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]
                    done.append({"ETag": tag, "PartNumber": number})
            made = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
            return str(made["VersionId"])
        except BaseException:  # whatever it is, parts that belong to nothing are not to stay
            client.abort_multipart_upload(**upload)
            raise


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts that are as large as parts are to be, but for the last one."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)
