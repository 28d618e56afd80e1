"""Numbers, cursors and windows: what is owed, what is given up, what is a duplicate."""

from __future__ import annotations

import pytest

from chatcore.clock import Moment
from chatcore.delivery import (
    MAX_LOGS,
    MAX_OUTBOX_BYTES,
    MAX_OUTBOX_MESSAGES,
    NO_LOG,
    RESEND_MAX_S,
    WINDOW_PARTS,
    Ack,
    Inbox,
    Message,
    Outbox,
    Owed,
    Ready,
    parse_ack,
    parse_message,
    parse_ready,
)
from chatcore.errors import WireError
from chatcore.kept import Standing

NOW = Moment(100.0, 1_000_000)


def at(seconds: float) -> Moment:
    return Moment(NOW.s + seconds, NOW.ms + round(seconds * 1000))


def outbox(count: int, size: int = 10) -> Outbox:
    box = Outbox()
    for number in range(1, count + 1):
        assert not add(box, number, bytes(size))
    return box


def add(box: Outbox, number: int, rest: bytes = b"", late_ms: int = 0) -> bool:
    return box.add(Owed(mid(number), NOW.ms + late_ms, rest))


def mid(number: int) -> bytes:
    return number.to_bytes(16)


def numbers(box: Outbox, now: Moment = NOW) -> list[int]:
    return [number for number, _ in box.take(now)]


def test_messages_are_handed_out_once_and_in_order() -> None:
    box = outbox(3)
    assert numbers(box) == [1, 2, 3]
    assert numbers(box) == []
    add(box, 4)
    assert numbers(box) == [4]
    assert (box.head, box.cursor, box.low, len(box)) == (4, 0, 1, 4)


def test_what_may_have_gone_out_is_known() -> None:
    box = outbox(3)
    assert box.reached == 0
    box.take(NOW)
    add(box, 4)
    assert box.reached == 3
    box.restart(1)
    assert box.reached == 3
    box.give_up_all()  # their cursor will pass what they are told is gone
    assert box.reached == 4
    again = Outbox()
    again.restore(Standing(2, 1, 2, reached=1), [Owed(mid(2), NOW.ms, b""), Owed(mid(3), NOW.ms, b"")])
    assert (again.head, again.reached) == (3, 1)
    for unlikely, bounded in ((0, 1), (99, 3)):
        again = Outbox()
        again.restore(Standing(2, 1, 2, reached=unlikely), [Owed(mid(2), NOW.ms, b""), Owed(mid(3), NOW.ms, b"")])
        assert again.reached == bounded
    again.renumber()
    assert (again.head, again.reached) == (2, 2)  # who knows what went out of the old log


def test_an_acknowledgement_takes_what_it_names() -> None:
    box = outbox(3)
    box.take(NOW)
    assert box.acknowledge(2) == [mid(1), mid(2)]
    assert box.acknowledge(2) == box.acknowledge(1) == []
    assert (box.cursor, box.low, len(box)) == (2, 3, 1)
    with pytest.raises(WireError):
        box.acknowledge(4)


def test_without_progress_all_is_said_again_later_and_later() -> None:
    box, now, gaps = outbox(3), NOW, []
    assert numbers(box) == [1, 2, 3]
    for _ in range(9):
        assert box.resend_s is not None
        gaps.append(box.resend_s - now.s)
        assert numbers(box, Moment(box.resend_s - 0.01, NOW.ms)) == []
        now = Moment(box.resend_s, NOW.ms)
        assert numbers(box, now) == [1, 2, 3]
    assert gaps == [5, 10, 20, 40, 80, 160, RESEND_MAX_S, RESEND_MAX_S, RESEND_MAX_S]
    box.acknowledge(1)
    assert numbers(box, now) == []
    assert box.resend_s == now.s + 5


def test_the_way_is_timed_by_what_went_out_once() -> None:
    box = outbox(1)
    box.take(NOW)
    assert box.answer_s(at(1)) is None  # not acknowledged yet
    box.acknowledge(1)
    assert box.answer_s(at(2)) == 2
    assert box.answer_s(at(3)) is None  # and told once
    add(box, 2)
    assert numbers(box, at(10)) == numbers(box, at(15)) == [2]
    box.acknowledge(2)
    assert box.answer_s(at(16)) is None  # which of the two was answered, nobody knows


