"""The API's description, as OpenAPI and as a page for people. The page needs no script and loads nothing."""

import json
from functools import cache
from html import escape
from typing import Any

from shared.api.kit import Call, OperationFunction, Raw
from shared.api.openapi import document

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1c2330;background:#fff}
summary{cursor:pointer;padding:.4rem 0}code,pre{font-family:ui-monospace,monospace;font-size:.875rem}
pre{background:#f4f6f8;padding:.75rem;overflow:auto}.m{display:inline-block;min-width:4.5rem;font-weight:700}
details{border-bottom:1px solid #d8dee6}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #e6eaef}
@media(prefers-color-scheme:dark){body{color:#dde3ea;background:#14181f}pre{background:#1e242d}a{color:#8ab4ff}}
"""


def docs_operations() -> dict[str, OperationFunction]:
    """The open operations that describe the API, by id."""
    return {"get_openapi": get_openapi, "get_docs": get_docs}


def get_openapi(call: Call) -> Raw:
    """The OpenAPI document."""
    return Raw(_json(), "application/json")


def get_docs(call: Call) -> Raw:
    """The page."""
    return Raw(_page(), "text/html; charset=utf-8")


@cache
def _json() -> str:
    return json.dumps(document(), ensure_ascii=False)


@cache
def _page() -> str:
    doc = document()
    operations = "".join(
        _operation(method.upper(), path, operation)
        for path, methods in doc["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        f"<p>{escape(schema.get('description', ''))}</p>{_fields(schema)}</details>"
        for name, schema in sorted(doc["components"]["schemas"].items())
    )
    info = doc["info"]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>"
        "<p>The same for machines: <a href='openapi.json'>openapi.json</a> (OpenAPI 3.1).</p>"
        f"<h2>Operations</h2>{operations}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    head = f"<span class='m'>{method}</span><code>{escape(path)}</code> {escape(operation['summary'])}"
    parts = [f"<details id='{operation['operationId']}'><summary>{head}</summary>"]
    parameters = operation.get("parameters") or []
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code></td>"
            f"<td>{p['in']}{', required' if p.get('required') else ''}</td>"
            f"<td>{escape(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        parts.append(f"<h3>Parameters</h3><table>{rows}</table>")
    body = operation.get("requestBody")
    if body:
        content = body["content"]["application/json"]
        parts.append(f"<h3>Body</h3><p>{_type(content['schema'])}</p>")
        examples = [e.get("value") for e in (content.get("examples") or {}).values()] or [content.get("example")]
        parts += [f"<pre>{escape(json.dumps(e, indent=2, ensure_ascii=False))}</pre>" for e in examples if e]
    rows = "".join(
        f"<tr><td>{status}</td><td>{_answer(answer)}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Answers</h3><table>{rows}</table></details>")
    return "".join(parts)


def _answer(answer: dict[str, Any]) -> str:
    return ", ".join(_type(c["schema"]) for c in (answer.get("content") or {}).values() if "schema" in c)


def _fields(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(field)}{' (required)' if name in required else ''}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in (schema.get("properties") or {}).items()
    )
    return f"<table>{rows}</table>" if rows else f"<p>{_type(schema)}</p>"


def _type(schema: dict[str, Any]) -> str:
    """A schema's type in a few words, with links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_type(s) for s in schema[union])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(v))}</code>" for v in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items') or {})}"
    return escape(str(schema.get("format") or schema.get("type") or "any"))
