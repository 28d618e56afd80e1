"""The keyring of the system (Secret Service, KWallet, macOS, Windows), where there is one.  A shell."""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from chatcore.errors import VaultError

SERVICE = "Parley"
# Those that keep what they are given from other people; a package may add one that writes it into a plain file.
_TRUSTED = ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
ANSWER_S = 30.0  # how long it may take: it may ask the person to unlock it
NOT_KEPT = "The keyring of this system didn't take the key. Nothing was changed; unlock it, or use a passphrase."
SILENT = "The keyring of this system gave no answer. Nothing was changed; use a passphrase instead."

T = TypeVar("T")


class Backend(Protocol):
    """What the library gives, as far as it is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return what is kept under these names."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep something."""

    def delete_password(self, service: str, username: str) -> None:
        """Keep it no longer."""


class Keyring:
    """Keeps secrets of 64 bytes by name.  Whatever a keyring does wrong, nothing but VaultError comes out of here.

    One that gives no answer is as good as none until it does: nobody waits for it longer than `answer_s`, once.
    """

    def __init__(self, backend: Backend | None = None, answer_s: float = ANSWER_S) -> None:
        """`backend`: this one, instead of what the system offers."""
        self._backend, self._looked, self._answer_s = backend, backend is not None, answer_s
        self._asking: threading.Thread | None = None

    @property
    def offered(self) -> bool:
        """Whether there is a keyring, and it answers."""
        return self._ask(lambda backend: True) is True

    @property
    def silent(self) -> bool:
        """Whether it was asked something and hasn't answered yet."""
        return self._asking is not None and self._asking.is_alive()

    def fetch(self, name: str) -> bytes | None:
        """Return a secret, or None when it isn't had, for whatever reason."""

        def read(backend: Backend) -> bytes | None:
            text = backend.get_password(SERVICE, name)
            return base64.b64decode(text, validate=True) if text else None

        return self._ask(read)

    def keep(self, name: str, secret: bytes) -> None:
        """Keep a secret.  Raises VaultError, unless it is really there afterwards."""
        self._ask(lambda backend: backend.set_password(SERVICE, name, base64.b64encode(secret).decode()))
        if self.fetch(name) != secret:
            raise VaultError(SILENT if self.silent else NOT_KEPT)

    def drop(self, name: str) -> None:
        """Keep a secret no longer; one that isn't there is fine."""
        self._ask(lambda backend: backend.delete_password(SERVICE, name))

    def _ask(self, question: Callable[[Backend], T]) -> T | None:
        """Return the answer, or None: there is no keyring, it fails, or it is silent.

        Asked on a thread of its own, for a bus without an answer is waited for without an end.
        """
        if self.silent:
            return None
        answers: queue.SimpleQueue[T | None] = queue.SimpleQueue()

        def ask() -> None:
            try:
                backend = self._have()
                answers.put(question(backend) if backend is not None else None)
            except Exception:  # a locked keyring, no bus, a refusal, no Base64: the library has them all
                answers.put(None)

        self._asking = threading.Thread(target=ask, name="parley-keyring", daemon=True)
        self._asking.start()
        try:
            answer = answers.get(timeout=self._answer_s)
        except queue.Empty:
            return None
        self._asking.join()
        return answer

    def _have(self) -> Backend | None:
        if not self._looked:
            self._backend, self._looked = _of_the_system(), True
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
