"""Verifications by the Python client: send somebody a code, and check what they enter."""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from mepush.client.api import Client

PATH = "/v1/verifications"


class Verifications:
    """`client.verifications`: bodies and answers are those of the API's description, as dicts.

    Whatever goes wrong is a MepushError; an ApiError of the status 429 says in `retry_after_s` when to start again.
    """

    def __init__(self, api: "Client") -> None:
        self._api = api

    def start(
        self, to: str, template: str, purpose: str, *, idempotency_key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Send a code, or the same one again; `more`: the other fields of the API, such as `bind` and `fallback`.

        A lost answer is asked for again under one Idempotency-Key, so nothing is sent twice.
        Raises: ApiError, ConnectionProblemError.
        """
        body = {"to": to, "template": template, "purpose": purpose, **more}
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        started: dict[str, Any] = self._api.post(PATH, body, repeat=True, headers=headers)
        return started

    def check(self, id: str, code: str, bind: str | None = None) -> dict[str, Any]:
        """Check a code: let them on if `result` is `approved`, and never else.

        Asked once: a check counts, so a lost answer is asked for by whoever entered the code, or looked up with `get`.
        Raises: ApiError, ConnectionProblemError.
        """
        body = {"code": code} if bind is None else {"code": code, "bind": bind}
        checked: dict[str, Any] = self._api.post(self._path(id, "/check"), body)
        return checked

    def get(self, id: str) -> dict[str, Any]:
        """How far a verification is. Raises: ApiError, ConnectionProblemError."""
        found: dict[str, Any] = self._api.get(self._path(id))
        return found

    def cancel(self, id: str) -> dict[str, Any]:
        """Have its code count no more. Raises: ApiError, ConnectionProblemError."""
        found: dict[str, Any] = self._api.post(self._path(id, "/cancel"), repeat=True)
        return found

    @staticmethod
    def _path(id: str, end: str = "") -> str:
        from mepush.client.api import segment

        return f"{PATH}/{segment(id)}{end}"
