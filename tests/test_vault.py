"""What is kept on the disk: sealed, all or none, and honest about what can't be read."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import World, fp

from chatcore.errors import CryptoError, VaultError
from chatcore.kept import Changes, Kept, Line, Standing
from chatcore.seal import SealKeys, open_record, seal_record
from chatcore.vault import KEPT_LINES, RoomVault, Vault, _Kind

KEYS = bytes(range(64))
ROOM, OTHER = b"r" * 32, b"o" * 32
ALICE, BOB, CAROL = (letter * 32 for letter in (b"a", b"b", b"c"))
LOG = b"our log!"


def line(number: int, sender: bytes = ALICE, readers: tuple[bytes, ...] | None = (BOB, CAROL)) -> Line:
    return Line(number.to_bytes(16), sender, b"the rest of message %d" % number, 1000 + number, readers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rooms.parley"


@pytest.fixture
def vault(path: Path) -> Iterator[Vault]:
    opened = Vault(path, KEYS)
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
    room, kept = vault.room(ROOM), Kept()
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
    assert vault.room(OTHER).load() == Kept()


def test_a_vault_is_still_there_when_it_is_opened_again(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(all_sorts())
    vault.close()
    again = Vault(path, KEYS)
    assert again.room(ROOM).load().log == LOG
    again.close()


def test_a_new_log_numbers_anew_what_is_owed_and_frees_the_rest(vault: Vault) -> None:
    room = vault.room(ROOM)
    room.commit(
        Changes(LOG, [line(1), line(2)], [(BOB, 1, line(1).mid), (BOB, 2, line(2).mid), (CAROL, 1, line(2).mid)])
    )
    room.commit(Changes(b"new log!", owed=[(BOB, 1, line(2).mid)], standings={BOB: Standing(1, 0, 1)}))
    kept = room.load()
    assert (kept.log, kept.owed) == (b"new log!", {BOB: {1: line(2).mid}})
    assert list(kept.lines.values()) == [line(1), line(2)]  # in their old places


def test_what_went_out_at_once_is_kept_with_its_line(vault: Vault) -> None:
    room, kept = vault.room(ROOM), Kept()
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
    room, kept = vault.room(ROOM), Kept()
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


def test_of_the_first_version_all_that_is_owed_may_have_gone_out(path: Path, vault: Vault) -> None:
    room, logs = vault.room(ROOM), ((b"bobs log", 7), (b"another!", 2**64 - 1))
    room.commit(Changes(LOG, [line(1)], [(BOB, 1, line(1).mid)]))
    with vault.transaction() as base:
        old = BOB + struct.pack(">QQQ", 1, 0, 1) + b"".join(struct.pack(">8sQ", *log) for log in logs)
        base.execute(
            "INSERT INTO item (room, kind, key, value) VALUES (?, ?, ?, ?)", room._row(_Kind.STANDING, BOB, old)
        )
        base.execute("PRAGMA user_version = 1")
    vault.close()
    again = Vault(path, KEYS)
    standing = again.room(ROOM).load().standings[BOB]
    assert (standing.head, standing.low, standing.logs) == (1, 1, logs)
    assert standing.reached >= 2**63
    (version,) = again._base.execute("PRAGMA user_version").fetchone()
    assert version == 2
    again.close()


def test_old_lines_are_left_out_but_those_that_are_owed(vault: Vault) -> None:
    room = vault.room(ROOM)
    room.commit(Changes(LOG, [line(0)], [(BOB, 1, line(0).mid)]))
    room.commit(Changes(lines=[line(number, BOB) for number in range(1, KEPT_LINES + 10)]))
    lines = list(room.load().lines)
    assert len(lines) == KEPT_LINES + 1
    assert lines[0] == line(0).mid


def test_what_became_of_lines_that_are_left_out_isnt_even_opened(vault: Vault) -> None:
    room = vault.room(ROOM)
    many = [line(number) for number in range(KEPT_LINES + 250)]
    for at in range(0, len(many), 100):
        some = [one.mid for one in many[at : at + 100]]
        room.commit(Changes(lines=many[at : at + 100]))
        room.commit(Changes(arrived=[(mid, BOB, 7) for mid in some], undelivered=[(mid, CAROL) for mid in some]))
    vault._base.execute("UPDATE item SET value = x'00' WHERE kind >= 3 AND seq <= 600")  # of the first 200
    kept = room.load()
    assert list(kept.lines) == [one.mid for one in many[250:]]
    assert all(kept.arrived[mid] == {BOB: 7} and kept.undelivered[mid] == {CAROL} for mid in kept.lines)


def test_an_erased_room_leaves_nothing_and_the_others_stay(path: Path, vault: Vault) -> None:
    for room_id in (ROOM, OTHER):
        vault.room(room_id).commit(all_sorts())
    open_still = vault.room(ROOM)
    vault.room(ROOM).erase()
    assert vault.room(ROOM).load() == Kept()
    assert vault.room(OTHER).load().log == LOG
    open_still.commit(Changes(lines=[line(9)]))
    (count,) = vault._base.execute("SELECT count(*) FROM item").fetchone()
    assert count == 9
    sealed = vault.room(ROOM)._row(0, b"", LOG)[3]  # type: ignore[arg-type]
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert sealed not in files


# -- what others can see -----------------------------------------------------------------------------------------------


def test_attack_56_the_files_show_nothing_of_what_was_said_and_by_whom(path: Path, vault: Vault) -> None:
    world = World()
    alice, bob = world.client("alice", store=vault.room(ROOM)), world.client("bob")
    world.advance(2)
    alice.say("a text that nobody else may read")
    bob.say("nor this one")
    world.settle()
    bob.disconnect()
    alice.say("which waits for him")
    world.settle()
    assert len(vault.room(ROOM).load().lines) == 3
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (b"nobody else", b"nor this", b"waits for", fp("alice"), fp("bob"), ROOM, KEYS[:32], KEYS[32:]):
        assert secret not in files


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_attack_56_nobody_can_tell_that_two_rooms_have_a_member_in_common(vault: Vault) -> None:
    for room_id in (ROOM, OTHER):
        vault.room(room_id).commit(all_sorts())
    keys = [key for (key,) in vault._base.execute("SELECT key FROM item")]
    assert len(set(keys)) == len(keys) == 18


def test_the_files_are_their_owners_alone(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(all_sorts())
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


def test_rows_that_were_changed_or_exchanged_are_seen(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(all_sorts())
    for spoil in (
        "UPDATE item SET value = (SELECT value FROM item WHERE seq = 3) WHERE seq = 2",
        "UPDATE item SET value = x'00' WHERE seq = 1",
        "UPDATE item SET kind = 2 WHERE seq = 1",
    ):
        vault._base.execute("SAVEPOINT s")
        vault._base.execute(spoil)
        vault._base.execute("RELEASE s")
        with pytest.raises(VaultError, match="is damaged, and was left as it is"):
            vault.room(ROOM).load()
        vault._base.execute("DELETE FROM item")
        vault.room(ROOM).commit(all_sorts())


def test_other_keys_open_nothing(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(all_sorts())
    vault.close()
    other = Vault(path, KEYS[::-1])
    assert other.room(ROOM).load() == Kept()  # not even which room it is can be seen
    other.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be looked at" * 50, b"SQLite format 3\0" + bytes(4080)]
)
def test_a_file_that_is_no_vault_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(VaultError, match="is damaged, and was left as it is"):
        Vault(path, KEYS)
    assert path.read_bytes() == content


def look(path: Path) -> Kept:
    """Open a vault, load a room, and close it whatever comes."""
    with contextlib.closing(Vault(path, KEYS)) as vault:
        return vault.room(ROOM).load()


def test_a_vault_that_was_cut_short_is_told_in_a_sentence(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(Changes(LOG, [line(number, BOB) for number in range(300)]))
    vault.close()
    whole = path.read_bytes()
    for size in range(100, len(whole), 4096 * 3 + 17):
        path.write_bytes(whole[:size])
        with pytest.raises(VaultError, match="is damaged"):
            look(path)


def test_a_later_version_is_left_alone(path: Path, vault: Vault) -> None:
    vault._base.execute("PRAGMA user_version = 3")
    vault.close()
    with pytest.raises(VaultError, match="another version of Parley"):
        Vault(path, KEYS)


def test_two_programs_cant_have_it_at_once(path: Path, vault: Vault) -> None:
    vault.room(ROOM).commit(all_sorts())
    with pytest.raises(VaultError, match="is in use"):
        Vault(path, KEYS)
    vault.room(ROOM).commit(Changes(lines=[line(9)]))


def test_a_full_disk_takes_all_or_nothing(vault: Vault) -> None:
    room = vault.room(ROOM)
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
    with pytest.raises(VaultError, match="can't be used"):
        Vault(tmp_path / "nowhere" / "rooms.parley", KEYS)


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from chatcore.kept import Changes, Line
from chatcore.vault import Vault
room = Vault(Path(sys.argv[1]), bytes(range(64))).room(b"r" * 32)
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
    told = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent.parent)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(25):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            told = max([told, *(int(number) for number in writer.stdout.read().split())])
        vault = Vault(path, KEYS)
        mids = list(vault.room(ROOM).load().lines)
        vault.close()
        assert len(mids) % 2 == 0
        assert {mid[::-1] for mid in mids} == set(mids)
        assert {number.to_bytes(16) for number in range(1, told + 1, 2)} <= set(mids)


def test_nothing_about_it_is_shown(vault: Vault) -> None:
    assert (repr(vault), repr(vault.room(ROOM))) == ("Vault()", "RoomVault()")
    assert isinstance(vault.room(ROOM), RoomVault)
