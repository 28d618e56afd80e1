"""What one writes in a room: the draft, what it answers, and why it isn't sent.  No toolkit.

While the room is shown the draft stands in the composer of its page; else here.
"""

from __future__ import annotations

from chatcore.errors import StateError, TextError
from chatcore.events import MessageSent
from gui.history import History, NameOf
from gui.pages import Behind, RoomView
from gui.shown import Quoted


class Writing:
    """The composer of one room, whether a page shows it or not."""

    def __init__(self, behind: Behind, room_id: bytes, history: History, name: NameOf) -> None:
        self._behind, self._room_id, self._history, self._name = behind, room_id, history, name
        self._page: RoomView | None = None
        self._answering = b""  # the message that is answered with what is said next
        self._refusal = ""
        self.draft = ""  # while no page has it

    def hand_over(self) -> str:
        """Return the draft: a page has it from now on."""
        draft, self.draft = self.draft, ""
        return draft

    def shown(self, page: RoomView, draft: str) -> None:
        """A page has the draft now; why it wasn't sent is said there."""
        self._page = page
        if self._refusal:
            page.composer_refused(draft, self._refusal)
            self._refusal = ""

    def hidden(self) -> None:
        """The page goes: keep what stands in its composer."""
        if self._page is not None:
            self.draft, self._page = self._page.draft(), None

    def say(self, text: str, listed: frozenset[bytes]) -> None:
        """Say something to those who are listed; what can't be said stays in the composer, with the reason."""
        try:
            self._behind.say(self._room_id, text, self._answering, listed)
        except (TextError, StateError) as refusal:
            self.refuse(text, str(refusal))

    def refuse(self, text: str, sentence: str) -> None:
        """Say why something isn't sent."""
        if self._page is not None:
            self._page.composer_refused(text, sentence)
        else:
            self._refusal = sentence

    def sent(self, event: MessageSent) -> None:
        """Clear what has been taken."""
        self.draft = self.draft.removeprefix(event.text)
        if self._page is not None:
            self._page.composer_taken(event.text)
        if event.answers is not None and event.answers.mid == self._answering:
            self.answer(b"")

    def answer(self, mid: bytes) -> None:
        """Answer a message with what is said next, or (none) nothing after all."""
        if not mid or self._history.message(mid) is not None:
            self._answering = mid
            if self._page is not None:
                self._page.set_answering(self.answered)

    @property
    def answered(self) -> Quoted | None:
        """What is answered with what is said next."""
        message = self._history.message(self._answering)
        if message is None:
            return None
        return Quoted(message.mid, message.sender, self._name(message.sender), message.text)
