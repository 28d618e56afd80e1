"""A relay inside another program: own thread, own loop, TLS with a key of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from chatcore.errors import ConfigError, ParleyError, RelayError
from chatcore.wire import NO_PASS
from relay import keys, renewal
from relay.config import Config
from relay.server import Server, configure_logging_off, loop_factory

UNUSABLE = (
    "The relay of this computer can't start ({}). See that its directory can be written, or move it away: "
    "then Parley makes a new one, and rooms that were made on the old one need new invites."
)
ELSEWHERE = "the relay could not be started here ({}); try another directory or port."


class EmbeddedRelay:
    """A relay that lives as long as the program.

    `state_dir` keeps its key and certificate, which are made the first time; with `port` 0 the system chooses one.
    `host` is where it listens, and what stands in `line`.
    """

    def __init__(self, state_dir: Path, host: str = "127.0.0.1", port: int = 0, relay_pass: bytes = NO_PASS) -> None:
        self._state = state_dir
        self._host = host
        self._port = port
        self._pass = relay_pass
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._failure: ParleyError | None = None
        self._line = ""

    @property
    def line(self) -> str:
        """The `parley:relay/...` line for invites; empty until started."""
        return self._line

    def start(self) -> None:
        """Return once it listens.  Raises, with a sentence, ConfigError for its files and RelayError for all else."""
        if self._thread is not None:
            return
        self._failure = None
        self._listening.clear()
        self._thread = threading.Thread(target=self._run, name="parley-relay", daemon=True)
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure

    def stop(self, timeout_s: float = 5.0) -> None:
        """Refuse those who are connected and stop.  May be called at any time, and again."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(timeout_s)
        self._line = ""

    def _run(self) -> None:
        try:
            certificate, key = keys.ensure_keys(self._state)
            config = Config(
                host=self._host,
                listen=(self._host,),
                port=self._port,
                certificate=certificate,
                key=key,
                relay_pass=self._pass,
            )
            renewal.mend(config, time.time())
            configure_logging_off()
            with asyncio.Runner(loop_factory=loop_factory("auto")) as runner:
                runner.run(self._serve(Server(config)))
        except ConfigError as error:  # what it says behind the semicolon is for who runs a relay by commands
            self._failure = ConfigError(UNUSABLE.format(str(error).rpartition(";")[0]))
        except ParleyError as error:
            self._failure = error
        except OSError as error:
            self._failure = RelayError(ELSEWHERE.format(error.strerror))
        finally:
            self._listening.set()

    async def _serve(self, server: Server) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await server.start()
        self._line = server.line
        self._listening.set()
        await self._stop.wait()
        await server.stop()
