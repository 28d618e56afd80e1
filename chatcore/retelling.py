"""Tells the lines of earlier runs again, and what became of them, as if it happened now.  Pure."""

from __future__ import annotations

from collections.abc import Callable

from chatcore import events
from chatcore.answers import Answers
from chatcore.clock import Moment
from chatcore.delivery import Message
from chatcore.events import RoomEvent
from chatcore.kept import Kept
from chatcore.members import Members
from chatcore.text import parse_quote, parse_text


def retell(
    kept: Kept, own_fp: bytes, members: Members, answers: Answers, emit: Callable[[RoomEvent], None], now: Moment
) -> None:
    """Emit what is kept; `answers` learns which lines may be quoted, and what they quote."""
    answers.held_before(kept.older)
    for mid, line in kept.lines.items():
        answers.hold(mid, line.sender, line.at_ms)
    for mid, line in kept.lines.items():
        message = Message.parse(line.rest)
        text, quote = parse_text(message.app), parse_quote(message.app)
        if text is None:
            continue
        nick = members.nick(line.sender)
        if line.sender != own_fp:
            if quote is not None:
                answers.read(quote, mid, line.sender, nick, now)
            sent_ms = min(message.time_ms, line.at_ms)
            emit(events.MessageReceived(mid, line.sender, nick, text, sent_ms, line.at_ms, line.readers, quote))
            continue
        emit(events.MessageSent(mid, text, line.at_ms, line.readers or (), quote, line.away))
        _became(kept, mid, emit)
    if kept.lost_lines is not None:
        emit(events.Damaged(kept.lost_lines))


def _became(kept: Kept, mid: bytes, emit: Callable[[RoomEvent], None]) -> None:
    for fp, at_ms in kept.arrived.get(mid, {}).items():
        emit(events.MessageArrived((mid,), fp, at_ms))
    for fp in sorted(kept.undelivered.get(mid, ())):
        emit(events.NotDelivered((mid,), fp, earlier=True))
    if mid in kept.taken_back:
        emit(events.TakenBack(mid, tuple(sorted(kept.taken_back[mid])), earlier=True))
