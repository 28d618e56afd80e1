"""Carries messages between members: what is owed goes out, what comes is taken once and acknowledged.  Pure.

Works on talks that are open, which is for the room to say; knows nothing of seats, doors or statements.
docs/PROTOCOL.md, "Delivery".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from chatcore import events
from chatcore.answers import Answers
from chatcore.archive import BlockArchive
from chatcore.clock import Moment, SteadyClock
from chatcore.content import ContentKind
from chatcore.delivery import (
    LOG_SIZE,
    MAX_OUTBOX_AGE_MS,
    NO_LOG,
    NUMBER_SIZE,
    SALT_SIZE,
    Ack,
    Inbox,
    Message,
    Outbox,
    Owed,
    Ready,
    parse_message,
)
from chatcore.events import Oddity, RoomEvent
from chatcore.kept import Changes, Kept, Line, Standing
from chatcore.ledger import Ledger
from chatcore.lists import Lists
from chatcore.members import Members
from chatcore.report import Report
from chatcore.rhythm import seconds
from chatcore.talk import SLACK_BEATS, Send, Talk
from chatcore.text import parse_quote, parse_text

ACK_AT_ONCE = 64  # messages taken since the last ACK: their sender's window must not run dry
EXPIRE_S = 600.0
HELD_TRIES, HELD_HEARD_S = 2, 2.0  # said again so often, and they were heard so long after it went out first
MAX_TAKEN = 8192  # messages remembered, to show none twice that is said again in a new log


class Courier:
    """The boxes of one client in one room; `send` puts content on a link, `emit` tells the shell."""

    def __init__(
        self,
        room_id: bytes,
        fp: bytes,
        members: Members,
        random: Callable[[int], bytes],
        send: Send,
        emit: Callable[[RoomEvent], None],
        kept: Kept | None,
        now: Moment,
        report: Report,
    ) -> None:
        """`kept` is what was kept of an earlier run; None when nothing is to be kept of this one."""
        self.archive = BlockArchive()
        first = next(iter(kept.lines.values()), None) if kept is not None else None
        self.answers = Answers(first.at_ms if first is not None else now.ms, emit, self._is_here)
        self._expire_s = now.s  # when to look for what is too old, also for those who are away
        self._clock = SteadyClock(now)
        self._newest_ms = 0  # when the newest line was written or came, by a clock that may have been set back since
        self.stale = False  # our log was begun anew under links that know the old one: they must all be made again
        self.promised = False  # a cursor is on its way: whoever gets it won't send again what is below
        self._room_id, self._fp, self._members = room_id, fp, members
        self._random, self._send, self._emit, self._report = random, send, emit, report
        self._log = random(LOG_SIZE)
        self.period_s = 0  # of steady mode
        self._outboxes: dict[bytes, Outbox] = {}
        self._inboxes: dict[bytes, Inbox] = {}
        self._ledger = Ledger(self._log, keeps=kept is not None)
        self._taken: dict[bytes, None] = {}  # by mid, the newest last
        self._earlier = False  # our log is of an earlier run: the disk may have been put back since
        self.lists = Lists(room_id, fp, members, send, emit, self._keep_line)
        if kept is not None and (kept.log or kept.lost_lines is not None):
            self._restore(kept)
        self._sending: dict[bytes, Talk] = {}  # the newest open talk with each identity

    # -- what is kept between runs

    def _restore(self, kept: Kept) -> None:
        self._log, self._ledger, self._earlier = kept.log, Ledger(None, keeps=True), True
        self._taken = dict.fromkeys((*kept.older, *kept.lines))
        self.lists.restore(kept.lines.values())
        waiting = {mid for numbers in kept.owed.values() for mid in numbers.values()}
        owed: dict[bytes, Owed] = {}
        for mid, line in kept.lines.items():
            self._newest_ms = max(self._newest_ms, line.at_ms)
            if mid in waiting:
                owed[mid] = Owed(mid, self._newest_ms, line.rest)
        for fp in kept.standings.keys() | kept.owed.keys():
            mids, standing = kept.owed.get(fp, {}), kept.standings.get(fp, Standing())
            self._outbox(fp).restore(standing, [owed[mids[number]] for number in sorted(mids)])
            self._inbox(fp).restore(standing.logs)
        if kept.unsettled or kept.lost_lines is not None:  # which numbers are out isn't known: none is used again
            self._begin_log()
            self.stale = False  # there are no links yet

    def _keep_line(self, line: Line) -> None:
        self._ledger.line(line)  # whichever ledger there is by then

    def changes(self) -> Changes:
        """Return what has changed since the last call; always empty when nothing is kept."""
        return self._ledger.take(self._standing)

    def _standing(self, fp: bytes) -> Standing:
        outbox = self._outbox(fp)
        return Standing(outbox.head, outbox.cursor, outbox.low, self._inbox(fp).cursors, outbox.reached)

    def _begin_log(self) -> None:
        """Somebody has more of our log than we do: the disk was put back to an earlier state.  Number all anew."""
        self._log, self.stale, self._earlier = self._random(LOG_SIZE), True, False
        for outbox in self._outboxes.values():
            outbox.renumber()
        self._ledger.begin_log(self._log, ((fp, outbox.owed()) for fp, outbox in self._outboxes.items()))

    def part_from_copy(self) -> None:
        """Somebody speaks with our identity: with a copy of what is kept of us, perhaps, and of the log with it.

        It goes on with the same numbers, and of two messages under one number the second is taken for the first.
        """
        if self._earlier:
            self._begin_log()

    def _is_here(self, fp: bytes) -> bool:
        return fp == self._fp or fp in self._sending

    @property
    def sending(self) -> Mapping[bytes, Talk]:
        """The talk on which messages go to each member that is here."""
        return self._sending

    @property
    def owed(self) -> int:
        """How many copies of messages wait to be acknowledged."""
        return sum(map(len, self._outboxes.values()))

    def _outbox(self, fp: bytes) -> Outbox:
        if fp not in self._outboxes:
            self._outboxes[fp] = outbox = Outbox()
            outbox.slack_s = seconds(SLACK_BEATS * self.period_s)
        return self._outboxes[fp]

    def _inbox(self, fp: bytes) -> Inbox:
        if fp not in self._inboxes:
            self._inboxes[fp] = Inbox()
        return self._inboxes[fp]

    # -- links come and go

    def ready(self, fp: bytes, now: Moment) -> Ready:
        """Say where both logs stand, to a member."""
        self.promised = True
        outbox, inbox = self._outbox(fp), self._inbox(fp)
        return Ready(
            self._log,
            outbox.head,
            outbox.low,
            inbox.log,
            inbox.cursor(inbox.log),
            outbox.cursor,
            self._members.set_digest,
            now.ms,
        )

    def tell_ready(self, talk: Talk, now: Moment) -> None:
        """Say READY (again) now that both are members, or because something owed was given up."""
        talk.told_ready(now)
        self._send(talk, ContentKind.READY, self.ready(talk.fp, now).to_bytes(), now)

    def take_ready(self, talk: Talk, ready: Ready, now: Moment) -> bool:
        """Act upon a full READY of a member.

        Returns whether all is well; False when they were told of messages that never came to us.
        """
        talk.taken_ready = ready
        inbox = self._inbox(talk.fp)
        if self._earlier and ready.your_log == self._log and ready.cursor > self._outbox(talk.fp).reached:
            self._begin_log()
            return True
        # Who knows another log may know ours from before, better than we do if our disk was put back twice.
        talk.told_cursor |= not self._earlier or ready.your_log in (self._log, NO_LOG)
        well = not ready.echo > inbox.cursor(ready.my_log) > 0
        gone, fresh = inbox.open_log(ready.my_log, ready.low)
        self._ledger.touch(talk.fp)
        if gone:
            self._emit(events.Gap(talk.fp, talk.nick(self._members), gone, fresh))
        if not talk.open:
            talk.begin(ready, ready.cursor if ready.your_log == self._log else 0)
            self._look_whole(talk, now)
            self._send_ack(talk, now)
        return well

    def choose(self, fp: bytes, talks: Iterable[Talk], now: Moment) -> None:
        """Send to somebody on the newest of the open talks from now on."""
        newest = max(
            (talk for talk in talks if talk.fp == fp and talk.flows), key=lambda talk: talk.link.up_s, default=None
        )
        if newest is None:
            self._sending.pop(fp, None)
            self._report.gone(fp)
        elif self._sending.get(fp) is not newest:
            self._sending[fp] = newest
            self.answers.here(fp, now)
            self._ledger.touch(fp)
            if arrived := self._outbox(fp).restart(newest.acked):
                self._report.whole(fp, Oddity.HELD, now)
                self._arrived(fp, arrived, now)
            self._give_up(fp, self._outbox(fp).expire(self._too_old_ms(now)), now)
            self._pump(fp, now)

    def disconnect(self) -> None:
        """Every link is gone."""
        for fp in self._sending:
            self._report.gone(fp)
        self._sending.clear()
        self.stale = False

    def part(self, fp: bytes, now: Moment) -> None:
        """Somebody has left: nothing is owed to them any more.  The numbers go on if they come back."""
        self._sending.pop(fp, None)
        self._give_up(fp, self._outbox(fp).give_up_all(), now, left=True)

    # -- messages go out

    def post(self, text: str, app: bytes, now: Moment) -> bytes:
        """Owe a message to every member, and send it to those who are here; returns its mid (16 bytes)."""
        who, readers = self.lists.view()
        message = Message(self._random(SALT_SIZE), now.ms, who, app)
        self._newest_ms = max(self._newest_ms, now.ms)
        owed = Owed(message.mid(self._room_id, self._fp), self._newest_ms, message.to_bytes())
        self.archive.open(owed.mid, owed.parts * len(readers))
        self.answers.hold(owed.mid, self._fp, now.ms)
        away = tuple(fp for fp in readers if fp not in self._sending)
        self._emit(events.MessageSent(owed.mid, text, now.ms, readers, parse_quote(app), away))
        self._keep_line(Line(owed.mid, self._fp, owed.rest, now.ms, readers, away))
        for fp in readers:
            outbox = self._outbox(fp)
            too_much = outbox.add(owed)
            self._ledger.owe(fp, outbox.head, owed.mid)
            if self._put_on_link(fp, now):
                self._note_gone(fp, outbox)
            if too_much:
                self._give_up(fp, outbox.expire(self._too_old_ms(now)), now)
        self._tell_wait(owed.mid, readers)
        return owed.mid

    def keep_time(self, period_s: int) -> None:
        """Be as patient as that rhythm wants."""
        self.period_s = period_s
        for outbox in self._outboxes.values():
            outbox.slack_s = seconds(SLACK_BEATS * period_s)

    def _tell_wait(self, mid: bytes, readers: Iterable[bytes]) -> None:
        waits = [
            backlog.parts + self._outbox(fp).unsent_parts
            for fp in readers
            if fp in self._sending and (backlog := self._sending[fp].link.backlog) is not None
        ]
        if waits and self.period_s:
            self._emit(events.GoesOut(mid, seconds(max(waits) * self.period_s)))

    def feed(self, now: Moment) -> None:
        """In steady mode: have the next message wait on each link on which none does."""
        for fp, talk in list(self._sending.items()):
            if talk.link.backlog is not None:
                self._pump(fp, now)

    def _note_gone(self, fp: bytes, outbox: Outbox) -> None:
        """Keep that a new message goes out."""
        if outbox.reached == outbox.head:
            self._ledger.goes_at_once(fp, outbox.head)
        else:
            self._ledger.goes(fp)

    def take_back(self, mid: bytes) -> None:
        """Owe a message no more to those for whom it was never put on a link; tells who they are."""
        spared = []
        for fp, outbox in self._outboxes.items():
            behind = outbox.take_back(mid)
            if behind is None:
                continue
            spared.append(fp)
            self._ledger.take_back(fp, mid, behind)
        self._emit(events.TakenBack(mid, tuple(sorted(spared))))

    def _pump(self, fp: bytes, now: Moment) -> None:
        if self._put_on_link(fp, now):
            self._ledger.goes(fp)

    def _put_on_link(self, fp: bytes, now: Moment) -> bool:
        """Send what may go out now; says whether any of it goes for the first time.  That is kept before it goes."""
        talk, outbox = self._sending.get(fp), self._outbox(fp)
        reached = outbox.reached
        backlog = talk.link.backlog if talk is not None else None
        if backlog is not None and backlog.message:
            return False
        # Stale links know another log, in which our numbers mean others.
        if talk is not None and talk.told_cursor and not self.stale:
            for number, owed in outbox.take(now) if backlog is None else outbox.take(now, most=1):
                blocks = self._send(talk, ContentKind.MSG, number.to_bytes(NUMBER_SIZE) + owed.rest, now)
                self.archive.put(owed.mid, fp, blocks)
        return outbox.reached > reached

    def resend(self, now: Moment) -> None:
        """Send again, from the cursor on, to those who have made no progress for too long; give up what is too old."""
        too_old_ms = self._too_old_ms(now)
        if now.s >= self._expire_s:
            self._expire_s = now.s + EXPIRE_S
            for fp, outbox in self._outboxes.items():
                self._give_up(fp, outbox.expire(too_old_ms), now)
        for fp, talk in list(self._sending.items()):
            outbox = self._outbox(fp)
            if outbox.resend_s is None or now.s < outbox.resend_s:
                continue
            if talk.link.behind:  # what was said hasn't even gone out: saying it again makes it worse
                outbox.wait(now)
            else:
                self._give_up(fp, outbox.expire(too_old_ms), now)
                self._report.resent(fp, outbox.in_doubt)
                self._pump(fp, now)
                # They are heard, and it isn't heard by them, though it has gone out three times.
                if outbox.tries == HELD_TRIES and talk.link.heard_s > outbox.since_s + HELD_HEARD_S:
                    self._report.odd(Oddity.HELD, fp, outbox.in_doubt, now)

    def _too_old_ms(self, now: Moment) -> int:
        """Return since when what waits now has waited too long; never, while the clock may be wrong."""
        return now.ms - MAX_OUTBOX_AGE_MS if self._clock.is_steady(now) else 0

    def next_tick(self) -> float | None:
        """Return when `resend`, the lists or the answers have something to do, in monotonic seconds; None if never."""
        times = [self.lists.next_tick(), self.answers.next_tick()]
        times += [self._outbox(fp).resend_s for fp in self._sending]
        times += [self._expire_s] if any(map(len, self._outboxes.values())) else []
        return min((time for time in times if time is not None), default=None)

    def _arrived(self, fp: bytes, mids: list[bytes], now: Moment) -> None:
        if mids:
            self._emit(events.MessageArrived(tuple(mids), fp, now.ms))
            self._ledger.arrived(fp, mids, now.ms)

    def _give_up(self, fp: bytes, mids: list[bytes], now: Moment, *, left: bool = False) -> None:
        if mids:
            self._emit(events.NotDelivered(tuple(mids), fp, left=left))
            self._ledger.gave_up(fp, mids)
            if fp in self._sending:
                self.tell_ready(self._sending[fp], now)

    # -- messages come, and are acknowledged

    def on_message(self, talk: Talk, data: bytes, blocks: tuple[bytes, ...], now: Moment) -> None:
        """Take the content of a MSG, if it is the next.  Raises WireError."""
        number, message = parse_message(data)
        talk.ack_soon(now)
        if not self._inbox(talk.fp).take(talk.log, number):
            return
        mid = message.mid(self._room_id, talk.fp)
        self._ledger.touch(talk.fp)
        if mid not in self._taken:  # else they have begun a new log, and say again what they can't know that we have
            self.archive.open(mid, len(blocks))
            self.archive.put(mid, self._fp, blocks)
            self._take(talk, mid, message, now)
        self._look_whole(talk, now)
        talk.untold += 1
        if talk.untold >= ACK_AT_ONCE:
            self._send_ack(talk, now)

    def _take(self, talk: Talk, mid: bytes, message: Message, now: Moment) -> None:
        self._taken[mid] = None
        while len(self._taken) > MAX_TAKEN:
            del self._taken[next(iter(self._taken))]
        text, readers = parse_text(message.app), self.lists.readers(message.who)
        line = Line(mid, talk.fp, message.to_bytes(), now.ms, readers)
        self._newest_ms = max(self._newest_ms, now.ms)
        self._keep_line(line)
        self.answers.hold(mid, talk.fp, now.ms)
        if text is None:  # of a kind that later versions know
            return
        sent_ms = min(message.time_ms, now.ms)  # whatever they claim, it wasn't written later than now
        nick = talk.nick(self._members)
        quote = parse_quote(message.app)
        self._emit(events.MessageReceived(mid, talk.fp, nick, text, sent_ms, now.ms, readers, quote))
        if readers is None:
            self.lists.miss(talk.fp, message.who, line, now)
        if quote is not None:
            self.answers.read(quote, mid, talk.fp, nick, now)

    def on_ack(self, talk: Talk, ack: Ack, now: Moment) -> bool:
        """Take an ACK; False when it claims what can't be, so that its link must end."""
        talk.confirmed()
        if ack.log == self._log:  # a cursor in a log that isn't ours says nothing
            outbox = self._outbox(talk.fp)
            if self._earlier and not talk.told_cursor and ack.cursor > outbox.reached:
                self._begin_log()
                return True
            if not talk.acked <= ack.cursor <= outbox.head:
                return False
            talk.told_cursor = True
            talk.acked = ack.cursor
            self._ledger.touch(talk.fp)
            talk.head = ack.head
            self._look_whole(talk, now)
            if self._sending.get(talk.fp) is talk:  # what an older session has says nothing of what the newest has
                self._progress(talk.fp, outbox, ack.cursor, now)
                if ack.cursor + 1 < outbox.low:  # another session took what never came to this one: it must learn that
                    self.tell_ready(talk, now)
                self._pump(talk.fp, now)
        return True

    def _progress(self, fp: bytes, outbox: Outbox, cursor: int, now: Moment) -> None:
        tries = outbox.tries
        mids = outbox.acknowledge(cursor)
        if mids and tries:
            self._report.mended(fp, len(mids))
        if mids:
            self._report.whole(fp, Oddity.HELD, now)
        if (answer_s := outbox.answer_s(now)) is not None:
            self._report.answered(fp, answer_s)
        self._arrived(fp, mids, now)

    def _look_whole(self, talk: Talk, now: Moment) -> None:
        """Note whether all has come that they have said there is."""
        if self._inbox(talk.fp).cursor(talk.log) >= talk.head:
            self._report.whole(talk.fp, Oddity.MISSING, now)

    def send_due(self, talk: Talk, now: Moment) -> None:
        """Say the READY or the ACK that is due on a talk."""
        if talk.ready_is_due(now):
            self.tell_ready(talk, now)
        if talk.open and now.s >= talk.ack_s:
            self._send_ack(talk, now)

    def _send_ack(self, talk: Talk, now: Moment) -> None:
        self.promised = True
        cursor = self._inbox(talk.fp).cursor(talk.log)
        ack = Ack(talk.log, cursor, self._outbox(talk.fp).head, self._members.set_digest)
        talk.ack_sent(now)
        self._send(talk, ContentKind.ACK, ack.to_bytes(), now)
