"""Wires the functions of erasures."""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache

from functions.erasures.function import ErasuresApiSettings, SearchSettings
from functions.erasures.operations import Erasures
from functions.erasures.person import Person
from functions.erasures.search.catalog import CatalogItems
from functions.erasures.search.counters import CountersItems
from functions.erasures.search.files import FileSearch
from functions.erasures.search.guard import GuardItems
from functions.erasures.search.result import Place
from functions.erasures.search.schedules import ScheduleSearch
from functions.erasures.search.tables import TableSearch
from functions.erasures.search.timeline import TimelineItems
from functions.erasures.working import Worker
from shared.api.audit import Auditor
from shared.api.kit import Api
from shared.wiring.parts import Parts

SCHEDULE_THREADS = 10


@cache
def deps() -> Worker:
    """What searches, built on first use."""
    return worker_of(Parts(SearchSettings.load()), ThreadPoolExecutor(SCHEDULE_THREADS, "schedule"))


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    return Api(erasures_of(Parts(ErasuresApiSettings.load())).operations())


def worker_of(parts: Parts, pool: Executor) -> Worker:
    """What searches."""

    def places(person: Person) -> Sequence[Place]:
        return places_of(parts, person, pool)

    return Worker(parts.erasures, parts.tenants, parts.veils, parts.erasure_queue, parts.clock, places)


def places_of(parts: Parts, person: Person, pool: Executor) -> Sequence[Place]:
    """Where a person is looked for: first what would put them elsewhere again, files last."""
    names, dynamodb = parts.settings, parts.client("dynamodb")
    catalog = CatalogItems(dynamodb, names.catalog_table, parts.suppressions, person)
    guard = GuardItems(dynamodb, names.guard_table, parts.clock, person)
    timeline = TimelineItems(dynamodb, names.timeline_table, parts.timeline, person)
    return (
        ScheduleSearch(parts.due_schedules, person, pool),
        TableSearch(dynamodb, names.catalog_table, "catalog", catalog),
        TableSearch(dynamodb, names.guard_table, "guard", guard),
        TableSearch(dynamodb, names.timeline_table, "timeline", timeline),
        TableSearch(dynamodb, names.counters_table, "counters", CountersItems(parts.counters, person)),
        FileSearch(parts.objects, parts.campaigns, parts.shards, person),
    )


def erasures_of(parts: Parts) -> Erasures:
    """What callers can do."""
    return Erasures(
        parts.erasures,
        parts.tenants,
        parts.veils,
        parts.erasure_queue,
        Auditor(parts.keys, parts.clock),
        parts.clock,
    )
