"""The client: keeps rooms connected to their relays.  A shell: two threads, sockets and both clocks around `Room`.

One thread runs an asyncio loop and does all that is input and output (`upkeep`).  One thread, the worker, runs every
method of every room (`worker`, `visit`).  Everything a room has to tell goes to `emit(room_id, event)`, from the
worker, which must never be kept waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from chatcore.cable import Loop, Timing
from chatcore.clock import Moment
from chatcore.engines import Engine, PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import StateError, TextError
from chatcore.invite import Invite, RelayAddress
from chatcore.kept import Store
from chatcore.proxy import Proxy
from chatcore.room import Room
from chatcore.seal import fingerprint
from chatcore.text import check_nick, pack_text
from chatcore.upkeep import Upkeep
from chatcore.visit import Emit, Visit
from chatcore.worker import Worker, log_fault

NOT_IN_YET = "You can write as soon as you have been let in."


def _log_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log_fault(error)


class Client:
    """Keeps any number of rooms connected.  Every method may be called from any thread, `emit` included."""

    def __init__(
        self, emit: Emit, *, engine: Engine | None = None, timing: Timing | None = None, proxy: Proxy | None = None
    ) -> None:
        """`emit` gets (32-byte room id, event) from the worker thread, and must return at once."""
        self._emit = emit
        self._engine = engine or OpenSSLEngine()
        self._lock = threading.Lock()
        self._visits: dict[bytes, Visit] = {}
        self._threads: list[threading.Thread] = []
        self._loop: Loop
        self._stopping: asyncio.Event
        self._deadline_s = 0.0
        self._worker = Worker()
        self._upkeep = Upkeep(timing or Timing(), self._worker, self._soon, self._session_key, proxy)
        self._ends: dict[bytes, asyncio.Task[None]] = {}  # the loop's: rooms that are being closed
        self._spare: asyncio.Future[PrivateKey] | None = None

    # -- commands

    def start(self) -> None:
        """Start both threads; returns when they run.  Raises StateError the second time."""
        if self._threads:
            raise StateError("a client is started once")
        running = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_loop, args=(running,), name="parley-io", daemon=True),
            threading.Thread(target=self._worker.run, name="parley-worker", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        running.wait()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Bring out what was said last, close every room, end both threads.  May be called at any time, and again.

        It doesn't sign a LEAVE: members are merely away.  When something hangs, it is left behind after `timeout_s`.
        """
        if not self._threads:
            return
        self._deadline_s = time.monotonic() + timeout_s
        self._soon(self._stopping.set)
        if threading.current_thread() in self._threads:
            return  # from `emit`: a thread can't wait for itself
        for thread in self._threads:
            thread.join(max(0.1, self._deadline_s - time.monotonic()))
        self._worker.abandoned = True  # if the worker is still busy, it ends with what it does now
        for thread in tuple(self._loop.threads):
            thread.join(max(0.1, self._deadline_s - time.monotonic()))

    def go_through(self, proxy: Proxy | None) -> None:
        """Reach relays through this proxy, or through none, from now on: rooms that are open are connected anew."""
        if not self._threads:
            self._upkeep.proxy = proxy
            return
        with self._lock:
            visits = list(self._visits.values())
        self._soon(self._upkeep.go_through, proxy, visits)

    def open_room(
        self,
        invite: Invite,
        identity: PrivateKey,
        nick: str,
        statements: Iterable[bytes] = (),
        store: Store | None = None,
    ) -> bytes:
        """Enter a room and stay connected to it; returns its id (32 bytes).

        `statements` are those kept from an earlier visit; what is in the `store` is told first, and what happens is
        committed to it, by the worker.  Raises TextError for a nick that can't be used, StateError
        if the room is open already or the client isn't running.
        """
        check_nick(nick)
        visit = Visit(invite, fingerprint(identity.modulus), self._worker, self._soon, self._emit)
        known = tuple(statements)

        def make(now: Moment) -> Room:
            kept = store.load() if store is not None else None
            return Room(invite, identity, nick, self._engine, now, secrets.token_bytes, known, kept)

        with self._lock:
            if not self._threads or self._deadline_s:
                raise StateError("the client isn't running")
            if visit.id in self._visits:
                raise StateError("this room is open already")
            self._visits[visit.id] = visit
        self._soon(self._begin, visit, lambda: visit.enter(store, make))
        return visit.id

    def say(self, room_id: bytes, text: str, answers: bytes = b"", listed: frozenset[bytes] | None = None) -> None:
        """Send a text to every member, as a reply if `answers` is the mid of a message; MessageSent says it was taken.

        `listed` are those whom its writer saw: if anybody else would get it, NotSaid comes instead.
        Raises TextError, with a sentence for its writer, when it is empty or too long, or one isn't a member yet.
        """
        pack_text(text)
        visit = self._visit(room_id)
        if visit.failure:
            raise TextError(visit.failure)
        if not visit.member:
            raise TextError(NOT_IN_YET)
        self._command(visit, lambda room, now: room.say(text, now, answers, listed))

    def take_back(self, room_id: bytes, mid: bytes) -> None:
        """Take back one's own message from those to whom it hasn't gone yet; TakenBack says who they are."""
        self._command(self._visit(room_id), lambda room, _: room.take_back(mid))

    def let_in(self, room_id: bytes, fp: bytes) -> None:
        """Let in somebody who knocks.  Raises StateError for anybody but the owner of the room."""
        visit = self._visit(room_id)
        if not visit.owner:
            raise StateError("only the owner of the room lets people in")
        self._command(visit, lambda room, now: room.let_in(fp, now))

    def keep_steady(self, room_id: bytes, period_s: int) -> None:
        """Set the rhythm of the room, 1 to 30 seconds, or 0 for none.  Raises StateError for anybody but its owner."""
        visit = self._visit(room_id)
        if not visit.owner:
            raise StateError("only the owner of the room sets its rhythm")
        self._command(visit, lambda room, now: room.keep_steady(period_s, now))

    def move(self, room_id: bytes, relay: RelayAddress) -> None:
        """Say that the room is on another relay from now on: RoomMoved.  Raises StateError for all but its owner."""
        visit = self._visit(room_id)
        if not visit.owner:
            raise StateError("only the owner of the room moves it")
        self._command(visit, lambda room, now: room.move(relay, now))

    def turn_away(self, room_id: bytes, fp: bytes) -> None:
        """Turn away somebody who knocks."""
        self._command(self._visit(room_id), lambda room, now: room.turn_away(fp, now))

    def ask_report(self, room_id: bytes) -> None:
        """Ask what was counted of the relay; the ConnectionReport event has it."""
        visit = self._visit(room_id)
        self._command(visit, lambda room, now: visit.tell(room.report(now)))

    def leave(self, room_id: bytes) -> None:
        """Leave for good: sign the LEAVE, tell those who are here, close the room."""
        self._close(room_id, leave=True)

    def close_room(self, room_id: bytes) -> None:
        """Close the room; one stays a member and is away."""
        self._close(room_id, leave=False)

    def settle(self, timeout_s: float = 5.0) -> None:
        """Wait until rooms that were closed are: nothing is committed to their stores any more.  Not from `emit`."""

        async def ended() -> None:
            if ends := list(self._ends.values()):
                await asyncio.wait(ends)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(ended(), self._loop).result(timeout_s)

    def ask_sealed_blocks(self, room_id: bytes, mid: bytes) -> None:
        """Ask for the blocks of a message; the SealedBlocks event has them."""
        visit = self._visit(room_id)
        self._command(visit, lambda room, _: visit.tell(room.sealed_blocks(mid)))

    def ask_agreed(self, room_id: bytes, answer: Callable[[frozenset[bytes]], None]) -> None:
        """Ask who holds the same statements as we; `answer` gets their fingerprints, from the worker thread."""
        self._command(self._visit(room_id), lambda room, _: answer(room.agreed))

    def statements(self, room_id: bytes) -> tuple[bytes, ...]:
        """Return the statements to be kept for the next visit."""
        return self._visit(room_id).statements

    def _visit(self, room_id: bytes) -> Visit:
        with self._lock:
            visit = self._visits.get(room_id)
        if visit is None:
            raise StateError("this room isn't open")
        return visit

    def _command(self, visit: Visit, command: Callable[[Room, Moment], object]) -> None:
        self._worker.post(visit, lambda: visit.step(command))

    def _close(self, room_id: bytes, *, leave: bool) -> None:
        visit = self._visit(room_id)
        with self._lock:
            self._visits.pop(room_id, None)
        self._soon(self._end_soon, visit, leave)

    def _soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call something, unless it is closed: then nobody needs it any more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- the loop: everything that touches a socket

    def _run_loop(self, running: threading.Event) -> None:
        self._loop = Loop()
        self._loop.set_exception_handler(lambda _, context: log_fault(context.get("exception") or RuntimeError()))
        self._stopping = asyncio.Event()
        self._loop.call_soon(running.set)
        try:
            self._loop.run_until_complete(self._stay_until_stopped())
        finally:
            self._loop.close()
            self._worker.end()

    async def _stay_until_stopped(self) -> None:
        self._spare = self._make_key()
        await self._stopping.wait()
        with self._lock:
            visits = list(self._visits.values())
            self._visits.clear()
        for visit in visits:
            self._end_soon(visit, False)
        ends = list(self._ends.values())
        if ends:
            await asyncio.wait(ends, timeout=max(0.0, self._deadline_s - time.monotonic() - 0.2))
        while rest := asyncio.all_tasks() - {asyncio.current_task()}:  # what hangs, and what its cancelling brings up
            for task in rest:
                task.cancel()
            await asyncio.wait(rest)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        task.add_done_callback(_log_failure)
        return task

    def _make_key(self) -> asyncio.Future[PrivateKey]:
        return self._loop.aside(self._engine.generate)

    async def _session_key(self) -> PrivateKey:
        """Return a key that was never used, made ahead if there was time, and have the next one made."""
        spare, self._spare = self._spare, self._make_key()
        return await (spare or self._make_key())

    def _begin(self, visit: Visit, enter: Callable[[], None]) -> None:
        visit.task = self._spawn(self._upkeep.keep(visit, enter, self._ends.get(visit.id)))

    def _end_soon(self, visit: Visit, leave: bool) -> None:
        self._ends = {room_id: task for room_id, task in self._ends.items() if not task.done()}
        self._ends[visit.id] = self._spawn(self._upkeep.end(visit, leave, self._ends.get(visit.id)))
