"""What is kept on the disk: sealed, all or none, and honest about what can't be read."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vault_help import KEYS, OTHER, ROOM, make_vault, open_vault, room_in
from world import World, fp

from chatcore.errors import CryptoError, ProfileError, VaultError
from chatcore.kept import Changes, Kept, Line, Standing
from chatcore.roomvault import KEPT_LINES, RoomVault
from chatcore.seal import SealKeys, open_record, seal_record
from chatcore.vault import Vault
from chatcore.vaultfile import Kind

ALICE, BOB, CAROL = (letter * 32 for letter in (b"a", b"b", b"c"))
LOG = b"our log!"


def line(number: int, sender: bytes = ALICE, readers: tuple[bytes, ...] | None = (BOB, CAROL)) -> Line:
    return Line(number.to_bytes(16), sender, b"the rest of message %d" % number, 1000 + number, readers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def vault(path: Path) -> Iterator[Vault]:
    opened = make_vault(path)
    yield opened
    opened.close()


def all_sorts() -> Changes:
    return Changes(
        LOG,
        [line(1), line(2, BOB, None), line(3, BOB, (ALICE, BOB))],
        [(BOB, 1, line(1).mid), (CAROL, 1, line(1).mid)],
        {BOB: Standing(1, 0, 1, ((b"bobs log", 7), (b"another!", 2**64 - 1)), 1)},
        [(line(1).mid, BOB, 5)],
        [(line(1).mid, CAROL)],
        [(line(2).mid, CAROL), (line(2).mid, BOB)],
    )


def test_what_is_loaded_is_what_was_committed(vault: Vault) -> None:
    room, kept = room_in(vault, ROOM), Kept()
    assert room.load() == kept
    for changes in (all_sorts(), Changes(standings={BOB: Standing(1, 1, 2)}), Changes(lines=[line(4, BOB, ())])):
        room.commit(changes)
        kept.commit(changes)
    loaded = room.load()
    assert {fp: owed for fp, owed in kept.owed.items() if owed} == loaded.owed
    kept.owed.clear()
    loaded.owed.clear()
    assert loaded == kept
    assert list(loaded.lines) == [line(number).mid for number in (1, 2, 3, 4)]
    assert room_in(vault, OTHER).load() == Kept()


def test_a_vault_is_still_there_when_it_is_opened_again(path: Path, vault: Vault) -> None:
    room_in(vault, ROOM).commit(all_sorts())
    vault.close()
    again = open_vault(path)
    assert room_in(again, ROOM).load().log == LOG
    again.close()


def test_a_new_log_numbers_anew_what_is_owed_and_frees_the_rest(vault: Vault) -> None:
    room = room_in(vault, ROOM)
    room.commit(
        Changes(LOG, [line(1), line(2)], [(BOB, 1, line(1).mid), (BOB, 2, line(2).mid), (CAROL, 1, line(2).mid)])
    )
    room.commit(Changes(b"new log!", owed=[(BOB, 1, line(2).mid)], standings={BOB: Standing(1, 0, 1)}))
    kept = room.load()
    assert (kept.log, kept.owed) == (b"new log!", {BOB: {1: line(2).mid}})
    assert list(kept.lines.values()) == [line(1), line(2)]  # in their old places


def test_what_went_out_at_once_is_kept_with_its_line(vault: Vault) -> None:
    room, kept = room_in(vault, ROOM), Kept()
    owed = [(BOB, 1, line(1).mid), (CAROL, 1, line(1).mid), (BOB, 2, line(2).mid), (CAROL, 2, line(2).mid)]
    for changes in (
        Changes(LOG, [line(1), line(2)], owed, gone={BOB: 2}),
        Changes(lines=[line(3)], owed=[(BOB, 3, line(3).mid), (CAROL, 3, line(3).mid)], gone={CAROL: 3}),
    ):
        room.commit(changes)
        kept.commit(changes)
    loaded = room.load()
    assert (loaded.owed, loaded.standings) == (kept.owed, kept.standings)
    assert loaded.standings == {BOB: Standing(reached=2), CAROL: Standing(reached=3)}
    room.commit(Changes(b"new log!", owed=[(BOB, 1, line(3).mid)], standings={BOB: Standing(1, 0, 1, (), 1)}))
    assert room.load().standings[BOB].reached == 1  # what was kept beside the lines was of the old log


def test_taken_back_lines_close_up_and_nothing_else_changes(vault: Vault) -> None:
    room, kept = room_in(vault, ROOM), Kept()
    lines = [line(number) for number in range(1, 5)]
    owed = [(fp, number, one.mid) for number, one in enumerate(lines, 1) for fp in (BOB, CAROL)]
    back = [(BOB, 0, lines[1].mid), (BOB, 2, lines[2].mid), (BOB, 3, lines[3].mid)]
    spared = [(lines[1].mid, BOB)]
    for changes in (
        Changes(LOG, lines, owed, gone={CAROL: 4}),
        Changes(owed=back, standings={BOB: Standing(3, 0, 1)}, taken_back=spared),
        Changes(lines=[line(5)], owed=[(BOB, 4, line(5).mid)]),
        Changes(lines=[line(6)], owed=[(BOB, 5, line(6).mid), (BOB, 0, line(6).mid)], standings={BOB: Standing(4)}),
    ):
        room.commit(changes)
        kept.commit(changes)
    loaded = room.load()
    assert loaded == kept
    assert loaded.owed[BOB] == dict(enumerate([lines[0].mid, lines[2].mid, lines[3].mid, line(5).mid], 1))
    assert list(loaded.lines) == [line(number).mid for number in range(1, 7)]
    assert (loaded.taken_back, loaded.standings[CAROL].reached) == ({lines[1].mid: {BOB}}, 4)


def test_where_it_wasnt_kept_all_that_is_owed_may_have_gone_out(path: Path, vault: Vault) -> None:
    room, logs = room_in(vault, ROOM), ((b"bobs log", 7), (b"another!", 2**64 - 1))
    room.commit(Changes(LOG, [line(1)], [(BOB, 1, line(1).mid)]))
    with vault.transaction() as base:
        old = BOB + struct.pack(">QQQ", 1, 0, 1) + b"".join(struct.pack(">8sQ", *log) for log in logs)
        base.execute(
            "INSERT INTO item (room, kind, key, value) VALUES (?, ?, ?, ?)", room._row(Kind.STANDING, BOB, old)
        )
    vault.close()
    again = open_vault(path)
    standing = room_in(again, ROOM).load().standings[BOB]
    assert (standing.head, standing.low, standing.logs) == (1, 1, logs)
    assert standing.reached >= 2**63
    again.close()


def test_old_lines_are_left_out_but_those_that_are_owed(vault: Vault) -> None:
    room = room_in(vault, ROOM)
    room.commit(Changes(LOG, [line(0)], [(BOB, 1, line(0).mid)]))
    room.commit(Changes(lines=[line(number, BOB) for number in range(1, KEPT_LINES + 10)]))
    lines = list(room.load().lines)
    assert len(lines) == KEPT_LINES + 1
    assert lines[0] == line(0).mid
    assert room.load().older == (line(0).mid, *(line(number, BOB).mid for number in range(1, 10)))


def test_what_became_of_lines_that_are_left_out_isnt_even_opened(vault: Vault) -> None:
    room = room_in(vault, ROOM)
    many = [line(number) for number in range(KEPT_LINES + 250)]
    for at in range(0, len(many), 100):
        some = [one.mid for one in many[at : at + 100]]
        room.commit(Changes(lines=many[at : at + 100]))
        room.commit(Changes(arrived=[(mid, BOB, 7) for mid in some], undelivered=[(mid, CAROL) for mid in some]))
    vault._base.execute("UPDATE item SET value = x'00' WHERE kind BETWEEN 3 AND 5 AND seq <= 602")  # of the first 200
    kept = room.load()
    assert list(kept.lines) == [one.mid for one in many[250:]]
    assert all(kept.arrived[mid] == {BOB: 7} and kept.undelivered[mid] == {CAROL} for mid in kept.lines)


@pytest.mark.parametrize("value", ["7", "'a text'", "1.5", "x''"])
def test_a_value_that_is_no_longer_bytes_is_damaged_as_any_other(path: Path, vault: Vault, value: str) -> None:
    room_in(vault).commit(all_sorts())
    vault.close()
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute(f"UPDATE item SET value = {value} WHERE kind = {int(Kind.LINE)}")
        base.commit()
    with contextlib.closing(open_vault(path)) as opened:
        kept = room_in(opened).load()
        assert (kept.lines, kept.lost_lines) == ({}, 3)


def test_an_erased_room_leaves_nothing_and_the_others_stay(path: Path, vault: Vault) -> None:
    for room_id in (ROOM, OTHER):
        room_in(vault, room_id).commit(all_sorts())
    open_still = room_in(vault, ROOM)
    sealed = open_still._row(Kind.LOG, b"", LOG)[3]
    assert sealed in everything(path)
    open_still.erase()
    assert room_in(vault, ROOM).load() == Kept()
    assert room_in(vault, OTHER).load().log == LOG
    open_still.commit(Changes(lines=[line(9)]))
    (count,) = vault._base.execute("SELECT count(*) FROM item WHERE kind < 16").fetchone()
    assert count == 9
    assert sealed not in everything(path)


def test_an_erased_room_gives_the_disk_its_place_back(path: Path, vault: Vault) -> None:
    room_in(vault, OTHER).commit(all_sorts())
    before = path.stat().st_size
    room = room_in(vault, ROOM)
    for at in range(0, 2000, 100):
        room.commit(Changes(lines=[line(number) for number in range(at, at + 100)]))
    vault.overwrite_log()
    assert path.stat().st_size > 300_000
    room.erase()
    assert path.stat().st_size < max(before, 60_000)
    assert room_in(vault, OTHER).load().log == LOG


def everything(path: Path) -> bytes:
    """All bytes of all files beside it, and of itself."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


