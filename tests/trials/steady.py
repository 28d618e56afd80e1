"""STEADY: what a relay can count in a room that keeps a rhythm, while its people talk and while they are silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture import capture

from chatcore import rhythm
from chatcore.wire import FRAME_SIZE
from trials.sheet import Sheet, case

MEMBERS, PERIOD_S = 3, 1


@case("STEADY", "counts and times what each member sends, in talk and in silence, with a rhythm and without", slow=True)
def steady(sheet: Sheet, home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rhythm, "SECOND_S", 0.25)  # a rhythm four times as fast, for four times as many beats
        for name in ("with", "without"):
            (home / name).mkdir()
        kept = capture(home / "with", members=MEMBERS, period_s=PERIOD_S, rounds=8, beats=24)
        free = capture(home / "without", members=MEMBERS, period_s=0, rounds=5, beats=24)
        page = rhythm.bytes_a_day(MEMBERS, PERIOD_S) / rhythm.DAY_S
    sheet.note("messages said", kept.said)
    sheet.all("arrived", kept.arrived, kept.said * (MEMBERS - 1))
    one = (MEMBERS - 1) * FRAME_SIZE + rhythm.TLS_OVERHEAD
    sheet.must("a round of talk and one of silence differ by bytes, on average, at most", kept.most_apart, one)
    sheet.note("of", sum(sum(seen.bytes_a_round) for seen in kept.silent) // (MEMBERS * kept.rounds))
    sheet.must("that their gaps are of one kind, smallest p of three", min(kept.p_gaps), 1.0, 0.003)
    sheet.must("that the bytes of their rounds are, smallest p of three", min(kept.p_bytes), 1.0, 0.003)
    sheet.note("bytes a second and member, in and out", kept.bytes_a_beat)
    sheet.must("of what the page says", kept.bytes_a_beat / page, 1.03, 0.97)
    sheet.must("without a rhythm: differ by bytes", free.most_apart, 10**9, 1000)
    sheet.must("of one kind, greatest p of three", max(free.p_bytes), 0.02)
