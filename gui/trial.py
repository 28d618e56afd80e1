"""The relay on trial, as a room's window tells of it: one strip that is renewed, then one line.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable

from chatcore.events import Noticed, Oddity
from gui import wording
from gui.shown import Banner, Tone

NameOf = Callable[[bytes], str]

_BLOCKS = {
    Oddity.MISSING: ("was missing", "were missing"),
    Oddity.LATE: ("came late", "came late"),
    Oddity.REPEATED: ("came twice", "came twice"),
    Oddity.FORGED: ("opened to nothing", "opened to nothing"),
    Oddity.HIDDEN: ("came from a seat that wasn't announced", "came from seats that weren't announced"),
}


def sentence(event: Noticed, name_of: NameOf) -> str:
    """Say what was seen, with whom and from when to when, and what has become of it; nobody is accused."""
    counts = dict(event.seen)
    begin, end = wording.clock(event.from_ms), wording.clock(event.to_ms)
    when = f"At {begin}" if begin == end else f"From {begin} to {end}"
    names = wording.listed(sorted(map(name_of, event.by)))
    between = f" between you and {names}" if names else ""
    parts: list[str] = []
    for what, (one, many) in _BLOCKS.items():
        if number := counts.get(what):
            noun = "" if parts else " block" if number == 1 else " blocks"
            parts.append(f"{number}{noun} {one if number == 1 else many}")
    if number := counts.get(Oddity.HELD):
        parts.append(f"{wording.count(number, 'message')} of yours {'was' if number == 1 else 'were'} not confirmed")
    if counts.get(Oddity.SILENT):
        parts.append("nothing more came for a minute and a half")
    return f"{when}{between} {wording.joined(parts)}; {_outcome(counts, event.mended)}"


def _outcome(counts: dict[Oddity, int], mended: bool) -> str:
    if not mended:
        return "what is missing is being sent again"
    if counts.keys() & {Oddity.MISSING, Oddity.HELD}:
        return "what was missing has been sent again"
    if counts.keys() & {Oddity.LATE, Oddity.REPEATED, Oddity.FORGED}:
        return "none of it was shown"
    return "Parley goes on trying" if Oddity.SILENT in counts else "nothing was lost"


class Trial:
    """What one room's window says of its relay."""

    def __init__(self, name_of: NameOf) -> None:
        self._name_of = name_of
        self._noticed: Noticed | None = None
        self._dismissed_ms = 0  # when that began which the person has put away

    def notice(self, event: Noticed) -> str:
        """Take in what was seen; returns the line that stays of it when it is over."""
        self._noticed = None if event.over else event
        return sentence(event, self._name_of) if event.over else ""

    def dismiss(self) -> None:
        """Say no more of what is told now."""
        if self._noticed is not None:
            self._dismissed_ms = self._noticed.from_ms

    def banners(self) -> tuple[Banner, ...]:
        """Return the strip, while there is something to say."""
        event = self._noticed
        if event is None or event.from_ms == self._dismissed_ms:
            return ()
        tone = Tone.PLAIN if event.mended else Tone.WARN
        return (Banner("noticed", tone, sentence(event, self._name_of), closable=True),)
