"""Files to attach: `POST /v1/attachments` and `GET /v1/attachments/{id}`, and what a request that names some may do."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.api.attachments import AttachmentCreate, AttachmentUpload, AttachmentView
from shared.api.fields import moment
from shared.api.kit import Call, Caller
from shared.api.messages import AttachmentIn
from shared.aws.attachments import UPLOAD_SECONDS, AttachmentStore, StoredFile, new_id
from shared.errors import FieldError, NotFoundError, forbidden, invalid, invalid_field
from shared.model.attachments import AttachmentRef
from shared.model.clock import Clock
from shared.model.content import Content, EmailContent
from shared.policy.access import reaches
from shared.policy.attachments import KEEP_DAYS, beyond, cid_problem, cids_in, name_problem, type_of, type_problem

Files = Mapping[str, StoredFile]
"""Those that are there, by id."""


class Attachments(Struct, frozen=True):
    """The operations on files, and what is stored of those that a request names."""

    store: AttachmentStore
    clock: Clock

    def create(self, call: Call) -> AttachmentUpload:
        """Agree on a file and sign a form for it. Stores nothing. Raises: InvalidError."""
        body: AttachmentCreate = call.body
        if problem := name_problem(body.name):
            raise invalid_field("name", problem)
        content_type = body.content_type or type_of(body.name) or ""
        if problem := type_problem(body.name, content_type):
            raise invalid_field("content_type", problem)
        tenant, kind, now = call.caller.tenant, call.caller.kind, self.clock.now_ms()
        id = new_id(tenant, kind, body.name, body.size, body.sha256)
        upload = self.store.upload(tenant, id, body.name, content_type, body.size, kind, body.sha256)
        return AttachmentUpload(
            id=id,
            name=body.name,
            content_type=content_type,
            size=body.size,
            url=upload.url,
            fields=upload.fields,
            expires_at=moment(now + UPLOAD_SECONDS * 1000),
        )

    def get(self, call: Call) -> AttachmentView:
        """A file that was uploaded. Raises: ForbiddenError, NotFoundError."""
        file = self.store.find(call.caller.tenant, call.path["id"])
        if file is None:
            detail = f"There is no such attachment: it was not uploaded yet, or more than {KEEP_DAYS} days ago."
            raise NotFoundError(detail)
        call.require(file.kind, "attachment")
        return AttachmentView(
            id=file.id,
            name=file.name,
            content_type=file.content_type,
            size=file.size,
            uploaded_at=moment(file.uploaded_at),
            ends_at=moment(file.ends_at),
        )

    def find(self, caller: Caller, named: Sequence[AttachmentIn]) -> Files:
        """The files that a request names and that are there.

        Raises: ForbiddenError for one that the caller's key does not reach; what S3 raises.
        """
        files: dict[str, StoredFile] = {}
        for i, each in enumerate(named):
            file = files.get(each["id"]) or self.store.find(caller.tenant, each["id"])
            if file is None:
                continue
            if not reaches("send_messages", caller.kind, file.kind):
                detail = f"The file belongs to {file.kind} keys. Upload it with this key, or use a live key."
                raise forbidden(detail, f"attachments.{i}.id")
            files[file.id] = file
        return files


def attach(named: Sequence[AttachmentIn], files: Files, content: Content, expires_at: int) -> list[AttachmentRef]:
    """What envelopes carry of the files that a request names. expires_at: of its messages, in milliseconds.

    Raises: InvalidError naming each that cannot go along.
    """
    if not named:
        return []
    if not isinstance(content, EmailContent):
        raise invalid_field("attachments", "only emails carry files; leave them out, or use a template for email")
    errors = []
    for i, each in enumerate(named):
        earlier = named[:i]
        if problem := _id_problem(each, earlier, files, expires_at):
            errors.append(FieldError(field=f"attachments.{i}.id", message=problem))
        elif problem := _cid_problem(each, earlier, files, content):
            errors.append(FieldError(field=f"attachments.{i}.cid", message=problem))
    if not errors:
        errors = _too_much(named, files, content)
    if errors:
        raise invalid(errors, "The attachments cannot go along.")
    return [files[each["id"]].ref(each.get("cid")) for each in named]


def _id_problem(each: AttachmentIn, earlier: Sequence[AttachmentIn], files: Files, expires_at: int) -> str | None:
    if each["id"] in (other["id"] for other in earlier):
        return "is named twice; name each file once"
    file = files.get(each["id"])
    if file is None:
        return (
            f"there is no such attachment: it was not uploaded, or more than {KEEP_DAYS} days ago; "
            "upload the file with the form that POST /v1/attachments answers"
        )
    if file.ends_at < expires_at:
        return (
            f"ends {moment(file.ends_at):%Y-%m-%d %H:%M} UTC, before the message's time to live does; "
            "upload the file again, send earlier or give a shorter ttl"
        )
    return None


def _cid_problem(
    each: AttachmentIn, earlier: Sequence[AttachmentIn], files: Files, content: EmailContent
) -> str | None:
    cid = each.get("cid")
    if cid is None:
        return None
    if cid in (other.get("cid") for other in earlier):
        return "is given twice; an image of the html has one cid"
    if cid not in cids_in(content.html):
        return f"the template's html shows no `cid:{cid}`; leave the cid out to attach the file beside the text"
    return cid_problem(files[each["id"]].content_type)


def _too_much(named: Sequence[AttachmentIn], files: Files, content: EmailContent) -> list[FieldError]:
    replaced = {each["cid"] for each in named if "cid" in each}
    own = [len(file.data) for file in content.attachments if file.cid is None or file.cid not in replaced]
    found = beyond([files[each["id"]].size for each in named], own)
    if found is None:
        return []
    return [FieldError(field=f"attachments.{found[0]}.id", message=found[1])]
