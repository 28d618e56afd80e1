"""What was said in one room during this visit, who has it, and the rows that this makes.  Pure.

Rows are made only when they are shown, so that names and ticks in them are those of that moment.  Bounded: the newest
`MAX_KEPT` entries are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chatcore.events import (
    GoesOut,
    MessageArrived,
    MessageReceived,
    MessageSent,
    NotDelivered,
    Quote,
    ReadersLearned,
    TakenBack,
)
from gui import wording
from gui.shown import DayItem, LineItem, LogItem, MessageItem, Note, Quoted, Tick, Tone

MAX_KEPT = 2000  # what the log widget shows at most
GROUP_MS = 5 * 60_000  # messages of one person within this time share name and avatar

NOT_HERE = "a message that isn't here"
NameOf = Callable[[bytes], str]


@dataclass(slots=True)
class Message:
    """One message as this window knows it.  `readers` None: the sender's list isn't one that this client has seen."""

    mid: bytes
    sender: bytes
    text: str = field(repr=False)
    time_ms: int
    received_ms: int
    readers: tuple[bytes, ...] | None
    own: bool = False
    arrived: dict[bytes, int] = field(default_factory=dict)  # reader: when
    failed: set[bytes] = field(default_factory=set)
    spared: set[bytes] = field(default_factory=set)  # it was taken back before it went to them
    goes_s: float = 0.0  # in steady mode: how long after it was written its last part goes out
    theirs: tuple[bytes, ...] = ()  # readers who aren't on the list here
    ours: tuple[bytes, ...] = ()  # who is on the list here and isn't a reader
    answers: Quote | None = None
    away: tuple[bytes, ...] = ()  # readers who weren't here when it was written

    @property
    def missing(self) -> list[bytes]:
        """Readers who don't have it yet and still may get it."""
        settled = self.arrived.keys() | self.failed | self.spared
        return [fp for fp in self.readers or () if fp not in settled]

    @property
    def gone(self) -> list[bytes]:
        """Readers to whom it has gone, or may have: taking it back was too late for them."""
        return [fp for fp in self.readers or () if fp not in self.spared and fp not in self.failed]

    @property
    def tick(self) -> Tick | None:
        """How far one's own message has come; None for somebody else's."""
        if not self.own or not self.readers:
            return None
        if self.missing:
            return Tick.SOME if self.arrived else Tick.WAITING
        if self.spared and not self.failed:
            return Tick.TAKEN_BACK
        return Tick.FAILED if self.failed else Tick.ALL

    def state_for(self, fp: bytes) -> Tick:
        """Return how one's own message stands for one reader."""
        if fp in self.spared:
            return Tick.TAKEN_BACK
        return Tick.ALL if fp in self.arrived else Tick.FAILED if fp in self.failed else Tick.WAITING


@dataclass(frozen=True, slots=True)
class Line:
    """A line between the messages."""

    text: str
    tone: Tone
    at_ms: int


