"""What a function's code can ask of AWS: found by following its code, not by running it.

From the handler on, every name that reached code mentions reaches the functions of that name, and the methods of that
name of classes that reached code mentions, within the modules that the handler imports. That is too much rather than
too little: what is not found here, no code of the function can ask for. What is found may still never be asked, where
two methods share a name, or a condition never holds.

What is imported within a function counts once that function is reached. The parts of `shared/wiring/` would bring all
of AWS into every function's reach: of them count those that are asked for, as attributes, where parts are taken from
there, or by parts that count.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Right = tuple[str, str]
"""An action, and what it is done to, see `RESOURCES`."""

CATALOG = (
    *("accounts", "catalog_table", "keys", "templates", "tenants"),
    *("audit", "campaigns", "dead_letters", "erasures", "health", "inboxes", "suppressions", "versions", "webhooks"),
)
COUNTERS = ("counters", "marks")
GUARD = (
    "caps",
    "claims",
    "deliveries",
    "duplicates",
    "idempotency",
    "ledger",
    "parking",
    "pumping",
    "pumping_hours",
    "rates",
    "shards",
    "texts",
    "verifications",
    "tokens",
    "veils",
)
RESOURCES: Mapping[str, tuple[str, ...]] = {
    **{f"shared.store.{name}": ("Catalog",) for name in CATALOG},
    **{f"shared.store.{name}": ("Counters",) for name in COUNTERS},
    **{f"shared.store.{name}": ("Guard",) for name in GUARD},
    "shared.store.timeline": ("Timeline",),
    "shared.aws.attachments": ("attachments",),
    "shared.aws.audiences": ("audiences",),
    "shared.aws.runfiles": ("audiences", "runs"),
    "shared.aws.objects": ("audiences", "runs"),
    "shared.aws.erasures": ("queues",),
    "functions.erasures.search.tables": ("Catalog", "Guard", "Timeline", "Counters"),
    "functions.erasures.search.catalog": ("Catalog",),
    "functions.erasures.search.guard": ("Guard",),
    "functions.erasures.search.timeline": ("Timeline",),
    "shared.aws.queue": ("queues", "dead letters"),
    "shared.aws.clock": ("Catalog",),
    "shared.aws.tasks": ("queues",),
    "shared.aws.webhooks": ("queues",),
    "shared.aws.schedules": ("mepush",),
    "shared.aws.campaign_schedules": ("mepush-campaigns",),
    "functions.ingest.consumer": ("dead letters",),
    "functions.watch.given_up": ("dead letters",),
    "functions.watch.schedules": ("dead letters", "queues", "mepush"),
}
"""What the modules that call clients use them on; the others' resources are told apart by no right."""

NARROWER: Mapping[tuple[str, str], tuple[str, ...]] = {("shared.aws.runfiles", "s3:PutObject"): ("runs",)}
"""What they use some actions on, where that is less."""

