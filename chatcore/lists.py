"""Whose list of people a message was for, and in whom another's list differs from ours.  Pure.

A message names its readers by a digest.  When it is that of no list seen here, its sender is asked for the list, after
a moment, for what is on its way explains most differences.  And when somebody goes on holding other statements than we
do, they are asked for their list of now.  docs/PROTOCOL.md, "Content".
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from chatcore import events
from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.delivery import DIGEST_SIZE, Message
from chatcore.errors import WireError
from chatcore.events import RoomEvent
from chatcore.gossip import MOST_WAITING
from chatcore.kept import Line
from chatcore.members import MAX_MEMBERS, Members, StatementType, pack_nick, parse_nick, who_digest
from chatcore.talk import Send, Talk

MAX_VIEWS = 64  # member lists remembered, to tell by its digest whom a message was sealed for
MAX_QUESTIONS = 16  # about the lists of messages, open at once; besides, one for each member about that of now
MAX_LINES = 8  # messages that wait for the answer to one of them
PATIENCE_S = 3.0  # until a list is asked for
AGAIN_S = 15.0  # until it is asked for once more
MAX_ASKS = 3
DIFFERS_S = 45.0  # statements that differ for so long are asked about; WANTs mend most in a second
DIFFERS_AGAIN_S = 300.0

NOW = bytes(DIGEST_SIZE)  # in place of a digest: the list of this moment
_ASK, _TELL = 0, 1
_HEAD = struct.Struct(f">B{DIGEST_SIZE}s")
_PERSON = struct.Struct(">32s65s")

People = dict[bytes, str]  # nick by fp


def ask_list(who: bytes) -> bytes:
    """Return the content of a LIST that asks for the list with this digest, or `NOW`."""
    return _HEAD.pack(_ASK, who)


def tell_list(who: bytes, people: People) -> bytes:
    """Return the content of a LIST that answers: nobody when the list isn't known (any more)."""
    entries = (_PERSON.pack(fp, pack_nick(nick)) for fp, nick in sorted(people.items()))
    return _HEAD.pack(_TELL, who) + b"".join(entries)


def parse_list(data: bytes) -> tuple[bytes, People | None]:
    """Read a LIST: the digest it is about, and the people, or None when it asks.  Raises WireError."""
    if len(data) < _HEAD.size:
        raise WireError("not a LIST")
    what, who = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if what not in (_ASK, _TELL) or (what == _ASK and rest):
        raise WireError("not a LIST")
    if len(rest) % _PERSON.size or len(rest) > MAX_MEMBERS * _PERSON.size:
        raise WireError("not a LIST")
    if what == _ASK:
        return who, None
    entries = [(fp, parse_nick(nick)) for fp, nick in _PERSON.iter_unpack(rest)]
    fps = [fp for fp, _ in entries]
    if any(one >= other for one, other in pairwise(fps)):
        raise WireError("a LIST that isn't sorted")
    return who, dict(entries)


@dataclass(slots=True)
class _Question:
    """What is asked of somebody, and the messages that wait for the answer."""

    ask_s: float
    asks: int = 0
    lines: list[Line] = field(default_factory=list)


