"""A relay as a program: signals, and the configuration read anew while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable

from chatcore.errors import ConfigError
from relay import journal, renewal
from relay.config import Config, default_control
from relay.monitor import PRIVATE_MODE, PUBLIC_MODE, Monitor, pages_of
from relay.server import Server, loop_factory
from relay.system import notify_service_manager, passed_sockets

LOOK_S = 3600.0


def serve(load: Callable[[], Config], *, unlimited: bool = False, announce: Callable[[str], None]) -> None:
    """Run a relay until SIGTERM or SIGINT; read the configuration anew at SIGHUP.

    `load` returns the configuration to run with or raises ConfigError; `announce` gets the relay line once it listens.
    Raises ConfigError or RelayError, each with one sentence.
    """
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a loop to hear it: it would end us
    config = load()
    renewal.mend(config, time.time())
    journal.to_stderr(config.log, config.log_format)
    server = Server(config, unlimited=unlimited, passed=passed_sockets())
    gc.freeze()  # what is there now stays, and need not be looked through again: that would hold up everybody for 20 ms
    with asyncio.Runner(loop_factory=loop_factory(config.event_loop)) as runner:
        runner.run(_serve(server, load, announce))


async def _serve(server: Server, load: Callable[[], Config], announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    hurry = asyncio.Event()

    def hear() -> None:
        reload(server, load)
        hurry.set()

    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, hear)
    places = ((server.config.metrics, PUBLIC_MODE), (server.config.control or default_control(), PRIVATE_MODE))
    monitors = []
    renewing = asyncio.create_task(_renew(server, hurry))
    try:
        for place, mode in places:
            if place is not None:
                monitors.append(Monitor(pages_of(server)))  # one for each: a crowd at the one is none at the other
                await monitors[-1].listen(place, mode)
        await server.start()
        announce(server.line)
        await stop.wait()
        await server.stop()
    finally:
        renewing.cancel()
        for monitor in monitors:
            monitor.close()


async def _renew(server: Server, hurry: asyncio.Event) -> None:
    """Look every hour, and after each reload, whether the certificate is due, and if so serve with a new one."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), LOOK_S)
        hurry.clear()
        try:
            await look(server, time.time())
        except ConfigError:
            pass
        except Exception as error:  # and it looks again in an hour
            server.journal.fault(error)


async def look(server: Server, now_s: float) -> None:
    """Make the certificate anew if it is due.  A failure is a sentence in the log, once for each look."""
    config = server.config
    if not renewal.is_due(config, now_s):
        return
    try:
        await asyncio.to_thread(renewal.renew, config)  # which may have to ask the openssl command
        server.reload(server.config)
    except ConfigError as error:
        server.journal.say(f"the certificate is as it was: {error}", "renewal")
    else:
        server.note("renewed")


def reload(server: Server, load: Callable[[], Config]) -> None:
    """Take over a changed configuration; or, if it can't be used, say why and leave all as it was."""
    if server.state != "ready":
        return  # it starts, with a configuration that has only just been read, or stops
    notify_service_manager(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        config = load()
        remarks = server.reload(config)
    except ConfigError as error:
        server.journal.say(f"reload refused, and all stays as it was: {error}", "reload_refused")
        notify_service_manager("READY=1\nSTATUS=The last reload was refused; the log says why.")
        return
    journal.to_stderr(config.log, config.log_format)
    server.note("reloaded")
    for remark in remarks:
        server.journal.say(remark)
    notify_service_manager("READY=1\nSTATUS=")
