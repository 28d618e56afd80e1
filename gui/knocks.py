"""Who is at the door of a room that this window may open, and the sheet on which one answers.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatcore.events import Knocked
from gui import events, sentences, wording
from gui.events import Sheet
from gui.news import RoomOpened
from gui.pages import Behind, View
from gui.shown import Banner, KnockState, Tone


def knocking(name: str) -> str:
    """Say who knocks."""
    return f"{name} is at the door"


class Knocks:
    """The knocks of one room.  `warning` says what isn't settled about somebody's key."""

    def __init__(
        self,
        view: View,
        behind: Behind,
        opened: RoomOpened,
        name_of: Callable[[bytes], str],
        warning: Callable[[bytes], str],
    ) -> None:
        self._view, self._behind, self._name_of, self._warning = view, behind, name_of, warning
        self._room_id, self._title = opened.room_id, sentences.room_title(opened.title)
        self._knocks: dict[bytes, Knocked] = {}
        self._words: dict[bytes, tuple[str, ...]] = {}
        self._shown = b""

    def __contains__(self, fp: bytes) -> bool:
        return fp in self._knocks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._knocks)

    def came(self, knock: Knocked) -> None:
        """Somebody knocks."""
        self._knocks[knock.fp] = knock
        self._behind.work_out_words(self._room_id, knock.fp)
        if self._shown == knock.fp:
            self.show(knock.fp)

    def lose(self, fp: bytes) -> None:
        """Who was at the door isn't any more.  An open sheet stays, so that nobody can shut it by coming and going."""
        knock = self._knocks.pop(fp, None)
        if knock is not None and self._shown == fp:
            self._view.show_knock(sentences.knocker_gone(self._state(knock), self._name_of(fp)))

    def end(self, fp: bytes) -> None:
        """This knock has its answer."""
        self._knocks.pop(fp, None)
        if self._shown == fp:
            self._shown = b""
            self._view.close_sheet(Sheet.KNOCK)

    def words(self, fp: bytes) -> tuple[str, ...]:
        """Return the words of oneself and somebody, as far as they are worked out."""
        return self._words.get(fp, ())

    def take_words(self, fp: bytes, words: tuple[str, ...]) -> None:
        """Take in the words of oneself and `fp`."""
        self._words[fp] = words
        if fp == self._shown:
            self.show(fp)

    def show(self, fp: bytes) -> None:
        """Show who is at the door, if they still are."""
        knock = self._knocks.get(fp)
        if knock is not None:
            self._shown = fp
            self._view.show_knock(self._state(knock))

    def show_again(self) -> None:
        """Show the sheet anew, if it is open for one who is at the door."""
        self.show(self._shown)

    def closed(self) -> None:
        """The sheet is no longer shown."""
        self._shown = b""

    def banners(self) -> list[Banner]:
        """Return a strip for each knock."""
        return [
            Banner(
                f"knock {fp.hex()}",
                Tone.ACCENT,
                knocking(self._name_of(fp)),
                f"Knocked at {wording.clock(knock.at_ms)} with the invite",
                ("See who it is", events.ShowKnock(fp)),
                fp=fp,
            )
            for fp, knock in self._knocks.items()
        ]

    def _state(self, knock: Knocked) -> KnockState:
        fp = knock.fp
        return sentences.knock_state(
            fp, self._name_of(fp), self._title, knock.at_ms, self._words.get(fp, ()), self._warning(fp)
        )
