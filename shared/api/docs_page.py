"""Writes an OpenAPI description as one HTML page for people. No script; the style is allowed by its hash alone."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #0b62d6; --mark: #ffd75f55; }
@media (prefers-color-scheme: dark) { :root { --accent: #7db4ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 17rem minmax(0, 60rem); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.5rem; border-right: 1px solid var(--line); }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; font-size: .9rem; }
nav li { margin: .2rem 0; }
nav h2 { font-size: .9rem; margin: 0 0 .25rem; }
main { padding: 1.5rem 2rem 4rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: Canvas; padding: .5rem; z-index: 1; }
h1 { margin-top: 0; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 2rem 0 .25rem; scroll-margin-top: 1rem; }
h3:target { background: var(--mark); }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem; overflow: auto; }
.route { font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; table-layout: fixed; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-top: 1px solid var(--line); }
.fields thead th:first-child { width: 25%; }
.fields thead th:last-child { width: 40%; }
.answers thead th:first-child { width: 5rem; }
.answers thead th:last-child { width: 60%; }
summary { cursor: pointer; padding: .25rem 0; }
@media (max-width: 55rem) {
  body { display: block; }
  nav { position: static; height: auto; max-height: 40vh; border: 0; border-bottom: 1px solid var(--line); }
  nav li { margin: .5rem 0; }
  main { padding: 1.5rem 1rem 4rem; }
}
@media (max-width: 40rem) {
  .fields thead { position: absolute; left: -999rem; }
  .fields :is(tbody, tr, th, td) { display: block; width: auto; border: 0; padding: .1rem 0; }
  .fields th code { font-weight: 600; }
  .fields tr { border-top: 1px solid var(--line); padding: .4rem 0; }
  .answers th, .answers td { padding: .35rem .3rem; }
  .answers thead th:first-child { width: 4rem; }
  .answers thead th:last-child { width: 45%; }
}
@media print { body { display: block; } nav, .skip { display: none; } }
"""
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What the page may load, and who may frame it: for the header, since a page's own tag cannot say the latter."""
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minimum": "from {}",
    "maximum": "to {}",
    "exclusiveMinimum": "above {}",
    "pattern": "like {}",
    "format": "{}",
}


def page(document: Json) -> str:
    """The page of a description made by `shared.api.openapi`."""
    info, groups = document["info"], _by_tag(document)
    tags = [tag for tag in document["tags"] if tag["name"] in groups]
    schemas: Json = document["components"]["schemas"]
    body = "".join(
        [
            f"<h1>{escape(info['title'])} API</h1>",
            _paragraphs(info["description"]),
            '<p>The same for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
            *(_group(tag, groups[tag["name"]]) for tag in tags),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in schemas.items()),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head>"
        f'<body><a class="skip" href="#main">Skip to the text</a>{_navigation(tags, groups)}'
        f'<main id="main">{body}</main></body></html>'
    )


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    """Operations as (method, path, description), by tag, in the description's order."""
    groups: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return groups


def _navigation(tags: list[Json], groups: dict[str, list[tuple[str, str, Json]]]) -> str:
    parts = []
    for tag in tags:
        links = "".join(
            f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["summary"])}</a></li>'
            for _, _, operation in groups[tag["name"]]
        )
        parts.append(f"<h2>{escape(tag['name'].capitalize())}</h2><ul>{links}</ul>")
    return f'<nav aria-label="Operations">{"".join(parts)}<h2><a href="#schemas">Schemas</a></h2></nav>'


def _group(tag: Json, operations: list[tuple[str, str, Json]]) -> str:
    heading = f"<h2>{escape(tag['name'].capitalize())}</h2><p>{_text(tag['description'])}</p>"
    return heading + "".join(_operation(method, path, operation) for method, path, operation in operations)


def _operation(method: str, path: str, operation: Json) -> str:
    parts = [
        f'<section aria-labelledby="{escape(operation["operationId"])}">'
        f'<h3 id="{escape(operation["operationId"])}">{escape(operation["summary"])}</h3>',
        f'<p class="route"><code>{method} {escape(path)}</code></p>',
        f"<p>{_text(operation.get('description', 'Needs no key.'))}</p>",
    ]
    if operation["parameters"]:
        rows = [
            (p["name"], f"{p['in']}, {_kind(p['schema'])}", _needed(p["required"]) + _more({**p["schema"], **p}))
            for p in operation["parameters"]
        ]
        parts.append(_table("Parameters", "fields", ("Name", "What", "Notes"), rows))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        parts.append(f"<p>Body: {_kind(content['schema'])}</p>")
        for name, example in content.get("examples", {}).items():
            shown = escape(json.dumps(example["value"], ensure_ascii=False, indent=2))
            parts.append(
                f'<details><summary>Example: {escape(name)}</summary><pre tabindex="0">{shown}</pre></details>'
            )
    answers = [
        (status, _answer(answer), _text(answer["description"])) for status, answer in operation["responses"].items()
    ]
    parts.append(_table("Answers", "answers", ("Status", "Body", "When"), answers))
    return "".join(parts) + "</section>"


def _answer(answer: Json) -> str:
    return ", ".join(_kind(content["schema"]) for content in answer.get("content", {}).values())


def _schema(name: str, schema: Json) -> str:
    parts = [f'<h3 id="schema-{escape(name)}">{escape(name)}</h3>']
    if "description" in schema:
        parts.append(_paragraphs(schema["description"]))
    if schema.get("properties"):
        required = schema.get("required", [])
        rows = [
            (field, _kind(found), _needed(field in required) + _more(found))
            for field, found in schema["properties"].items()
        ]
        parts.append(_table(f"Fields of {name}", "fields", ("Field", "What", "Notes"), rows))
    else:
        parts.append(f"<p>{_kind(schema)}</p>")
    return "".join(parts)


def _table(caption: str, look: str, heads: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> str:
    """A table; the first cell of a row is plain text, the others are HTML already. look: its class."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row"><code>{escape(first)}</code></th><td>{second}</td><td>{third}</td></tr>'
        for first, second, third in rows
    )
    return (
        f'<table class="{look}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _kind(schema: Json) -> str:
    """What a value is, in a few words (HTML)."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[word]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    limits = ", ".join(_limits(schema))
    return escape(str(schema.get("type", "any JSON"))) + (f" ({limits})" if limits else "")


def _limits(schema: Json) -> Iterator[str]:
    for name, text in _LIMITS.items():
        if name in schema:
            value = escape(str(schema[name]))
            # "at least 1 characters"
            words = text.removesuffix("s") if value == "1" and text.endswith("s") else text
            yield words.format(f"<code>{value}</code>" if name == "pattern" else value)


def _needed(required: bool) -> str:
    return "required" if required else "optional"


def _more(schema: Json) -> str:
    found = ""
    if schema.get("default") is not None:
        found += f", by default <code>{escape(json.dumps(schema['default']))}</code>"
    if "description" in schema:
        found += f". {_text(schema['description'])}"
    return found


def _paragraphs(text: str) -> str:
    """Text as paragraphs, which blank lines divide; other line breaks are those of its source file."""
    return "".join(f"<p>{_text(' '.join(part.split()))}</p>" for part in text.split("\n\n") if part.strip())


def _text(text: str) -> str:
    """Text with `code` in back-quotes, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
