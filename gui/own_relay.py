"""The relay of this computer, for rooms that are made on it.  A shell; called by the backroom's thread."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from chatcore.errors import RelayError
from relay.embedded import EmbeddedRelay

log = logging.getLogger("parley.gui")


class OwnRelay:
    """One relay at most, started when it is needed.  `directory` is for its key and certificate."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._relay: EmbeddedRelay | None = None
        self._scratch: str | None = None  # where the relay of somebody without a profile keeps its key

    def start(self, port: int, *, kept: bool) -> str:
        """Start it, unless it runs, on a port or, with 0, on any; returns its line.

        Its key is `kept`, or is gone when it ends.  Raises RelayError, ConfigError.
        """
        if self._relay is None:
            if not kept:
                self._scratch = tempfile.mkdtemp(prefix="parley-")
            relay = EmbeddedRelay(Path(self._scratch) if self._scratch else self._directory, port=port)
            relay.start()
            self._relay = relay
        return self._relay.line

    def start_again(self, port: int, *, kept: bool) -> None:
        """Start the relay of a room that was made here; another window may have it running.  Raises ConfigError."""
        try:
            self.start(port, kept=kept)
        except RelayError:
            log.info("the relay of this computer was not started: its port is taken")

    def give_up(self) -> None:
        """End the one whose key is kept: its directory is to be erased."""
        if self._relay is not None and self._scratch is None:
            self._relay.stop()
            self._relay = None

    def stop(self) -> None:
        """End it."""
        if self._relay is not None:
            self._relay.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
