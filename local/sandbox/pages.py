"""The outbox as pages: what the sandbox providers accepted, for people and for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, Template

from local.gateway import Answer, Incoming
from local.sandbox.outbox import Delivery, Outbox
from shared.api.problems import CONTENT_TYPE, problem_of
from shared.errors import FieldError, invalid

SHOWN = 500
"""How many deliveries the page shows, newest first."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<title>mePush: outbox</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
  h1 { font-size: 1.3rem; }
  article { border: 1px solid #8886; border-radius: .5rem; margin: 1rem 0; padding: .8rem 1rem; }
  header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
  header span { opacity: .75; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .6rem 0 0; }
  dt { opacity: .75; }
  dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; max-height: 18rem; overflow-y: auto; }
</style>
</head>
<body>
<h1>Outbox</h1>
<p>{{ count }} accepted by the sandbox providers since the start{% if count > deliveries|length %},
the newest {{ deliveries|length }} shown{% endif %}. Nothing left this machine.
<a href="outbox.json">As JSON</a></p>
{% for d in deliveries %}
<article>
<header><strong>{{ d.to }}</strong><span>{{ d.provider }}</span><span>{{ d.at }}</span><span>{{ d.id }}</span>
{%- if d.withdrawn %}<span>taken back</span>{% endif %}</header>
<dl>
{% for name, value in d.data %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl>
</article>
{% else %}
<p>Nothing yet.</p>
{% endfor %}
</body>
</html>
"""


@cache
def _template() -> Template:
    return Environment(autoescape=True).from_string(_PAGE)


def outbox_page(outbox: Outbox) -> tuple[str, bytes]:
    """The page for people: content type and body."""
    newest = outbox.all()[: -SHOWN - 1 : -1]
    html = _template().render(count=outbox.count(), deliveries=[_shown(delivery) for delivery in newest])
    return "text/html; charset=utf-8", html.encode()


def outbox_json(outbox: Outbox) -> tuple[str, bytes]:
    """The page for programs: a list of deliveries, oldest first."""
    return "application/json", json.dumps(outbox.as_json(), ensure_ascii=False, default=str).encode()


def accepted_json(outbox: Outbox, request: Incoming) -> Answer:
    """How often what was accepted: in all, or for the recipient and the message that the query names."""
    query = dict(parse_qsl(request.raw_query, keep_blank_values=True))
    wrong = [
        FieldError(field=f"query.{name}", message="Give provider, to and message_id, or none of them.")
        for name in sorted(set(query) - {"provider", "to", "message_id"})
    ]
    if "message_id" in query and "to" not in query:
        wrong.append(FieldError(field="query.to", message="Give the recipient with the message id."))
    if wrong:
        problem = problem_of(invalid(wrong))
        return problem.status, [("content-type", CONTENT_TYPE)], json.dumps(problem.model_dump()).encode()
    provider = query.get("provider")
    found: dict[str, Any]
    if "to" in query:
        found = {"accepted": outbox.accepted(query["to"], query.get("message_id"), provider)}
    else:
        repeated = outbox.repeated()
        found = {
            "accepted": outbox.count(provider),
            "by_provider": outbox.totals(),
            "repeated": [asdict(each) for each in repeated[:SHOWN]],
            "repeated_messages": len(repeated),
        }
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]
    return 200, headers, json.dumps(found, ensure_ascii=False).encode()


def _shown(delivery: Delivery) -> Mapping[str, Any]:
    return {
        "to": delivery.to,
        "provider": delivery.provider,
        "id": delivery.id,
        "withdrawn": delivery.withdrawn,
        "at": datetime.fromtimestamp(delivery.at).astimezone().strftime("%H:%M:%S"),
        "data": [(name, _text(value)) for name, value in delivery.data.items() if value not in ("", None, [], {})],
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
