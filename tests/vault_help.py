"""Vaults for tests: made quickly, opened by everybody."""

from __future__ import annotations

from pathlib import Path

from chatcore.lock import Guard, Lock
from chatcore.oskeyring import Keyring
from chatcore.roomvault import RoomVault
from chatcore.vault import Vault
from chatcore.vaultfile import Kind

KEYS = bytes(range(96))
ROOM, OTHER = b"r" * 32, b"o" * 32


class MemoryBackend:
    """A keyring that keeps in memory what it is given."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def make_vault(path: Path, lock: Lock | None = None) -> Vault:
    """Make a vault, by default with KEYS that are had by everybody."""
    lock = lock or Lock.make(KEYS, Guard.NOBODY, bytes(16))
    return Vault.make(path, lock, KEYS, [(Kind.IDENTITY, b"", b"an identity")])


def open_vault(path: Path, passphrase: str | None = None, keyring: Keyring | None = None) -> Vault:
    return Vault.open(path, passphrase, keyring or Keyring(MemoryBackend()))


def room_in(vault: Vault, room_id: bytes = ROOM) -> RoomVault:
    return RoomVault(vault, room_id)
