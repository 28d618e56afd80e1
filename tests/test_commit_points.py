"""A client that is killed, or whose disk is full, at every point where something is written; and one that is damaged.

Whatever happens: it starts again, has all that it said it had, says and takes everything once, and gives out no number
for two messages.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_kept import Kill, again, texts
from test_vault import BOB, LOG, line
from vault_help import make_vault, open_vault, room_in
from world import Client, World, fp

from chatcore.content import ContentKind
from chatcore.delivery import NUMBER_SIZE
from chatcore.errors import VaultError
from chatcore.events import Damaged
from chatcore.kept import Changes, Kept, Standing, Store
from chatcore.vault import Vault

if sys.platform != "win32":
    import resource

posix = pytest.mark.skipif(os.name != "posix", reason="it takes a fork and a limit")
COMMITS = 8


# -- the numbers that go out -------------------------------------------------------------------------------------------


class Numbers:
    """Watches what a client puts on its links: no number of one log stands for two messages."""

    def __init__(self) -> None:
        self.given: dict[tuple[bytes, bytes, bytes, bytes], bytes] = {}

    def watch(self, client: Client) -> Client:
        courier, send, commit = client.room._courier, client.room._courier._send, client.commit
        waiting: list[tuple[tuple[bytes, bytes, bytes, bytes], bytes]] = []  # it goes out when it is committed

        def sent(talk, kind, data, now):  # type: ignore[no-untyped-def]
            if kind is ContentKind.MSG:
                place = (client.room.fp, talk.fp, courier._log, data[:NUMBER_SIZE])
                waiting.append((place, data[NUMBER_SIZE:]))
            return send(talk, kind, data, now)

        def committed() -> None:
            commit()
            for place, rest in waiting:
                assert self.given.setdefault(place, rest) == rest, "a number was used twice"
            waiting.clear()

        courier._send, client.commit = sent, committed  # type: ignore[method-assign]
        return client


class Deadly:
    """A store whose program dies at a commit: before it, or right after."""

    def __init__(self, store: Store, left: int, *, after: bool) -> None:
        self.store, self.left, self.after = store, left, after

    def load(self) -> Kept:
        return self.store.load()

    def settle(self) -> None:
        pass

    def rest(self) -> None:
        self.store.rest()

    def commit(self, changes: Changes) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Kill
        self.store.commit(changes)
        if self.left == 0:
            raise Kill


def talk(vaults: dict[str, Vault], dying: str, left: int, *, after: bool) -> bool:
    """Have two talk while one of them dies at a commit; says whether it came to that."""
    world, numbers, said = World(), Numbers(), []
    people: dict[str, Client] = {}
    for name in ("alice", "bob"):
        store: Store = room_in(vaults[name])
        people[name] = numbers.watch(
            world.client(name, store=Deadly(store, left, after=after) if name == dying else store, connect=False)
        )
    died = False

    def step(work: Callable[[], object]) -> None:
        nonlocal died
        try:
            work()
        except Kill:
            died = True
            people[dying] = numbers.watch(again(world, people[dying], room_in(vaults[dying])))

    for name in people:
        if people[name].seat is None:
            step(people[name].connect)
        step(lambda: world.advance(1))
    for number in range(3):
        for name in people:
            mid: list[bytes] = []
            text = f"{name} {number}"
            step(lambda name=name, text=text, mid=mid: mid.append(people[name].say(text)))  # type: ignore[misc]
            step(lambda name=name: people[name].commit())  # type: ignore[misc]
            if mid and mid[0] in room_in(vaults[name]).load().lines:
                said.append(text)
            step(lambda: world.advance(0.3))
    if isinstance(deadly := people[dying].store, Deadly):
        deadly.left = 0  # from here on it lives
    world.advance(60)
    for client in people.values():
        assert sorted(texts(client)) == sorted(said)
        assert client.room.owed == 0
    return died


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dying", ["alice", "bob"])
def test_attack_28_who_is_killed_at_any_commit_says_and_takes_everything_once(
    dying: str, after: bool, tmp_path: Path
) -> None:
    for left in range(1, 100):
        vaults = {name: make_vault(tmp_path / f"{name} {left}") for name in ("alice", "bob")}
        try:
            if not talk(vaults, dying, left, after=after):
                assert left >= 10
                return
        finally:
            for vault in vaults.values():
                vault.close()
    pytest.fail("it never ended")


@pytest.mark.parametrize("seed", range(6))
def test_attack_32_after_damage_no_number_is_used_again_and_what_is_said_then_arrives_once(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    world, numbers = World(), Numbers()
    vaults = {name: make_vault(tmp_path / name) for name in ("alice", "bob")}
    people = {name: numbers.watch(world.client(name, store=room_in(vault))) for name, vault in vaults.items()}
    world.advance(2)
    told = 0
    for turn in range(6):
        name = rng.choice(("alice", "bob"))
        for who, client in people.items():
            client.say(f"{who} {turn}")
            client.commit()
        world.advance(rng.random() * 2)
        vaults[name].close()
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as base, base:
            kind = rng.choice((0, 1, 2))
            row = "SELECT seq FROM item WHERE kind = ? ORDER BY random() LIMIT 1"
            (seq,) = base.execute(row, (kind,)).fetchone()
            base.execute("UPDATE item SET value = randomblob(60) WHERE seq = ?", (seq,))
        vaults[name] = open_vault(tmp_path / name)
        people[name] = numbers.watch(again(world, people[name], room_in(vaults[name])))
        told += sum(isinstance(event, Damaged) for event in people[name].room.events_received())
        world.advance(20)
        late = {who: f"{who} after {turn}" for who in people}
        for who, client in people.items():
            client.say(late[who])
            client.commit()
        world.advance(60)
        for client in people.values():
            assert [texts(client).count(text) for text in late.values()] == [1, 1]
            assert client.room.owed == 0
    assert told == 6
    for vault in vaults.values():
        vault.close()


# -- killed, and full, at every write ----------------------------------------------------------------------------------


def commit_all(path: Path, acknowledge: Callable[[int], object], prepare: Callable[[Vault], None]) -> None:
    """Open a vault and make commits, each of two lines and a standing that counts them."""
    vault = open_vault(path)
    room = room_in(vault)
    first = len(room.load().lines) // 2
    prepare(vault)
    for number in range(first, first + COMMITS):
        pair = [line(2 * number), line(2 * number + 1)]
        log = LOG if number == 0 else None
        room.commit(Changes(log, pair, standings={BOB: Standing(number + 1, 0, 1)}))
        acknowledge(number + 1)
    vault.close()


def in_a_program(work: Callable[[Callable[[int], object]], None]) -> tuple[int, bool]:
    """Do work in a program of its own; returns what it acknowledged last, and whether it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with contextlib.suppress(VaultError):
            work(lambda number: os.write(write, bytes((number,))))
        os._exit(0)
    os.close(write)
    told = b""
    while data := os.read(read, 100):
        told += data
    os.close(read)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return max(told, default=0), os.WIFSIGNALED(status)


