"""RSA on the primitives of the `rsa` package: the oracle that the other engine is checked against.

Readable, pure Python, 20 to 100 times slower than OpenSSL and not constant-time; for tests and for whoever asks for it
by name, never chosen silently.  The package has no OAEP, so EME-OAEP (RFC 8017, 7.1) is here; its PKCS#1 v1.5
*encryption* is never used (padding oracles), and a signature is verified by comparing the whole encoded message
(RFC 8017, 8.2.2), not by parsing one.  docs/PROTOCOL.md, "Primitives".
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import rsa
import rsa.core
import rsa.prime

from chatcore.engines import (
    EXPONENT,
    MAX_DER_SIZE,
    MIN_PRIME_BITS,
    MODULUS_SIZE,
    PLAINTEXT_SIZE,
    SIGNATURE_SIZE,
    Engine,
    PrivateKey,
    PublicKey,
    acceptable_modulus,
    below,
)
from chatcore.errors import CryptoError
from chatcore.seal import fingerprint

SEED_SIZE = 32  # one SHA-256
_DB_SIZE = MODULUS_SIZE - SEED_SIZE - 1  # 223
_LABEL_HASH = hashlib.sha256(b"").digest()  # the label is empty
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # DER of "SHA-256, 32 bytes follow"
_KEY_BITS = 8 * MODULUS_SIZE


def mgf1(seed: bytes, length: int) -> bytes:
    """Return `length` mask bytes: MGF1 with SHA-256 (RFC 8017, B.2.1)."""
    blocks = (hashlib.sha256(seed + index.to_bytes(4)).digest() for index in range(-(-length // 32)))
    return b"".join(blocks)[:length]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def oaep_encode(message: bytes, seed: bytes) -> bytes:
    """Return the 256-byte encoded message of 0..190 bytes under a 32-byte seed (RFC 8017, 7.1.1 step 2).

    The seed must be fresh random bytes; only vectors fix it.  Raises ValueError for wrong sizes.
    """
    if len(message) > PLAINTEXT_SIZE or len(seed) != SEED_SIZE:
        raise ValueError("OAEP takes up to 190 bytes and a seed of 32")
    db = _LABEL_HASH + (b"\x01" + message).rjust(_DB_SIZE - SEED_SIZE, b"\0")
    masked_db = _xor(db, mgf1(seed, _DB_SIZE))
    return b"\0" + _xor(seed, mgf1(masked_db, SEED_SIZE)) + masked_db


def oaep_decode(encoded: bytes) -> bytes:
    """Return the 0..190 bytes in a 256-byte encoded message (RFC 8017, 7.1.2 step 3), or raise CryptoError.

    Every check is made before any of them counts, so that no failure is quicker than another by a whole step
    (Manger's attack asks which one it was).  Python can't promise more.
    """
    masked_db = encoded[1 + SEED_SIZE :]
    seed = _xor(encoded[1 : 1 + SEED_SIZE], mgf1(masked_db, SEED_SIZE))
    db = _xor(masked_db, mgf1(seed, _DB_SIZE))
    marked = db[SEED_SIZE:].lstrip(b"\0")
    zero_first = hmac.compare_digest(encoded[:1], b"\0")
    same_label = hmac.compare_digest(db[:SEED_SIZE], _LABEL_HASH)
    has_mark = hmac.compare_digest(marked[:1], b"\x01")
    if not zero_first & same_label & has_mark:
        raise CryptoError
    return marked[1:]


def signature_encode(message: bytes) -> bytes:
    """Return the 256 bytes that a signature over `message` is the power of (RFC 8017, 9.2, SHA-256)."""
    info = b"\0" + _DIGEST_INFO + hashlib.sha256(message).digest()
    return b"\x00\x01".ljust(SIGNATURE_SIZE - len(info), b"\xff") + info


class ReferencePublicKey:
    """A peer's key (see `chatcore.engines.PublicKey`)."""

    __slots__ = ("_n", "modulus")

    def __init__(self, modulus: bytes) -> None:
        if not acceptable_modulus(modulus):
            raise CryptoError
        self.modulus = bytes(modulus)
        self._n = int.from_bytes(modulus)

    def __repr__(self) -> str:
        return f"ReferencePublicKey({fingerprint(self.modulus).hex()[:16]})"

    def _power(self, number: bytes) -> bytes:
        return rsa.core.encrypt_int(int.from_bytes(number), EXPONENT, self._n).to_bytes(MODULUS_SIZE)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the 256-byte block of 190 bytes.  Raises ValueError for another size."""
        return self.encrypt_with_seed(plaintext, secrets.token_bytes(SEED_SIZE))

    def encrypt_with_seed(self, plaintext: bytes, seed: bytes) -> bytes:
        """Encrypt 190 bytes with a given 32-byte OAEP seed.  For vectors: a seed used twice shows equal plaintexts."""
        if len(plaintext) != PLAINTEXT_SIZE:
            raise ValueError("a plaintext is 190 bytes")
        return self._power(oaep_encode(plaintext, seed))

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if the signature is this key's over the message; raise CryptoError if not."""
        if not below(signature, self.modulus):
            raise CryptoError
        if not hmac.compare_digest(self._power(signature), signature_encode(message)):
            raise CryptoError


class ReferencePrivateKey:
    """One's own key (see `chatcore.engines.PrivateKey`)."""

    __slots__ = ("_key", "modulus")

    def __init__(self, key: rsa.PrivateKey) -> None:
        self._key = key
        self.modulus = key.n.to_bytes(MODULUS_SIZE)

    def __repr__(self) -> str:
        return f"ReferencePrivateKey({fingerprint(self.modulus).hex()[:16]})"

    def _power(self, number: bytes) -> bytes:
        # Blinded, and by the Chinese remainders: four times as quick as the package's own signing path.
        return int(self._key.blinded_decrypt(int.from_bytes(number))).to_bytes(MODULUS_SIZE)

    def decrypt(self, block: bytes) -> bytes:
        """Return the 190 bytes in a block of 256, or raise CryptoError: one path for every reason."""
        if not below(block, self.modulus):
            raise CryptoError
        plaintext = oaep_decode(self._power(block))
        if len(plaintext) != PLAINTEXT_SIZE:
            raise CryptoError
        return plaintext

    def sign(self, message: bytes) -> bytes:
        """Return the 256-byte signature over the message."""
        return self._power(signature_encode(message))

    def to_der(self) -> bytes:
        """Return the key as PKCS#1 DER (secret)."""
        return bytes(self._key.save_pkcs1("DER"))


def _der_integers(der: bytes) -> list[int]:
    """Read the integers of a SEQUENCE.  Lax, because the caller writes them back and compares.  Raises ValueError."""

    def header(at: int) -> tuple[int, int, int]:
        tag, length = der[at : at + 2]  # too short: ValueError
        at += 2
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size])
            at += size
        return tag, at, at + length

    _, at, end = header(0)
    integers = []
    while at < min(end, len(der)):
        _, start, at = header(at)
        integers.append(int.from_bytes(der[start:at], signed=True))
    return integers


