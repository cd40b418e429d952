"""Audience files: `POST /v1/audiences`."""

from dataclasses import dataclass

from shared.api.campaigns import AudienceUpload, AudienceUploadCreate
from shared.api.fields import moment
from shared.api.kit import Call, OperationFunction
from shared.aws.audiences import UPLOAD_SECONDS, AudienceFiles
from shared.model.clock import Clock


@dataclass(frozen=True, slots=True)
class Uploading:
    """The operation on audience files."""

    files: AudienceFiles
    clock: Clock

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {"create_audience": self.create}

    def create(self, call: Call) -> AudienceUpload:
        """Sign a form for one file. Stores nothing."""
        body: AudienceUploadCreate = call.body
        now = self.clock.now_ms()
        file, upload = self.files.form(call.caller.tenant, body.format, now, call.caller.kind)
        expires_at = moment(now + UPLOAD_SECONDS * 1000)
        return AudienceUpload(file=file, url=upload.url, fields=upload.fields, expires_at=expires_at)
