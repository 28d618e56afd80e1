"""The rooms of a profile when the program has begun: real files, real clients, real relays, and no window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from backroom_help import Meet, Somebody, room_of
from client_help import free_port

from chatcore.errors import StateError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    MessageReceived,
    MessageSent,
    Presence,
    PresenceChanged,
    RosterChanged,
    SteadyChanged,
    Waiting,
)
from chatcore.invite import Mode, RelayAddress
from gui import opening
from gui.news import Failed, NotOpened, ProfileFound, ProfileKnown, RoomClosed, RoomOpened
from gui.opening import Opening
from gui.own_relay import OwnRelay
from relay.embedded import EmbeddedRelay


def begin(somebody: Somebody) -> ProfileFound:
    """Have all rooms opened, as the window does, the one looked at last first; returns what was found."""
    somebody.back.look()
    found = somebody.wait(ProfileFound)
    rooms = sorted((room for room in found.rooms if room.member), key=lambda room: -room.last_visit_ms)
    somebody.back.open_recent(rooms[0].room_id, found.nick)
    somebody.back.open_behind([room.room_id for room in rooms[1:]], found.nick)
    return found


# -- one after the other -----------------------------------------------------------------------------------------------


class Timer:
    """Goes off when it is told to."""

    made: list[Timer]

    def __init__(self, wait_s: float, act: Callable[[], None]) -> None:
        self.wait_s, self.act, self.daemon, self.over = wait_s, act, False, False
        Timer.made.append(self)

    def start(self) -> None:
        assert self.daemon, "a program that ends waits for nothing"

    def cancel(self) -> None:
        self.over = True


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    Timer.made = []
    monkeypatch.setattr(opening, "Timer", Timer)
    return Timer.made


def test_rooms_are_opened_one_after_the_other_each_after_a_while_of_its_own(timers: list[Timer]) -> None:
    done: list[int] = []
    coming = Opening(lambda job: job())
    coming.begin([lambda number=number: done.append(number) for number in range(30)])  # type: ignore[misc]
    assert not done
    for number in range(30):
        assert done == list(range(number))
        timers[number].act()
    assert (len(timers), done) == (30, list(range(30)))
    assert all(0.2 <= timer.wait_s <= 0.6 for timer in timers)
    assert len({timer.wait_s for timer in timers}) > 20
    coming.begin([lambda: done.append(30)])
    timers[30].act()
    assert done[-1] == 30


def test_one_that_fails_keeps_none_of_the_others_back(timers: list[Timer]) -> None:
    done: list[int] = []

    def fail() -> None:
        raise StateError("spoiled")

    coming = Opening(lambda job: job())
    coming.begin([fail, lambda: done.append(1)])
    with pytest.raises(StateError, match="spoiled"):
        timers[0].act()
    timers[1].act()
    assert done == [1]


def test_when_the_program_ends_or_the_profile_is_gone_nothing_more_is_opened(timers: list[Timer]) -> None:
    done: list[int] = []
    coming = Opening(lambda job: job())
    coming.begin([lambda: done.append(1)])
    coming.forget()
    timers[0].act()
    coming.begin([lambda: done.append(2)])
    coming.stop()
    assert timers[1].over
    timers[1].act()  # it went off in this very moment
    coming.begin([lambda: done.append(3)])
    assert (done, len(timers)) == ([], 2)


# -- at real relays ----------------------------------------------------------------------------------------------------


def test_after_a_start_one_is_in_every_room_again_and_at_the_end_in_none(
    meet: Meet, relay: EmbeddedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob's window was closed while he was in three rooms, one of them steady, and at the door of a fourth."""
    monkeypatch.setattr(opening, "APART_S", (0.0, 0.05))
    alice, bob = meet("alice"), meet("bob")
    rooms = [room_of(alice, relay.line, Mode.OPEN) for _ in range(3)]
    ids = [room.room_id for room in rooms]
    alice.back.keep_steady(ids[0], 1)
    for room in rooms:
        bob.back.join("bob", room.invite_text, False, "")
        bob.wait(RoomOpened)
        bob.back.look_at(room.room_id)
        bob.hear(room.room_id, RosterChanged, lambda roster: len(roster.members) == 2)
    bob.hear(ids[0], SteadyChanged)
    asking = room_of(alice, relay.line)
    door = asking.room_id
    bob.back.join("bob", asking.invite_text, False, "")
    bob.hear(door, Waiting)
    bob.back.look_at(ids[1])
    bob.back.stop()
    for room_id in ids:
        alice.hear(room_id, PresenceChanged, lambda event: event.presence is Presence.AWAY)
        alice.of[room_id].clear()
    alice.back.say(ids[2], "while you were away")
    said = alice.wait(MessageSent)

    bob = meet("bob")
    found = begin(bob)
    assert (found.at_start, {room.room_id for room in found.rooms if not room.member}) == (True, {door})
    shown = bob.wait(RoomOpened)
    assert (shown.room_id, shown.behind, shown.member) == (ids[1], False, True)
    behind = [bob.wait(RoomOpened) for _ in range(2)]
    assert {(room.room_id, room.behind) for room in behind} == {(ids[0], True), (ids[2], True)}
    for room_id in ids:
        bob.connected(room_id)
        alice.hear(room_id, PresenceChanged, lambda event: event.presence is Presence.HERE)
    missed = bob.hear(ids[2], MessageReceived)
    assert missed.mid == said.mid
    assert missed.received_ms >= next(room.seen_ms for room in behind if room.room_id == ids[2])
    assert bob.hear(ids[0], SteadyChanged).period_s == 1
    assert door not in bob.of, "nobody knocks by merely starting the program"
    bob.back.stop()
    for room_id in ids:
        alice.hear(room_id, PresenceChanged, lambda event: event.presence is Presence.AWAY)