def is_whole(path: Path, acknowledged: int) -> None:
    """See that all that was acknowledged is there, and nothing in halves."""
    with contextlib.closing(open_vault(path)) as vault:
        kept = room_in(vault).load()
    count = len(kept.lines) // 2
    assert vault.damage is None
    assert list(kept.lines.values()) == [line(number) for number in range(2 * count)]
    assert kept.standings == ({BOB: Standing(count, 0, 1)} if count else {})
    assert acknowledged <= count <= acknowledged + 1
    assert kept.log == (LOG if count else b"")


@posix
def test_killed_at_every_statement_it_has_whole_commits(tmp_path: Path) -> None:
    for left in range(1, 400):
        make_vault(tmp_path / str(left)).close()

        def arm(vault: Vault, left: int = left) -> None:
            count = [left]

            def statement(_: str) -> None:
                count[0] -= 1
                if count[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            vault._base.set_trace_callback(statement)

        told, killed = in_a_program(lambda tell, path=tmp_path / str(left), arm=arm: commit_all(path, tell, arm))  # type: ignore[misc]
        is_whole(tmp_path / str(left), told)
        if not killed:
            assert left > 3 * COMMITS
            return
    pytest.fail("it never ended")


@posix
@pytest.mark.parametrize("deadly", [True, False])
def test_at_every_write_that_cant_be_it_has_whole_commits(deadly: bool, tmp_path: Path) -> None:
    """The system lets files grow up to a limit, in the middle of a write, and then kills the program or says so."""
    cut = 0
    for limit in range(30_000, 300_000, 1_733):
        path = tmp_path / str(limit)
        make_vault(path).close()

        def arm(_: Vault, limit: int = limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if deadly else signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        told, killed = in_a_program(lambda tell, path=path, arm=arm: commit_all(path, tell, arm))  # type: ignore[misc]
        is_whole(path, told)
        assert not killed or deadly
        cut += told < COMMITS
        if told == COMMITS and not killed:
            break
        again_told, _ = in_a_program(lambda tell, path=path: commit_all(path, tell, lambda _: None))  # type: ignore[misc]
        is_whole(path, again_told)
    else:
        pytest.fail("it never ended")
    assert cut > 20


def test_a_full_disk_is_said_and_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    with contextlib.closing(make_vault(tmp_path / "vault")) as vault:
        room = room_in(vault)
        (pages,) = vault._base.execute("PRAGMA page_count").fetchone()
        done = 0
        for more in range(30):  # every page that it wants is the last one once
            vault._base.execute(f"PRAGMA max_page_count = {pages + more}")
            before = room.load()
            try:
                room.commit(Changes(lines=[line(1000 * more + number) for number in range(60)]))
                done += 1
            except VaultError as error:
                assert "There is no room on the disk" in str(error)  # noqa: PT017
                assert room.load() == before
        assert 0 < done < 30


def test_a_sealed_number_is_never_lower_than_one_that_was_acknowledged(tmp_path: Path) -> None:
    """A log that is cut short anywhere is an earlier state of the file: what was taken is there, or asked for again."""
    world, numbers = World(), Numbers()
    vaults = {name: make_vault(tmp_path / name) for name in ("alice", "bob")}
    people = {name: numbers.watch(world.client(name, store=room_in(vault))) for name, vault in vaults.items()}
    world.advance(2)
    for number in range(6):
        for who, client in people.items():
            client.say(f"{who} {number}")
            client.commit()
        world.advance(2)
    files = {end: (tmp_path / f"alice{end}").read_bytes() for end in ("", "-wal")}
    log = files["-wal"]
    vaults["alice"].close()
    logs = set()
    for size in range(len(log) // 3, len(log), len(log) // 5):
        (tmp_path / "alice").write_bytes(files[""])
        (tmp_path / "alice-wal").write_bytes(log[:size])
        (tmp_path / "alice-wal").chmod(0o600)
        vaults["alice"] = open_vault(tmp_path / "alice")
        people["alice"] = numbers.watch(again(world, people["alice"], room_in(vaults["alice"])))
        world.advance(5)
        people["alice"].say(f"after {size}")
        people["alice"].commit()
        world.advance(5)
        if people["alice"].room.stale:  # bob has more of the log than it says: a new one is begun
            people["alice"].disconnect()
            people["alice"].connect()
        world.advance(60)
        assert texts(people["bob"]).count(f"after {size}") == 1
        assert people["alice"].room.owed == 0
        assert people["alice"].room.fp == fp("alice")
        logs.add(room_in(vaults["alice"]).load().log)
        vaults["alice"].close()
    assert len(logs) > 1
    vaults["bob"].close()
