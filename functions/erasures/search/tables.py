"""Goes through a table, page by page: no index names a recipient, and none that did could be trusted to be whole."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from functions.erasures.search.result import Result
from shared.store.dynamo import Item

Take = Callable[[Sequence[Item], Result], None]
"""Takes a person out of some items."""


class TableSearch:
    """Has every item of a table looked at. name: of the table, in reports."""

    def __init__(self, client: Any, table: str, name: str, take: Take) -> None:
        self._client = client
        self._table = table
        self._name = name
        self._take = take

    def search(self, position: str, result: Result) -> Iterator[str]:
        """See `Place`. A position is the key of the last item that was looked at."""
        asked: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        if position:
            asked["ExclusiveStartKey"] = from_json(position)
        while True:
            page = self._client.scan(**asked)
            self._take(page["Items"], result)
            result.searched[self._name] += len(page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            yield to_json(page["LastEvaluatedKey"]).decode()


def texts_of(item: Item) -> Iterator[str]:
    """The texts of an item, its keys among them; what is packed is not opened."""
    for value in item.values():
        if "S" in value:
            yield value["S"]
        elif "SS" in value:
            yield from value["SS"]
