"""How the keys of a vault are had: from a passphrase, from the system's keyring, or by whoever has the file.  Pure.

A lock stands in the vault itself (docs/PROTOCOL.md, "On the disk"):

    "parley lock" | version u8 | guard u8 | log2 n u8 | r u8 | p u8 | salt 16 | keys | check 16

The `keys` are 96 bytes, sealed (`seal_record`) with 64 bytes that scrypt makes of the passphrase, or that the keyring
keeps under the salt in hex.  WITHOUT A GUARD THEY STAND THERE IN THE CLEAR.  The check tells a damaged lock from a
passphrase that doesn't fit.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import unicodedata
from dataclasses import dataclass, field
from enum import IntEnum

from chatcore.seal import TAG_SIZE, SealKeys, digest, open_record, seal_record

KEYS_SIZE = 96  # of a vault: 32 for tags, 32 for masks, 32 to hide what rows are about
SECRET_SIZE = 64  # what locks them
SALT_SIZE = 16
CHECK_SIZE = 16
MAGIC = b"parley lock"
VERSION = 3  # of the vault, kept here under a check; 1 and 2 were files for rooms alone (chatcore.twofiles)
SCRYPT = (15, 8, 1)  # log2 n, r, p: 32 MiB and a tenth of a second for one guess
# What is taken from a file: n * r * 128 bytes is the memory that it makes us use, p how often.
SCRYPT_BOUNDS = ((14, 17), (8, 8), (1, 4))
_MEMORY_BYTES = 2**28
_HEAD = struct.Struct(f">{len(MAGIC)}sBBBBB{SALT_SIZE}s")


class OtherVersionError(ValueError):
    """A whole lock, of a vault that is from another version of Parley."""


class Guard(IntEnum):
    """Who has what opens a vault."""

    NOBODY = 0
    PASSPHRASE = 1
    KEYRING = 2


@dataclass(frozen=True, slots=True)
class Lock:
    """See the docstring of the module.  `numbers` are those of scrypt, zeros for the other guards."""

    guard: Guard
    numbers: tuple[int, int, int]
    salt: bytes
    kept: bytes = field(repr=False)  # the keys, as they stand in the file

    @classmethod
    def make(cls, keys: bytes, guard: Guard, salt: bytes, secret: bytes | str = b"") -> Lock:
        """Lock 96 bytes of keys with a passphrase (some 100 ms) or 64 bytes of secret.  `salt` is 16 random bytes."""
        numbers = SCRYPT if guard is Guard.PASSPHRASE else (0, 0, 0)
        lock = cls(guard, numbers, salt, keys)
        if guard is Guard.NOBODY:
            return lock
        return cls(guard, numbers, salt, seal_record(lock._seal_keys(secret), lock._head(), keys))

    def open(self, secret: bytes | str = b"") -> bytes:
        """Return the keys.  Raises CryptoError when the secret isn't the one."""
        if self.guard is Guard.NOBODY:
            return self.kept
        return open_record(self._seal_keys(secret), self._head(), self.kept)

    @property
    def name(self) -> str:
        """Return what the secret is called in the keyring."""
        return self.salt.hex()

    def to_bytes(self) -> bytes:
        """Return it as it is kept."""
        data = self._head() + self.kept
        return data + digest(b"lock", data)[:CHECK_SIZE]

    @classmethod
    def parse(cls, data: bytes) -> Lock:
        """Read a lock.  Raises ValueError for one that is damaged or not as we make them, or OtherVersionError."""
        body, check = data[:-CHECK_SIZE], data[-CHECK_SIZE:]
        if len(data) < _HEAD.size or not hmac.compare_digest(check, digest(b"lock", body)[:CHECK_SIZE]):
            raise ValueError("damaged")
        magic, version, guard, *numbers, salt = _HEAD.unpack_from(body)
        if magic == MAGIC and version != VERSION:
            raise OtherVersionError("another version")
        lock = cls(Guard(guard), (numbers[0], numbers[1], numbers[2]), salt, body[_HEAD.size :])
        bounds = SCRYPT_BOUNDS if lock.guard is Guard.PASSPHRASE else ((0, 0),) * 3
        fits = all(least <= number <= most for number, (least, most) in zip(numbers, bounds, strict=True))
        if magic != MAGIC or not fits or len(lock.kept) != _kept_size(lock.guard):
            raise ValueError("not a lock")
        return lock

    def _head(self) -> bytes:
        return _HEAD.pack(MAGIC, VERSION, self.guard, *self.numbers, self.salt)

    def _seal_keys(self, secret: bytes | str) -> SealKeys:
        if isinstance(secret, str):
            secret = stretch(secret, self.salt, self.numbers)
        return SealKeys(secret[:32], secret[32:])


def _kept_size(guard: Guard) -> int:
    return KEYS_SIZE + (0 if guard is Guard.NOBODY else TAG_SIZE)


def stretch(passphrase: str, salt: bytes, numbers: tuple[int, int, int]) -> bytes:
    """Make 64 bytes of a passphrase.  The same letters typed on another system are the same passphrase (NFKC)."""
    log_n, r, p = numbers
    letters = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(letters, salt=salt, n=2**log_n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=SECRET_SIZE)


def find_lock(image: bytes) -> Lock | None:
    """Look for a whole lock in the bytes of a damaged vault; the last one counts.  Raises OtherVersionError."""
    at = len(image)
    while (at := image.rfind(MAGIC, 0, at)) >= 0:
        for guard in Guard:
            try:
                return Lock.parse(image[at : at + _HEAD.size + _kept_size(guard) + CHECK_SIZE])
            except OtherVersionError:
                raise
            except ValueError:
                pass
    return None
