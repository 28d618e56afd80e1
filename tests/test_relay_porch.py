"""Strangers wait for members, one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay.porch import Porch


class Turns:
    """A loop that only knows turns."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.said: list[str] = []
        self.porch = Porch(self.due.append, lambda: self.said.append("members"))

    def turn(self) -> None:
        due, self.due[:] = list(self.due), []
        for call in due:
            call()


def test_one_stranger_in_each_turn_and_members_before_each() -> None:
    loop = Turns()
    for name in "abc":
        loop.porch.wait(lambda name=name: loop.said.append(name))  # type: ignore[misc]
    assert (loop.said, len(loop.porch)) == ([], 3)
    loop.turn()
    assert loop.said == ["members", "a"]
    loop.porch.wait(lambda: loop.said.append("d"))
    for _ in range(9):
        loop.turn()
    assert "".join(loop.said) == "membersamembersbmemberscmembersd"
    assert (loop.due, len(loop.porch)) == ([], 0)


def test_who_makes_trouble_does_not_stop_the_line() -> None:
    loop = Turns()

    def trouble() -> None:
        raise ValueError

    loop.porch.wait(trouble)
    loop.porch.wait(lambda: loop.porch.wait(lambda: loop.said.append("comes again")))
    with pytest.raises(ValueError):  # noqa: PT011 - which the loop reports
        loop.turn()
    for _ in range(3):
        loop.turn()
    assert loop.said[-1] == "comes again"
    assert len(loop.porch) == 0