CALLS: Mapping[str, tuple[str, ...]] = {
    "scan": ("dynamodb:Scan",),
    "put_item": ("dynamodb:PutItem",),
    "get_item": ("dynamodb:GetItem",),
    "update_item": ("dynamodb:UpdateItem",),
    "delete_item": ("dynamodb:DeleteItem",),
    "query": ("dynamodb:Query",),
    "query_all": ("dynamodb:Query",),
    "query_pages": ("dynamodb:Query",),
    "batch_get": ("dynamodb:BatchGetItem",),
    "batch_put": ("dynamodb:BatchWriteItem",),
    "batch_delete": ("dynamodb:BatchWriteItem",),
    "put_what_goes": ("dynamodb:BatchWriteItem",),
    "send_message": ("sqs:SendMessage",),
    "send_message_batch": ("sqs:SendMessage",),
    "receive_message": ("sqs:ReceiveMessage",),
    "delete_message": ("sqs:DeleteMessage",),
    "change_message_visibility": ("sqs:ChangeMessageVisibility",),
    "get_queue_attributes": ("sqs:GetQueueAttributes",),
    "put_events": ("events:PutEvents",),
    "put_records": ("kinesis:PutRecords",),
    "get_records": ("kinesis:GetRecords",),
    "get_shard_iterator": ("kinesis:GetShardIterator",),
    "list_shards": ("kinesis:ListShards",),
    "create_schedule": ("scheduler:CreateSchedule", "iam:PassRole"),
    "update_schedule": ("scheduler:UpdateSchedule", "iam:PassRole"),
    "get_schedule": ("scheduler:GetSchedule",),
    "delete_schedule": ("scheduler:DeleteSchedule",),
    "list_schedules": ("scheduler:ListSchedules",),
    "head_object": ("s3:GetObject",),
    "get_object": ("s3:GetObject",),
    "put_object": ("s3:PutObject",),
    "create_multipart_upload": ("s3:PutObject", "s3:PutObjectTagging"),
    "abort_multipart_upload": ("s3:AbortMultipartUpload",),
    # All of them of versions, by the one module that asks.
    "get_object_tagging": ("s3:GetObjectVersionTagging",),
    "delete_object": ("s3:DeleteObjectVersion",),
    "generate_presigned_url": ("s3:GetObject",),
    # S3 asks for the rights of who signed a form when it is used.
    "generate_presigned_post": ("s3:PutObject",),
    "put_record_batch": ("firehose:PutRecordBatch",),
    "create_secret": ("secretsmanager:CreateSecret", "secretsmanager:TagResource"),
    "tag_resource": ("secretsmanager:TagResource",),
    "put_secret_value": ("secretsmanager:PutSecretValue",),
    "get_secret_value": ("secretsmanager:GetSecretValue",),
    "delete_secret": ("secretsmanager:DeleteSecret",),
    "restore_secret": ("secretsmanager:RestoreSecret",),
    "update_event_source_mapping": ("lambda:UpdateEventSourceMapping",),
    "send_email": ("ses:SendEmail", "ses:SendRawEmail"),
    "send_bulk_email": ("ses:SendBulkEmail",),
    "create_email_template": ("ses:CreateEmailTemplate",),
    "test_render_email_template": ("ses:TestRenderEmailTemplate",),
    "get_account": ("ses:GetAccount",),
    "get_email_identity": ("ses:GetEmailIdentity",),
    "list_suppressed_destinations": ("ses:ListSuppressedDestinations",),
    "delete_suppressed_destination": ("ses:DeleteSuppressedDestination",),
    "create_export_job": ("ses:CreateExportJob",),
    "get_export_job": ("ses:GetExportJob",),
    "list_export_jobs": ("ses:ListExportJobs",),
    "send_text_message": ("sms-voice:SendTextMessage",),
    "put_message_feedback": ("sms-voice:PutMessageFeedback",),
}
"""The actions that calls need, by the method of a client, or the function that stands for it."""

_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_SCHEDULES = tuple(f"scheduler:{action}Schedule" for action in ("Create", "Update", "Get", "Delete"))
_WITH_RESOURCE: tuple[str, ...] = ("dynamodb:", "sqs:", "s3:", *_SCHEDULES)
_HELPERS = "shared.store.dynamo"
_WIRING = "shared.wiring"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def general(action: str, resource: str) -> Right:
    """A right of a role as it is counted here. resource: as `Template` reads it."""
    if not action.startswith(_WITH_RESOURCE):
        return action, ""
    if action.startswith("sqs:"):
        return action, "dead letters" if "Dead" in resource else "queues"
    found = re.search(r"Tables(\w+)\.Arn|Assets\.Arn\}/(\w+)/|schedule/([\w-]+)/", resource)
    return action, "bucket" if found is None else next(filter(None, found.groups()))


@cache
def rights_within_reach(root: str, more: tuple[str, ...] = ()) -> frozenset[Right]:
    """What the code that begins at a module can ask for. more: modules that it loads by their names."""
    return frozenset(_Reach([root, *more]).rights())


def settings_within_reach(root: str) -> set[str]:
    """The settings of which the parts are made that the code beginning at a module asks for."""
    reach = _Reach([root])
    reach.rights()
    return reach.settings


class _Module:
    """A module's code: what runs when it is imported, its functions, its classes, and what it imports."""

    def __init__(self, name: str) -> None:
        self.name = name
        tree = ast.parse(_path(name).read_text(encoding="utf-8"))
        self.functions = [node for node in tree.body if isinstance(node, Function)]
        self.classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        self.code = [node for node in tree.body if not isinstance(node, Function | ast.ClassDef) and not _typing(node)]
        self.imports = {name for node in self.code for name in _imports(node)}
        self.takes_parts = any(each.startswith(_WIRING) for each in (name, *self.imports))


