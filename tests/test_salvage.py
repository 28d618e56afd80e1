"""What is got out of a vault that is damaged: all that still opens, in its order, and nothing else."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_vault import ALICE, BOB, CAROL, LOG, line
from vault_help import KEYS, OTHER, ROOM, make_vault, open_vault, room_in

from chatcore.errors import VaultError
from chatcore.kept import Changes, Kept, Standing
from chatcore.lock import Guard, Lock
from chatcore.salvage import PAGE_SIZE, carve, committed
from chatcore.vault import Vault
from chatcore.vaultfile import Kind

LINES = 120


def fill(vault: Vault) -> None:
    """Two rooms of lines, some of them long, and what became of them; one commit for each."""
    for number in range(LINES):
        for room_id in (ROOM, OTHER):
            long = b"long " * (2000 if number % 40 == 7 else 10)
            one = line(number, ALICE)
            one = type(one)(one.mid, one.sender, one.rest + long, one.at_ms, one.readers)
            owed = [(BOB, number + 1, one.mid), (CAROL, number + 1, one.mid)]
            log = LOG if number == 0 else None
            standing = {BOB: Standing(number + 1, number, number + 1, ((b"bobs log", number),))}
            room_in(vault, room_id).commit(Changes(log, [one], owed, standings=standing, arrived=[(one.mid, BOB, 5)]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    """The bytes of a vault that was closed; of one whose program was killed, and of the log beside it."""
    path = tmp_path_factory.mktemp("vault") / "vault"
    vault = make_vault(path)
    fill(vault)
    beside = path.with_name("vault-wal")
    killed, log = path.read_bytes(), beside.read_bytes()
    vault.close()
    return path.read_bytes(), killed, log


def put(tmp_path: Path, image: bytes, log: bytes = b"") -> Path:
    path = tmp_path / "vault"
    for name, data in (("vault", image), ("vault-wal", log)):
        (tmp_path / name).unlink(missing_ok=True)
        if data:
            (tmp_path / name).write_bytes(data)
            (tmp_path / name).chmod(0o600)
    return path


def look(path: Path) -> tuple[Kept, Kept, bool]:
    """Open a vault, which must be possible; returns both rooms, and whether damage was told."""
    with contextlib.closing(open_vault(path)) as vault:
        return room_in(vault, ROOM).load(), room_in(vault, OTHER).load(), vault.damage is not None


def is_honest(path: Path) -> int:
    """See that what is lost is told, that no log is gone on with then, and that it is told once; returns how much."""
    *rooms, told = look(path)
    lost = 0
    for kept in rooms:
        assert list(kept.lines) == sorted(kept.lines)
        missing = LINES - len(kept.lines)
        lost += missing
        if missing or kept.log != LOG or kept.standings != whole_standing():
            assert told or kept.lost_lines is not None
            assert kept.lost_lines is not None
        if kept.lost_lines is not None:
            assert missing >= kept.lost_lines
        for owed in kept.owed.values():
            assert set(owed.values()) <= set(kept.lines)
    assert not look(path)[2]
    return lost


def whole_standing() -> dict[bytes, Standing]:
    return {BOB: Standing(LINES, LINES - 1, LINES, ((b"bobs log", LINES - 1),))}


def test_a_whole_vault_is_found_whole(whole: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    closed, killed, log = whole
    for image, beside in ((closed, b""), (killed, log)):
        path = put(tmp_path, image, beside)
        rows, damage = Vault.believe(path, Lock.make(KEYS, Guard.NOBODY, bytes(16)), KEYS, beside)
        assert sum(row[1] == Kind.LINE for row in rows) == 2 * LINES
        assert {*damage.lines.values()} == {0}
        assert is_honest(path) == 0
        assert look(path)[0].lost_lines is None


def test_a_vault_cut_short_anywhere_opens_or_says_that_it_cant(
    whole: tuple[bytes, bytes, bytes], tmp_path: Path
) -> None:
    closed = whole[0]
    opened = lost = 0
    sizes = [*range(0, 3 * PAGE_SIZE, 700), *range(3 * PAGE_SIZE, len(closed), 3 * PAGE_SIZE + 999)]
    for size in sizes:
        path = put(tmp_path, closed[:size] or b"\0")
        with contextlib.suppress(VaultError):
            lost += is_honest(path)
            opened += 1
            continue
        with pytest.raises(VaultError, match="is damaged, and was left as it is"):
            open_vault(path)
        assert path.read_bytes() == (closed[:size] or b"\0")
        assert size < 8 * PAGE_SIZE  # when the keys or the identity were behind the cut
    assert opened > 8
    assert lost > 0


def test_a_log_cut_short_or_spoiled_anywhere_opens(whole: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    _, killed, log = whole
    rng = random.Random(56)
    for size in range(0, len(log), len(log) // 12):
        room, other, _ = look(put(tmp_path, killed, log[:size]))  # it looks as it would have looked a while ago
        assert all(list(kept.lines) == sorted(kept.lines) for kept in (room, other))
    for _ in range(12):
        spoiled = bytearray(log)
        spoiled[rng.randrange(len(log) // 2)] ^= 1 << rng.randrange(8)
        *rooms, told = look(put(tmp_path, killed, bytes(spoiled)))
        assert told
        assert all(kept.lost_lines is not None for kept in rooms)
        assert sum(len(kept.lines) for kept in rooms) >= 2 * LINES - 12  # what follows the spoiled frame is found too


def test_a_bit_flipped_anywhere_loses_little_and_is_told(whole: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    closed = whole[0]
    rng = random.Random(28)
    places = [*range(0, 100, 9), *(rng.randrange(len(closed)) for _ in range(60))]
    for at in places:
        spoiled = bytearray(closed)
        spoiled[at] ^= 1 << rng.randrange(8)
        path = put(tmp_path, bytes(spoiled))
        assert is_honest(path) <= 30


def test_pages_of_nothing_lose_what_stood_there(whole: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    closed = whole[0]
    for number in range(len(closed) // PAGE_SIZE):
        spoiled = closed[: number * PAGE_SIZE] + bytes(PAGE_SIZE) + closed[(number + 1) * PAGE_SIZE :]
        assert is_honest(put(tmp_path, spoiled)) <= 12


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE item SET value = (SELECT max(value) FROM item WHERE kind = 1) WHERE kind = 1 AND seq < 30",
        "UPDATE item SET value = x'00' WHERE kind = 0",
        "UPDATE item SET value = x'00' WHERE kind = 2",
        "UPDATE item SET value = x'00' WHERE kind = 1 AND seq < 30",
    ],
)
def test_rows_that_were_changed_or_exchanged_are_seen(
    whole: tuple[bytes, bytes, bytes], tmp_path: Path, spoil: str
) -> None:
    path = put(tmp_path, whole[0])
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute(spoil)
    with contextlib.closing(open_vault(path)) as vault:
        room = room_in(vault, ROOM)
        kept = room.load()
        assert kept.lost_lines == LINES - len(kept.lines)
        room.commit(Changes(b"new log!", standings={BOB: Standing(0, 0, 1)}))
        later = room.load()
        assert (later.log, later.lost_lines, later.lines) == (b"new log!", None, kept.lines)


def test_other_tables_and_triggers_are_not_obeyed(whole: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    path = put(tmp_path, whole[0])
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TRIGGER t AFTER INSERT ON item BEGIN DELETE FROM item WHERE kind = 1; END")
    with contextlib.closing(open_vault(path)) as vault:
        room_in(vault, ROOM).commit(Changes(lines=[line(LINES)]))
        assert len(room_in(vault, ROOM).load().lines) == LINES + 1
        assert vault._base.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone() == (0,)


@given(st.binary(max_size=3 * PAGE_SIZE), st.binary(max_size=PAGE_SIZE + 200))
def test_any_bytes_are_carved_without_a_fault(image: bytes, log: bytes) -> None:
    carve(image, log)
    committed(log)


@given(st.data())
def test_any_change_is_carved_without_a_fault(whole: tuple[bytes, bytes, bytes], data: st.DataObject) -> None:
    image = bytearray(whole[0][: 8 * PAGE_SIZE])
    for _ in range(data.draw(st.integers(1, 40))):
        page = data.draw(st.integers(0, 7)) * PAGE_SIZE
        image[page + data.draw(st.integers(0, 300))] = data.draw(st.integers(0, 255))
    carve(bytes(image), whole[2][:30_000])
