"""A member with a flaw, to see whether `trials/timing.py` would find one.

What it can't decrypt it thinks about for a millisecond before it goes on; such blocks are told by their first byte,
which a good one hardly ever has.
"""

from __future__ import annotations

import time

from member import Member

from chatcore.cable import Cable
from chatcore.wire import Frame, Kind

_take = Cable._take


def take(cable: Cable, frame: Frame) -> None:
    if frame.kind is Kind.SEND and frame.block[:1] == b"\1":
        time.sleep(0.001)
    _take(cable, frame)


if __name__ == "__main__":
    Cable._take = take  # type: ignore[method-assign, assignment]
    Member().run()
