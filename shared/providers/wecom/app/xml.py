"""Reads the XML of WeCom's callbacks: one element of elements, of which those with text alone are wanted."""

from xml.parsers import expat

from shared.providers.callbacks import CallbackRefusedError

DEPTH = 8
"""Far more than WeCom's events have."""


def read_xml(data: bytes) -> dict[str, str]:
    """The texts of the elements below the root, by name; of several with one name the first.

    Whatever declares something (a document type, entities) is refused, so nothing is fetched and nothing grows.
    Raises: CallbackRefusedError.
    """
    found: dict[str, list[str]] = {}
    path: list[str] = []
    seen: set[str] = set()

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        if len(path) > DEPTH:
            raise CallbackRefusedError("the XML is too deep")
        if len(path) == 2 and name in seen:
            path[-1] = ""

    def end(_name: str) -> None:
        if len(path) == 2:
            seen.add(path[1])
        path.pop()

    def text(data: str) -> None:
        if len(path) == 2 and path[1]:
            found.setdefault(path[1], []).append(data)

    def refuse(*_: object) -> None:
        raise CallbackRefusedError("the XML declares a document type")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise CallbackRefusedError("the XML cannot be read") from None
    return {name: "".join(parts) for name, parts in found.items()}
