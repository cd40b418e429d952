"""Sessions are made without what writes documentation, and nobody else misses it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

SCRIPT = """
import json, sys
from shared.aws.clients import client

made = client("dynamodb", region_name="us-east-1")
docs = sorted(name for name in sys.modules if name.startswith("botocore.docs"))
waiter, pages = made.get_waiter("table_exists"), made.get_paginator("query")

from botocore.docs.docstring import ClientMethodDocstring
from botocore.docs.service import ServiceDocumenter

print(json.dumps({
    "docs": docs,
    "docstrings": [made.get_item.__doc__, waiter.wait.__doc__, pages.paginate.__doc__],
    "writer": issubclass(ClientMethodDocstring, str) and ServiceDocumenter.__module__,
}))
"""


def test_a_client_is_made_without_what_writes_documentation_and_others_find_that() -> None:
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "docs": [],
        "docstrings": [None, None, None],
        "writer": "botocore.docs.service",
    }
