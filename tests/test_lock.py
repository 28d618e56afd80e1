"""The lock of a vault: whoever can write the file chooses these bytes, and nothing of them is believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatcore.errors import CryptoError
from chatcore.lock import KEYS_SIZE, SALT_SIZE, SCRYPT_BOUNDS, SECRET_SIZE, Guard, Lock, OtherVersionError, find_lock
from chatcore.seal import digest

KEYS, SALT, SECRET = bytes(range(KEYS_SIZE)), bytes(SALT_SIZE), bytes(range(SECRET_SIZE))
BY_NOBODY = Lock.make(KEYS, Guard.NOBODY, SALT)
BY_KEYRING = Lock.make(KEYS, Guard.KEYRING, SALT, SECRET)
BY_PASSPHRASE = replace(BY_KEYRING, guard=Guard.PASSPHRASE, numbers=(15, 8, 1))  # by its looks: nobody opens it here


def checked(body: bytes) -> bytes:
    """Give the bytes of a lock the check that belongs to them."""
    return body + digest(b"lock", body)[:16]


def test_what_is_written_is_read_and_the_keys_are_had_with_the_secret_alone() -> None:
    for lock in (BY_NOBODY, BY_KEYRING, BY_PASSPHRASE):
        assert Lock.parse(lock.to_bytes()) == lock
    assert BY_NOBODY.open() == BY_KEYRING.open(SECRET) == KEYS
    with pytest.raises(CryptoError):
        BY_KEYRING.open(SECRET[::-1])


@pytest.mark.parametrize("at", range(3))
def test_a_file_makes_nobody_compute_or_take_memory_without_end(at: int) -> None:
    for number, good in zip(
        (SCRYPT_BOUNDS[at][0] - 1, *SCRYPT_BOUNDS[at], SCRYPT_BOUNDS[at][1] + 1, 255),
        (False, True, True, False, False),
        strict=True,
    ):
        numbers = list(BY_PASSPHRASE.numbers)
        numbers[at] = number
        raw = replace(BY_PASSPHRASE, numbers=(numbers[0], numbers[1], numbers[2])).to_bytes()
        if good:
            assert Lock.parse(raw).numbers[at] == number
        else:
            with pytest.raises(ValueError, match="not a lock"):
                Lock.parse(raw)


def test_what_no_version_of_ours_writes_is_no_lock() -> None:
    body = BY_KEYRING.to_bytes()[:-16]
    for wrong in (
        b"P" + body[1:],  # another beginning
        body[:12] + b"\x03" + body[13:],  # a guard that there isn't
        body[:13] + b"\x0f\x08\x01" + body[16:],  # numbers of scrypt where there is no passphrase
        body[:-1],  # keys of another size
        body + b"\0",
        body[:12] + b"\0" + body[13:],  # keys that are sealed, where nobody has what opens them
    ):
        with pytest.raises(ValueError, match=r"not a lock|valid Guard"):
            Lock.parse(checked(wrong))
    for cut in range(len(body) + 16):
        with pytest.raises(ValueError, match="damaged"):
            Lock.parse(BY_KEYRING.to_bytes()[:cut])


def test_a_lock_of_another_version_says_so() -> None:
    body = BY_KEYRING.to_bytes()[:-16]
    later = checked(body[:11] + b"\x04" + body[12:])
    for read in (Lock.parse, find_lock):
        with pytest.raises(OtherVersionError):
            read(later)


def test_of_several_locks_in_a_damaged_file_the_last_whole_one_counts() -> None:
    first, last = BY_NOBODY.to_bytes(), BY_KEYRING.to_bytes()
    assert find_lock(b"?" + first + b"??" + last + last[:-1]) == BY_KEYRING
    assert find_lock(last + first) == BY_NOBODY
    assert find_lock(first[1:]) is None
