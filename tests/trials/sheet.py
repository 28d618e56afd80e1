"""Cases, what they found, and the table of it."""

from __future__ import annotations

import platform
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

Number = int | float

FAMILIES = ("R", "M", "F", "A", "STEADY", "LONG", "S", "I", "L")
HEAD = "| case | what is done | what came of it | held | date |\n|---|---|---|---|---|"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->"
STRANGERS = "<!-- the table of strangers begins -->\n"
_ROW = re.compile(r"^\| \*\*([A-Z]+\d*[a-z]?)\*\* \|.*$", re.MULTILINE)


@dataclass
class Sheet:
    """The figures of one case, in the order in which they came; `broken` are the bounds that didn't hold."""

    figures: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def note(self, name: str, value: Number | str) -> None:
        """Write down a figure that has no bound."""
        self.figures.append(f"{name} {_shown(value)}")

    def must(self, name: str, value: Number, at_most: Number, at_least: Number | None = None) -> None:
        """Write down a figure that must not be above a bound, or below another."""
        low = at_least is None or value >= at_least
        self.note(name, value)
        if not (value <= at_most and low):
            bound = _shown(at_most) if low else f"at least {_shown(at_least or 0)}"
            self.figures[-1] += f" (**wanted {bound}**)"
            self.broken.append(self.figures[-1])

    def none(self, name: str, value: int, of: int | None = None) -> None:
        """Write down a count that must be 0, perhaps of so many tries, of which there must be some."""
        self.must(name, value, 0)
        if of is not None:
            self.figures[-1] += f" of {_shown(of)}"
            if not of:
                self.broken.append(self.figures[-1])

    def all(self, name: str, value: int, of: int) -> None:
        """Write down a count that must be that of all."""
        self.must(name, value, of, of)
        self.figures[-1] += f" of {_shown(of)}"


Case = Callable[[Sheet, Path], None]


@dataclass(frozen=True)
class Entry:
    """A case in the register; `what` is one line for the table."""

    name: str
    what: str
    run: Case
    slow: bool
    table: str = BEGIN


REGISTER: dict[str, Entry] = {}


def case(name: str, what: str, *, slow: bool = False, table: str = BEGIN) -> Callable[[Case], Case]:
    """Enter a function as a case; `slow` ones take more than some seconds, and aren't part of `make test`.

    `table` is the mark before the table in which it stands.
    """

    def enter(run: Case) -> Case:
        assert name not in REGISTER, name
        REGISTER[name] = Entry(name, what, run, slow, table)
        return run

    return enter


def run(entry: Entry, home: Path) -> Sheet:
    """Run a case.  One that comes to an end of its own hasn't held."""
    sheet = Sheet()
    try:
        entry.run(sheet, home)
    except Exception as error:
        traceback.print_exc()
        sheet.broken.append(f"ended by {type(error).__name__}: {error}")
        sheet.figures.append("**" + " ".join(sheet.broken[-1].split())[:200].replace("|", "/") + "**")
    sheet.figures = [figure.replace(str(home), "…") for figure in sheet.figures]  # where it was is nobody's business
    return sheet


def row(entry: Entry, sheet: Sheet, date: str) -> str:
    """Return the line of the table for a case."""
    held = "**no**" if sheet.broken else "yes"
    return f"| **{entry.name}** | {entry.what} | {'; '.join(sheet.figures)} | {held} | {date} |"


def merge(paper: str, rows: Iterable[str], begin: str = BEGIN) -> str:
    """Put rows into the table between the marks of a paper: new ones take the place of old, all in their order."""
    before, rest = paper.split(begin, 1)
    table, after = rest.split(END, 1)
    known = {match[1]: match[0] for match in _ROW.finditer(table)}
    for new in rows:
        match = _ROW.match(new)
        assert match, new
        known[match[1]] = new
    lines = "\n".join([HEAD, *(known[name] for name in sorted(known, key=order))])
    return f"{before}{begin}{lines}\n{END}{after}"


def machine() -> str:
    """Say on what this runs."""
    cpu = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    cores = len(re.findall("^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE)) if cpu else "?"
    kind = cpu[1].strip() if cpu else platform.machine()
    return f"{cores} cores, {kind}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def order(name: str) -> tuple[int, int, str]:
    """Return what cases are sorted by: family, number, letter."""
    found = re.fullmatch(r"([A-Z]+)(\d*)([a-z]?)", name)
    assert found, name
    return FAMILIES.index(found[1]), int(found[2] or 0), found[3]


def _shown(value: Number | str) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else value