class _Reach:
    def __init__(self, roots: Iterable[str]) -> None:
        self._modules: dict[str, _Module] = {}
        self._mentioned: set[str] = set()
        self._parts: set[str] = set()
        self.settings: set[str] = set()
        self._done: set[int] = set()
        self._found: set[Right] = set()
        self._new: list[tuple[str, ast.AST]] = []
        self._load(roots)
        for name in roots:
            # A function's own module is where it begins; a provider's is called by the names that all have.
            self._new += [(name, node) for node in self._modules[name].functions]

    def rights(self) -> set[Right]:
        while self._new:
            new, self._new = self._new, []
            for module, node in new:
                self._read(module, node)
            reached = [pair for pair in self._reached() if id(pair[1]) not in self._done]
            self._done.update(id(node) for _, node in reached)
            self._new += reached
        return self._found

    def _load(self, names: Iterable[str]) -> None:
        for name in _closure(names) - set(self._modules):
            self._modules[name] = _module(name)
            self._new += [(name, node) for node in self._modules[name].code]

    def _read(self, module: str, node: ast.AST) -> None:
        for each in _without_annotations(node):
            if isinstance(each, ast.Name):
                self._mention(module, each.id)
            elif isinstance(each, ast.Attribute):
                self._mention(module, each.attr)
                self._take(module, each)
            elif isinstance(each, ast.Import | ast.ImportFrom) and each not in self._modules[module].code:
                self._load(_imports(each))
            elif isinstance(each, ast.alias) and each.asname:
                self._mention(module, each.name)
            elif isinstance(each, ast.Constant) and each.value in _TRANSACTED:
                self._note(module, f"dynamodb:{_TRANSACTED[str(each.value)]}")
            elif isinstance(each, ast.keyword) and each.arg == "VersionId":
                self._note(module, "s3:GetObjectVersion")
            elif isinstance(each, ast.Constant) and each.value == "tagging":
                self._note(module, "s3:PutObjectTagging")

    def _take(self, module: str, asked: ast.Attribute) -> None:
        """Note what is asked for as a part, and what a part asks of the settings."""
        if self._modules[module].takes_parts:
            self._parts.add(asked.attr)
        if module.startswith(_WIRING) and getattr(asked.value, "attr", "") == "settings":
            self.settings.add(asked.attr)

    def _mention(self, module: str, name: str) -> None:
        self._mentioned.add(name)
        for action in CALLS.get(name, ()) if module != _HELPERS else ():
            self._note(module, action)

    def _note(self, module: str, action: str) -> None:
        if not action.startswith(_WITH_RESOURCE):
            self._found.add((action, ""))
        else:
            kinds = NARROWER.get((module, action), RESOURCES.get(module, ()))
            self._found.update((action, resource) for resource in kinds)

    def _reached(self) -> Iterator[tuple[str, ast.AST]]:
        for name, module in self._modules.items():
            yield from ((name, node) for node in module.functions if node.name in self._mentioned)
            for made in module.classes:
                if made.name in self._mentioned:
                    asked = self._parts if name.startswith(_WIRING) else self._mentioned
                    yield from ((name, node) for node in self._of(made, asked))

    def _of(self, made: ast.ClassDef, asked: set[str]) -> Iterator[ast.AST]:
        yield from (*made.bases, *made.decorator_list, *made.keywords)
        for node in made.body:
            if not isinstance(node, Function) or node.name.startswith("__") or node.name in asked:
                yield node
            elif node.decorator_list and not _is_property(node):
                yield node  # such as a validator, which nobody calls by its name


@cache
def _module(name: str) -> _Module:
    return _Module(name)


def _path(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(node: ast.AST) -> Iterator[str]:
    """The modules that a statement names, or may name, if it imports anything."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _closure(roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name not in found and name.startswith(("functions", "shared")) and _path(name).exists():
            found.add(name)
            left += _module(name).imports
    return found


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all within, but for the words that say of what type something is."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _without_annotations(each)


def _typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _is_property(node: Function) -> bool:
    return {getattr(each, "id", "") for each in node.decorator_list} & {
        "property",
        "cached_property",
        "staticmethod",
        "classmethod",
    } != set()
