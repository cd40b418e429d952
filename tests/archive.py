"""The archive without AWS: writes files as Firehose does, by pyarrow, and asks them as Athena does, by duckdb.

Athena's SQL is that of Trino; sqlglot translates it. A key that the table lacks is an error here, since Firehose would
drop it without a word.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot

from infra.archive_queries import QUERIES, TABLE
from shared.policy.archive import COLUMNS

TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("ms"),
}
SCHEMA = pa.schema([(column.name, TYPES[column.type]) for column in COLUMNS])
DATABASE = "main"


def rows_of(record: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a record of Firehose, one behind the other."""
    text, decoder, at = record.decode(), json.JSONDecoder(), 0
    while at < len(text):
        row, at = decoder.raw_decode(text, at)
        yield row


def write_hour(folder: Path, hour: str, records: Iterable[bytes]) -> None:
    """Write what came in an hour, such as `2026-11-01-00`, as a file. Raises: KeyError for a key without a column."""
    rows = [row for record in records for row in rows_of(record)]
    if odd := {key for row in rows for key in row} - set(SCHEMA.names):
        raise KeyError(f"no column {', '.join(sorted(odd))}")
    path = folder / f"hour={hour}" / "file.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="snappy")


def read_back(folder: Path) -> list[dict[str, Any]]:
    """All rows of all hours, copies too."""
    found: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return found


def ask(folder: Path, name: str, *parameters: str) -> list[dict[str, Any]]:
    """The answer of a named query, its rows as values by column."""
    (query,) = [each for each in QUERIES if each.name == name]
    (sql,) = sqlglot.transpile(query.text(DATABASE), read="athena", write="duckdb")
    with duckdb.connect() as connection:
        files = f"read_parquet('{folder}/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
        connection.execute(f"CREATE VIEW {TABLE} AS SELECT * FROM {files}")
        answer = connection.execute(sql, parameters)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def column_table() -> str:
    """The table of columns in docs/archive.md."""
    lines = [f"| `{column.name}` | {column.type} | {column.about} |" for column in COLUMNS]
    return "\n".join(("| column | type | |", "|---|---|---|", *lines))
