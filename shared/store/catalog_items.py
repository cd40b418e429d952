"""How the catalog's items look in their table: keys, documents, cursors, and what can go wrong.

An item is `pk`, `sk`, `doc` (the model's JSON) and `rev`, which grows with every write and guards it.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from botocore.exceptions import ClientError
from msgspec import Struct
from pydantic import BaseModel

from shared.errors import ConflictError, InvalidError, LostError

M = TypeVar("M", bound=BaseModel)

MAX_SORT_KEY_BYTES = 1024
MAX_DOC_BYTES = 380_000
"""DynamoDB takes items of 400 KB, with the names and keys."""


class CatalogConflictError(LostError):
    """The item exists already, or has changed since it was read."""


class CatalogInUseError(ConflictError):
    """The account cannot go while templates name it. templates: some of their ids."""

    def __init__(self, templates: list[str]) -> None:
        super().__init__("templates name the account")
        self.templates = templates


class CatalogTooLargeError(InvalidError):
    """The document is larger than one item can hold."""


class CursorError(ValueError):
    """The cursor is none that a listing of this kind gave out."""


class Stored(Struct, Generic[M], frozen=True):
    """A document as it was read, and its revision, by which a write tells whether it is still so."""

    value: M
    rev: int


class Page(Struct, Generic[M], frozen=True):
    """Some of a listing, by id."""

    items: list[M]
    cursor: str | None
    """Where the next page begins, None on the last."""


def tenant_pk(tenant: str) -> str:
    """The partition of everything a tenant has."""
    return f"tenant#{tenant}"


def version_sk(template: str, version: int) -> str:
    """The sort key of a template's version; in order of number up to 999,999."""
    return f"version#{template}#{version:06d}"


def settings_sk(version: int) -> str:
    """The sort key of a version of a tenant's settings."""
    return f"settings#{version:06d}"


def key_of(pk: str, sk: str) -> dict[str, Any]:
    """An item's primary key as the low-level client takes it."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def item_of(pk: str, sk: str, value: BaseModel, rev: int) -> dict[str, Any]:
    """A whole item. Raises: CatalogTooLargeError."""
    doc = value.model_dump_json(by_alias=True)
    if len(doc.encode()) > MAX_DOC_BYTES:
        raise CatalogTooLargeError(f"more than {MAX_DOC_BYTES:,} bytes")
    return {**key_of(pk, sk), "doc": {"S": doc}, "rev": {"N": str(rev)}}


def put_of(table: str, item: dict[str, Any], over: int | None) -> dict[str, Any]:
    """A conditional put, as PutItem and TransactWriteItems take it. over: the revision it replaces; None: none."""
    return {"TableName": table, "Item": item, **unchanged(over)}


def unchanged(rev: int | None) -> dict[str, Any]:
    """The condition that an item is at a revision, or is not there at all."""
    if rev is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#rev = :rev",
        "ExpressionAttributeNames": {"#rev": "rev"},
        "ExpressionAttributeValues": {":rev": {"N": str(rev)}},
    }


def read_item(model: type[M], item: dict[str, Any]) -> Stored[M]:
    """An item's document. Raises: pydantic.ValidationError if it is not one of ours.

    Fields that there are not are left out, within what people set too: while a deployment goes on, an older function
    reads what a newer one wrote.
    """
    return Stored(model.model_validate_json(item["doc"]["S"], extra="ignore"), int(item["rev"]["N"]))


def to_cursor(sk: str) -> str:
    """Where a page ended. The partition is not in it: that follows from the caller's key alone."""
    return base64.urlsafe_b64encode(sk.encode()).decode().rstrip("=")


def from_cursor(cursor: str, prefix: str) -> str:
    """The sort key that a page ended with. Raises: CursorError."""
    try:
        sk = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise CursorError("not a cursor") from None
    if not sk.startswith(prefix) or len(sk.encode()) > MAX_SORT_KEY_BYTES:
        raise CursorError("not a cursor of this listing")
    return sk


@contextmanager
def conflicts() -> Iterator[None]:
    """Turn DynamoDB's refusals of a condition, and collisions of transactions, into CatalogConflictError."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"ConditionalCheckFailedException", "TransactionConflictException"}:
            raise CatalogConflictError(code) from None
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
            raise CatalogConflictError("transaction refused") from None
        raise
