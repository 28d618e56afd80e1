"""The relays of this computer, for rooms that are made on it.  A shell; called by the backroom's thread."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from chatcore.errors import RelayError
from chatcore.invite import RelayAddress
from relay.embedded import EmbeddedRelay

log = logging.getLogger("parley.gui")


class OwnRelay:
    """A relay for each port that rooms were made on, started when it is needed; further rooms are made on the first.

    `directory` is for the key and certificate of those whose key is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[int, EmbeddedRelay] = {}  # by port
        self._passing: dict[int, EmbeddedRelay] = {}  # for somebody without a profile
        self._scratch: str | None = None  # where those keep their key

    def start(self, port: int, *, kept: bool) -> str:
        """Start one, unless it runs, on a port or, with 0, on any; returns its line.

        Its key is `kept`, or is gone when it ends.  Raises RelayError, ConfigError.
        """
        running = self._kept if kept else self._passing | self._kept
        relay = running.get(port) if port else next(iter(running.values()), None)
        if relay is None:
            if not kept and self._scratch is None:
                self._scratch = tempfile.mkdtemp(prefix="parley-")
            relay = EmbeddedRelay(self._directory if kept else Path(self._scratch or ""), port=port)
            relay.start()
            mine = self._kept if kept else self._passing
            mine[RelayAddress.parse(relay.line).port] = relay
        return relay.line

    def start_again(self, port: int, *, kept: bool) -> None:
        """Start the relay of a room that was made here; another window may have it running.  Raises ConfigError."""
        try:
            self.start(port, kept=kept)
        except RelayError:
            log.info("the relay of this computer was not started: its port is taken")

    def give_up(self) -> None:
        """End those whose key is kept: its directory is to be erased."""
        for relay in self._kept.values():
            relay.stop()
        self._kept.clear()

    def stop(self) -> None:
        """End them."""
        self.give_up()
        for relay in self._passing.values():
            relay.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
