"""What lies behind the window, without a window: real files, real clients, real relays."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from backroom_help import Meet, room_of
from client_help import free_port
from vault_help import MemoryBackend

from chatcore import oskeyring, proxyfile
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import ProfileError, StateError, TextError, VaultError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    Damaged,
    Knocked,
    LetIn,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    MessageSent,
    Presence,
    PresenceChanged,
    RoomMoved,
    RosterChanged,
    SealedBlocks,
    Waiting,
)
from chatcore.invite import CUT_SHORT, Invite, Mode, RelayAddress
from chatcore.lock import Guard
from chatcore.pins import Page
from chatcore.profile import Loss, Profile
from chatcore.proxy import Proxy
from chatcore.roomvault import RoomVault
from chatcore.vault import Vault
from gui import backroom, look, profile_desk, room_desk
from gui.news import (
    Failed,
    KeyringAsked,
    MoveAnswered,
    PeopleKnown,
    ProfileFound,
    ProfileKnown,
    RoomOpened,
    RoomWordsReady,
    WordsReady,
)
from relay.embedded import EmbeddedRelay


def test_a_first_start_finds_nothing_and_makes_nothing(meet: Meet) -> None:
    alice = meet("alice")
    alice.back.look()
    assert alice.wait(ProfileFound) == ProfileFound(first_time=True)
    assert not alice.directory.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="directories can't be locked")
def test_a_second_window_on_the_same_profile_leaves_it_alone(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    room_of(alice, relay.line)  # made by this window, so it has it
    twin = meet("alice")
    twin.back.look()
    assert twin.wait(Failed).sentence.startswith("Parley is open already with the profile at ")
    twin.back.create("alice", "Another", Mode.OPEN, relay.line, False, "")
    assert "There is a profile at" in twin.wait(Failed).sentence
    twin.back.create("visitor", "Another", Mode.OPEN, relay.line, True, "")  # for one visit it needs no profile
    assert twin.wait(RoomOpened).own_nick == "visitor"
    alice.back.stop()
    twin.back.look()
    found = twin.wait(ProfileFound)
    assert (found.nick, [room.title for room in found.rooms]) == ("alice", ["Cabin weekend"])
    late = meet("alice")
    late.back.look()
    assert "open already" in late.wait(Failed).sentence


def test_a_room_of_ones_own_is_remembered(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line)
    assert (opened.own_fp, opened.title, opened.only_here) == (opened.owner_fp, "Cabin weekend", True)
    alice.back.look()
    found = alice.wait(ProfileFound)
    assert found.nick == "alice"
    assert [room.title for room in found.rooms] == ["Cabin weekend"]
    alice.back.forget(opened.room_id)
    assert alice.wait(ProfileFound).rooms == ()


def test_knock_let_in_talk_and_look_at_the_blocks(meet: Meet, relay: EmbeddedRelay) -> None:
    alice, bob = meet("alice"), meet("bob")
    opened = room_of(alice, relay.line)
    bob.back.join("bob", opened.invite_text, False, "")
    own = bob.wait(RoomOpened).own_fp
    bob.wait(Waiting)
    alice.wait(Knocked, lambda knock: knock.fp == own)
    alice.back.work_out_words(opened.room_id, own)
    bob.back.work_out_words(opened.room_id, opened.owner_fp)
    words = alice.wait(WordsReady).words
    assert len(words) == 8
    assert bob.wait(WordsReady).words == words
    with pytest.raises(TextError):
        bob.back.say(opened.room_id, "let me in")
    alice.back.let_in(opened.room_id, own)
    bob.wait(LetIn)
    alice.wait(MemberJoined)
    alice.wait(PresenceChanged)
    alice.back.say(opened.room_id, "hello")
    mid = alice.wait(MessageSent).mid
    assert bob.wait(MessageReceived).text == "hello"
    alice.back.ask_sealed_blocks(opened.room_id, mid)
    assert [(fp, [len(block) for block in blocks]) for fp, blocks in alice.wait(SealedBlocks).blocks] == [(own, [256])]
    bob.back.leave(opened.room_id)
    alice.wait(MemberLeft)
    bob.back.look()
    assert bob.wait(ProfileFound).rooms == (), "a room that was left for good isn't offered again"
    with pytest.raises(StateError):
        bob.back.say(opened.room_id, "too late")


def copies(directory: Path, tmp_path: Path) -> Iterator[Profile]:
    """What a thief would take away now, or a program find that was killed; again and again, for a while."""
    deadline = time.monotonic() + 30
    for number in count():
        copy = tmp_path / f"copy {number}"
        shutil.copytree(directory, copy)
        with contextlib.suppress(ProfileError), contextlib.closing(Profile.open(copy, None, OpenSSLEngine())) as there:
            yield there
        assert time.monotonic() < deadline


def test_that_one_was_let_in_is_on_the_disk_before_the_program_ends(
    meet: Meet, relay: EmbeddedRelay, tmp_path: Path
) -> None:
    alice, bob = meet("alice"), meet("bob")
    opened = room_of(alice, relay.line)
    bob.back.join("bob", opened.invite_text, False, "")
    knock = alice.wait(Knocked)
    alice.back.let_in(opened.room_id, knock.fp)
    bob.wait(LetIn)
    for copy in copies(bob.directory, tmp_path):
        if copy.rooms and copy.rooms[0].statements:
            break


def test_who_has_been_a_member_for_long_is_on_the_disk_as_well(
    meet: Meet, relay: EmbeddedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is said after the program was killed, before others are heard again, isn't for them."""
    monkeypatch.setattr("chatcore.news.RECENT_MS", -3_600_000)  # nobody's coming is news
    alice, bob, carol = meet("alice"), meet("bob"), meet("carol")
    opened = room_of(alice, relay.line, Mode.OPEN)
    bob.back.join("bob", opened.invite_text, False, "")
    bob.wait(LetIn)
    carol.back.join("carol", opened.invite_text, False, "")
    carol.wait(RosterChanged, lambda roster: sum(one.presence is Presence.HERE for one in roster.members) == 2)
    for copy in copies(carol.directory, tmp_path):
        if copy.rooms and len(copy.rooms[0].statements) == 3:
            break


