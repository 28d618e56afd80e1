"""The desk for words: right, once for each set of people, and never in the way of who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest
from gui_help import ALICE, BOB, CAROL, an_invite

from chatcore.wordlist import english
from chatcore.words import room_words
from gui import words_desk
from gui.words_desk import WordsDesk

INVITE = an_invite()


@pytest.fixture
def desk() -> Generator[WordsDesk]:
    made = WordsDesk()
    made.start()
    yield made
    made.stop()


class Slip:
    """Takes one answer."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.words: tuple[str, ...] = ()

    def __call__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.came.set()

    def wait(self) -> tuple[str, ...]:
        assert self.came.wait(30)
        return self.words


def test_words_are_those_of_the_room(desk: WordsDesk) -> None:
    room, pair = Slip(), Slip()
    desk.ask(INVITE, frozenset((ALICE, BOB, CAROL)), room)
    desk.ask(INVITE, frozenset((ALICE, BOB)), pair)
    assert room.wait() == room_words(english(), INVITE.room_id, INVITE.epoch, (ALICE, BOB, CAROL))
    assert pair.wait() == room_words(english(), INVITE.room_id, INVITE.epoch, (ALICE, BOB))


def test_the_same_people_are_worked_out_once(desk: WordsDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def count(*wish: object) -> tuple[str, ...]:
        calls.append(wish)
        return ("x",) * 8

    monkeypatch.setattr(words_desk, "room_words", count)
    for _ in range(3):
        slip = Slip()
        desk.ask(INVITE, frozenset((BOB, ALICE)), slip)
        assert slip.wait() == ("x",) * 8
    assert len(calls) == 1


def test_who_asks_goes_on_at_once_and_the_newest_wish_comes_first(
    desk: WordsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, order = threading.Event(), []

    def slow(_: object, room_id: bytes, epoch: int, fps: frozenset[bytes]) -> tuple[str, ...]:
        assert go.wait(30)
        order.append(len(fps))
        return ("x",) * 8

    monkeypatch.setattr(words_desk, "room_words", slow)
    slips = [Slip() for _ in range(3)]
    desk.ask(INVITE, frozenset((ALICE,)), slips[0])
    deadline = time.monotonic() + 30
    while desk._wishes:  # until it has begun
        assert time.monotonic() < deadline
        time.sleep(0.01)
    desk.ask(INVITE, frozenset((ALICE, BOB)), slips[1])
    desk.ask(INVITE, frozenset((ALICE, BOB, CAROL)), slips[2])
    go.set()
    for slip in slips:
        slip.wait()
    assert order == [1, 3, 2]


def test_of_a_room_whose_people_change_only_the_last_wish_is_worked_out(
    desk: WordsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, order = threading.Event(), []

    def slow(_: object, room_id: bytes, epoch: int, fps: frozenset[bytes]) -> tuple[str, ...]:
        assert go.wait(30)
        order.append(len(fps))
        return ("x",) * 8

    monkeypatch.setattr(words_desk, "room_words", slow)
    slips = [Slip() for _ in range(100)]
    for number, slip in enumerate(slips):
        fps = frozenset(bytes([one]) * 32 for one in range(number + 1))
        desk.ask(INVITE, fps, slip, instead=INVITE.room_id)
    go.set()
    slips[-1].wait()
    assert order[-1] == 100
    assert len(order) <= 2


def test_what_is_kept_is_bounded(desk: WordsDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_desk, "room_words", lambda *wish: ("x",) * 8)
    monkeypatch.setattr(words_desk, "MAX_KEPT", 4)
    for number in range(12):
        slip = Slip()
        desk.ask(INVITE, frozenset((number.to_bytes(32),)), slip)
        slip.wait()
    assert len(desk._done) == 4