def test_it_is_known_since_when_there_was_no_progress() -> None:
    box = outbox(2)
    for seconds, tries in ((0, 0), (5, 1), (15, 2)):
        assert numbers(box, at(seconds)) == [1, 2]
        assert (box.since_s, box.tries) == (NOW.s, tries)
    box.acknowledge(1)
    add(box, 3)
    assert numbers(box, at(20)) == [3]
    assert (box.since_s, box.tries) == (NOW.s + 20, 0)


def test_a_new_link_begins_with_no_impatience() -> None:
    box = outbox(1)
    assert numbers(box) == numbers(box, at(5)) == [1]
    box.restart(0)
    assert numbers(box, at(6)) == [1]
    assert (box.resend_s, box.tries) == (NOW.s + 11, 0)


def test_no_more_is_in_flight_than_the_window() -> None:
    box = outbox(20, size=162 * 50 - 8)  # 50 parts each
    assert len(numbers(box)) == WINDOW_PARTS // 50
    assert numbers(box) == []
    box.acknowledge(3)
    assert numbers(box) == [11, 12, 13]
    box.acknowledge(13)
    assert numbers(box) == [*range(14, 21)]


def test_one_message_that_is_larger_than_the_window_goes_alone() -> None:
    box = outbox(2, size=162 * (WINDOW_PARTS + 1))
    assert numbers(box) == [1]
    box.acknowledge(1)
    assert numbers(box) == [2]


