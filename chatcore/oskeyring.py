"""The keyring of the system (Secret Service, KWallet, macOS, Windows), where there is one.  A shell."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import Protocol, cast

from chatcore.errors import VaultError

SERVICE = "Parley"
# Those that keep what they are given from other people; a package may add one that writes it into a plain file.
_TRUSTED = ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
NOT_KEPT = "The keyring of this system didn't take the key. Nothing was changed; unlock it, or use a passphrase."


class Backend(Protocol):
    """What the library gives, as far as it is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return what is kept under these names."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep something."""

    def delete_password(self, service: str, username: str) -> None:
        """Keep it no longer."""


class Keyring:
    """Keeps secrets of 64 bytes by name.  Whatever a keyring does wrong, nothing but VaultError comes out of here."""

    def __init__(self, backend: Backend | None = None) -> None:
        """`backend`: this one, instead of what the system offers."""
        self._backend, self._looked = backend, backend is not None

    @property
    def offered(self) -> bool:
        """Whether there is a keyring."""
        return self._have() is not None

    def fetch(self, name: str) -> bytes | None:
        """Return a secret, or None when it isn't had, for whatever reason."""
        backend = self._have()
        try:
            text = backend.get_password(SERVICE, name) if backend is not None else None
            return base64.b64decode(text, validate=True) if text else None
        except binascii.Error:
            return None
        except Exception:  # a locked keyring, no bus, a question that was refused: the library has them all
            return None

    def keep(self, name: str, secret: bytes) -> None:
        """Keep a secret.  Raises VaultError, unless it is really there afterwards."""
        backend = self._have()
        with contextlib.suppress(Exception):
            if backend is not None:
                backend.set_password(SERVICE, name, base64.b64encode(secret).decode())
        if self.fetch(name) != secret:
            raise VaultError(NOT_KEPT)

    def drop(self, name: str) -> None:
        """Keep a secret no longer; one that isn't there is fine."""
        backend = self._have()
        with contextlib.suppress(Exception):
            if backend is not None:
                backend.delete_password(SERVICE, name)

    def _have(self) -> Backend | None:
        if not self._looked:
            self._looked, self._backend = True, _of_the_system()
        return self._backend


def _of_the_system() -> Backend | None:
    """Return the best keyring that can be trusted."""
    try:
        import keyring.backend

        found = [one for one in keyring.backend.get_all_keyring() if type(one).__module__.split(".")[-1] in _TRUSTED]
        best = max(found, key=lambda one: one.priority, default=None)
    except Exception:  # the package isn't installed, or what it found doesn't work
        return None
    return cast("Backend | None", best)
