"""A room's move to another relay, as its owner makes it: what follows, and why it can't be.  No toolkit."""

from __future__ import annotations

from chatcore.errors import InviteError
from chatcore.invite import RelayAddress
from chatcore.moving import unfit
from gui.pages import Behind, View
from gui.shown import MoveState

PLACE_SHOWN = 60  # characters of an address; a name can have 253

FOLLOWS = (
    "Whoever is here goes there within a minute, and nothing is lost. Who is away is shown the way when they come back "
    "within two weeks, while the old relay is still up; anybody later needs a new invite."
)
SEES = "Whoever runs the new relay sees who is connected, from where and when, and can't read anything."
ASKING = "Asking the new relay…"


def place(relay: RelayAddress) -> str:
    """Return an address as it is shown: cut, if it is a very long one."""
    return relay.place if len(relay.place) <= PLACE_SHOWN else f"…{relay.place[-PLACE_SHOWN:]}"


def moved(name: str, relay: RelayAddress) -> str:
    """Say in the room that it has moved."""
    return f"{name} moved the room to another relay, {place(relay)}: Parley goes there by itself"


def wrong(line: str, now: RelayAddress) -> str:
    """Return what is wrong with the line of the relay that the room is to move to, or nothing."""
    try:
        relay = RelayAddress.parse(line)
    except InviteError as refusal:
        return str(refusal)
    return unfit(relay, now)


class Move:
    """The sheet in which a room's owner moves it."""

    def __init__(self, view: View, behind: Behind, room_id: bytes, title: str, relay: RelayAddress) -> None:
        self.relay = relay  # where the room is
        self._view, self._behind, self._room_id, self._title = view, behind, room_id, title
        self._state: MoveState | None = None  # what the sheet shows, if it is open

    def show(self) -> None:
        """Show the sheet."""
        self._tell()

    def show_again(self) -> None:
        """Show it in another look, if it is open."""
        if self._state is not None:
            self._view.show_move(self._state)

    def go(self, line: str) -> None:
        """Move the room to the relay of this line, or say why not."""
        if self._state is None or self._state.busy:
            return
        problem = wrong(line, self.relay)
        self._tell(line, problem, "" if problem else ASKING)
        if not problem:
            self._behind.move(self._room_id, line)

    def answered(self, failure: str) -> bool:
        """Take in what came of it; True if the sheet isn't needed any more."""
        if self._state is None:
            return False
        if failure:
            self._tell(self._state.line, failure)
        return not failure

    def close(self) -> None:
        """The sheet is no longer shown."""
        self._state = None

    def _tell(self, line: str = "", problem: str = "", busy: str = "") -> None:
        where = f"The room is on {place(self.relay)} now."
        self._state = MoveState(self._title, where, FOLLOWS, SEES, line, problem, busy)
        self._view.show_move(self._state)
