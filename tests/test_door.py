"""The door: HELLOs that may not be answered yet are few, and those of who has gone make room."""

from __future__ import annotations

from attacker import NOW, me
from world import ENGINE

from chatcore.door import MAX_KNOCKS, Door
from chatcore.link import Link, State


def greeted() -> Link:
    """A link on which a HELLO was verified, and not answered."""
    link = Link(me("alice"), ENGINE.public_key(me("bob").session.modulus), NOW, first=False)
    link.state = State.GREETED
    return link


def test_so_many_hellos_are_kept_and_no_more() -> None:
    door, links, late = Door(), [greeted() for _ in range(MAX_KNOCKS)], greeted()
    assert all(door.keep(link, bytes((at,))) for at, link in enumerate(links))
    assert door.keep(links[0], b"\0")  # again is no more
    assert not door.keep(late, b"late")
    links[3].end()
    assert door.keep(late, b"late")
    links[4].end()
    assert [fp for _, fp in door.take_kept()] == [b"\x01", b"\x02", b"\x05", b"\x06", b"\x07", b"\0", b"late"]
    assert door.take_kept() == []