def test_the_oldest_is_given_up_for_the_newest() -> None:
    box = outbox(MAX_OUTBOX_MESSAGES)
    assert add(box, MAX_OUTBOX_MESSAGES + 1)
    assert box.expire(0) == [mid(1)]
    assert (len(box), box.low) == (MAX_OUTBOX_MESSAGES, 2)
    big = Outbox()
    for number in range(MAX_OUTBOX_BYTES // 2**20):
        assert not add(big, number, bytes(2**20))
    assert add(big, 99, b"x")
    assert big.expire(0) == [mid(0)]


def test_what_is_too_old_is_given_up() -> None:
    box = outbox(2)
    add(box, 3, late_ms=5)
    assert box.expire(NOW.ms) == []
    assert box.expire(NOW.ms + 1) == [mid(1), mid(2)]
    assert numbers(box) == [3]


def test_after_everything_was_given_up_the_numbers_go_on() -> None:
    box = outbox(3)
    box.take(NOW)
    assert box.give_up_all() == [mid(1), mid(2), mid(3)]
    assert (box.low, box.head, len(box)) == (4, 3, 0)
    add(box, 4)
    assert numbers(box) == [4]
    assert box.acknowledge(4) == [mid(4)]


def test_a_new_link_begins_at_the_cursor_it_is_told() -> None:
    box = outbox(4)
    box.take(NOW)
    assert box.restart(2) == [mid(1), mid(2)]
    assert numbers(box) == [3, 4]
    assert box.restart(0) == []  # one who forgot: what he had is gone
    assert numbers(box) == [3, 4]
    assert box.restart(2**63) == [mid(3), mid(4)]  # a liar harms himself
    assert (box.cursor, len(box)) == (4, 0)


def test_given_up_in_flight_makes_room_in_the_window() -> None:
    box = outbox(2, size=162 * WINDOW_PARTS - 8)
    assert numbers(box) == [1]
    box.give_up_all()
    add(box, 3, bytes(162 * WINDOW_PARTS - 8))
    assert numbers(box) == [3]


def test_an_inbox_takes_the_next_and_nothing_else() -> None:
    box = Inbox()
    assert not box.take(b"unknown!", 1)
    assert box.open_log(b"the log!", 1) == (0, True)
    assert [box.take(b"the log!", n) for n in (2, 0, 1, 1, 3, 2, 3)] == [False, False, True, False, False, True, True]
    assert box.cursor(b"the log!") == 3
    assert box.open_log(b"the log!", 1) == (0, False)


def test_an_inbox_takes_nothing_from_a_log_that_nobody_opened() -> None:
    inbox = Inbox()
    assert [inbox.take(b"a stray.", number) for number in (0, 1)] == [False, False]


def test_an_inbox_says_how_much_is_gone() -> None:
    box = Inbox()
    assert box.open_log(b"the log!", 5) == (4, True)
    assert box.take(b"the log!", 5)
    assert box.open_log(b"the log!", 6) == (0, False)
    assert box.open_log(b"the log!", 9) == (3 - 1 + 1, False)
    assert box.open_log(b"the log!", 0) == (0, False)
    assert box.open_log(b"the log!", 2**64 - 1) == (2**64 - 2 - 8, False)
    assert box.take(b"the log!", 2**64 - 1)
    assert not box.take(b"the log!", 0)
    assert box.open_log(b"new log!", 3) == (2, False)  # their disk was put back, or they were killed


def test_an_inbox_remembers_a_few_logs() -> None:
    box = Inbox()
    for number in range(10):
        box.open_log(number.to_bytes(8), 3)
    assert len(box._cursors) == MAX_LOGS
    assert box.log == (9).to_bytes(8)
    assert box.cursor((9).to_bytes(8)) == 2
    assert box.cursor((0).to_bytes(8)) == 0


def test_what_is_written_is_read() -> None:
    ready = Ready(b"their lo", 1, 2, b"your log", 3, 4, b"s" * 32, 5)
    assert parse_ready(ready.to_bytes()) == ready
    assert ready.full
    assert not Ready(clock_ms=1).full
    assert Ready(clock_ms=1).to_bytes()[:80] == bytes(80)
    ack = Ack(NO_LOG, 1, 2, b"s" * 32)
    assert parse_ack(ack.to_bytes()) == ack
    message = Message(b"s" * 16, 7, b"w" * 32, b"app")
    assert parse_message((9).to_bytes(8) + message.to_bytes()) == (9, message)
    for parse, size in ((parse_ready, 88), (parse_ack, 56)):
        for wrong in (0, size - 1, size + 1):
            with pytest.raises(WireError):
                parse(bytes(wrong))
    with pytest.raises(WireError):
        parse_message(bytes(63))
    assert parse_message(bytes(64))[1].app == b""


def test_a_mid_depends_on_all_that_was_said_and_on_who_said_it() -> None:
    base = Message(b"s" * 16, 7, b"w" * 32, b"app")
    others = (
        base.mid(b"other room".ljust(32), b"sender"),
        base.mid(b"r" * 32, b"another"),
        Message(b"t" * 16, 7, b"w" * 32, b"app").mid(b"r" * 32, b"sender"),
        Message(b"s" * 16, 8, b"w" * 32, b"app").mid(b"r" * 32, b"sender"),
        Message(b"s" * 16, 7, b"v" * 32, b"app").mid(b"r" * 32, b"sender"),
        Message(b"s" * 16, 7, b"w" * 32, b"apq").mid(b"r" * 32, b"sender"),
    )
    assert len({base.mid(b"r" * 32, b"sender"), *others}) == 7
    assert len(others[0]) == 16


def test_what_is_given_up_before_it_was_sent_is_passed_over() -> None:
    box = outbox(2, size=162 * WINDOW_PARTS - 8)
    assert numbers(box) == [1]
    add(box, 3, late_ms=1)
    assert box.expire(NOW.ms + 1) == [mid(1), mid(2)]
    assert numbers(box) == [3]
    assert box.restart(0) == []
    assert numbers(box) == [3]


def test_nothing_in_flight_waits_for_nothing() -> None:
    box = outbox(1)
    box.take(NOW)
    assert box.resend_s is not None
    box.acknowledge(1)
    box.take(NOW)
    assert box.resend_s is None


def test_what_never_went_out_is_taken_back_and_the_numbers_close_up() -> None:
    box = outbox(2)
    box.take(NOW)
    for number in (3, 4, 5):
        add(box, number, bytes(number))
    assert box.take_back(mid(2)) is None  # it may have arrived
    assert box.take_back(mid(9)) is None
    assert [(number, owed.mid) for number, owed in box.take_back(mid(3)) or ()] == [(3, mid(4)), (4, mid(5))]
    assert (box.head, len(box), box.low, box._bytes) == (4, 4, 1, 10 + 10 + 4 + 5)
    assert box.take_back(mid(3)) is None
    assert box.take_back(mid(5)) == []
    assert [(number, owed.mid) for number, owed in box.take(NOW)] == [(3, mid(4))]
    assert box.take_back(mid(4)) is None
    assert box.acknowledge(3) == [mid(1), mid(2), mid(4)]
    assert (box.head, box.low, box._bytes) == (3, 4, 0)


def test_in_a_new_log_nothing_of_the_old_one_is_taken_back() -> None:
    box = outbox(2)
    box.renumber()
    add(box, 3)
    assert box.take_back(mid(2)) is None
    assert box.take_back(mid(3)) == []
