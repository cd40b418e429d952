"""A stage: what one deployment is made with, read from `infra/stages/<name>.toml` and checked. No CDK here."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct, field

from infra.options import Budget, Domain, Mail, Network
from shared.model.words import MessageClass
from shared.net.addresses import own_network

FOLDER = Path(__file__).resolve().parent / "stages"
"""Where stages are: a file each, named after the stage."""
COLD_AFTER_DAYS = 90
"""When the archive's files go to storage that costs less to keep and more to read."""
LOG_DAYS = (1, 7, 14, 30, 90, 365)
_CONCURRENCY = MappingProxyType(
    {MessageClass.VERIFICATION: 50, MessageClass.NOTIFICATION: 20, MessageClass.MARKETING: 20}
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_WRITTEN = re.compile(r"(?P<said>.+?)(?: - at `(?:key` in `)?\$\.?(?P<field>[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.+)`")


class StageError(Exception):
    """A stage cannot be used; names the file, and each field with what to write there."""


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """What one deployment is made with. Raises: StageError, naming each field that does not fit."""

    name: str
    """The name of its file, which does not repeat it."""
    prefix: str
    """Begins every name, and is the stack's name; 1 to 20 lower-case letters, digits and hyphens."""
    account: str | None = None
    """The AWS account that it belongs in, 12 digits: `make deploy` refuses any other. None for that of the login."""
    region: str | None = None
    """Its AWS Region, such as `eu-central-1`; None for the one of your AWS configuration."""
    alarm_email: str | None = None
    """Who is written to by every alarm; AWS asks them first to confirm it. None for nobody."""
    keep_data: bool = False
    """Whether precious tables and files outlive the stack."""
    data_apart: bool = True
    """Whether what is kept is in a stack of its own, `<prefix>-data`."""
    timeline_days: int = 90
    """How long events are kept."""
    log_days: int = 30
    """How long logs are kept, one of `LOG_DAYS`."""
    concurrency: dict[MessageClass, int] = field(default_factory=lambda: dict(_CONCURRENCY))
    """The most invocations per queue, by class, 2 to 1,000."""
    rate_per_s: int = 100
    """The API's throttle, for all calls, with `burst`."""
    burst: int = 200
    page_rate_per_s: int = 5
    """The throttle of each page that needs no key, with `page_burst`."""
    page_burst: int = 20
    allow_loopback: bool = False
    """Whether accounts may point at the machine itself: on the local stack alone."""
    private_networks: tuple[str, ...] = ()
    """Of the company's own, into which accounts may point, such as `10.20.0.0/16`, if the functions can reach them."""
    snapshots: bool = False
    """Whether functions that ask for it start from snapshots, which are paid for by the hour."""
    archive: bool = False
    """Whether all events are kept in S3, to be asked by SQL (docs/archive.md)."""
    archive_days: int = 5 * 365
    """For how long the archive is kept, more than `COLD_AFTER_DAYS`."""
    archive_scan_gb: int = 10
    """The most that one query may read of the archive, in gigabytes."""
    account_metrics: bool = True
    """Whether CloudWatch has messages by account, too: up to eleven metrics for each account."""
    receipts_topic: bool = False
    """Whether there is a topic by which SES says what became of messages, beside EventBridge."""
    customer_key: bool = False
    """Whether tables, files and the stream are encrypted with a key of your own instead of AWS's."""
    domain: Domain | None = None
    network: Network | None = None
    mail: Mail | None = None
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if found := [f"{name}: {said}" for name, said in _misfits(self)]:
            raise StageError("; ".join(found))


def stage_names() -> tuple[str, ...]:
    """The stages that have a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def stage_named(name: str) -> Stage:
    """Read a stage. Raises: StageError for one that does not exist or fit, saying which do, or what does not."""
    if name not in stage_names():
        raise StageError(f"no such stage: {name}; there are {', '.join(stage_names())}")
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> Stage:
    """Read a stage's file. Raises: StageError, naming the file and each field that does not fit."""
    try:
        fields = tomllib.loads(path.read_text("utf-8"))
        if "name" in fields:
            raise StageError("name: leave it out, the file's name says it")
        return msgspec.convert({"name": path.stem, **fields}, Stage)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"{_shown(path)}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise StageError(f"{_shown(path)}: {_explained(str(error))}") from None
    except StageError as error:
        raise StageError(f"{_shown(path)}: {error}") from None


def _shown(path: Path) -> str:
    return str(Path(*path.parts[-3:]))


def _explained(said: str) -> str:
    """What msgspec says of a value, with the field in front."""
    if unknown := _UNKNOWN.match(said):
        known = ", ".join(name for name in Stage.__struct_fields__ if name != "name")
        return f"{unknown['name']}: there is no such field; there are {known}"
    if missing := re.match(r"Object missing required field `(.+?)`", said):
        return f"{missing[1]}: is missing"
    found = _WRITTEN.fullmatch(said)
    if found is None or not found["field"]:
        return said
    return f"{found['field'].removeprefix('.')}: {found['said'].replace('`', '')}"


def _misfits(stage: Stage) -> Iterator[tuple[str, str]]:
    """The fields whose values do not fit, with what to write."""
    yield from _misfits_of_place(stage)
    yield from _misfits_of_options(stage)
    if stage.log_days not in LOG_DAYS:
        yield "log_days", f"logs are kept for {', '.join(map(str, LOG_DAYS))} days"
    if set(stage.concurrency) != set(MessageClass) or not all(2 <= n <= 1000 for n in stage.concurrency.values()):
        yield "concurrency", "give each class 2 to 1,000, which is what Lambda takes"
    if stage.archive_days <= COLD_AFTER_DAYS:
        yield "archive_days", f"an archive is kept for more than {COLD_AFTER_DAYS} days"
    for name in ("archive_scan_gb", "timeline_days", "rate_per_s", "burst", "page_rate_per_s", "page_burst"):
        if getattr(stage, name) < 1:
            yield name, "1 or more"
    for network in stage.private_networks:
        try:
            own_network(network)
        except ValueError as error:
            yield "private_networks", str(error)


def _misfits_of_place(stage: Stage) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"(?=.{1,20}$)[a-z0-9]+(-[a-z0-9]+)*", stage.prefix):
        yield "prefix", "1 to 20 lower-case letters, digits and hyphens between them"
    if stage.account is not None and not re.fullmatch(r"\d{12}", stage.account):
        yield "account", "12 digits in quotation marks, as `aws sts get-caller-identity` shows them"
    if stage.region is not None and not _REGION.fullmatch(stage.region):
        yield "region", "a Region of AWS, such as eu-central-1"
    if stage.alarm_email is not None and not _EMAIL.fullmatch(stage.alarm_email):
        yield "alarm_email", "one address, such as oncall@example.com"


def _misfits_of_options(stage: Stage) -> Iterator[tuple[str, str]]:
    for option in ("domain", "network", "mail", "budget"):
        found: Domain | Network | Mail | Budget | None = getattr(stage, option)
        for name, said in () if found is None else found.misfits():
            yield f"{option}.{name}", said
    if stage.budget is not None and stage.alarm_email is None:
        yield "budget", "give `alarm_email` too: it is who hears of it"
    if stage.region is not None and stage.region.startswith("cn-"):
        if stage.domain is not None and stage.domain.edge:
            yield "domain.edge", "leave it out: CloudFront and its firewall cannot be reached from China Regions"
        if stage.mail is not None:
            yield "mail", "leave it out: there is no Amazon SES in China Regions; send by SMTP"
    if not stage.data_apart and (stage.customer_key or stage.network or stage.mail):
        yield "data_apart", "true: a key, a network and a mail domain are in the stack of what is kept"
