"""Uploads files for emails to carry: asks the API for a form, and posts each file with it to where the API says."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

from mepush.client.api import Client, is_loopback
from mepush.client.errors import ConnectionProblemError, FileError, MepushError
from mepush.words import FILE_ENDINGS, MAX_FILE_BYTES

_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine. cid: the image of the template's html that it takes the place of."""

    path: Path
    data: bytes
    cid: str | None = None


def read_files(attach: list[Path], inline: dict[str, str]) -> list[LocalFile]:
    """Read the files. inline: cid -> path. Raises: FileError for one that cannot be read or may not be attached."""
    named = [(path, None) for path in attach] + [(Path(path), cid) for cid, path in inline.items()]
    return [LocalFile(path, _read(path), cid) for path, cid in named]


def upload_files(api: Client, files: list[LocalFile]) -> list[dict[str, str]]:
    """Upload the files, and return what a request names them by. The same file has the same id every time.

    Raises: ApiError, ConnectionProblemError, MepushError.
    """
    named = []
    for file in files:
        digest = sha256(file.data).hexdigest()
        body = {"name": file.path.name, "size": len(file.data), "sha256": digest}
        form = api.post("/v1/attachments", body, repeat=True)
        post_form(form, str(file.path), file.data, form["fields"].get("Content-Type"))
        named.append({"id": form["id"]} if file.cid is None else {"id": form["id"], "cid": file.cid})
    return named


def _read(path: Path) -> bytes:
    if path.suffix.lower() not in FILE_ENDINGS:
        allowed = ", ".join(FILE_ENDINGS)
        raise FileError(f"{path} cannot be attached: it is of no kind that may be attached; allowed are {allowed}.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FileError(
                f"{path} is larger than {MAX_FILE_BYTES:,} bytes.", "Put it where the recipient can fetch it."
            )
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not data:
        raise FileError(f"{path} is empty.")
    return data


def post_form(form: dict[str, Any], what: str, content: bytes | BinaryIO, media: str | None) -> None:
    """Send a file with a form that the API made; it may be sent again without harm. The API key stays here.

    what: the file as a person knows it. media: its type. Raises: MepushError, ConnectionProblemError.
    """
    parts = urlsplit(form["url"])
    loopback = is_loopback((parts.hostname or "").lower())
    if parts.scheme != "https" and not loopback:
        raise MepushError(
            "The API names an upload address that is not encrypted.", "Is this the address of a mePush API?"
        )
    try:
        # A company's proxy cannot reach this machine's loopback.
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=not loopback) as http:
            # The name that counts is in the form.
            answer = http.post(form["url"], data=form["fields"], files={"file": ("file", content, media)})
    except httpx.HTTPError:
        raise ConnectionProblemError(
            f"{what} could not be uploaded to {parts.hostname}.", "Check your network and run the same again."
        ) from None
    if not answer.is_success:
        raise MepushError(f"{parts.hostname} refused {what} with HTTP {answer.status_code}.", "Run the same again.")
