"""What a room says of its relay: one sentence that is renewed, and a line when it is over."""

from __future__ import annotations

import pytest
from gui_help import BOB, CAROL, NICKS, NOON, Stage

from chatcore.events import Noticed, Oddity
from gui import events, wording
from gui.shown import Tone
from gui.trial import sentence

AT, LATER = wording.clock(NOON), wording.clock(NOON + 120_000)


def notice(*seen: tuple[Oddity, int], by: tuple[bytes, ...] = (BOB,), mended: bool = True, over: bool = False,
           from_ms: int = NOON, to_ms: int = NOON + 120_000) -> Noticed:  # fmt: skip
    return Noticed(seen, by, from_ms, to_ms, mended, over)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            notice((Oddity.MISSING, 3), (Oddity.REPEATED, 1)),
            f"From {AT} to {LATER} between you and Bob 3 blocks were missing and 1 came twice; "
            "what was missing has been sent again",
        ),
        (
            notice((Oddity.MISSING, 1), mended=False, to_ms=NOON),
            f"At {AT} between you and Bob 1 block was missing; what is missing is being sent again",
        ),
        (
            notice((Oddity.LATE, 1), (Oddity.REPEATED, 2), (Oddity.FORGED, 4), by=(BOB, CAROL)),
            f"From {AT} to {LATER} between you and Bob and Carol 1 block came late, 2 came twice and 4 opened to "
            "nothing; none of it was shown",
        ),
        (
            notice((Oddity.HELD, 1), mended=False),
            f"From {AT} to {LATER} between you and Bob 1 message of yours was not confirmed; "
            "what is missing is being sent again",
        ),
        (
            notice((Oddity.MISSING, 2), mended=False, over=True, to_ms=NOON),
            f"At {AT} between you and Bob 2 blocks were missing; what is missing will be sent again when you meet",
        ),
        (
            notice((Oddity.SILENT, 1), to_ms=NOON),
            f"At {AT} between you and Bob nothing more came for a minute and a half; Parley goes on trying",
        ),
        (
            notice((Oddity.HIDDEN, 1), by=(), to_ms=NOON),
            f"At {AT} 1 block came from a seat that wasn't announced; nothing was lost",
        ),
    ],
)
def test_one_sentence_names_what_was_seen_with_whom_and_when(event: Noticed, said: str) -> None:
    assert sentence(event, NICKS.__getitem__) == said


def test_every_oddity_is_said() -> None:
    said = {sentence(notice((what, 2)), NICKS.__getitem__) for what in Oddity}
    assert len(said) == len(Oddity)


def test_the_strip_is_renewed_and_leaves_a_line_when_it_is_over() -> None:
    stage = Stage().talking()
    stage.core(notice((Oddity.MISSING, 1), mended=False))
    (strip,) = stage.page.banners
    assert (strip.tone, strip.closable, strip.fp) == (Tone.WARN, True, b"")
    stage.core(notice((Oddity.MISSING, 2)))
    (strip,) = stage.page.banners
    assert strip.tone is Tone.PLAIN
    assert "2 blocks were missing" in strip.title
    assert stage.log.lines == []
    stage.core(notice((Oddity.MISSING, 2), over=True))
    assert stage.page.banners == []
    assert stage.log.lines == [strip.title]


def test_a_strip_that_was_put_away_comes_back_for_another_matter_only() -> None:
    stage = Stage().talking()
    stage.core(notice((Oddity.FORGED, 1)))
    stage(events.DismissBanner("noticed"))
    assert stage.page.banners == []
    stage.core(notice((Oddity.FORGED, 2)))
    assert stage.page.banners == []
    stage.core(notice((Oddity.FORGED, 1), from_ms=NOON + 60_000))
    assert len(stage.page.banners) == 1