class History:
    """Messages and lines in the order in which they are shown."""

    def __init__(self) -> None:
        self._entries: deque[Message | Line] = deque()
        self._by_mid: dict[bytes, Message] = {}
        self._open: dict[bytes, Message] = {}  # own ones that somebody still waits for
        self._changed: set[bytes] = set()
        self._ended: set[bytes] = set()  # those that never get to somebody
        self._new = 0
        self.last_own: Message | None = None

    def sent(self, event: MessageSent, own_fp: bytes) -> None:
        """Take in one's own message."""
        message = Message(
            event.mid,
            own_fp,
            event.text,
            event.time_ms,
            event.time_ms,
            event.readers,
            own=True,
            answers=event.answers,
            away=event.away,
        )
        self._add(message)
        self.last_own = message
        if message.missing:
            self._open[event.mid] = message

    def goes_out(self, event: GoesOut) -> None:
        """Note how long one's own message takes in steady mode."""
        message = self._by_mid.get(event.mid)
        if message is not None:
            message.goes_s = event.in_s

    def received(self, event: MessageReceived) -> None:
        """Take in somebody's message."""
        self._add(
            Message(
                event.mid, event.sender, event.text, event.time_ms, event.received_ms, event.readers,
                answers=event.answers,
            )
        )  # fmt: skip

    def line(self, text: str, at_ms: int, tone: Tone = Tone.PLAIN) -> None:
        """Put a line between the messages."""
        self._add(Line(text, tone, at_ms))

    def arrived(self, event: MessageArrived) -> None:
        """Note who has some of one's own messages."""
        for mid in event.mids:
            message = self._by_mid.get(mid)
            if message is not None and message.own and event.by not in message.arrived:
                message.arrived[event.by] = event.at_ms
                message.failed.discard(event.by)
                self._touch(message)

    def not_delivered(self, event: NotDelivered) -> None:
        """Note who will never get some of one's own messages."""
        for mid in event.mids:
            message = self._by_mid.get(mid)
            if message is not None and message.own and event.to not in message.arrived:
                message.failed.add(event.to)
                self._touch(message)

    def take_back(self, event: TakenBack) -> Message | None:
        """Note from whom one's own message was taken back; returns it."""
        message = self._by_mid.get(event.mid)
        if message is not None:
            message.spared.update(event.spared)
            self._touch(message)
        return message

    def learn_readers(self, event: ReadersLearned) -> None:
        """Note whom somebody's messages were for, and how that differs from the list here."""
        for mid in event.mids:
            message = self._by_mid.get(mid)
            if message is not None:
                message.readers = event.readers
                message.theirs, message.ours = tuple(fp for fp, _ in event.theirs), tuple(fp for fp, _ in event.ours)

    def gone(self, fp: bytes) -> None:
        """Give up on a reader who left the room for good."""
        late = tuple(mid for mid, message in self._open.items() if fp in message.missing)
        self.not_delivered(NotDelivered(late, fp))

    def message(self, mid: bytes) -> Message | None:
        """Return a message that is still kept."""
        return self._by_mid.get(mid)

    def quoted(self, answers: Quote | None, name_of: NameOf) -> Quoted | None:
        """Return what a reply answers, as it is shown; the author it names counts only if the message isn't here."""
        if answers is None:
            return None
        message = self._by_mid.get(answers.mid)
        if message is None:
            return Quoted(answers.mid, answers.author, name_of(answers.author), NOT_HERE, here=False)
        return Quoted(message.mid, message.sender, name_of(message.sender), message.text)

    @property
    def newest(self) -> Message | None:
        """The message that was said last."""
        return next((entry for entry in reversed(self._entries) if isinstance(entry, Message)), None)

    def outstanding(self, here: Iterable[bytes]) -> tuple[int, int]:
        """Count one's own messages on their way to somebody who is here, and those that only wait for the absent."""
        present = set(here)
        going = sum(1 for message in self._open.values() if present.intersection(message.missing))
        return going, len(self._open) - going

    def __len__(self) -> int:
        return len(self._entries)

    def take_new(self, name_of: NameOf) -> list[LogItem]:
        """Return the rows that came since the last call."""
        entries = list(self._entries)
        first = max(0, len(entries) - self._new)
        self._new = 0
        return self._rows(entries, first, name_of)

    def take_ticks(self) -> dict[bytes, Tick]:
        """Return the ticks that changed since the last call."""
        return {m.mid: m.tick for m in self._take(self._changed) if m.tick is not None}

    def take_notes(self, name_of: NameOf) -> dict[bytes, Note | None]:
        """Return what became of messages of which there is more to say since the last call."""
        return {m.mid: _note(m, name_of) for m in self._take(self._ended)}

    def _take(self, mids: set[bytes]) -> list[Message]:
        messages = [self._by_mid[mid] for mid in mids if mid in self._by_mid]
        mids.clear()
        return messages

    def items(self, name_of: NameOf) -> list[LogItem]:
        """Return all rows, and take them as shown."""
        self._new = 0
        self._changed.clear()
        self._ended.clear()
        return self._rows(list(self._entries), 0, name_of)

    def _add(self, entry: Message | Line) -> None:
        if isinstance(entry, Message):
            self._by_mid[entry.mid] = entry
        self._entries.append(entry)
        self._new = min(self._new + 1, MAX_KEPT)
        while len(self._entries) > MAX_KEPT:
            old = self._entries.popleft()
            if isinstance(old, Message):
                del self._by_mid[old.mid]
                self._open.pop(old.mid, None)

    def _touch(self, message: Message) -> None:
        self._changed.add(message.mid)
        if message.failed or message.spared:
            self._ended.add(message.mid)
        if not message.missing:
            self._open.pop(message.mid, None)

    def _rows(self, entries: list[Message | Line], first: int, name_of: NameOf) -> list[LogItem]:
        rows: list[LogItem] = []
        before: Message | Line | None = entries[first - 1] if first else None
        for entry in entries[first:]:
            at = _at(entry)
            if before is not None and wording.local(_at(before)).date() != wording.local(at).date():
                rows.append(DayItem(wording.day(at)))
                before = None
            if isinstance(entry, Line):
                rows.append(LineItem(entry.text, entry.tone, wording.clock(at)))
            else:
                rows.append(_row(entry, before, name_of, self.quoted(entry.answers, name_of)))
            before = entry
        return rows


def _at(entry: Message | Line) -> int:
    return entry.received_ms if isinstance(entry, Message) else entry.at_ms


def _row(message: Message, before: Message | Line | None, name_of: NameOf, quote: Quoted | None) -> MessageItem:
    group = (
        isinstance(before, Message)
        and before.sender == message.sender
        and message.received_ms - before.received_ms < GROUP_MS
        and message.received_ms - message.time_ms <= wording.LATE_MS
    )
    return MessageItem(
        message.mid,
        message.sender,
        name_of(message.sender),
        message.text,
        wording.message_clock(message.time_ms, message.received_ms),
        message.own,
        message.tick,
        group,
        _note(message, name_of),
        quote,
    )


def _note(message: Message, name_of: NameOf) -> Note | None:
    names = (sorted(map(name_of, fps)) for fps in (message.spared, message.gone, message.failed))
    text = wording.became(*names)
    return Note(text, Tone.WARN if message.failed else Tone.PLAIN) if text else None