# -- what others can see -----------------------------------------------------------------------------------------------


def test_attack_56_the_files_show_nothing_of_what_was_said_and_by_whom(path: Path, vault: Vault) -> None:
    world = World()
    alice, bob = world.client("alice", store=room_in(vault, ROOM)), world.client("bob")
    world.advance(2)
    alice.say("a text that nobody else may read")
    bob.say("nor this one")
    world.settle()
    bob.disconnect()
    alice.say("which waits for him")
    world.settle()
    assert len(room_in(vault, ROOM).load().lines) == 3
    files = everything(path)
    for secret in (b"nobody else", b"nor this", b"waits for", fp("alice"), fp("bob"), ROOM):
        assert secret not in files


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_attack_56_nobody_can_tell_that_two_rooms_have_a_member_in_common(vault: Vault) -> None:
    for room_id in (ROOM, OTHER):
        room_in(vault, room_id).commit(all_sorts())
    keys = [key for (key,) in vault._base.execute("SELECT key FROM item WHERE kind < 16")]
    assert len(set(keys)) == len(keys) == 18


def test_the_files_are_their_owners_alone(path: Path, vault: Vault) -> None:
    room_in(vault, ROOM).commit(all_sorts())
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_record_opens_in_its_place_alone() -> None:
    keys = SealKeys(KEYS[:32], KEYS[32:])
    for data in (b"", b"x", bytes(10_000)):
        record = seal_record(keys, b"here", data)
        assert open_record(keys, b"here", record) == data
        with pytest.raises(CryptoError):
            open_record(keys, b"there", record)
        for at in {0, 15, len(record) - 1}:
            with pytest.raises(CryptoError):
                open_record(keys, b"here", record[:at] + bytes((record[at] ^ 1,)) + record[at + 1 :])


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_other_keys_open_nothing(path: Path, vault: Vault) -> None:
    room_in(vault, ROOM).commit(all_sorts())
    vault.keys = KEYS[::-1]
    other = Vault.in_memory(path, vault.lock, KEYS[::-1])
    other._base = vault._base
    assert room_in(other, ROOM).load() == Kept()  # not even which room it is can be seen


