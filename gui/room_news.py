"""What the core says of a room, and which part of it takes that up.  No toolkit."""

from __future__ import annotations

from typing import assert_never

from chatcore.events import (
    Alarm,
    ConnectionChanged,
    ConnectionReport,
    Damaged,
    Gap,
    GoesOut,
    Knocked,
    KnockEnded,
    LetIn,
    ListsAgree,
    ListsDiffer,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    MessageReceived,
    MessageSent,
    NotDelivered,
    Noticed,
    NotSaid,
    OtherVersion,
    PresenceChanged,
    ReadersLearned,
    RoomEvent,
    RoomMoved,
    RosterChanged,
    SealedBlocks,
    StatementsChanged,
    SteadyChanged,
    TakenBack,
    Waiting,
)
from gui import sentences
from gui.room_controller import RoomController
from gui.shown import Tone

SETTLE_MS = 10_000  # who is met so soon after connecting was here all along: no line about each


def take(room: RoomController, event: RoomEvent, now_ms: int) -> None:
    """Take in what the core says."""
    match event:
        case ConnectionChanged():
            room.connect(event)
        case RosterChanged():
            room.roster.members = event.members
            room.roster.learn({member.fp: member.nick for member in event.members})
            room.trust.roster(event.members)
        case MemberJoined():
            room.roster.learn({event.fp: event.nick})
            room.trust.came(event.fp, event.at_ms)
            if event.fp != room.opened.own_fp:
                room.knocks.end(event.fp)  # let in from elsewhere, while the sheet is open here
            room.roster.joined(event)
        case MemberLeft():
            room.roster.learn({event.fp: event.nick})
            room.trust.left(event.fp, event.at_ms)
            room.roster.left(event)
        case PresenceChanged():
            room.roster.learn({event.fp: event.nick})
            if room.connected:  # else what follows from one's own connection coming or going is said by that
                room.roster.came_or_went(event, settled=event.at_ms - room.connected_ms > SETTLE_MS)
        case Knocked():
            room.roster.learn({event.fp: event.nick})
            room.knocks.came(event)
        case KnockEnded():
            room.knocks.lose(event.fp)
        case Waiting():
            room.wait(event)
        case LetIn():
            room.let_in()
        case MessageSent():
            room.history.sent(event, room.opened.own_fp)
            room.writing.sent(event)
        case NotSaid():
            room.writing.refuse(event.text, sentences.came_meanwhile(map(room.name, event.others)))
        case GoesOut():
            room.history.goes_out(event)
        case SteadyChanged():
            room.steady.period_s = event.period_s
            if room.roster.members:  # else it was set at an earlier visit: no news
                room.history.line(sentences.rhythm_set(room.name(room.opened.owner_fp), event.period_s), now_ms)
        case RoomMoved():
            room.moved(event)
        case MessageReceived():
            room.receive(event)
        case ReadersLearned():
            room.history.learn_readers(event)
            room.lists.learn_readers(event)
            room.readers.renew(event.mids)
        case ListsDiffer():
            room.lists.differ(event)
        case ListsAgree():
            room.lists.agree(event.fp)
        case OtherVersion():
            room.roster.learn({event.sender: event.nick})
            author = "" if event.author == room.opened.own_fp else room.roster.name_or(event.author, "somebody")
            text = sentences.other_version(room.name(event.sender), author, event.away)
            room.history.line(text, now_ms, Tone.PLAIN if event.away else Tone.WARN)
        case MessageArrived():
            room.history.arrived(event)
            room.readers.renew(event.mids)
        case NotDelivered():
            room.history.not_delivered(event)
            if not event.earlier:
                text = sentences.not_delivered(room.name(event.to), len(event.mids), event.left)
                room.history.line(text, now_ms, Tone.WARN)
            room.readers.renew(event.mids)
        case TakenBack():
            message = room.history.take_back(event)
            if message is not None and not event.earlier:
                room.history.line(sentences.taken_back(message, event.spared, room.name), now_ms)
            room.readers.renew((event.mid,))
        case Gap():
            room.roster.learn({event.sender: event.nick})
            text = sentences.gap(room.name(event.sender), event.count, event.before_visit)
            room.history.line(text, now_ms, Tone.PLAIN if event.before_visit else Tone.WARN)
        case Damaged():
            room.history.line(sentences.damaged(event.lines), now_ms, Tone.BAD)
        case Alarm():
            room.roster.learn({event.fp: event.nick})
            room.alarms[f"alarm {event.kind.value}"] = sentences.alarm(event.kind, room.name(event.fp))
        case Noticed():
            if line := room.trial.notice(event):
                room.history.line(line, event.to_ms)
        case ConnectionReport():
            room.trial.take(event)
        case SealedBlocks():
            room.readers.take(event)
        case StatementsChanged():
            pass  # it is kept where the room is
        case _:
            assert_never(event)
