"""Serves the API's description: as OpenAPI, and as a page that needs nothing else (no script, no other file)."""

from functools import cache
from typing import Any

from pydantic_core import to_json

from functions.manage.docs_page import page
from shared.api.kit import Call, OperationFunction, Raw
from shared.api.openapi import document


def docs_operations() -> dict[str, OperationFunction]:
    """The operations that need no key, by id."""
    return {"get_openapi": _openapi, "get_docs": _docs}


@cache
def _document() -> dict[str, Any]:
    return document()


def _openapi(call: Call) -> Raw:
    return Raw(to_json(_document()).decode(), "application/json")


def _docs(call: Call) -> Raw:
    return Raw(page(_document()), "text/html; charset=utf-8")
