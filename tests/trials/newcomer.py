"""Somebody who comes, joins and goes, again and again: how long it takes to get in, whatever else is at the door.

    python -m trials.newcomer HOST PORT TIMES

Who gets no answer for 10 s tries anew, as the client does.
Prints one JSON list: the seconds from the first word to the kernel until the relay's welcome, each time.
"""

from __future__ import annotations

import json
import sys
import time

from relay_help import BareClient

TRY_S = 10.0


def _gets_in(host: str, port: int) -> bool:
    try:
        with BareClient(port, tls=True, host=host, patience_s=TRY_S).join():
            return True
    except (OSError, EOFError, AssertionError):
        return False


def main() -> None:
    """Come so many times."""
    host, port, times = sys.argv[1:]
    took_s = []
    for _ in range(int(times)):
        begun_s = time.monotonic()
        while not _gets_in(host, int(port)):
            pass
        took_s.append(time.monotonic() - begun_s)
    print(json.dumps(took_s), flush=True)


if __name__ == "__main__":
    main()
