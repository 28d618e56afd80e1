"""The client: keeps rooms connected to their relays.  A shell: two threads, sockets and both clocks around `Room`.

One thread runs an asyncio loop and does all that is input and output.  One thread, the worker, runs every method of
every room, so that RSA never holds up a socket; between them go whole frames and calls, in order.  Rooms side by side
share both.  Everything a room has to tell goes to `emit(room_id, event)`, from the worker, which must never be kept
waiting.

When a connection breaks, it is made again, to the same relay, with a fresh session key, later and later.  It isn't when
trying again can't help: then the sentence that goes with STOPPED says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from random import SystemRandom
from typing import Any

from chatcore.cable import READ_LOW_BYTES, Cable, End, Loop, Timing, dial
from chatcore.clock import Moment
from chatcore.engines import Engine, PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import PinError, RelayError, StateError, TextError, VaultError
from chatcore.events import Connection, ConnectionChanged, RoomEvent
from chatcore.invite import Invite
from chatcore.kept import Store
from chatcore.room import Room
from chatcore.seal import fingerprint
from chatcore.seat import refusal_sentence
from chatcore.text import check_nick, pack_text
from chatcore.wire import FRAME_SIZE, Refusal

LOG = logging.getLogger("parley.client")

BATCH_FRAMES = 64  # taken in one go, some 20 ms of RSA: the other rooms, and what goes out, wait no longer
TICK_GAP_S = 0.01  # no timer of a room goes off more often
MAX_WAIT_S = 900  # a relay may ask us to stay away, but not for good

FINAL = (Refusal.VERSION, Refusal.RELAY_PASS, Refusal.MALFORMED)  # trying again doesn't help

NOT_IN_YET = "You can write as soon as you have been let in."
CLOSED = "You have closed this room."
LEFT = "You have left this room."
UNKEPT = "What was said here last could not be kept, so nothing more is said. Close the room and open it again."

Emit = Callable[[bytes, RoomEvent], None]
_RANDOM = SystemRandom()


def _moment(monotonic_s: float) -> Moment:
    return Moment(monotonic_s, time.time_ns() // 1_000_000)


def _ticking(more_waits: bool) -> Callable[[Room, Moment], None]:
    return lambda room, now: room.tick(now, more_waits=more_waits)


def _log_fault(error: BaseException) -> None:
    """Log a mistake of our own by its kind and place.  Its text may hold anything, so that is not logged."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    LOG.error("fault %s%s", type(error).__name__, place)


def _log_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log_fault(error)


class _Visit:
    """One room, as the client keeps it.  The worker alone touches `room`, and writes all but `task`."""

    def __init__(self, client: Client, invite: Invite, me: bytes) -> None:
        self.client = client
        self.id = invite.room_id
        self.relay = invite.relay
        self.owner = invite.owner_fp == me
        self.task: asyncio.Task[None] | None = None
        self.room: Room | None = None
        self.store: Store | None = None
        self.failure = ""  # why nothing can be said here any more
        self.cable: Cable | None = None
        self.member = False
        self.statements: tuple[bytes, ...] = ()
        self.set_digest = b""
        self.tick_s: float | None = None
        self.muted = False

    def now(self) -> Moment:
        """What time it is for the room: while frames wait for the worker, when the oldest of them came.

        A room mustn't run out of patience for something that has come and that it hasn't been shown yet.
        """
        waiting = self.cable.inbox if self.cable is not None else None
        return _moment(waiting[0][0] if waiting else time.monotonic())

    def frames_came(self, cable: Cable) -> None:
        """Have the worker take them."""
        self.client.schedule(self, cable)

    def seat_given(self) -> None:
        """Tell the window."""
        self.client.report(self, Connection.CONNECTED)

    def writable_again(self) -> None:
        """Have the worker look for what the room has to send."""
        self.client.flush(self)


