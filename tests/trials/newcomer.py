"""Somebody who comes, joins and goes, again and again: how long it takes to get in, whatever else is at the door.

    python -m trials.newcomer HOST PORT TIMES

Prints one JSON list: the seconds from the first word to the kernel until the relay's welcome, each time.
"""

from __future__ import annotations

import json
import sys
import time

from relay_help import BareClient


def main() -> None:
    """Come so many times."""
    host, port, times = sys.argv[1:]
    took_s = []
    for _ in range(int(times)):
        begun_s = time.monotonic()
        with BareClient(int(port), tls=True, host=host).join():
            took_s.append(time.monotonic() - begun_s)
    print(json.dumps(took_s), flush=True)


if __name__ == "__main__":
    main()