class ReferenceEngine:
    """The oracle.  Key generation takes seconds."""

    name = "reference"

    def generate(self) -> PrivateKey:
        """Make a fresh RSA-2048 key (0.2 to 5 s)."""
        return ReferencePrivateKey(rsa.newkeys(_KEY_BITS, exponent=EXPONENT)[1])

    def public_key(self, modulus: bytes) -> PublicKey:
        """Return the key for a 256-byte modulus; raise CryptoError unless it is acceptable (section 2)."""
        return ReferencePublicKey(modulus)

    def private_key(self, der: bytes) -> PrivateKey:
        """Load PKCS#1 DER; raise CryptoError unless it is a consistent RSA-2048 key with e = 65537."""
        if len(der) > MAX_DER_SIZE:
            raise CryptoError
        try:
            version, n, e, d, p, q, *_ = _der_integers(der)
            if version != 0 or n.bit_length() != _KEY_BITS or e != EXPONENT or n != p * q or p == q or not 0 < d < n:
                raise CryptoError
            if not all(prime.bit_length() >= MIN_PRIME_BITS and rsa.prime.is_prime(prime) for prime in (p, q)):
                raise CryptoError
            if any(d * e % (prime - 1) != 1 for prime in (p, q)):
                raise CryptoError
            loaded = ReferencePrivateKey(rsa.PrivateKey(n, e, d, p, q))
        except ValueError:
            raise CryptoError from None
        # Written back it must be the same bytes: so the CRT numbers were right too, and nothing followed.
        if loaded.to_der() != der:
            raise CryptoError
        return loaded


_engine: Engine = ReferenceEngine()  # the type checker holds this module to the protocol
