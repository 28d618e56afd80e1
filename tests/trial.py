"""The relay, the members and the network on trial: each attack and each fault by number, with its figure.

    python tests/trial.py                 # all of them: more than an hour, on a machine with nothing else to do
    python tests/trial.py R1 R2           # some
    python tests/trial.py --quick         # those that take seconds
    python tests/trial.py LONG --members 12 --messages 1000 --relay-kills 5 --member-kills 5 --offline 2 --offline-s 30
    python tests/trial.py --list

Prints what came of each case, and puts it into the table of docs/RELIABILITY.md (`--dry`: doesn't).  Ends with status
1 if anything that must hold didn't.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from trials import long  # noqa: E402
from trials import sheet as sheets  # noqa: E402

FAMILIES = (
    "relay", "hours", "members", "faults", "network", "engine", "timing", "steady", "long", "strangers", "inputs",
    "load",
)  # fmt: skip
PAPER = ROOT / "docs" / "RELIABILITY.md"


def load() -> dict[str, sheets.Entry]:
    """Return all cases, in their order."""
    for family in FAMILIES:
        importlib.import_module(f"trials.{family}")
    return {name: sheets.REGISTER[name] for name in sorted(sheets.REGISTER, key=sheets.order)}


def main() -> int:
    """Run cases, print and keep what came of them."""
    entries = load()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="numbers, as R1")
    parser.add_argument("--quick", action="store_true", help="leave out what takes more than some seconds")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--dry", action="store_true", help="leave the table in docs/RELIABILITY.md as it is")
    plan = parser.add_argument_group("the long one", "how long LONG is")
    for name, value in dataclasses.asdict(long.Plan()).items():
        plan.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=str(value))
    options = parser.parse_args()
    long.PLAN = long.Plan(**{name: getattr(options, name) for name in dataclasses.asdict(long.Plan())})
    if unknown := {*options.cases} - entries.keys():
        parser.error(f"there is no case {', '.join(sorted(unknown))}; --list says what there is")
    chosen = [entry for name, entry in entries.items() if name in (options.cases or entries)]
    chosen = [entry for entry in chosen if not (options.quick and entry.slow)]
    if options.list:
        print("\n".join(f"{entry.name:5} {entry.what}{' (slow)' if entry.slow else ''}" for entry in chosen))
        return 0
    broken = 0
    print(sheets.machine(), file=sys.stderr)
    for entry in chosen:
        begun_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="parley-trial-") as home:
            sheet = sheets.run(entry, Path(home))
        row = sheets.row(entry, sheet, datetime.datetime.now(datetime.UTC).date().isoformat())
        broken += bool(sheet.broken)
        print(row, flush=True)
        print(f"{entry.name} took {time.monotonic() - begun_s:.0f} s", *sheet.broken[:20], sep="\n  ", file=sys.stderr)
        if not options.dry:
            PAPER.write_text(sheets.merge(PAPER.read_text("utf-8"), [row], entry.table), "utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
