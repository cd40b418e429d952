"""Writes the audience file of a large campaign, and what must become of its rows, always the same.

`python examples/make_campaign.py FOLDER [ROWS]` writes `campaign.csv` and `campaign-expected.csv`, 20,000 rows unless
told otherwise. All people are invented, and their addresses are at domains kept for examples (RFC 2606). What must
become of each row is known here because each row is made to be good, or broken in one named way: nothing of the
platform is asked. Rows are numbered as a spreadsheet shows them; the header is row 1.
"""

import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

ROWS = 20_000
HEADER = ("No", "E-Mail", "name", "category", "discount", "city", "points", "tz")
NAMES = ("李雷", "韩梅梅", "Ada Lovelace", 'Robert "Bob" Tables', "Smith, John", "Siobhán O'Brien", "Mia 👩‍🚀 Chen")
CATEGORIES = ("户外装备", "图书", "家居", "Tents; boots", "咖啡 ☕")
CITIES = ("北京", "杭州", "São Paulo", "London", "")
ZONES = ("Asia/Shanghai", "Europe/London", "America/Sao_Paulo", "")
BROKEN = ("no address", "nobody.example.com", "two words@example.com", "a@b@example.com", "x@-bad-.example")

Cells = list[str]


@dataclass(frozen=True, slots=True)
class Made:
    """A row. end: `good`, `suppressed` (good, but its address is to be put on the suppression list), `rejected` for
    `reason`, `duplicate` or `blank`. to: the address that it means."""

    cells: Cells | bytes
    end: str = "good"
    reason: str = ""
    to: str = ""


def rows(count: int = ROWS) -> Iterator[Made]:
    """The rows, in order. Every kind is there from some 5,000 on."""
    broken = cycle(BROKEN)
    kinds: list[tuple[int, int, Callable[[int], Made]]] = [
        (97, 13, lambda n: Made(_cells(n, to=next(broken)), "rejected", "address_invalid")),
        (389, 100, lambda n: Made(_cells(n, to=f"nameless{n}@example.com", name="　"), "rejected", "variable_missing")),
        (1009, 500, lambda n: Made([*_cells(n), "one too many"], "rejected", "columns_wrong")),
        (1201, 600, lambda n: Made(_cells(n)[:4], "rejected", "columns_wrong")),
        (
            2003,
            1000,
            lambda n: Made(f"{n},{_address(n)},李雷,图书,8,北京,,\r\n".encode("gb18030"), "rejected", "not_utf8"),
        ),
        (1511, 700, lambda n: Made(_cells(n, tz="Mars/Base"), "rejected", "time_zone_unknown")),
        (4001, 2000, lambda n: Made([], "blank")),
        (61, 30, _duplicate),
        (701, 350, lambda n: Made(_cells(n, to=f"stop{n}@example.com"), "suppressed", "", f"stop{n}@example.com")),
    ]
    there: set[str] = set()
    for n in range(count):
        make = next((make for every, at, make in kinds if n % every == at), None)
        made = Made(_cells(n), to=_address(n)) if make is None else make(n)
        if made.end == "duplicate" and made.to not in there:
            # The row of that address is broken: this one is the first that counts.
            made = replace(made, end="good")
        there.add(made.to)
        yield made


def _address(n: int) -> str:
    return f"customer.{n}@{'mail.' if n % 3 else ''}example.com"


def _cells(n: int, to: str | None = None, name: str | None = None, tz: str | None = None) -> Cells:
    person = NAMES[n % len(NAMES)] + ("\n(c/o her parents)" if n % 50 == 7 else "")
    facts = [CATEGORIES[n % len(CATEGORIES)], str(n % 4 + 5), CITIES[n % len(CITIES)], str(n) if n % 3 else ""]
    zone = ZONES[n % len(ZONES)] if tz is None else tz
    return [f"C{n}", _address(n) if to is None else to, person if name is None else name, *facts, zone]


def _duplicate(n: int) -> Made:
    """The address of a good row somewhere before, near or far, in capitals where that makes no difference."""
    first = n - 1 if n % 2 else n // 61
    local, _, domain = _address(first).partition("@")
    return Made(_cells(n, to=f" {local}@{domain.upper()}"), "duplicate", to=_address(first))


def write(folder: Path, count: int = ROWS) -> tuple[Path, Path]:
    """Write both files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    audience, expected = folder / "campaign.csv", folder / "campaign-expected.csv"
    with audience.open("wb") as file, expected.open("w", encoding="utf-8", newline="") as other:
        ends = csv.writer(other, lineterminator="\n")
        ends.writerow(["row", "end", "reason", "to"])
        file.write(b"\xef\xbb\xbf" + _line(list(HEADER)))
        for number, made in enumerate(rows(count), start=2):
            file.write(made.cells if isinstance(made.cells, bytes) else _line(made.cells))
            ends.writerow([number, made.end, made.reason, made.to])
    return audience, expected


def _line(cells: Cells) -> bytes:
    written = ['"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\r\n') else cell for cell in cells]
    return (",".join(written) + "\r\n").encode()


def main() -> None:
    """Write the files where the command line says."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else ROWS)


if __name__ == "__main__":
    main()
