"""The sheet that says who could read a message, and shows its sealed blocks.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable

from chatcore.events import SealedBlocks
from gui import sentences
from gui.history import History
from gui.news import RoomOpened
from gui.pages import Behind, View
from gui.roster import Roster


class Readers:
    """The sheet of one room, for one message at a time.  `compared` says with whom words were compared."""

    def __init__(
        self,
        view: View,
        behind: Behind,
        opened: RoomOpened,
        history: History,
        roster: Roster,
        compared: Callable[[bytes], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._view, self._behind, self._opened = view, behind, opened
        self._history, self._roster, self._compared, self._now_ms = history, roster, compared, now_ms
        self._mid = b""  # the message it is shown for
        self._blocks: SealedBlocks | None = None
        self._unfolded = False

    def show(self, mid: bytes) -> None:
        """Show who could read a message."""
        if self._history.message(mid) is not None:
            self._mid, self._blocks, self._unfolded = mid, None, False
            self.show_again()

    def unfold(self, mid: bytes, hide: bool) -> None:
        """Unfold or fold the sealed blocks."""
        if mid == self._mid:
            self._unfolded = not hide
            if self._unfolded and self._blocks is None:
                self._behind.ask_sealed_blocks(self._opened.room_id, mid)
            self.show_again()

    def take(self, blocks: SealedBlocks) -> None:
        """Take in the sealed blocks of a message."""
        if blocks.mid == self._mid:
            self._blocks = blocks
            self.show_again()

    def renew(self, mids: tuple[bytes, ...]) -> None:
        """Something else is known of these messages."""
        if self._mid in mids:
            self.show_again()

    def show_again(self) -> None:
        """Show the sheet anew, if it is open."""
        message = self._history.message(self._mid)
        if message is None:
            return
        self._view.show_readers(
            sentences.readers_state(
                message,
                self._opened.own_fp,
                self._roster.name,
                self._roster.away,
                self._blocks,
                self._unfolded,
                self._compared,
                self._now_ms(),
            )
        )

    def closed(self) -> None:
        """The sheet is no longer shown."""
        self._mid, self._blocks = b"", None