class Client:
    """Keeps any number of rooms connected.  Every method may be called from any thread, `emit` included."""

    def __init__(self, emit: Emit, *, engine: Engine | None = None, timing: Timing | None = None) -> None:
        """`emit` gets (32-byte room id, event) from the worker thread, and must return at once."""
        self._emit = emit
        self._engine = engine or OpenSSLEngine()
        self._timing = timing or Timing()
        self._lock = threading.Lock()
        self._visits: dict[bytes, _Visit] = {}
        self._threads: list[threading.Thread] = []
        self._loop: Loop
        self._stopping: asyncio.Event
        self._deadline_s = 0.0
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._abandoned = False
        self._busy: list[_Visit] = []  # the worker's: those with a room
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
            threading.Thread(target=self._run_worker, name="parley-worker", daemon=True),
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
        self._abandoned = True  # if the worker is still busy, it ends with what it does now
        for thread in tuple(self._loop.threads):
            thread.join(max(0.1, self._deadline_s - time.monotonic()))

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
        visit = _Visit(self, invite, fingerprint(identity.modulus))
        known = tuple(statements)

        def enter() -> None:
            visit.store = store
            try:
                kept = store.load() if store is not None else None
            except VaultError as error:
                self._fail(visit, str(error))
                return
            visit.room = Room(invite, identity, nick, self._engine, visit.now(), secrets.token_bytes, known, kept)
            self._busy.append(visit)
            self._after(visit)

        with self._lock:
            if not self._threads or self._deadline_s:
                raise StateError("the client isn't running")
            if visit.id in self._visits:
                raise StateError("this room is open already")
            self._visits[visit.id] = visit
        self._soon(self._begin, visit, enter)
        return visit.id

    def say(self, room_id: bytes, text: str) -> None:
        """Send a text to every member; the MessageSent event says that it was taken.

        Raises TextError, with a sentence for its writer, when it is empty or too long, or one isn't a member yet.
        """
        pack_text(text)
        visit = self._visit(room_id)
        if visit.failure:
            raise TextError(visit.failure)
        if not visit.member:
            raise TextError(NOT_IN_YET)
        self._command(visit, lambda room, now: room.say(text, now))

    def let_in(self, room_id: bytes, fp: bytes) -> None:
        """Let in somebody who knocks.  Raises StateError for anybody but the owner of the room."""
        visit = self._visit(room_id)
        if not visit.owner:
            raise StateError("only the owner of the room lets people in")
        self._command(visit, lambda room, now: room.let_in(fp, now))

    def turn_away(self, room_id: bytes, fp: bytes) -> None:
        """Turn away somebody who knocks."""
        self._command(self._visit(room_id), lambda room, now: room.turn_away(fp, now))

    def leave(self, room_id: bytes) -> None:
        """Leave for good: sign the LEAVE, tell those who are here, close the room."""
        self._close(room_id, leave=True)

    def close_room(self, room_id: bytes) -> None:
        """Close the room; one stays a member and is away."""
        self._close(room_id, leave=False)

    def ask_sealed_blocks(self, room_id: bytes, mid: bytes) -> None:
        """Ask for the blocks of a message; the SealedBlocks event has them."""
        visit = self._visit(room_id)
        self._command(visit, lambda room, _: self._tell(visit, room.sealed_blocks(mid)))

    def statements(self, room_id: bytes) -> tuple[bytes, ...]:
        """Return the statements to be kept for the next visit."""
        return self._visit(room_id).statements

    def _visit(self, room_id: bytes) -> _Visit:
        with self._lock:
            visit = self._visits.get(room_id)
        if visit is None:
            raise StateError("this room isn't open")
        return visit

    def _close(self, room_id: bytes, *, leave: bool) -> None:
        visit = self._visit(room_id)
        with self._lock:
            self._visits.pop(room_id, None)
        self._soon(self._end_soon, visit, leave)

    def _soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call something, unless it is closed: then nobody needs it any more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- the worker: everything that touches a Room

    def _run_worker(self) -> None:
        ticked_s = 0.0
        while True:
            waits = [(visit.tick_s - visit.now().s, visit) for visit in self._busy if visit.tick_s is not None]
            wait_s = min((wait_s for wait_s, _ in waits), default=math.inf)
            wait_s = max(wait_s, ticked_s + TICK_GAP_S - time.monotonic())
            if wait_s <= 0:  # also when there is always something to do: else nothing would ever be acknowledged
                ticked_s = time.monotonic()
                for visit in [visit for wait_s, visit in waits if wait_s <= 0]:
                    more = visit.cable is not None and bool(visit.cable.inbox)
                    self._guard(visit, partial(self._step, visit, _ticking(more)))
            try:
                job = self._jobs.get(timeout=min(max(0.0, wait_s), threading.TIMEOUT_MAX))
            except Empty:
                continue
            if job is None or self._abandoned:
                return
            job()

    def _post(self, visit: _Visit, job: Callable[[], None]) -> None:
        self._jobs.put(lambda: self._guard(visit, job))

    def _command(self, visit: _Visit, command: Callable[[Room, Moment], object]) -> None:
        self._post(visit, lambda: self._step(visit, command))

    def _guard(self, visit: _Visit, job: Callable[[], None]) -> None:
        """Do a job.  A mistake of ours in there costs the connection, not the client."""
        try:
            job()
        except StateError:  # it was legal when it was asked for, and isn't any more
            pass
        except Exception as error:
            _log_fault(error)
            if visit.cable is not None:
                self._soon(visit.cable.drop, End())

    def _step(self, visit: _Visit, command: Callable[[Room, Moment], object]) -> None:
        if visit.room is not None:
            command(visit.room, visit.now())
            self._after(visit)

    def _after(self, visit: _Visit) -> None:
        """See what a room has to say, to us and to its relay."""
        room, cable = visit.room, visit.cable
        if room is None:
            return
        changes = room.changes()
        if changes and visit.store is not None:
            try:
                visit.store.commit(changes)
            except VaultError as error:  # what isn't kept is neither shown nor sent nor acknowledged
                self._fail(visit, str(error))
                return
            except Exception:  # a mistake of ours must not show what isn't kept either
                self._fail(visit, UNKEPT)
                raise
        for event in room.events_received():
            self._tell(visit, event)
        visit.member = room.is_member
        if room.set_digest != visit.set_digest:
            visit.set_digest, visit.statements = room.set_digest, room.statements()
        if cable is not None and room.stale:
            self._soon(cable.drop, End())
        elif cable is not None and cable.open_to_write and not cable.ended:
            data = room.data_to_send()
            if data:
                self._soon(cable.write, data)
        visit.tick_s = room.next_tick()

    def _fail(self, visit: _Visit, sentence: str) -> None:
        """Stop a room that can't be kept.  It stays open, and says why, until it is closed."""
        visit.failure = sentence
        visit.room = None  # what it noted is lost: nothing that rests on it may be kept
        self._forget(visit, sentence)
        self._soon(self._give_up, visit)

    def _tell(self, visit: _Visit, event: RoomEvent) -> None:
        if not visit.muted:
            try:
                self._emit(visit.id, event)
            except Exception as error:  # the window's mistake must not cost the room
                _log_fault(error)

    def _pump(self, visit: _Visit, cable: Cable) -> None:
        """Hand on what came in, a batch at a time, and at last that no more will come."""
        cable.scheduled = False  # from here on whoever adds to the inbox calls again
        batch = [cable.inbox.popleft() for _ in range(min(BATCH_FRAMES, len(cable.inbox)))]
        if visit.cable is not cable:
            return
        if batch:
            came, data = _moment(batch[-1][0]), b"".join(frame for _, frame in batch)
            self._step(visit, lambda room, _: room.receive_data(data, came))
        if cable.inbox:
            self.schedule(visit, cable)
        elif cable.ended:
            self._unplug(visit)
        if len(cable.inbox) * FRAME_SIZE < READ_LOW_BYTES:
            self._soon(cable.go_on_reading)

    def _unplug(self, visit: _Visit) -> None:
        visit.cable = None
        self._step(visit, lambda room, now: room.receive_eof(now))

    def _plug(self, visit: _Visit, cable: Cable, session: PrivateKey) -> None:
        self._unplug(visit)
        visit.cable = cable
        self._step(visit, lambda room, now: room.connect(session, now))

    def _forget(self, visit: _Visit, sentence: str) -> None:
        self._tell(visit, ConnectionChanged(Connection.STOPPED, sentence))
        visit.muted = True
        self._unplug(visit)
        visit.room = visit.tick_s = None
        if visit in self._busy:
            self._busy.remove(visit)

    # -- the loop: everything that touches a socket

    def _run_loop(self, running: threading.Event) -> None:
        self._loop = Loop()
        self._loop.set_exception_handler(lambda _, context: _log_fault(context.get("exception") or RuntimeError()))
        self._stopping = asyncio.Event()
        self._loop.call_soon(running.set)
        try:
            self._loop.run_until_complete(self._stay_until_stopped())
        finally:
            self._loop.close()
            self._abandoned = True  # what the worker hasn't done by now needn't be done
            self._jobs.put(None)

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

    def _on_worker(self, visit: _Visit, job: Callable[[], None]) -> asyncio.Future[None]:
        """Have the worker do a job; what it wrote to the relay is written when the future is done."""
        done: asyncio.Future[None] = self._loop.create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        def run() -> None:
            self._guard(visit, job)
            self._soon(settle)

        self._jobs.put(run)
        return done

    def schedule(self, visit: _Visit, cable: Cable) -> None:
        """Have the worker take what waits in an inbox."""
        if not cable.scheduled:
            cable.scheduled = True
            self._post(visit, lambda: self._pump(visit, cable))

    def report(self, visit: _Visit, state: Connection, reason: str = "", retry_s: float = 0.0) -> None:
        """Tell the window how a room stands to its relay."""
        self._post(visit, lambda: self._tell(visit, ConnectionChanged(state, reason, retry_s)))

    def _give_up(self, visit: _Visit) -> None:
        if visit.task is not None:
            visit.task.cancel()

    def _begin(self, visit: _Visit, enter: Callable[[], None]) -> None:
        visit.task = self._spawn(self._keep(visit, enter, self._ends.get(visit.id)))

    async def _keep(self, visit: _Visit, enter: Callable[[], None], before: asyncio.Task[None] | None) -> None:
        """Keep a room connected until that can't help any more."""
        if before is not None:
            await asyncio.wait([before])  # still being closed, and kept: we would meet ourselves, and know too little
        await self._on_worker(visit, enter)
        self.report(visit, Connection.CONNECTING)
        tries = 0
        while True:
            end, lasted_s = await self._connect(visit)
            if end is None:
                return
            tries = 0 if lasted_s >= self._timing.stable_s else tries
            wait_s = self._wait_s(tries, end)
            tries += 1
            reason = refusal_sentence(end.refusal, max(1, round(wait_s))) if end.refusal else end.reason
            self.report(visit, Connection.RECONNECTING, reason, wait_s)
            await asyncio.sleep(wait_s)
            self.report(visit, Connection.RECONNECTING, reason)

    def _wait_s(self, tries: int, end: End) -> float:
        """Return the seconds until the next try: doubling, jittered, and never less than the relay asked for."""
        first_s, most_s = self._timing.retry_first_s, self._timing.retry_most_s
        doubled_s = min(most_s, first_s * 2.0 ** min(tries, 20)) * _RANDOM.uniform(0.5, 1.0)
        return max(first_s, doubled_s, min(end.wait_s, MAX_WAIT_S) * _RANDOM.uniform(1.0, 1.25))

    async def _connect(self, visit: _Visit) -> tuple[End | None, float]:
        """Make one connection and stay until it ends.

        Returns why it ended, None when there is no use in trying again, and how many seconds it had lasted.
        """
        session = await self._session_key()
        try:
            cable = await dial(visit.relay, lambda: Cable(visit.relay.pins, visit), self._timing)
        except PinError as error:
            self.report(visit, Connection.STOPPED, str(error))
            return None, 0.0
        except RelayError as error:
            return End(str(error)), 0.0
        since_s = self._loop.time()
        try:
            await self._on_worker(visit, lambda: self._plug(visit, cable, session))
            end = await cable.watch(self._timing)
        finally:
            cable.drop(End())
            await cable.gone.wait()
        while visit.cable is cable:  # what came before the end counts
            await self._on_worker(visit, lambda: self._pump(visit, cable))
        if end.refusal in FINAL:
            self.report(visit, Connection.STOPPED, refusal_sentence(end.refusal, 0))
            return None, 0.0
        return end, self._loop.time() - since_s

    def flush(self, visit: _Visit) -> None:
        """The room may send more."""
        self._post(visit, lambda: self._after(visit))

    def _end_soon(self, visit: _Visit, leave: bool) -> None:
        self._ends = {room_id: task for room_id, task in self._ends.items() if not task.done()}
        self._ends[visit.id] = self._spawn(self._end(visit, leave, self._ends.get(visit.id)))

    async def _end(self, visit: _Visit, leave: bool, before: asyncio.Task[None] | None) -> None:
        """Bring out what was said last, then close a room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.flush_s):
                if before is not None:
                    await asyncio.wait([before])
                if leave:
                    await self._on_worker(visit, lambda: self._step(visit, lambda room, now: room.leave(now)))
                await self._bring_out(visit)
        if visit.task is not None:
            visit.task.cancel()
            await asyncio.wait([visit.task])
        await self._on_worker(visit, lambda: self._forget(visit, LEFT if leave else CLOSED))

    async def _bring_out(self, visit: _Visit) -> None:
        """Wait until the relay has dealt with all that the room wants to send."""
        await self._on_worker(visit, lambda: self._after(visit))
        cable = visit.cable
        if cable is not None and cable.seated:
            while not cable.open_to_write:
                await cable.drained.wait()
                await self._on_worker(visit, lambda: self._after(visit))
            await cable.settled()
