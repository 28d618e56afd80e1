"""Keeps one room connected to its relay, on the loop.  Shell.

When a connection breaks, it is made again, to the same relay, with a fresh session key, later and later.  It isn't when
trying again can't help: then the sentence that goes with STOPPED says why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import SystemRandom

from chatcore.cable import Cable, End, Timing, dial
from chatcore.engines import PrivateKey
from chatcore.errors import PinError, RelayError
from chatcore.events import Connection
from chatcore.seat import refusal_sentence
from chatcore.visit import Soon, Visit
from chatcore.wire import Refusal
from chatcore.worker import Worker

MAX_WAIT_S = 900  # a relay may ask us to stay away, but not for good

FINAL = (Refusal.VERSION, Refusal.RELAY_PASS, Refusal.MALFORMED)  # trying again doesn't help

CLOSED = "You have closed this room."
LEFT = "You have left this room."

_RANDOM = SystemRandom()


def retry_wait_s(timing: Timing, tries: int, end: End) -> float:
    """Return the seconds until the next try: doubling, jittered, and never less than the relay asked for."""
    first_s, most_s = timing.retry_first_s, timing.retry_most_s
    doubled_s = min(most_s, first_s * 2.0 ** min(tries, 20)) * _RANDOM.uniform(0.5, 1.0)
    return max(first_s, doubled_s, min(end.wait_s, MAX_WAIT_S) * _RANDOM.uniform(1.0, 1.25))


class Upkeep:
    """What the loop does for the rooms: `fresh_key` makes a session key that was never used."""

    def __init__(
        self, timing: Timing, worker: Worker, soon: Soon, fresh_key: Callable[[], Awaitable[PrivateKey]]
    ) -> None:
        self._timing, self._worker, self._soon, self._fresh_key = timing, worker, soon, fresh_key

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
        tries = 0
        while True:
            end, lasted_s = await self._connect(visit)
            if end is None:
                return
            tries = 0 if lasted_s >= self._timing.stable_s else tries
            wait_s = retry_wait_s(self._timing, tries, end)
            tries += 1
            reason = refusal_sentence(end.refusal, max(1, round(wait_s))) if end.refusal else end.reason
            visit.report(Connection.RECONNECTING, reason, wait_s)
            await asyncio.sleep(wait_s)
            visit.report(Connection.RECONNECTING, reason)

    async def _connect(self, visit: Visit) -> tuple[End | None, float]:
        """Make one connection and stay until it ends.

        Returns why it ended, None when there is no use in trying again, and how many seconds it had lasted.
        """
        session = await self._fresh_key()
        try:
            cable = await dial(visit.relay, lambda: Cable(visit.relay.pins, visit), self._timing)
        except PinError as error:
            visit.report(Connection.STOPPED, str(error))
            return None, 0.0
        except RelayError as error:
            return End(str(error)), 0.0
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        try:
            await self.on_worker(visit, lambda: visit.plug(cable, session))
            end = await cable.watch(self._timing)
        finally:
            cable.drop(End())
            await cable.gone.wait()
        while visit.cable is cable:  # what came before the end counts
            await self.on_worker(visit, lambda: visit.pump(cable))
        if end.refusal in FINAL:
            visit.report(Connection.STOPPED, refusal_sentence(end.refusal, 0))
            return None, 0.0
        return end, loop.time() - since_s

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
        cable = visit.cable
        if cable is not None and cable.seated:
            while not cable.open_to_write:
                await cable.drained.wait()
                await self.on_worker(visit, visit.after)
            await cable.settled()
