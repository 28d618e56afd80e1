"""The relay on trial, as a room's window tells of it: a strip that is renewed, then a line; a report.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable

from chatcore.events import ConnectionReport, Noticed, Oddity
from gui import report, sentences, wording
from gui.events import OpenReport, SaveReport, TickNames, TrialAct
from gui.news import RoomOpened
from gui.pages import Behind, View
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
    return f"{when}{between} {wording.joined(parts)}; {_outcome(counts, event)}"


def _outcome(counts: dict[Oddity, int], event: Noticed) -> str:
    if not event.mended:
        return f"what is missing {'will be sent again when you meet' if event.over else 'is being sent again'}"
    if counts.keys() & {Oddity.MISSING, Oddity.HELD}:
        return "what was missing has been sent again"
    if counts.keys() & {Oddity.LATE, Oddity.REPEATED, Oddity.FORGED}:
        return "none of it was shown"
    return "Parley goes on trying" if Oddity.SILENT in counts else "nothing was lost"


class Trial:
    """What one room's window says of its relay."""

    def __init__(
        self, view: View, behind: Behind, opened: RoomOpened, name_of: NameOf, now_ms: Callable[[], int]
    ) -> None:
        self._view, self._behind, self._room_id = view, behind, opened.room_id
        self._title = sentences.room_title(opened.title)
        self._name_of, self._now_ms = name_of, now_ms
        self._report: ConnectionReport | None = None
        self._shown = self._names = False
        self._said, self._bad = "", False
        self._place = ""
        self._noticed: Noticed | None = None
        self._dismissed_ms = 0  # when that began which the person has put away

    def notice(self, event: Noticed) -> str:
        """Take in what was seen; returns the line that stays of it when it is over."""
        self._noticed = None if event.over else event
        if self._shown:
            self._behind.ask_report(self._room_id)
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
        action = ("Report", OpenReport())
        return (Banner("noticed", tone, sentence(event, self._name_of), action=action, closable=True),)

    # -- the report

    def act(self, event: TrialAct) -> None:
        """Do what the person wants with the report."""
        match event:
            case OpenReport():
                self._shown, self._said, self._bad = True, "", False
                self._place = report.default_place(self._now_ms())
                self._behind.ask_report(self._room_id)
            case TickNames():
                self._names = not self._names
                self.show()
            case SaveReport(place) if self._report is not None:
                self._place = place
                names = self._name_of if self._names else None
                self._behind.write_report(self._room_id, place, report.as_text(self._report, self._title, names))

    def take(self, counted: ConnectionReport) -> None:
        """Take in what was counted."""
        if self._shown:
            self._report = counted
            self.show()

    def written(self, failure: str) -> None:
        """Say what became of the file."""
        self._said, self._bad = failure or report.SAVED, bool(failure)
        self.show()

    def show(self) -> None:
        """Show the report, if it is to be seen."""
        if self._shown and self._report is not None:
            state = report.report_state(self._report, self._title, self._place, self._names, self._said, self._bad)
            self._view.show_report(state)

    def close(self) -> None:
        """The report is no longer shown."""
        self._shown, self._report = False, None
