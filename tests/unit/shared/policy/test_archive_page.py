"""The page says which columns and which queries there are."""

from pathlib import Path

from infra.archive_queries import QUERIES
from tests.archive import column_table

PAGE = (Path(__file__).parents[4] / "docs" / "archive.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_of_columns() -> None:
    assert column_table() in PAGE


def test_the_page_names_each_query() -> None:
    assert [each.name for each in QUERIES if f"| `{each.name}` |" not in PAGE] == []
