"""Every limit in its own unit: how much of a text is allowed, where it is looked at, and what is said beyond it.

`docs/limits.md` shows this table, and `tests/unit/test_limits_page.py` holds both to the code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from functions.campaign.check.rows import Bad
from functions.campaign.file.failures import RunFailedError
from functions.campaign.operations.campaigns import MAX_SHARED_BYTES, _variable_problems
from functions.ingest.accept import Context, plan
from mepush.sheets.cutting import MAX_RECORD, cut
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import MAX_NAMES_BYTES, check_columns
from shared.api.kit import _check_body, parse
from shared.api.messages import SendRequest
from shared.api.operation import MAX_BODY_BYTES
from shared.api.problems import row_of
from shared.aws.queue import MAX_MESSAGE_BYTES, Dispatch, Queues
from shared.aws.schedules import MAX_INPUT_BYTES, Schedules, schedule_input
from shared.aws.secrets import MAX_BYTES as MAX_SECRET_BYTES
from shared.aws.secrets import SecretError, SecretStore
from shared.base.channels import queue_name
from shared.errors import PlatformError
from shared.model.campaigns import Audience, Columns
from shared.model.content import RenderedEmail, RenderedSms, RenderedWecom
from shared.model.envelope import MAX_BYTES, group_id
from shared.model.sizes import json_size, json_text, size
from shared.model.variables import check_variables
from shared.model.words import Channel, KeyKind, MessageClass
from shared.policy import attachments
from shared.policy.limits import TooLong
from shared.providers import declared
from shared.providers.email import limits as email
from shared.providers.sms.aws import limits as aws
from shared.providers.wecom import limits as wecom
from shared.providers.wecom.app import limits as app
from shared.providers.wecom.robot import limits as robot
from shared.store.catalog_items import MAX_DOC_BYTES, CatalogTooLargeError, item_of
from tests import samples
from tests.fakes import FakeClock
from tests.unit.functions.campaign.audience import judge_of, run_of

Say = Callable[[str], str | None]
"""What is said of a text; None if it is taken."""
_URL = "https://sqs/q"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit. what: of which text. most: in units. count: a text's units. frame: units that something else takes."""

    service: str
    what: str
    most: int
    unit: str
    where: str
    seen: str
    say: Say
    count: Callable[[str], int] = size
    frame: int = 0

    @property
    def line(self) -> str:
        """Its line in the page."""
        return f"| {self.service} | {self.what} | {self.most:,} {self.unit} | `{self.where}` | {self.seen} |"


def _within(text: str) -> int:
    return json_size(text) - len('""')


def _twice(text: str) -> int:
    """Bytes within JSON that stands as a text in JSON."""
    return _within(json_text(text)[1:-1])


def _request(**fields: Any) -> bytes:
    return json_text({"template": "welcome", "to": "u@example.com", **fields}).encode()


def _refused(call: Callable[[], Any]) -> str | None:
    try:
        call()
    except (RunFailedError, SheetError, SecretError, CatalogTooLargeError) as error:
        return str(error)
    except PlatformError as error:
        return f"{row_of(error).status} {error.errors[0].field}: {error.errors[0].message}"
    return None


def _plan(text: str) -> Any:
    head, version = samples.template()
    request = parse(SendRequest, _request(variables={"name": text}))
    return plan(request, Context(samples.TENANT, head, version, KeyKind.LIVE, samples.REQUEST))


def _frame_of_request() -> int:
    return size(_plan("").dispatches[0].body)


def _campaign(text: str) -> str | None:
    # One text alone has another limit.
    half = len(text) // 2
    shared = {"a": text[:half], "b": text[half:]}
    return next((each.message for each in _variable_problems(shared, Audience(file="f"), None)), None)


_JUDGE = judge_of(run_of(b"to,name\n", audience={"columns": Columns(to="to")}))


def _row(text: str) -> str | None:
    found = _JUDGE(0, ["u@example.com", text])
    return f"{found.reason}: {found.detail}" if isinstance(found, Bad) else None


