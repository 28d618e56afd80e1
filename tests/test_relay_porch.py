"""Strangers wait for members, one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay.porch import MOST_OWED_S, PAUSE_S, TALK_S, Porch


class Turns:
    """A loop that only knows turns; also the members, who may say something."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.log: list[str] = []
        self.now_s = 100.0
        self.frames = 0  # that members have sent
        self.trouble: Exception | None = None
        self.haste = 1.0  # how much of a pause the loop waits for
        self.porch = Porch(lambda after_s, call: self.due.append((after_s, call)), lambda: self.now_s, self)

    @property
    def said(self) -> int:
        return self.frames

    def flush(self) -> None:
        self.log.append("members")
        if self.trouble:
            raise self.trouble

    def stranger(self, name: str, takes_s: float = 0.0) -> Callable[[], None]:
        def come() -> None:
            self.log.append(name)
            self.now_s += takes_s

        return come

    def turn(self) -> float:
        """Do what is due, and return how long it was put off."""
        due, self.due[:] = list(self.due), []
        for after_s, call in due:
            self.now_s += after_s * self.haste
            call()
        return sum(after_s * self.haste for after_s, _ in due)


def test_one_stranger_in_each_turn_and_members_before_each() -> None:
    loop = Turns()
    for name in "abc":
        loop.porch.wait(loop.stranger(name))
    assert (loop.log, len(loop.porch)) == ([], 3)
    loop.turn()
    assert loop.log == ["members", "a"]
    loop.porch.wait(loop.stranger("d"))
    for _ in range(9):
        loop.turn()
    assert "".join(loop.log) == "membersamembersbmemberscmembersd"
    assert (loop.due, len(loop.porch)) == ([], 0)


def test_those_who_want_in_and_those_who_are_in_take_turns() -> None:
    loop = Turns()
    for number in range(4):
        loop.porch.wait(loop.stranger(f"hand {number}"))
    for number in range(2):
        loop.porch.arrive(loop.stranger(f"in {number}"))
    while loop.due:
        loop.turn()
    assert loop.log[1::2] == ["in 0", "hand 0", "in 1", "hand 1", "hand 2", "hand 3"]


@pytest.mark.parametrize("haste", [0.3, 1.0, 1.5])
def test_while_members_talk_strangers_get_half_of_the_time(haste: float) -> None:
    loop = Turns()
    loop.frames = 1
    loop.haste = haste
    for _ in range(100):
        loop.porch.wait(loop.stranger("x", PAUSE_S / 4))
    begun_s, waited_s = loop.now_s, 0.0
    while loop.due:
        waited_s += loop.turn()
    half_s = (loop.now_s - begun_s) / 2
    assert half_s - PAUSE_S <= waited_s <= half_s * max(1.0, haste) + PAUSE_S


def test_a_crowd_that_comes_one_by_one_gets_no_more() -> None:
    loop = Turns()
    loop.frames = 1
    begun_s, served_s = loop.now_s, 0.0
    for _ in range(100):
        loop.porch.wait(loop.stranger("x", 1.2 * PAUSE_S))
        loop.turn()
        served_s += 1.2 * PAUSE_S
        loop.now_s += PAUSE_S / 20  # until the next one comes, who had waited for an answer to the one before
        loop.frames += 1
    assert not loop.due
    assert served_s == pytest.approx((loop.now_s - begun_s) / 2, rel=0.05)


def test_while_no_stranger_waits_members_are_paid() -> None:
    loop = Turns()
    loop.frames = 1
    for number in range(9):
        for _ in range(1 + number // 8):
            loop.porch.wait(loop.stranger("x", PAUSE_S * 3 / 4))
        assert loop.turn() == 0
        loop.now_s += PAUSE_S
        loop.frames += 1
    assert loop.turn() == 0  # though the nine together took longer than strangers may at once


def test_what_a_stranger_leaves_to_be_done_is_paid_for_too() -> None:
    loop = Turns()
    loop.frames = 1
    for _ in range(1000):
        loop.porch.wait(loop.stranger("x"))
    begun_s, waited_s = loop.now_s, 0.0
    while loop.due:
        waited_s += loop.turn()
        loop.now_s += PAUSE_S / 20  # what the loop has to do with those it has let in
    assert waited_s == pytest.approx((loop.now_s - begun_s) / 2, abs=2 * PAUSE_S)


def test_what_members_give_to_do_is_not_strangers_to_pay() -> None:
    loop = Turns()
    for _ in range(100):
        loop.porch.wait(loop.stranger("x"))
    while loop.due:
        assert loop.turn() == 0
        loop.now_s += PAUSE_S / 4
        loop.frames += 1


def test_when_nobody_talks_strangers_wait_for_each_other_only() -> None:
    loop = Turns()
    loop.frames = 1
    loop.porch.wait(loop.stranger("x", 2 * TALK_S))
    for _ in range(9):
        loop.porch.wait(loop.stranger("x", 2 * PAUSE_S))
    assert loop.turn() == 0
    assert loop.turn() > 0  # for the first, while the members had just said something
    while loop.due:
        assert loop.turn() == 0


def test_who_makes_trouble_does_not_stop_the_line() -> None:
    loop = Turns()

    def trouble() -> None:
        raise ValueError

    loop.porch.wait(trouble)
    loop.porch.wait(lambda: loop.porch.wait(loop.stranger("comes again")))
    with pytest.raises(ValueError):  # noqa: PT011 - which the loop reports
        loop.turn()
    for _ in range(3):
        loop.turn()
    assert loop.log[-1] == "comes again"
    assert len(loop.porch) == 0


def test_trouble_with_members_does_not_stop_the_line_either() -> None:
    loop = Turns()
    loop.trouble = ValueError()
    for name in "ab":
        loop.porch.wait(loop.stranger(name))
        with pytest.raises(ValueError):  # noqa: PT011
            loop.turn()
    assert loop.log == ["members", "a", "members", "b"]


def test_strangers_do_not_pay_for_a_machine_that_stood_still() -> None:
    loop = Turns()
    loop.frames = 1
    for takes_s in (0.0, 0.0, 60.0, 0.0):
        loop.porch.wait(loop.stranger("x", takes_s))
    waited_s = 0.0
    while loop.due:
        waited_s += loop.turn()
        loop.frames += 1
    assert waited_s == MOST_OWED_S