def test_one_comes_back_to_a_room_without_knocking(meet: Meet, relay: EmbeddedRelay) -> None:
    alice, bob = meet("alice"), meet("bob")
    opened = room_of(alice, relay.line)
    bob.back.join("bob", opened.invite_text, False, "")
    alice.back.let_in(opened.room_id, alice.wait(Knocked).fp)
    bob.wait(LetIn)
    bob.back.close_room(opened.room_id)
    bob.back.open_recent(opened.room_id, "bob")
    bob.wait(RoomOpened)
    bob.wait(LetIn)


def test_what_was_said_is_told_to_the_next_visit_until_the_room_is_forgotten(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line, Mode.OPEN)
    alice.back.say(opened.room_id, "for whoever comes")
    mid = alice.wait(MessageSent).mid
    alice.back.stop()
    alice = meet("alice")
    alice.back.look()
    alice.wait(ProfileFound)
    alice.back.open_recent(opened.room_id, "alice")
    assert (told := alice.wait(MessageSent)).mid == mid
    assert told.text == "for whoever comes"
    alice.back.leave(opened.room_id)
    alice.wait(ConnectionChanged, lambda event: event.state is Connection.STOPPED)
    alice.back.join("alice", opened.invite_text, False, "")
    alice.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)
    assert not [event for event in alice.events if isinstance(event, MessageSent)]
    alice.back.stop()
    assert b"whoever comes" not in b"".join(file.read_bytes() for file in alice.directory.iterdir() if file.is_file())


def test_a_room_that_cant_be_erased_stays_listed_so_that_it_can_be_later(
    meet: Meet, relay: EmbeddedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line, Mode.OPEN)
    alice.back.close_room(opened.room_id)
    alice.wait(ConnectionChanged, lambda event: event.state is Connection.STOPPED)

    def full(self: RoomVault, gone: object) -> None:
        raise VaultError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(RoomVault, "erase", full)
        alice.back.forget(opened.room_id)
        assert alice.wait(Failed).sentence == "The disk is full."
    alice.back.look()
    assert [room.room_id for room in alice.wait(ProfileFound).rooms] == [opened.room_id]
    alice.back.forget(opened.room_id)
    assert alice.wait(ProfileFound).rooms == ()


def test_a_visit_keeps_nothing(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    alice.back.create("visitor", "Cabin weekend", Mode.OPEN, relay.line, True, "")
    room_id = alice.wait(RoomOpened).room_id
    alice.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)
    alice.back.say(room_id, "gone with the visit")
    alice.wait(MessageSent)
    alice.back.stop()
    assert not alice.directory.exists()


