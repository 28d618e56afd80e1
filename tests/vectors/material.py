"""What the vectors are made from: keys and bytes that depend on names only."""

from __future__ import annotations

import hashlib
import math
from functools import cache

import rsa
import rsa.prime

from chatcore.clock import Moment
from chatcore.engines import PrivateKey
from chatcore.engines.reference import ReferenceEngine
from chatcore.seal import fingerprint

ENGINE = ReferenceEngine()
NOW = Moment(0.0, 1_800_000_000_000)
SMALL_PRIMES = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))

Record = tuple[str, dict[str, object]]  # what it proves, and its fields


def stream(name: str, size: int) -> bytes:
    """Return `size` bytes that depend on a name only."""
    return hashlib.shake_256(f"parley test vectors: {name}".encode()).digest(size)


def _prime(name: str) -> int:
    """Return a 1024-bit prime with its two top bits set, so that a product of two has 2048 bits."""
    candidate = int.from_bytes(stream(name, 128)) | 3 << 1022 | 1
    while math.gcd(candidate, SMALL_PRIMES) > 1 or candidate % 65537 == 1 or not rsa.prime.is_prime(candidate):
        candidate += 2
    return candidate


@cache
def key(name: str) -> PrivateKey:
    """Return the RSA-2048 key of a name.  Everybody knows it: never use it for anything."""
    p, q = sorted((_prime(f"{name} p"), _prime(f"{name} q")), reverse=True)
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    return ENGINE.private_key(rsa.PrivateKey(p * q, 65537, d, p, q).save_pkcs1("DER"))


def modulus(name: str) -> bytes:
    return key(name).modulus


def fp(name: str) -> bytes:
    return fingerprint(modulus(name))


def raw(name: str, encoded: bytes) -> bytes:
    """The bare power with somebody's public key, for what no library would encrypt."""
    return pow(int.from_bytes(encoded), 65537, int.from_bytes(modulus(name))).to_bytes(256)


def signed_raw(name: str, encoded: bytes) -> bytes:
    """The bare power with somebody's private key, for what no library would sign."""
    fields = rsa.PrivateKey.load_pkcs1(key(name).to_der(), "DER")
    return pow(int.from_bytes(encoded), fields.d, fields.n).to_bytes(256)


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    return data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]
