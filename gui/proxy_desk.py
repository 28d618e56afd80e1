"""Knows through which proxy relays are reached, and keeps it.  A shell; called by the backroom's thread."""

from __future__ import annotations

import contextlib
from pathlib import Path

from chatcore import proxyfile
from chatcore.errors import ProfileError
from chatcore.proxy import Proxy
from gui.proxy import SET_DIRECTLY, SET_THROUGH, ProxyKnown


class ProxyDesk:
    """`given` is what holds for this run alone, whatever is kept in the directory."""

    def __init__(self, directory: Path, given: Proxy | None) -> None:
        self._directory, self._given = directory, given

    def now(self) -> Proxy | None:
        """Return the proxy that holds now.  Raises ProfileError when nobody can know: then nothing may be dialled."""
        return self._given or proxyfile.kept(self._directory)

    @property
    def on(self) -> bool:
        """Whether relays are not reached directly."""
        try:
            return self.now() is not None
        except ProfileError:
            return True

    def known(self, done: str = "") -> ProxyKnown:
        """Return what the page shows."""
        try:
            proxy = self.now()
        except ProfileError as error:
            return ProxyKnown(problem=str(error))
        return ProxyKnown(proxy.place if proxy else "", self._given is not None, done)

    def set(self, address: str) -> ProxyKnown:
        """Keep another, or none; returns what the page shows.  Raises ProxyError, ProfileError: all is as it was."""
        proxy = Proxy.parse(address) if address.strip() else None
        proxyfile.keep(self._directory, proxy)
        self._given = None
        return self.known(SET_THROUGH if proxy else SET_DIRECTLY)

    def erase(self) -> None:
        """Keep nothing on the disk; what held goes on holding for this run.  Raises ProfileError."""
        with contextlib.suppress(ProfileError):  # what can't be read goes as well
            self._given = self.now()
        proxyfile.keep(self._directory, None)
