"""The sandbox of Amazon SES, with its requests kept."""

from typing import Any

from local.sandbox.base import Request, Response
from local.sandbox.ses import SesSandbox

AWS_SECRET = "contract-secret-access-key"


class Recorded(SesSandbox):
    """answer: to every call that sends, instead of the sandbox's own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.requests: list[Request] = []
        self.answer: Response | None = None

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answer is not None and not request.path.startswith("/v2/email/templates"):
            return self.answer
        return super().handle(request)

    def asked(self) -> list[str]:
        """The requests since the last time."""
        found = [f"{request.method} {request.path}" for request in self.requests]
        self.requests.clear()
        return found
