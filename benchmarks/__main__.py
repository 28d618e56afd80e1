"""Run all benchmarks, or those that are named: `python -m benchmarks [fanout] [relay] ...`.  See README.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = ("fanout", "keeping", "relay", "peers", "costs", "capacity")
WITH = {"capacity": ("--measure",)}  # else it reckons with the costs of another machine


def main() -> int:
    """Run them one after the other; status 1 if one of them ended with anything but 0."""
    chosen = sys.argv[1:] or NAMES
    if unknown := set(chosen) - set(NAMES):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    failed = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        failed |= subprocess.run([sys.executable, str(script), *WITH.get(name, ())], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