def test_a_room_moves_and_both_places_are_kept(meet: Meet, relay: EmbeddedRelay, tmp_path: Path) -> None:
    """The next visit begins at the new one; the old one is where those who were away are waited for."""
    alice = meet("alice")
    opened = room_of(alice, relay.line, Mode.OPEN)
    other = EmbeddedRelay(tmp_path / "other")
    other.start()
    try:
        there = RelayAddress.parse(other.line)
        alice.back.move(opened.room_id, replace(there, port=1).to_text())
        failure = alice.wait(MoveAnswered).failure
        assert failure.startswith("The relay can't be used. Its port: nobody listens there")
        alice.back.move(opened.room_id, other.line)
        assert alice.wait(MoveAnswered) == MoveAnswered(opened.room_id)
        for copy in copies(alice.directory, tmp_path):
            record = copy.rooms[0]
            if record.relay == there:
                assert record.invite.relay == RelayAddress.parse(relay.line)
                break
        alice.back.stop()
        alice = meet("alice")
        alice.back.look()
        assert [(room.place, room.only_here) for room in alice.wait(ProfileFound).rooms] == [(there.place, True)]
        alice.back.open_recent(opened.room_id, "alice")
        assert Invite.parse(alice.wait(RoomOpened).invite_text).relay == there
        moved = alice.wait(RoomMoved)
        assert (moved.relay, moved.before, moved.earlier) == (there, RelayAddress.parse(relay.line), True)
        alice.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)
    finally:
        alice.back.stop()
        other.stop()


def test_where_a_room_could_move_is_looked_at_through_the_proxy_or_not_at_all(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line, Mode.OPEN)
    there = RelayAddress("new.example", 7256, (b"p" * 32,)).to_text()
    proxyfile.keep(alice.directory, Proxy("127.0.0.1", free_port()))
    alice.back.move(opened.room_id, there)
    assert alice.wait(MoveAnswered).failure.startswith("The relay can't be used. Its proxy: it can't be reached")
    file = alice.directory / proxyfile.FILE_NAME
    file.write_text("nowhere")
    alice.back.move(opened.room_id, there)
    assert alice.wait(MoveAnswered).failure == proxyfile.UNUSABLE.format(file)


@pytest.mark.parametrize("again", [True, False])
def test_the_relay_of_this_computer(meet: Meet, again: bool) -> None:
    alice = meet("alice")
    opened = room_of(alice, None)
    assert opened.only_here
    assert "127.0.0.1" in opened.invite_text
    if again:  # its address stands in the invites, so it has to be the same after a restart
        alice.back.stop()
        alice = meet("alice")
        alice.back.look()
        alice.wait(ProfileFound)
        alice.back.open_recent(opened.room_id, "alice")
        assert alice.wait(RoomOpened).invite_text == opened.invite_text
        alice.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)


def test_an_anonymous_visit_writes_nothing(meet: Meet) -> None:
    alice = meet("alice")
    alice.back.keep_look(True)
    alice.back.create("alice", "Cabin weekend", Mode.OPEN, None, True, "")
    alice.wait(RoomOpened)
    alice.wait(ConnectionChanged, lambda event: event.state is Connection.CONNECTED)
    alice.back.look()
    assert alice.wait(ProfileFound).first_time
    alice.back.stop()
    assert not alice.directory.exists()