def test_rooms_that_cannot_be_reached_or_opened_are_the_only_ones_to_say_so(
    meet: Meet, relay: EmbeddedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "APART_S", (0.0, 0.05))
    alice, bob = meet("alice"), meet("bob")
    own = room_of(alice, None).room_id
    theirs = [room_of(bob, line, Mode.OPEN, "bob") for line in (None, relay.line)]
    for room in theirs:
        alice.back.join("alice", room.invite_text, False, "")
        alice.connected(room.room_id)
    dead, good = (room.room_id for room in theirs)
    bob.back.stop()  # and with him the relay of his computer
    alice.back.look_at(good)
    alice.back.stop()
    (alice.directory / "relay" / "relay.key").write_text("no key")

    alice = meet("alice")
    begin(alice)
    alice.connected(good)
    alice.hear(dead, ConnectionChanged, lambda event: event.state is Connection.RECONNECTING)
    assert not [event for event in alice.events if isinstance(event, Failed)]
    assert alice.wait(NotOpened).room_id == own
    assert not [event for event in alice.events if isinstance(event, Failed)]
    alice.back.open_recent(own, "alice")
    assert alice.wait(Failed).sentence.startswith("The relay of this computer can't start")


def test_what_is_chosen_or_erased_while_it_is_coming_is_opened_once_or_not_at_all(
    meet: Meet, relay: EmbeddedRelay, timers: list[Timer]
) -> None:
    alice = meet("alice")
    rooms = [room_of(alice, relay.line).room_id for _ in range(3)]
    alice.back.stop()
    alice = meet("alice")
    begin(alice)
    shown = alice.wait(RoomOpened).room_id
    chosen, erased = (room_id for room_id in reversed(rooms) if room_id != shown)
    alice.back.open_recent(chosen, "alice")
    assert not alice.wait(RoomOpened).behind
    alice.back.forget(erased)
    alice.wait(ProfileFound)
    for number in range(2):
        timers[number].act()
        alice.back.look()
        alice.wait(ProfileFound)  # it is done now
    alice.back.open_recent(chosen, "alice")  # it was opened behind the window in this very moment
    alice.back.look()
    alice.wait(ProfileFound)
    assert not [event for event in alice.events if isinstance(event, (RoomOpened, NotOpened, Failed))]
    assert erased not in alice.of