def _queues() -> Queues:
    urls = {queue_name(channel, each): _URL for channel in Channel for each in MessageClass}
    return Queues(None, urls, Schedules(None, "", "", ""), FakeClock(samples.NOW))


def _queue(body: str, due_at: int | None = None) -> str | None:
    return "too_large" if _queues().too_large([Dispatch(samples.envelope(), body, due_at)]) else None


def _schedule(text: str) -> str | None:
    return _queue(json_text(text)[1:-1], samples.NOW + 3_600_000)


class _SecretsManager:
    def __getattr__(self, name: str) -> Any:
        return lambda **_: {}


class _Document(BaseModel):
    text: str


def _document(text: str) -> str | None:
    return _refused(lambda: item_of("pk", "sk", _Document(text=text), 1))


def _secret(text: str) -> Any:
    client: Any = _SecretsManager()
    return SecretStore(client, "mepush").put("default", "main", {"a": text}, Channel.EMAIL)


def _vendor(field: str, provider: str, rendered: Callable[[str], Any]) -> Say:
    def say(text: str) -> str | None:
        found = declared.check(rendered(text), provider, MessageClass.NOTIFICATION)
        of_length = [issue for issue in found if isinstance(issue, TooLong)]
        return ", ".join(f"{issue[0]} {issue[1]}" for issue in of_length if issue[0] == field) or None

    return say


def _checked(folder: str) -> str:
    return f"shared/providers/{folder}/limits.py"


def _wecom(kind: str, **body: Any) -> RenderedWecom:
    return RenderedWecom(kind, body, "k")


def _card(**given: str) -> RenderedWecom:
    return _wecom("textcard", **({"title": "t", "description": "d", "url": "https://x.example"} | given))


def _article(**given: str) -> RenderedWecom:
    return _wecom("news", articles=[{"title": "t", "url": "https://x.example"} | given])


def _name(text: str) -> str | None:
    problem = attachments.name_problem(f"{text}.pdf")
    return problem if problem is not None and "bytes" in problem else None


_CHARACTERS = "characters (code points)"
_JSON = "bytes of JSON in UTF-8"
_BYTES = "bytes of UTF-8"
_INPUT = schedule_input(_URL, "", group_id(samples.TENANT.id, None))
_WECOM = "WeCom"
_CHECK = _checked("wecom")
_FAILS = "422 where the variables are known, else `failed` with `content_too_long`"

