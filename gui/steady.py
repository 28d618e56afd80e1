"""The room's steady rhythm, as its owner sets it: what it costs, what it hides and what not.  No toolkit."""

from __future__ import annotations

from chatcore.rhythm import bytes_a_day
from gui.pages import Behind, View
from gui.shown import SteadyState

CHOICES_S = (0, 1, 2, 5, 10, 30)
HIDES = "The relay then can't tell talk from silence, nor who talks, how much, or to whom."
SHOWS = "It still sees who is connected and when, who comes and goes, and how many of you are here."


def amount(size: int) -> str:
    """Return "94 MB", "1.2 GB"."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{max(1, round(size / 10**6))} MB"


def label(period_s: int, members: int) -> str:
    """Say one choice and what it costs."""
    if not period_s:
        return "Off: a block goes out when there is something to say"
    return f"Every {period_s} s · {amount(bytes_a_day(members, period_s))} a day"


def state(title: str, members: int, period_s: int) -> SteadyState:
    """Return what the sheet shows, for the present number of members."""
    people = "one person" if members == 1 else f"{members} people"
    choices = sorted({*CHOICES_S, period_s})
    return SteadyState(
        title,
        "Everyone sends everyone one block each time, whether there is something to say or not.",
        f"{HIDES} {SHOWS}",
        f"With {people} all here, each computer sends and receives so much. A long message takes as many turns as it "
        "has parts, so it goes out more slowly.",
        tuple((choice, label(choice, members)) for choice in choices),
        period_s,
    )


class Steady:
    """The rhythm of one room, and the sheet in which its owner sets it."""

    def __init__(self, view: View, behind: Behind, room_id: bytes, title: str) -> None:
        self.period_s = 0  # 0: there is none
        self._view, self._behind, self._room_id, self._title = view, behind, room_id, title
        self._shown = False

    def show(self, members: int) -> None:
        """Show the sheet."""
        self._shown = True
        self._view.show_steady(state(self._title, members, self.period_s))

    def show_again(self, members: int) -> None:
        """Show it in another look, if it is open."""
        if self._shown:
            self.show(members)

    def set(self, period_s: int) -> None:
        """Set the rhythm for everybody."""
        self._behind.keep_steady(self._room_id, period_s)

    def close(self) -> None:
        """The sheet is no longer shown."""
        self._shown = False