def test_two_programs_cant_have_it_at_once(path: Path, vault: Vault) -> None:
    room_in(vault, ROOM).commit(all_sorts())
    with pytest.raises(VaultError, match="Parley is open already"):
        open_vault(path)
    room_in(vault, ROOM).commit(Changes(lines=[line(9)]))


def test_a_full_disk_takes_all_or_nothing(vault: Vault) -> None:
    room = room_in(vault, ROOM)
    room.commit(all_sorts())
    before = room.load()
    (pages,) = vault._base.execute("PRAGMA page_count").fetchone()
    vault._base.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(VaultError, match="no room on the disk"):
        room.commit(Changes(lines=[line(number, BOB) for number in range(10, 1000)]))
    assert room.load() == before
    vault._base.execute(f"PRAGMA max_page_count = {pages + 1000}")
    room.commit(Changes(lines=[line(10)]))
    assert line(10).mid in room.load().lines


def test_a_directory_that_isnt_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="There is no profile at"):
        open_vault(tmp_path / "nowhere" / "vault")
    (tmp_path / "file").touch()
    with pytest.raises(ProfileError, match="can't be written"):
        make_vault(tmp_path / "file" / "vault")


def test_the_disk_is_asked_only_when_something_changed_and_not_believed_after_it_failed(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def count(handle: int) -> None:
        synced.append(handle)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", count)
    room = room_in(vault, ROOM)
    vault.settle()
    before = len(synced)
    room.commit(Changes(lines=[line(1)]))
    room.load()
    assert len(synced) == before
    room.settle()
    room.settle()
    assert len(synced) == before + 1
    room.commit(Changes(LOG))  # a log that was begun is never forgotten
    assert len(synced) == before + 2
    room.commit(Changes(lines=[line(2)]))

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(VaultError, match="can't be written"):  # by which a room knows that it must stop
            vault.settle()
    for _ in range(2):  # what the system dropped then it won't write later
        with pytest.raises(VaultError, match="an earlier write failed"):
            vault.settle()


def test_before_a_number_goes_out_the_disk_knows_that_there_may_be_more(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    room = room_in(vault, ROOM)
    room.commit(Changes(LOG))
    vault.settle()

    def syncs(of: Callable[[], None]) -> int:
        synced.clear()
        of()
        return len(synced)

    def says(number: int) -> Callable[[], None]:
        return lambda: room.commit(Changes(lines=[line(number)], owed=[(BOB, number, line(number).mid)], goes=True))

    assert [syncs(says(number)) for number in (1, 2, 3)] == [1, 0, 0]
    assert room.load().unsettled
    assert [syncs(room.settle), syncs(says(4)), syncs(room.rest)] == [1, 0, 1]
    assert not room.load().unsettled
    assert [syncs(says(5)), syncs(lambda: room.commit(Changes(b"new log!"))), syncs(says(6))] == [1, 1, 1]
    room.erase()
    room.rest()
    assert room_in(vault, ROOM).load() == Kept()


def test_a_file_system_that_knows_no_syncing_is_taken_as_it_is(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    room_in(vault, ROOM).commit(Changes(LOG, [line(1)]))
    vault.settle()
    assert room_in(vault, ROOM).load().log == LOG


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from chatcore.kept import Changes, Line
from vault_help import open_vault, room_in
room = room_in(open_vault(Path(sys.argv[1])))
number = len(room.load().lines)
while True:
    number += 1
    mid = number.to_bytes(16)
    pair = [Line(mid, b"b" * 32, b"one", number, None), Line(mid[::-1], b"b" * 32, b"two", number, None)]
    room.commit(Changes(lines=pair))
    print(number, flush=True)
    number += 1
"""


def test_a_program_that_is_killed_at_any_moment_leaves_whole_commits(path: Path) -> None:
    """Each commit has two lines: after a kill -9 there are both or none, and all that were told to be there."""
    make_vault(path).close()
    told = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(25):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            told = max([told, *(int(number) for number in writer.stdout.read().split())])
        vault = open_vault(path)
        mids = list(room_in(vault, ROOM).load().lines)
        vault.close()
        assert len(mids) % 2 == 0
        assert {mid[::-1] for mid in mids} == set(mids)
        assert {number.to_bytes(16) for number in range(1, told + 1, 2)} <= set(mids)


def test_nothing_about_it_is_shown(vault: Vault) -> None:
    assert (repr(vault), repr(room_in(vault, ROOM))) == ("Vault()", "RoomVault()")
    assert isinstance(room_in(vault, ROOM), RoomVault)
