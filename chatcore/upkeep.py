"""Keeps one room connected to its relay, on the loop.  Shell.

When a connection breaks, it is made again, to the same relay, with a fresh session key, later and later.  It isn't when
trying again can't help: then the sentence that goes with STOPPED says why.  While it holds, it is renewed about every
hour: another connection, with another key, is made, and takes the place of the first (`seats`).  A room that has moved
is looked for by turns where its owner says that it is and where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from random import SystemRandom

from chatcore.cable import Cable, End, Owner, Timing
from chatcore.dial import dial
from chatcore.engines import PrivateKey
from chatcore.errors import NoWayError, PinError, RelayError
from chatcore.events import Connection
from chatcore.invite import RelayAddress
from chatcore.proxy import Proxy
from chatcore.visit import Lookout, Soon, Visit
from chatcore.wire import Refusal
from chatcore.worker import Worker, log_fault

MAX_WAIT_S = 900  # a relay may ask us to stay away, but not for good

FINAL = (Refusal.VERSION, Refusal.RELAY_PASS, Refusal.MALFORMED)  # trying again doesn't help

MISHAP = "Something in Parley itself went wrong with this connection, so it is made anew."
CLOSED = "You have closed this room."
LEFT = "You have left this room."

_RANDOM = SystemRandom()

_Made = tuple[Cable, PrivateKey, RelayAddress]  # a connection, the session key for it, where it leads


def refusal_sentence(refusal: int, wait_s: int) -> str:
    """Say in one sentence why the relay refused, and what to do."""
    later = f"Parley will try again in {wait_s} seconds." if wait_s > 1 else "Parley will try again shortly."
    match refusal:
        case Refusal.VERSION:
            return "The relay speaks another version of Parley: one of the two needs an update."
        case Refusal.RELAY_PASS:
            return "The relay wants a pass that this invite doesn't have: ask for a new invite."
        case Refusal.ROOM_FULL:
            return f"This room is full on the relay. {later}"
        case Refusal.RELAY_FULL:
            return f"The relay is full just now. {later}"
        case Refusal.TOO_FAST:
            return f"The relay wants fewer connections from this address. {later}"
        case Refusal.SHUTTING_DOWN:
            return f"The relay is being restarted. {later}"
        case Refusal.MALFORMED:
            return "The relay didn't understand us: Parley here or the relay needs an update."
        case _:
            return f"The relay refused us without a reason that we know. {later}"


class _Present:
    """A connection that is in use: where it leads, and until when its key is young enough."""

    def __init__(self, relay: RelayAddress, renew_s: float) -> None:
        self._relay, self._worn_s, self._turns = relay, time.monotonic() + 1.25 * renew_s, 0

    def next_relay(self, wanted: RelayAddress) -> RelayAddress:
        """Return where the one goes that shall take its place: where the room is, but not for ever in vain.

        While nobody can go there, the key must be renewed all the same; then that is tried here by turns.
        """
        self._turns += time.monotonic() >= self._worn_s
        return wanted if self._turns % 2 == 0 else self._relay


def retry_wait_s(timing: Timing, tries: int, end: End) -> float:
    """Return the seconds until the next try: doubling, jittered, and never less than the relay asked for."""
    first_s, most_s = timing.retry_first_s, timing.retry_most_s
    doubled_s = min(most_s, first_s * 2.0 ** min(tries, 20)) * _RANDOM.uniform(0.5, 1.0)
    return max(first_s, doubled_s, min(end.wait_s, MAX_WAIT_S) * _RANDOM.uniform(1.0, 1.25))


class Upkeep:
    """What the loop does for the rooms: `fresh_key` makes a session key that was never used.

    Connections go through `proxy`, if there is one.
    """

    def __init__(
        self,
        timing: Timing,
        worker: Worker,
        soon: Soon,
        fresh_key: Callable[[], Awaitable[PrivateKey]],
        proxy: Proxy | None = None,
    ) -> None:
        self.proxy = proxy
        self._timing, self._worker, self._soon, self._fresh_key = timing, worker, soon, fresh_key

    def go_through(self, proxy: Proxy | None, visits: Iterable[Visit]) -> None:
        """Connect through another proxy, or through none, from now on, these rooms too."""
        if proxy != self.proxy:
            self.proxy = proxy
            for visit in visits:
                self._worker.post(visit, visit.go_another_way)

    def on_worker(self, visit: Visit, job: Callable[[], None]) -> asyncio.Future[None]:
        """Have the worker do a job; what it wrote to the relay is written when the future is done."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        def run() -> None:
            visit.guard(job)
            self._soon(settle)

        self._worker.put(run)
        return done

    async def keep(self, visit: Visit, enter: Callable[[], None], before: asyncio.Task[None] | None) -> None:
        """Keep a room connected until that can't help any more."""
        if before is not None:
            await asyncio.wait([before])  # still being closed, and kept: we would meet ourselves, and know too little
        await self.on_worker(visit, enter)
        visit.report(Connection.CONNECTING)
        tries = turns = 0
        while True:
            end, lasted_s = await self._try(visit, visit.before if turns % 2 else visit.relay)
            if end is None:
                return
            stable = lasted_s >= self._timing.stable_s
            tries, turns = (0, 0) if stable else (tries, turns + 1)
            wait_s = retry_wait_s(self._timing, tries, end)
            tries += 1
            reason = refusal_sentence(end.refusal, max(1, round(wait_s))) if end.refusal else end.reason
            visit.report(Connection.RECONNECTING, reason, wait_s)
            await asyncio.sleep(wait_s)
            visit.report(Connection.RECONNECTING, reason)

    async def _try(self, visit: Visit, relay: RelayAddress) -> tuple[End | None, float]:
        """Connect, and stay.  A mistake of ours costs the connections that there are, not the room."""
        try:
            return await self._connect(visit, relay)
        except Exception as error:
            log_fault(error)
            for cable in tuple(visit.cables):
                await self.on_worker(visit, partial(visit.unplug, cable))
            return End(MISHAP), 0.0

    async def _connect(self, visit: Visit, relay: RelayAddress) -> tuple[End | None, float]:
        """Make a connection, and others that take its place one after the other, and stay until the last has ended.

        Returns why it ended, None when there is no use in trying again, and how many seconds it had lasted.
        """
        visit.connected = False
        try:
            made = await self._dial(visit, relay)
        except (PinError, NoWayError) as error:
            # One of two addresses may well be somebody else's by now; and a relay that had a seat for us may just be
            # put up anew, from a backup or with its spare key.
            if visit.before != visit.relay or (visit.was_seated and isinstance(error, PinError)):
                return End(str(error)), 0.0
            visit.report(Connection.STOPPED, str(error))
            return None, 0.0
        except RelayError as error:
            return End(str(error)), 0.0
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        end = await self._stay(visit, made)
        if end.refusal in FINAL and visit.before == visit.relay:
            visit.report(Connection.STOPPED, refusal_sentence(end.refusal, 0))
            return None, 0.0
        return end, loop.time() - since_s

    async def _dial(self, owner: Owner, relay: RelayAddress) -> _Made:
        session, way = await self._fresh_key(), self.proxy
        cable = await dial(relay, lambda: Cable(relay.pins, owner), self._timing, way)
        cable.way = way
        return cable, session, relay

    async def _dial_next(self, visit: Visit, wait_s: float, present: _Present) -> _Made | None:
        """Make the connection that shall take the place of the present one, after a while or when that is worn."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(visit.worn.wait(), wait_s)
            await asyncio.sleep(min(wait_s, self._timing.renew_again_s) * _RANDOM.uniform(0.0, 0.1))
        with contextlib.suppress(PinError, RelayError):
            if visit.member:
                return await self._dial(visit, present.next_relay(visit.relay))
        return None

    async def _stay(self, visit: Visit, made: _Made) -> End:
        """Serve a connection, and from time to time another that takes its place, until there is none."""
        spawn = asyncio.get_running_loop().create_task
        serving, present = [spawn(self._serve(visit, *made))], _Present(made[2], self._timing.renew_s)
        following = present
        dialing: asyncio.Task[_Made | None] | None = None
        looking = spawn(self._look_out(visit))
        wait_s = self._timing.renew_s
        try:
            while True:
                if dialing is None and len(serving) == 1:
                    visit.worn.clear()
                    dialing = spawn(self._dial_next(visit, wait_s * _RANDOM.uniform(0.75, 1.25), present))
                going_on = [looking, *serving, *([dialing] if dialing else [])]
                await asyncio.wait(going_on, return_when=asyncio.FIRST_COMPLETED)
                if looking.done():
                    looking.result()  # it doesn't end by itself: this raises what went wrong
                if serving[0].done():
                    end = serving.pop(0).result()
                    if visit.cable is None:
                        return end
                    wait_s, present = self._timing.renew_s, following
                elif serving[-1].done():
                    end = serving.pop().result()
                    wait_s = max(self._timing.renew_again_s, min(end.wait_s, MAX_WAIT_S))
                if dialing is not None and dialing.done():
                    next_made, dialing = dialing.result(), None
                    wait_s = self._timing.renew_again_s
                    if next_made is not None:
                        serving.append(spawn(self._serve(visit, *next_made)))
                        following = _Present(next_made[2], self._timing.renew_s)
        finally:
            rest = [task for task in (looking, *serving, dialing) if task is not None]
            for task in rest:
                task.cancel()
            await asyncio.wait(rest)
            if (
                dialing is not None
                and not (dialing.cancelled() or dialing.exception())
                and (late := dialing.result()) is not None
            ):
                late[0].drop(End())

    async def _look_out(self, visit: Visit) -> None:
        """Be where the room was before, besides, whenever the room says so.

        A mistake of ours in there costs the present connection nothing: it would again, a few seconds after the next.
        """
        while True:
            await visit.looking.wait()
            await asyncio.sleep(self._timing.look_out_s)
            if visit.outlook is None:
                continue
            try:
                with contextlib.suppress(PinError, RelayError):
                    await self._stay_before(visit, visit.outlook)
            except Exception as error:
                log_fault(error)
            await asyncio.sleep(self._timing.renew_again_s * _RANDOM.uniform(0.1, 0.3))

    async def _stay_before(self, visit: Visit, outlook: RelayAddress) -> None:
        """Stay there until that connection has ended; with a fresh key each hour, too."""
        cable, session, at = await self._dial(Lookout(visit), outlook)
        hour = asyncio.get_running_loop().call_later(self._timing.renew_s * _RANDOM.uniform(0.75, 1.25), cable.leave)
        try:
            await self._serve(visit, cable, session, at, visit.look_out)
        finally:
            hour.cancel()

    async def _serve(
        self,
        visit: Visit,
        cable: Cable,
        session: PrivateKey,
        relay: RelayAddress,
        begin: Callable[[Cable, PrivateKey, RelayAddress], None] | None = None,
    ) -> End:
        """Stay until a connection has ended, and its last frames are taken; `begin` makes it one of the visit's."""
        try:
            await self.on_worker(visit, lambda: (begin or visit.plug)(cable, session, relay))
            if cable not in visit.cables or (cable.way != self.proxy and not relay.is_here):
                cable.drop(End())
            end = await cable.watch(self._timing)
        finally:
            cable.drop(End())
            await cable.gone.wait()
        while cable in visit.cables:  # what came before the end counts
            await self.on_worker(visit, lambda: visit.pump(cable))
        await self.on_worker(visit, lambda: None)  # what follows from its end has followed
        return end

    async def end(self, visit: Visit, leave: bool, before: asyncio.Task[None] | None) -> None:
        """Bring out what was said last, then close a room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.flush_s):
                if before is not None:
                    await asyncio.wait([before])
                if leave:
                    await self.on_worker(visit, lambda: visit.step(lambda room, now: room.leave(now)))
                await self._bring_out(visit)
        if visit.task is not None:
            visit.task.cancel()
            await asyncio.wait([visit.task])
        await self.on_worker(visit, lambda: visit.forget(LEFT if leave else CLOSED))

    async def _bring_out(self, visit: Visit) -> None:
        """Wait until the relay has dealt with all that the room wants to send."""
        await self.on_worker(visit, visit.after)
        for cable in [cable for cable in tuple(visit.cables) if cable.seated]:
            while not cable.open_to_write:
                await cable.drained.wait()
                await self.on_worker(visit, visit.after)
            await cable.settled()