class Lists:
    """The lists that were seen, and the questions that are open.  `learned` is called with lines to be kept anew."""

    def __init__(
        self,
        room_id: bytes,
        fp: bytes,
        members: Members,
        send: Send,
        emit: Callable[[RoomEvent], None],
        learned: Callable[[Line], None],
    ) -> None:
        self._room_id, self._fp, self._members = room_id, fp, members
        self._send, self._emit, self._learned = send, emit, learned
        self._views: dict[bytes, tuple[bytes, ...]] = {}
        self._viewed: frozenset[bytes] | None = None  # the members that the newest view is of
        self._view: tuple[bytes, tuple[bytes, ...]] = (b"", ())
        self._questions: dict[tuple[bytes, bytes], _Question] = {}  # by fp and digest
        self._differing: dict[bytes, tuple[object, ...]] = {}  # by fp: the difference that was told

    # -- lists by their digests

    def restore(self, lines: Iterable[Line]) -> None:
        """Remember the lists that were seen in an earlier run."""
        for readers in dict.fromkeys((line.sender, line.readers) for line in lines if line.readers):
            self._remember(tuple(sorted({readers[0], *readers[1]})))

    def _remember(self, everyone: tuple[bytes, ...]) -> bytes:
        who = who_digest(self._room_id, everyone)
        self._views.pop(who, None)  # the newest last, also when it was one before
        self._views[who] = everyone
        while len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        return who

    def view(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Remember who belongs now, so that a message sealed for just these can be told by its digest.

        Returns the digest, and who reads what is sealed now: everyone but oneself.
        """
        fps = self._members.fps()
        if fps is not self._viewed:  # another set is another object
            everyone = tuple(sorted(fps | {self._fp}))
            who = self._remember(everyone)
            self._viewed, self._view = fps, (who, tuple(fp for fp in everyone if fp != self._fp))
        return self._view

    def readers(self, who: bytes) -> tuple[bytes, ...] | None:
        """Return whom a message was sealed for, with its sender, if that list was seen."""
        return self._views.get(who)

    # -- questions

    def miss(self, fp: bytes, who: bytes, line: Line, now: Moment) -> None:
        """A message of `fp` was for a list that was never seen."""
        if who == NOW:  # no list has this digest
            self._emit(events.ReadersLearned((line.mid,), fp, None))
            return
        question = self._ask_soon(fp, who, now.s + PATIENCE_S)
        if len(question.lines) < MAX_LINES:
            question.lines.append(line)

    def _ask_soon(self, fp: bytes, who: bytes, ask_s: float) -> _Question:
        key = (fp, who)
        if key not in self._questions:
            self._make_room(who)
            self._questions[key] = _Question(ask_s)
        return self._questions[key]

    def _make_room(self, who: bytes) -> None:
        """See to it that there is a place for one more question, about the list of now or about that of a message.

        Of many that differ for a moment, as when we come back with news, nobody is said not to answer.  Of those about
        messages one makes way of whom there are most: with a flood of them one pushes out one's own.
        """
        alike = [key for key in self._questions if (key[1] == NOW) == (who == NOW)]
        if who == NOW and len(alike) >= MAX_MEMBERS:
            del self._questions[alike[0]]
        elif who != NOW and len(alike) >= MAX_QUESTIONS:
            ((most, _),) = Counter(fp for fp, _ in alike).most_common(1)
            oldest = next(about for fp, about in alike if fp == most)
            known = self._views.get(oldest)
            if known is not None:  # we have come to the same list meanwhile
                self._tell(most, oldest, known, {})
            else:
                self._silent(most, oldest)

    def compare(self, talk: Talk, now: Moment) -> None:
        """Somebody said which statements they hold: are we of one mind?"""
        if talk.others_set != self._members.set_digest:
            if (talk.fp, NOW) not in self._questions:
                again_s = talk.slack_s + (DIFFERS_AGAIN_S if talk.fp in self._differing else DIFFERS_S)
                self._ask_soon(talk.fp, NOW, now.s + again_s)
            return
        self._questions.pop((talk.fp, NOW), None)
        self._agree(talk.fp)

    def _agree(self, fp: bytes) -> None:
        if self._differing.pop(fp, None) is not None:
            self._emit(events.ListsAgree(fp))

    def next_tick(self) -> float | None:
        """Return when `tick` has something to do, in monotonic seconds; None if never."""
        return min((question.ask_s for question in self._questions.values()), default=None)

    def tick(self, sending: Mapping[bytes, Talk], now: Moment) -> None:
        """Ask what is still unknown; give up on those who don't answer."""
        for (fp, who), question in [item for item in self._questions.items() if now.s >= item[1].ask_s]:
            talk, known = sending.get(fp), self._views.get(who)
            question.ask_s = now.s + AGAIN_S
            if known is not None:  # we have come to the same list meanwhile
                self._tell(fp, who, known, {})
            elif question.asks >= MAX_ASKS:
                self._silent(fp, who)
            elif talk is not None:
                question.asks += 1
                self._send(talk, ContentKind.LIST, ask_list(who), now)
            elif who == NOW:
                del self._questions[fp, who]  # they will say what they hold when they come back

    def _silent(self, fp: bytes, who: bytes) -> None:
        """Somebody doesn't say whom their list has."""
        question = self._questions.pop((fp, who))
        if who == NOW:
            self._differ(fp, {}, {})
        else:
            self._emit(events.ReadersLearned(tuple(line.mid for line in question.lines), fp, None))

    # -- answers

    def on_list(self, talk: Talk, data: bytes, now: Moment) -> bool:
        """Answer who asks, take an answer; False when there is no place for it.  Raises WireError."""
        who, people = parse_list(data)
        if people is None:
            if talk.link.backlog is not None and talk.link.backlog.others > MOST_WAITING:
                return False  # in steady mode: earlier answers haven't even gone out
            if not talk.lists.take(now):
                return False
            fps = self._members.fps() if who == NOW else self._views.get(who, ())
            self._send(talk, ContentKind.LIST, tell_list(who, {fp: self._members.nick(fp) for fp in fps}), now)
            return True
        question = self._questions.get((talk.fp, who))
        if question is None or not question.asks:
            return False
        if not people:  # it was long ago, or they are somebody who doesn't say
            self._silent(talk.fp, who)
        elif who == NOW:
            del self._questions[talk.fp, who]
            theirs, ours = self._difference(people)
            if theirs or ours:
                self._differ(talk.fp, theirs, ours)
            else:  # they hold other statements about the same people
                self._agree(talk.fp)
        elif who_digest(self._room_id, people) == who and talk.fp in people:
            self._tell(talk.fp, who, tuple(people), people)
        else:
            raise WireError("a LIST of others")
        return True

    def _difference(self, people: People) -> tuple[People, People]:
        """Return who is on another's list alone, and who is on ours alone."""
        ours = self._members.fps()
        theirs_alone = {fp: self._members.nick(fp) or nick for fp, nick in people.items() if fp not in ours}
        return theirs_alone, {fp: self._members.nick(fp) for fp in ours if fp not in people}

    def _tell(self, fp: bytes, who: bytes, readers: tuple[bytes, ...], people: People) -> None:
        """The list of some messages is known now."""
        question = self._questions.pop((fp, who))
        for line in question.lines:
            self._learned(replace(line, readers=readers))
        mids = tuple(line.mid for line in question.lines)
        theirs, ours = self._difference(people) if people else ({}, {})
        oldest_ms = min((Message.parse(line.rest).time_ms for line in question.lines), default=0)
        theirs = {one: nick for one, nick in theirs.items() if not self._left_since(one, oldest_ms)}
        ours = {one: nick for one, nick in ours.items() if self._members.member_since_ms(one) <= oldest_ms}
        self._emit(events.ReadersLearned(mids, fp, readers, tuple(theirs.items()), tuple(ours.items())))

    def _left_since(self, fp: bytes, time_ms: int) -> bool:
        leave = self._members.find(StatementType.LEAVE, fp)
        return leave is not None and leave.time_ms >= time_ms

    def _differ(self, fp: bytes, theirs: People, ours: People) -> None:
        told = (tuple(theirs.items()), tuple(ours.items()))
        if self._differing.get(fp) != told:  # else it is the same news
            self._differing[fp] = told
            self._emit(events.ListsDiffer(fp, *told))
