"""Whose list of people isn't ours, as the window says it: in a line each time it becomes so.  No toolkit."""

from __future__ import annotations

from collections.abc import Callable

from chatcore.events import ListsDiffer, People, ReadersLearned
from gui import sentences
from gui.history import History
from gui.roster import Roster
from gui.shown import Tone


class Lists:
    """The differences that are known, and the lines about them."""

    def __init__(self, history: History, roster: Roster, now_ms: Callable[[], int]) -> None:
        self._history, self._roster, self._now_ms = history, roster, now_ms
        self._strangers: set[bytes] = set()  # their last message was for other people than ours
        self._differing: set[bytes] = set()  # they go on having another list of people

    def __bool__(self) -> bool:
        """Whether anybody's list isn't ours."""
        return bool(self._strangers | self._differing)

    def differ(self, event: ListsDiffer) -> None:
        """Somebody goes on having another list."""
        self._differing.add(event.fp)
        self._say(sentences.lists_differ, event.fp, event.theirs, event.ours)

    def agree(self, fp: bytes) -> None:
        """Somebody has our list again."""
        self._differing.discard(fp)
        self._history.line(sentences.lists_agree(self._roster.name(fp)), self._now_ms())

    def wrote_to_ours(self, sender: bytes) -> None:
        """Somebody's message was for the same people as ours."""
        self._strangers.discard(sender)

    def learn_readers(self, event: ReadersLearned) -> None:
        """It is known now for whom somebody's messages were."""
        if event.readers is not None and not event.theirs and not event.ours:
            self._strangers.discard(event.sender)
        elif event.sender not in self._strangers:
            self._strangers.add(event.sender)
            self._say(sentences.other_list, event.sender, event.theirs, event.ours)

    def _say(self, say: Callable[..., str], fp: bytes, theirs: People, ours: People) -> None:
        self._roster.learn_unknown(theirs)
        names = (sorted(self._roster.name(one) for one, _ in people) for people in (theirs, ours))
        self._history.line(say(self._roster.name(fp), *names), self._now_ms(), Tone.WARN)
