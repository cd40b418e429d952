"""Reads botocore's descriptions of services in about half the time: they are most of what making a client takes."""

import os
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from pydantic_core import from_json


class _Files(JSONFileLoader):
    """Reads files with a parser that is written in Rust, into plain dictionaries, which keep their order, too."""

    def _load_file(self, full_path: str, open_method: Any) -> Any:
        if not Path(full_path).is_file():
            return None
        with open_method(full_path, "rb") as file:
            return from_json(file.read())


class Descriptions(Loader):
    """The descriptions that come with botocore, and those below `~/.aws/models`."""

    def __init__(self) -> None:
        super().__init__(file_loader=_Files())

    def list_available_services(self, type_name: str) -> list[str]:
        """All that there is a folder for: botocore would look into four hundred of them, to tell a service that is
        there from one that is not. Of one without a description it says so a little later, when it is read."""
        folders = (path for path in self.search_paths if os.path.isdir(path))  # noqa: PTH112 - botocore's are texts
        return sorted({name for path in folders for name in os.listdir(path)})  # noqa: PTH208 - as above
