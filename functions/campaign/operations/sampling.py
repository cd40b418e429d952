"""The first good row of an audience file, for a message that is tried out: only the file's beginning is read."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from functions.campaign.check.rows import Facts, Good, Judge
from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.reading import read_rows
from functions.campaign.file.unpacking import MAGIC
from functions.campaign.follow.finding import Runs, find, following
from functions.campaign.run.starting import foreign
from functions.campaign.run.variants import Resolved
from mepush.sheets.cutting import Cutter
from mepush.sheets.encodings import as_utf8, form_of
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import check_columns, read_header
from mepush.sheets.reading import Content
from shared.aws.runfiles import FileGoneError
from shared.errors import PlatformError
from shared.model.campaigns import Audience, Campaign
from shared.model.runs import AudienceFile, PinnedVariant, Run, RunState, run_id
from shared.model.tenants import Tenant
from shared.model.words import KeyKind
from shared.policy.access import reaches
from shared.policy.files import audience_key

SAMPLE_BYTES = 65_536
_UNPACKED_BYTES = 1_000_000
_GZIP_WINDOW = 31
"""zlib's for data with the header of gzip."""
_UNREAD = AudienceFile(key="", version="", size=0)


class Files(Protocol):
    """Where audience files are. head: an object as it is now; None if there is none."""

    def head(self, key: str) -> AudienceFile | None: ...


class Objects(Protocol):
    """Reads bytes of one version of an object. Raises: FileGoneError."""

    def read(self, key: str, version: str, start: int, end: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file."""

    file: AudienceFile
    audience: Audience
    """As it is read: of one that follows a run, as that one's is."""
    rows: Sequence[tuple[int, Content]] = ()
    """Those that it holds whole."""
    problem: str = ""
    """Why there are none, in words."""

    def variables(
        self, campaign: Campaign, one: Resolved, tenant: Tenant, shared: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The variables of the first row that can be sent by a variant; None if there is none.

        shared: what the rows need not have.
        """
        judge = Judge(self._run(campaign, one, shared), Facts(tenant, {one.variant.name: one.version}))
        found = (judge(index, content) for index, content in self.rows)
        return next((dict(row.variables) for row in found if isinstance(row, Good)), None)

    def _run(self, campaign: Campaign, one: Resolved, shared: Mapping[str, Any]) -> Run:
        """A run of this variant alone, with nobody held out: it is only judged by."""
        variant = one.variant
        alone = campaign.changed(variables=dict(shared), variants=(variant,), holdout_percent=0, audience=self.audience)
        pinned = PinnedVariant(
            name=variant.name, template=one.template.id, version=one.version.version, weight=variant.weight
        )
        return Run(
            id=run_id(campaign.tenant, campaign.id, 0),
            tenant=campaign.tenant,
            fired_at=0,
            state=RunState.PLANNING,
            state_at=0,
            state_by="",
            started_by="",
            campaign=alone,
            channel=one.template.channel,
            message_class=one.template.message_class,
            variants=(pinned,),
            file=self.file,
            created_at=0,
        )


@dataclass(frozen=True, slots=True)
class Sampler:
    """Reads the beginnings of audience files."""

    files: Files
    objects: Objects
    runs: Runs
    """For the file of a run that is followed."""

    def sample(self, campaign: Campaign, kind: KeyKind) -> Sample:
        """The beginning of a campaign's file. kind: of the key that wants it read.

        What is wrong with the file is no error here, nor that the key does not reach it. Raises: what S3 and the
        catalog raise.
        """
        audience = campaign.audience
        if audience.follows is None:
            return self._of_file(campaign.tenant, audience, kind)
        try:
            # That its rows are gone by now is seen below.
            followed = find(self.runs, campaign.tenant, audience.follows, kind, 0)
        except PlatformError as error:
            return Sample(_UNREAD, audience, (), f"the run that is followed cannot be: {error.detail.rstrip('.')}")
        read = following(campaign, audience.follows, followed).audience
        gone = f"the audience file of the run `{followed.id}` is gone"
        return self._read(read, followed.file or _UNREAD, gone)

    def _of_file(self, tenant: str, audience: Audience, kind: KeyKind) -> Sample:
        name = audience.file or ""
        key = audience_key(tenant, name)
        found = self.files.head(key)
        if found is None:
            missing = AudienceFile(key=key, version="", size=0)
            return Sample(missing, audience, (), f"there is no audience file `{name}` yet")
        if not reaches("test_campaign", kind, found.kind):
            return Sample(found, audience, (), f"the audience file `{name}` {foreign(kind, found)}")
        return self._read(audience, found, f"the audience file `{name}` was just replaced; try again")

    def _read(self, audience: Audience, file: AudienceFile, gone: str) -> Sample:
        """The beginning of a file. gone: what to say if it is."""
        try:
            begun = self.objects.read(file.key, file.version, 0, min(file.size, SAMPLE_BYTES))
            data, over = _unpacked(begun, file.size <= SAMPLE_BYTES)
            return _rows(audience, file, data, over)
        except (RunFailedError, SheetError) as error:
            return Sample(file, audience, (), f"the audience file cannot be read: {error.problem}")
        except FileGoneError:
            return Sample(file, audience, (), gone)


def _unpacked(data: bytes, over: bool) -> tuple[bytes, bool]:
    """The file's beginning as it is read, and whether that is all of it. Raises: RunFailedError."""
    if not data.startswith(MAGIC):
        return data, over
    unpacking = zlib.decompressobj(_GZIP_WINDOW)
    try:
        return unpacking.decompress(data, _UNPACKED_BYTES), unpacking.eof and over
    except zlib.error:
        raise RunFailedError("It begins like gzip and is broken. Compress it again and upload it.") from None


def _rows(audience: Audience, file: AudienceFile, data: bytes, over: bool) -> Sample:
    """The whole rows of a file's beginning. Raises: SheetError."""
    form = form_of(data, over)
    if not form.plain:
        # A character that the end cuts in two belongs to a row that is not whole.
        data = b"".join(as_utf8([data], form))
    header = read_header(data, audience.format, over)
    if header is None:
        return Sample(file, audience, (), "the audience file's first row is too long to be looked at here")
    if audience.format is FileFormat.CSV:
        check_columns(header.names, audience.columns)
    file = file.model_copy(update={"header": header.names, "delimiter": header.delimiter})
    rest = data[header.end :]
    cutter = Cutter(audience.format, header.delimiter, rows=1)
    cuts = [*cutter.feed(rest), *(cutter.finish() if over else ())]
    end = cuts[-1].end if cuts else 0
    return Sample(file, audience, list(read_rows(rest[:end], audience.format, file)))
