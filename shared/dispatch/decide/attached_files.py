"""Attached files: messages get the files that their envelope names; if one is gone, none of the messages is sent."""

from msgspec.structs import replace

from shared.aws.attachments import AttachmentGoneError
from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import failed
from shared.model.attachments import Attachment, merged
from shared.model.content import RenderedEmail
from shared.model.reasons import Reason
from shared.providers.base import Outgoing


class AttachedFiles(Step):
    """Adds the envelope's files to its messages. Raises: what the storage raises."""

    def take(self, batch: Batch) -> Taken:
        envelope, files = batch.envelope, self.sources.files
        if not envelope.attachments or files is None:
            return batch.candidates, []
        try:
            found = files.of(envelope.tenant, envelope.attachments)
        except AttachmentGoneError as error:
            id, now = error.id, self.now()
            return batch.all_end(lambda r: failed(envelope, r, Reason.ATTACHMENT_GONE, id, now))
        return [Candidate(each.recipient, _carrying(each.message, found)) for each in batch.candidates], []


def _carrying(message: Outgoing, files: tuple[Attachment, ...]) -> Outgoing:
    content = message.content
    if not isinstance(content, RenderedEmail):
        raise TypeError("only emails carry files")
    return replace(message, content=replace(content, attachments=merged(content.attachments, files)))