LIMITS = (
    Limit("API", "the body of a request", MAX_BODY_BYTES, _BYTES, "shared/api/kit.py", "413, naming the limit",
          lambda text: _refused(lambda: _check_body({}, text.encode("utf-8", "surrogatepass")))),
    Limit("API", "`reference`", 100, _CHARACTERS, "shared/api/messages.py", "422 `reference`",
          lambda text: _refused(lambda: parse(SendRequest, _request(reference=text))), len),
    Limit("platform", "a recipient's message: shared and own variables, addresses, names", MAX_BYTES, _JSON,
          "functions/ingest/accept.py", "422 naming the recipient and the bytes",
          lambda text: _refused(lambda: _plan(text)), _within, _frame_of_request()),
    Limit("platform", "variables of a row of a campaign, with the campaign's own", MAX_BYTES - 2_000, _JSON,
          "functions/campaign/check/rows.py", "the row is rejected: `too_large`, with the bytes",
          _row, _within, json_size({"name": ""}) + json_size({})),
    Limit("platform", "`variables` of a campaign", MAX_SHARED_BYTES, _JSON,
          "functions/campaign/operations/campaigns.py", "422 `variables`, with the bytes",
          _campaign, _within, json_size({"a": "", "b": ""})),
    Limit("platform", "one of these variables, or of a template with loops", 20_000, _CHARACTERS,
          "shared/model/variables.py", "422 `variables`", lambda text: check_variables({"a": [text]}), len),
    Limit("platform", "the names in the first row of an audience file", MAX_NAMES_BYTES, _JSON,
          "mepush/sheets/header.py", "the run is `failed`, with the bytes",
          lambda text: _refused(lambda: check_columns(("to", text), Columns(to="to"))), _within, json_size(["to", ""])),
    Limit("platform", "a row of an audience file", MAX_RECORD, _BYTES, "mepush/sheets/cutting.py",
          "the run is `failed`, with the row",
          lambda text: _refused(lambda: cut(text.encode() + b"\n", FileFormat.NDJSON, ",", 1)), size, 1),
    Limit("SQS", "a message", MAX_MESSAGE_BYTES, _BYTES, "shared/aws/queue.py", "a dead letter: `too_large`", _queue),
    Limit("EventBridge Scheduler", "what a schedule gives to its queue", MAX_INPUT_BYTES, "bytes of JSON within JSON",
          "shared/aws/queue.py", "a dead letter: `too_large`", _schedule, _twice, size(_INPUT)),
    Limit("Secrets Manager", "an account's secret", MAX_SECRET_BYTES, _JSON, "shared/aws/secrets.py", "422 `secret`",
          lambda text: _refused(lambda: _secret(text)), _within, len('{"a": ""}')),
    Limit("DynamoDB", "an account, a template's version, a campaign, a run", MAX_DOC_BYTES, _JSON,
          "shared/store/catalog_items.py", "422, or the run is `failed`",
          _document, _within, json_size({"text": ""})),
    Limit("email", "subject, html and text, with the files", email.EMAIL_BYTES, _BYTES, _checked("email"), _FAILS,
          _vendor("text", "smtp", lambda text: RenderedEmail("s", None, text)), size, 1),
    Limit("email", "the name of a file", attachments.MAX_NAME_BYTES, _BYTES, "shared/policy/attachments.py",
          "422 `name`", _name, size, len(".pdf")),
    Limit("AWS SMS", "a text", aws.TEXTS.characters, _CHARACTERS, _checked("sms/aws"), _FAILS,
          _vendor("text", "aws", lambda text: RenderedSms(text, None, ())), len),
    Limit(_WECOM, "a text", wecom.TEXT_BYTES, _BYTES, _CHECK, _FAILS,
          _vendor("content", "app", lambda text: _wecom("text", content=text))),
    Limit(_WECOM, "markdown, by an app", app.MARKDOWN_BYTES, _BYTES, _checked("wecom/app"), _FAILS,
          _vendor("content", "app", lambda text: _wecom("markdown", content=text))),
    Limit(_WECOM, "markdown, by a robot", robot.MARKDOWN_BYTES, _BYTES, _checked("wecom/robot"), _FAILS,
          _vendor("content", "robot", lambda text: _wecom("markdown", content=text))),
    Limit(_WECOM, "the title of a textcard", wecom.TEXTCARD_TITLE_CHARACTERS, _CHARACTERS, _CHECK, _FAILS,
          _vendor("title", "app", lambda text: _card(title=text)), len),
    Limit(_WECOM, "the description of a textcard", wecom.TEXTCARD_DESCRIPTION_CHARACTERS, _CHARACTERS, _CHECK, _FAILS,
          _vendor("description", "app", lambda text: _card(description=text)), len),
    Limit(_WECOM, "the button of a textcard", wecom.TEXTCARD_BUTTON_CHARACTERS, _CHARACTERS, _CHECK, _FAILS,
          _vendor("btntxt", "app", lambda text: _card(btntxt=text)), len),
    Limit(_WECOM, "the link of a textcard", wecom.URL_BYTES, _BYTES, _CHECK, _FAILS,
          _vendor("url", "app", lambda text: _card(url=f"https://{text}")), size, len("https://")),
    Limit(_WECOM, "the title of an article", wecom.ARTICLE_TITLE_BYTES, _BYTES, _CHECK, _FAILS,
          _vendor("articles.0.title", "app", lambda text: _article(title=text))),
    Limit(_WECOM, "the description of an article", wecom.ARTICLE_DESCRIPTION_BYTES, _BYTES, _CHECK, _FAILS,
          _vendor("articles.0.description", "app", lambda text: _article(description=text))),
)  # fmt: skip
