"""Takes a person out of files of recipients, and of what runs made of them, all versions among them.

The version that people see is written anew. Older ones that hold the person are deleted. While a run is not over its
files are left as they are: its messages follow from its rows, and were those to change between two tries of a slice,
others would get their messages twice. What is queued of the person meanwhile is ended by dispatch.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from functions.erasures.person import Person
from functions.erasures.rows import Rows
from functions.erasures.search.result import Result
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from shared.aws.objects import Objects, Version
from shared.model.runs import AudienceFile, Run, Shard
from shared.policy.files import AUDIENCES, RUNS
from shared.store.campaigns import Campaigns
from shared.store.shards import Shards

FILES, WAITING, UNREADABLE = "files of recipients", "files of runs that are not over", "files that cannot be read"
WITH_ROWS = frozenset({"shards", "rejects"})
"""Of a run's own files, those that hold rows."""

Place = tuple[str, str]
"""Key and version of an object."""


class FileSearch:
    """Looks through the files of the person's tenant."""

    def __init__(self, objects: Objects, campaigns: Campaigns, shards: Shards, person: Person) -> None:
        self._objects = objects
        self._campaigns = campaigns
        self._shards = shards
        self._person = person

    def search(self, position: str, result: Result) -> Iterator[str]:
        """See `Place`. A position is the key of the last object that was looked at."""
        for prefix in (f"{AUDIENCES}{self._person.tenant}/", f"{RUNS}{self._person.tenant}/"):
            if position and not position.startswith(prefix) and position > prefix:
                continue
            for versions in self._objects.keys(prefix, position if position.startswith(prefix) else ""):
                self._take(versions, result)
                result.searched["objects"] += 1
                yield versions[0].key

    def _take(self, versions: Sequence[Version], result: Result) -> None:
        held = [version for version in versions if self._found(version, result)]
        closed = [version for version in held if not self._is_open(version)]
        result.waiting[WAITING] += len(held) - len(closed)
        # What is older first: it may be what the newest version was before a search broke off.
        for version in reversed(closed):
            if version.latest:
                self._write_anew(version)
            else:
                self._follow(version, versions[0])
            self._objects.delete(version)
            result.erased[FILES] += 1

    def _found(self, version: Version, result: Result) -> int:
        """How many rows of a version are the person's."""
        rows = self._rows(version.key)
        if rows is None:
            return 0
        try:
            for _ in rows.rewritten(self._objects.read(version)):
                pass
        except (SheetError, zlib.error, EOFError):
            result.left[UNREADABLE] += 1
            return 0
        return rows.found

    def _rows(self, key: str) -> Rows | None:
        """What reads an object; None for one that holds no rows."""
        if key.startswith(AUDIENCES):
            name = key.lower().removesuffix(".gz")
            return Rows(self._person, FileFormat.NDJSON if name.endswith((".ndjson", ".jsonl")) else FileFormat.CSV)
        _, _, run_id, kind, _ = key.split("/", 4)
        run = self._run(run_id) if kind in WITH_ROWS else None
        if run is None or run.file is None:
            return None
        rejects = kind == "rejects"
        format = FileFormat.CSV if rejects else run.campaign.audience.format
        return Rows(self._person, format, headed=rejects, delimiter=run.file.delimiter)

    def _run(self, run_id: str) -> Run | None:
        if run_id not in self._known:
            stored = self._campaigns.load_run(self._person.tenant, run_id)
            self._known[run_id] = None if stored is None else stored.value
        return self._known[run_id]

    @cached_property
    def _known(self) -> dict[str, Run | None]:
        return {}

    def _is_open(self, version: Version) -> bool:
        """Whether a run that is not over reads a version."""
        own = version.key.split("/")[2] if version.key.startswith(RUNS) else None
        return own in self._open_runs or (version.key, version.id) in self._read

    @cached_property
    def _open_runs(self) -> frozenset[str]:
        return frozenset(self._campaigns.open_runs(self._person.tenant))

    @cached_property
    def _read(self) -> frozenset[Place]:
        """What runs read that are not over."""
        found: set[Place] = set()
        for run_id in self._open_runs:
            run = self._run(run_id)
            if run is not None and run.file is not None:
                found.add((run.file.key, run.file.version))
            found.update((shard.key, shard.version) for shard in self._shards.all(self._person.tenant, run_id))
        return frozenset(found)

    def _write_anew(self, version: Version) -> None:
        rows = self._rows(version.key)
        if rows is not None:
            self._point(version, self._objects.rewrite(version, rows.rewritten(self._objects.read(version))))

    def _follow(self, version: Version, latest: Version) -> None:
        """Have runs find what was written anew, if a search broke off before they did."""
        if latest.latest and self._objects.before(latest) == version.id:
            self._point(version, latest.id)

    def _point(self, version: Version, new: str) -> None:
        """Have runs that are over find their rows in another version: other runs may follow them."""
        tenant = self._person.tenant
        for run_id, number in self._readers.get((version.key, version.id), ()):
            stored = self._shards.load(tenant, run_id, number)
            if stored is not None and (stored.value.key, stored.value.version) == (version.key, version.id):
                self._shards.save(tenant, run_id, stored.value.model_copy(update={"version": new}), stored.rev)
        for run_id in {run_id for run_id, _ in self._readers.get((version.key, version.id), ())}:
            self._campaigns.change_run(tenant, run_id, lambda run: _pointed(run, version, new))

    @cached_property
    def _readers(self) -> Mapping[Place, Sequence[tuple[str, int]]]:
        """Object -> the shards of all runs that lie in it."""
        found: dict[Place, list[tuple[str, int]]] = {}
        for run_id in self._campaigns.run_ids(self._person.tenant):
            for shard in self._shards.all(self._person.tenant, run_id):
                found.setdefault(_place(shard), []).append((run_id, shard.number))
        return found


def _place(shard: Shard) -> Place:
    return shard.key, shard.version


def _pointed(run: Run, version: Version, new: str) -> Run | None:
    file: AudienceFile | None = run.file
    if file is None or (file.key, file.version) != (version.key, version.id):
        return None
    return run.model_copy(update={"file": file.model_copy(update={"version": new})})