def test_the_look_is_kept_beside_the_profile_as_soon_as_there_is_one(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    alice.back.keep_look(True)
    room_of(alice, relay.line)
    assert look.is_dark(alice.directory)
    alice.back.keep_look(False)
    alice.back.stop()
    assert not look.is_dark(alice.directory)


def test_with_whom_words_were_compared_is_said_in_every_room_that_is_open(meet: Meet, relay: EmbeddedRelay) -> None:
    alice, bob = meet("alice"), meet("bob")
    rooms = [room_of(alice, relay.line, Mode.OPEN) for _ in range(2)]
    for room in rooms:
        bob.back.join("bob", room.invite_text, False, "")
        bobs = bob.wait(RoomOpened).own_fp
        alice.wait(MemberJoined, lambda event, fp=bobs: event.fp == fp)  # type: ignore[misc]
    alice.back.words_compared(rooms[0].room_id, (bobs,), Page.PAIR, True)
    told = {alice.wait(PeopleKnown, lambda event: bool(event.compared)).room_id for _ in rooms}
    assert told == {room.room_id for room in rooms}


def test_a_passphrase_locks_the_profile(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    alice.back.create("alice", "Cabin weekend", Mode.OPEN, relay.line, False, "open sesame")
    alice.wait(RoomOpened)
    alice.back.stop()
    again = meet("alice")
    again.back.look()
    assert again.wait(ProfileFound).locked
    again.back.unlock("open barley")
    assert again.wait(Failed).sentence.startswith("This passphrase")
    again.back.unlock("open sesame")
    assert [room.title for room in again.wait(ProfileFound).rooms] == ["Cabin weekend"]


def test_another_name_is_kept(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    room_of(alice, relay.line)
    room_of(alice, relay.line, name="Alice B.")
    alice.back.look()
    assert alice.wait(ProfileFound).nick == "Alice B."


def test_it_is_said_that_the_keyring_is_asked_when_it_takes_its_time(
    meet: Meet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(MemoryBackend):
        def get_password(self, service: str, username: str) -> str | None:
            assert unlocked.wait(30)
            return super().get_password(service, username)

    slow, unlocked = Slow(), threading.Event()
    monkeypatch.setattr(oskeyring, "_of_the_system", lambda: slow)
    monkeypatch.setattr(profile_desk, "SLOW_S", 0.01)
    unlocked.set()
    profile = Profile.create(tmp_path / "alice", "alice", None, OpenSSLEngine())
    profile.protect(Guard.KEYRING)
    profile.close()
    unlocked.clear()

    alice = meet("alice")
    alice.back.look()
    alice.wait(KeyringAsked)
    assert not alice.events
    unlocked.set()
    assert alice.wait(ProfileFound).nick == "alice"


def test_a_profile_that_is_no_profile_is_said_and_left_as_it_is(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    room_of(alice, relay.line)
    alice.back.stop()
    file = alice.directory / "profile.parley"
    file.write_bytes(b"not what it was" * 500)
    again = meet("alice")
    again.back.look()
    assert "is damaged, and was left as it is" in again.wait(Failed).sentence
    assert file.read_bytes() == b"not what it was" * 500


def test_a_damaged_profile_opens_and_says_once_what_it_lacks(meet: Meet, relay: EmbeddedRelay) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line, Mode.OPEN)
    alice.back.say(opened.room_id, "what will be lost")
    alice.wait(MessageSent)
    alice.back.stop()
    file = alice.directory / "profile.parley"
    with contextlib.closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE item SET value = x'00' WHERE kind = 1")
        base.execute("UPDATE item SET value = x'00' WHERE kind = 33")  # the name
    again = meet("alice")
    again.back.look()
    found = again.wait(ProfileFound)
    assert found.loss == Loss((("Cabin weekend", 1),), nick=True)
    again.back.look()
    assert again.wait(ProfileFound).loss is None
    again.back.open_recent(opened.room_id, "alice")
    assert again.wait(Damaged).lines == 1
    again.back.stop()
    once_more = meet("alice")
    once_more.back.look()
    assert once_more.wait(ProfileFound).loss is None


def test_what_cannot_be_is_said_in_one_sentence(meet: Meet, relay: EmbeddedRelay, tmp_path: Path) -> None:
    alice = meet("alice")
    opened = room_of(alice, relay.line)
    alice.back.join("alice", opened.invite_text[:-9], False, "")
    assert alice.wait(Failed).sentence == CUT_SHORT
    alice.back.join("alice", opened.invite_text, False, "")
    assert alice.wait(Failed).sentence == room_desk.OPEN_ALREADY
    alice.back.open_recent(b"?" * 32, "alice")
    assert alice.wait(Failed).sentence == backroom.NOT_REMEMBERED
    (tmp_path / "file").write_text("in the way")
    bob = meet("file")
    bob.back.create("bob", "Cabin", Mode.OPEN, relay.line, False, "")
    failed = bob.wait(Failed).sentence
    assert failed[0].isupper()
    assert failed.endswith(".")


def test_a_fault_of_ours_is_said_without_its_text(meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(backroom.log, "error", lambda text, *more: logged.append(text % more))

    def fault(directory: Path) -> bool:
        raise ValueError("sesame-7781")

    alice = meet("alice")
    monkeypatch.setattr(Profile, "exists", staticmethod(fault))
    alice.back.look()
    assert alice.wait(Failed).sentence == backroom.UNEXPECTED
    assert logged == ["the backroom failed: ValueError"]


def test_stopping_twice_is_stopping(meet: Meet) -> None:
    alice = meet("alice")
    alice.back.stop()
    alice.back.stop()


def test_people_are_known_again_and_one_who_takes_a_compared_name_is_told(meet: Meet, relay: EmbeddedRelay) -> None:
    """Alice compares words with bob; next time somebody else comes as bob."""
    alice, bob = meet("alice"), meet("bob")
    opened = room_of(alice, relay.line, Mode.OPEN)
    bob.back.join("bob", opened.invite_text, False, "")
    bobs = bob.wait(RoomOpened).own_fp
    alice.wait(MemberJoined, lambda event: event.fp == bobs)
    everybody = frozenset((opened.own_fp, bobs))
    alice.back.work_out_room_words(opened.room_id, everybody)
    bob.back.work_out_room_words(opened.room_id, everybody)
    words = alice.wait(RoomWordsReady).words
    assert words == bob.wait(RoomWordsReady).words
    assert len(words) == 8
    alice.back.words_compared(opened.room_id, (bobs,), Page.PAIR, True)
    ((fp, compared),) = alice.wait(PeopleKnown).compared
    assert (fp, compared.page, compared.room, compared.by) == (bobs, Page.PAIR, opened.room_id, opened.own_fp)
    alice.back.stop()
    bob.back.stop()

    alice = meet("alice")
    alice.back.look()
    alice.wait(ProfileFound)
    alice.back.open_recent(opened.room_id, "alice")
    alice.wait(RoomOpened)
    assert alice.wait(PeopleKnown).compared == ((bobs, compared),)
    mallory = meet("mallory")
    mallory.back.join("B0b", opened.invite_text, False, "")
    taken = mallory.wait(RoomOpened).own_fp
    (other,) = alice.wait(PeopleKnown, lambda event: bool(event.others)).others
    assert (other.fp, other.nick, other.known.fp) == (taken, "B0b", bobs)
    alice.back.settle_key(opened.room_id, taken)
    assert alice.wait(PeopleKnown).others == ()


def test_an_anonymous_visitor_knows_people_for_the_visit_alone(meet: Meet, relay: EmbeddedRelay) -> None:
    alice, guest = meet("alice"), meet("guest")
    opened = room_of(alice, relay.line, Mode.OPEN)
    guest.back.join("guest", opened.invite_text, True, "")
    guest.wait(RoomOpened)
    guest.wait(RosterChanged, lambda event: len(event.members) == 2 and all(member.nick for member in event.members))
    guest.back.look()
    guest.wait(ProfileFound)  # who was met is noted now
    guest.back.words_compared(opened.room_id, (opened.own_fp,), Page.ROOM, True)
    guest.wait(PeopleKnown, lambda event: bool(event.compared))
    assert not guest.directory.exists() or not list(guest.directory.iterdir())


def test_a_profile_is_protected_copied_erased_and_brought_back(
    meet: Meet, relay: EmbeddedRelay, tmp_path: Path
) -> None:
    alice = meet("alice")
    opened = room_of(alice, None)
    alice.back.close_room(opened.room_id)
    alice.back.ask_profile()
    assert alice.wait(ProfileKnown).guard is Guard.NOBODY
    alice.back.protect(Guard.PASSPHRASE, "open sesame", "")
    known = alice.wait(ProfileKnown)
    assert (known.guard, known.done) == (Guard.PASSPHRASE, "Your new passphrase holds from now on.")
    alice.back.protect(Guard.NOBODY, "", "open barley")
    assert alice.wait(Failed).sentence.startswith("This passphrase doesn't open the profile.")
    copy = tmp_path / "copy.parley"
    alice.back.export_profile("  ", "for the stick")
    assert alice.wait(Failed).sentence == "Choose the file first."
    alice.back.export_profile(str(copy), "for the stick")
    assert alice.wait(ProfileKnown).done == f"The copy is written: {copy}"
    assert any((alice.directory / "relay").iterdir())
    alice.back.keep_look(True)
    alice.back.erase_profile()
    assert alice.wait(ProfileFound).first_time
    assert not alice.directory.exists()
    alice.back.ask_profile()
    assert alice.wait(Failed).sentence.startswith("There is no profile at")
    alice.back.import_profile(str(copy), "for the stick")
    found = alice.wait(ProfileFound)
    assert (found.nick, [room.title for room in found.rooms], found.guard) == (
        "alice", ["Cabin weekend"], Guard.PASSPHRASE,
    )  # fmt: skip
    alice.back.import_profile(str(copy), "for the stick")
    assert "There is a profile at" in alice.wait(Failed).sentence


def test_a_protection_that_holds_though_not_all_was_written_is_shown_before_why(
    meet: Meet, relay: EmbeddedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = meet("alice")
    alice.back.close_room(room_of(alice, None).room_id)

    def fail(_: Vault) -> None:
        raise VaultError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "overwrite_log", fail)
        alice.back.protect(Guard.PASSPHRASE, "open sesame", "")
        known = alice.wait(ProfileKnown)
        assert (known.guard, known.done) == (Guard.PASSPHRASE, "")
        assert alice.wait(Failed).sentence.startswith("What you chose holds from now on, but")
    alice.back.protect(Guard.NOBODY, "", "open sesame")
    assert alice.wait(ProfileKnown).guard is Guard.NOBODY
