"""Pins: who is known, and when a known name with another key is worth a warning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore import pins
from chatcore.pins import MAX_PEOPLE, MAX_ROOMS, TOGETHER_MS, Compared, Page, People

ALICE, BOB, MALLORY, ME = (bytes([number]) * 32 for number in (1, 2, 3, 9))
ROOM, OTHER = b"r" * 32, b"o" * 32
DAY = 86_400_000


def known(*people: tuple[bytes, str], at_ms: int = DAY) -> People:
    book = People()
    book.meet(dict(people), ROOM, at_ms)
    return book


def ticked(at_ms: int = 2 * DAY, page: Page = Page.PAIR) -> Compared:
    return Compared(at_ms, page, ROOM, ME)


def names(book: People, fp: bytes) -> list[bytes]:
    return [pin.fp for pin in book.namesakes(fp)]


def again(book: People) -> People:
    """The book as it comes back from a disk."""
    return People(json.loads(json.dumps(book.records())))


def test_meeting_notes_first_and_last_and_where() -> None:
    book = known((ALICE, "Alice"))
    assert not book.meet({ALICE: "Alice"}, ROOM, 2 * DAY)
    assert book.meet({ALICE: "Alice"}, OTHER, 3 * DAY)
    pin = book.find(ALICE)
    assert pin is not None
    assert (pin.nick, pin.first_ms, pin.last_ms, pin.rooms) == ("Alice", DAY, 3 * DAY, (ROOM, OTHER))
    assert book.find(BOB) is None


def test_a_clock_put_back_doesnt_make_the_last_time_earlier() -> None:
    book = known((ALICE, "Alice"), at_ms=5 * DAY)
    book.meet({ALICE: "Alice"}, ROOM, DAY)
    pin = book.find(ALICE)
    assert pin is not None
    assert (pin.first_ms, pin.last_ms) == (5 * DAY, 5 * DAY)


@pytest.mark.parametrize(
    "name", ["Alice", "alice ", "ALICE", "Аliсе", "Alic\u0435", "AIice", "A1ice", "Álice", "Ali\u200bce"]
)
def test_a_known_name_with_another_key_is_told_however_it_is_spelt(name: str) -> None:
    book = known((ALICE, "Alice"), (BOB, "Bob"))
    book.meet({MALLORY: name}, ROOM, 2 * DAY)
    assert names(book, MALLORY) == [ALICE]
    assert names(book, ALICE) == names(book, BOB) == []


def test_it_is_told_until_it_is_settled_and_never_again_also_after_a_restart() -> None:
    book = known((ALICE, "Alice"))
    book.meet({MALLORY: "Alice"}, ROOM, 2 * DAY)
    book = again(book)
    book.meet({MALLORY: "alice"}, OTHER, 3 * DAY)
    assert names(book, MALLORY) == [ALICE]
    book.settle(MALLORY)
    assert names(again(book), MALLORY) == []
    book.meet({b"4" * 32: "Alice"}, ROOM, 4 * DAY)
    assert names(book, b"4" * 32) == [ALICE, MALLORY]  # a third key is a new matter


def test_comparing_settles_it_too() -> None:
    book = known((ALICE, "Alice"))
    book.meet({MALLORY: "Alice"}, ROOM, 2 * DAY)
    book.tick([MALLORY], ticked())
    assert names(book, MALLORY) == []
    book.untick([MALLORY])
    assert names(book, MALLORY) == [ALICE]


def test_somebody_known_who_takes_another_known_name_is_told_also_when_settled_under_an_earlier_one() -> None:
    book = known((ALICE, "Alice"), (BOB, "Bob"))
    book.meet({MALLORY: "Bob"}, ROOM, 2 * DAY)
    book.settle(MALLORY)
    book.meet({MALLORY: "Alice"}, ROOM, 3 * DAY)
    assert names(book, MALLORY) == [ALICE]


def test_two_of_one_name_met_together_are_no_news_unless_one_is_compared() -> None:
    book = known((ALICE, "Tom"), (BOB, "Tom"))
    book.meet({MALLORY: "Tom"}, ROOM, DAY + TOGETHER_MS)
    assert names(book, ALICE) == names(book, BOB) == names(book, MALLORY) == []
    book.tick([BOB], ticked())
    assert names(book, ALICE) == names(book, MALLORY) == [BOB]


def test_the_compared_one_is_named_first() -> None:
    book = known((ALICE, "Tom"))
    book.meet({BOB: "Tom"}, ROOM, 2 * DAY)
    book.tick([BOB], ticked())
    book.meet({MALLORY: "Tom"}, ROOM, 3 * DAY)
    assert names(book, MALLORY) == [BOB, ALICE]


def test_who_only_stood_at_a_door_is_nobody_whose_name_could_be_taken() -> None:
    book = People()
    book.meet({MALLORY: "Alice"}, ROOM, DAY, members=False)
    book.meet({ALICE: "Alice"}, ROOM, 2 * DAY)
    assert names(book, ALICE) == []
    assert book.meet({MALLORY: "Alice"}, ROOM, 3 * DAY, members=True)  # let in after all
    pin = again(book).find(MALLORY)
    assert pin is not None
    assert pin.member


def test_one_at_the_door_under_a_known_name_is_told() -> None:
    book = known((ALICE, "Alice"))
    book.meet({MALLORY: "Alice"}, ROOM, 2 * DAY, members=False)
    assert names(book, MALLORY) == [ALICE]


def test_a_name_that_is_nothing_is_nobodys() -> None:
    book = known((ALICE, "\u200b"), (BOB, ""))
    book.meet({MALLORY: ""}, ROOM, 2 * DAY)
    assert names(book, MALLORY) == []


def test_a_room_that_is_forgotten_is_named_no_more_and_its_people_stay() -> None:
    book = known((ALICE, "Alice"))
    book.tick([ALICE], ticked())
    book.meet({ALICE: "Alice"}, OTHER, 2 * DAY)
    book.forget_room(ROOM)
    pin = book.find(ALICE)
    assert pin is not None
    assert pin.rooms == (OTHER,)
    assert pin.compared is not None
    assert ROOM.hex() not in repr(book.records())
    assert pin.compared.room == bytes(32)


def test_bounds_hold_and_the_compared_stay() -> None:
    book = known((ALICE, "Alice"))
    book.tick([ALICE], ticked())
    for round_ in range(1, MAX_PEOPLE // 200 + 4):
        crowd = {(round_ * 1000 + number).to_bytes(32): "x" for number in range(200)}
        book.meet(crowd, round_.to_bytes(32), (10 + round_) * DAY)
        assert all(book.find(fp) for fp in crowd)
    assert len(book) == MAX_PEOPLE
    assert book.find(ALICE) is not None
    for number in range(2 * MAX_ROOMS):
        book.meet({ALICE: "Alice"}, number.to_bytes(32), DAY)
    pin = book.find(ALICE)
    assert pin is not None
    assert len(pin.rooms) == MAX_ROOMS
    assert pin.rooms[-1] == (2 * MAX_ROOMS - 1).to_bytes(32)


FPS = st.sampled_from([bytes([number]) * 32 for number in range(6)])
NICKS = st.sampled_from(["Alice", "alice", "Аlice", "Bob", "", "Ann"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("meet"), st.dictionaries(FPS, NICKS, max_size=4), st.integers(0, 9)),
        st.tuples(st.just("tick"), FPS, st.sampled_from(list(Page))),
        st.tuples(st.just("settle"), FPS, st.none()),
        st.tuples(st.just("untick"), FPS, st.none()),
        st.tuples(st.just("forget"), FPS, st.none()),
    ),
    max_size=12,
)


@given(STEPS)
def test_whatever_happened_comes_back_as_it_was(steps: list[tuple[str, Any, Any]]) -> None:
    book = People()
    for kind, what, more in steps:
        match kind:
            case "meet":
                book.meet(what, ROOM, more * DAY)
            case "tick":
                book.tick([what], ticked(page=more))
            case "settle":
                book.settle(what)
            case "untick":
                book.untick([what])
            case _:
                book.forget_room(what)
        back = again(book)
        assert back.records() == book.records()
        for number in range(6):
            assert back.namesakes(bytes([number]) * 32) == book.namesakes(bytes([number]) * 32)


GOOD = {
    "fp": "A" * 43 + "=",
    "nick": "Al",
    "first_ms": 1,
    "last_ms": 2,
    "named_ms": 1,
    "rooms": [],
    "member": True,
    "settled": "",
}


@pytest.mark.parametrize(
    "change",
    [
        {"fp": 1},
        {"fp": "AAAA"},
        {"fp": "?" * 44},
        {"nick": 5},
        {"nick": "x" * 65},
        {"nick": "\ud800"},
        {"first_ms": -1},
        {"last_ms": True},
        {"named_ms": 2**63},
        {"rooms": "r"},
        {"rooms": ["A" * 43 + "="] * 17},
        {"rooms": [None]},
        {"settled": None},
        {"member": 1},
        {"compared": []},
        {"compared": {"at_ms": 1}},
        {"compared": {"at_ms": 1, "page": "aloud", "room": "A" * 43 + "=", "by": "A" * 43 + "="}},
    ],
)
def test_records_of_another_kind_are_refused(change: dict[str, Any]) -> None:
    assert len(People([GOOD])) == 1
    with pytest.raises(ValueError):  # noqa: PT011 - plain by contract
        People([{**GOOD, **change}])


@given(st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3)))
def test_anything_else_is_refused_as_a_value_error(record: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - plain by contract
        People([record])


def test_nothing_of_a_person_is_in_the_repr() -> None:
    assert repr(known((ALICE, "Alice"))) == "People(1)"
    assert pins.MAX_MS == 2**63 - 1  # what SQLite and JSON readers hold