def test_the_room_that_was_looked_at_last_is_the_newest_of_the_profile(
    meet: Meet, relay: EmbeddedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = meet("alice")
    monkeypatch.setattr("gui.room_desk._now_ms", lambda: 1_800_000_000_000)  # a clock that doesn't move
    first, second, third = (room_of(alice, relay.line).room_id for _ in range(3))
    for room_id in (third, second, first, b"", second, b""):
        alice.back.look_at(room_id)
    alice.back.stop()
    alice = meet("alice")
    alice.back.look()
    rooms = sorted(alice.wait(ProfileFound).rooms, key=lambda room: -room.last_visit_ms)
    assert rooms[0].room_id == second


def test_that_none_is_to_be_opened_is_kept_in_the_profile(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    room_of(alice, relay.line)
    alice.back.open_at_start(False)
    alice.back.ask_profile()
    assert not alice.wait(ProfileKnown).at_start
    alice.back.stop()
    alice = meet("alice")
    alice.back.look()
    assert not alice.wait(ProfileFound).at_start
    alice.back.open_at_start(True)
    alice.back.look()
    assert alice.wait(ProfileFound).at_start


def test_a_profile_is_erased_with_all_its_rooms_open(meet: Meet, relay: EmbeddedRelay) -> None:
    alice, bob = meet("alice"), meet("bob")
    rooms = [room_of(alice, relay.line, Mode.OPEN) for _ in range(2)]
    bob.back.join("bob", rooms[0].invite_text, False, "")
    bob.hear(
        rooms[0].room_id, RosterChanged, lambda roster: [m.presence for m in roster.members].count(Presence.HERE) == 1
    )
    alice.back.create("visitor", "Just this visit", Mode.OPEN, relay.line, True, "")
    visit = alice.wait(RoomOpened).room_id
    alice.connected(visit)
    alice.back.erase_profile()
    assert {alice.wait(RoomClosed).room_id for _ in rooms} == {room.room_id for room in rooms}
    assert alice.wait(ProfileFound).first_time
    assert not alice.directory.exists()
    bob.hear(rooms[0].room_id, PresenceChanged, lambda event: event.presence is Presence.AWAY)
    alice.back.say(visit, "I am still here")
    assert alice.wait(MessageSent).text == "I am still here"
    alice.back.stop()
    assert not alice.directory.exists(), "nothing was kept after that"


# -- the relays of this computer ---------------------------------------------------------------------------------------


def test_rooms_of_two_ports_have_each_their_relay(tmp_path: Path) -> None:
    """With all of them open at once, one relay isn't enough: its address stands in the invites."""
    relays = OwnRelay(tmp_path / "relay")
    try:
        line = relays.start(0, kept=True)
        assert relays.start(0, kept=True) == line, "further rooms are made on the same"
        port = free_port()
        relays.start_again(port, kept=True)
        other = RelayAddress.parse(relays.start(port, kept=True))
        assert (other.port, other.pins) == (port, RelayAddress.parse(line).pins)
        assert relays.start(0, kept=False) == line
    finally:
        relays.stop()


def test_a_room_that_is_kept_is_never_made_on_a_relay_that_is_not(tmp_path: Path) -> None:
    relays = OwnRelay(tmp_path / "relay")
    try:
        passing, kept = (RelayAddress.parse(relays.start(0, kept=kept)) for kept in (False, True))
        assert passing.port != kept.port
        assert passing.pins != kept.pins
        assert relays.start(0, kept=False) == passing.to_text()
    finally:
        relays.stop()
