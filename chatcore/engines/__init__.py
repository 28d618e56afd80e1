"""What the core asks of an RSA library: one key size, one padding, one hash.  docs/PROTOCOL.md, "Primitives".

RSA-2048, e = 65537.  OAEP with SHA-256, MGF1-SHA-256 and the empty label; the plaintext is exactly 190 bytes.
Signatures are RSASSA-PKCS1-v1_5 with SHA-256.  A public key is its modulus, 256 bytes big-endian; a private key travels
as PKCS#1 DER.  Two engines implement this: `openssl` does the work, `reference` (the `rsa` package, pure Python) is the
oracle it is checked against; the reference is never chosen silently.  Only the modules of this package import an RSA
library.
"""

from __future__ import annotations

from typing import Protocol

PLAINTEXT_SIZE = 190  # 256 - 2 * 32 (SHA-256) - 2: the most that OAEP carries, and the only size we use
MODULUS_SIZE = 256
SIGNATURE_SIZE = 256
EXPONENT = 65537
MIN_PRIME_BITS = 512  # a smaller factor makes a key no RSA-2048; those that libraries make have 960 bits and more
MAX_DER_SIZE = 1300  # an RSA-2048 private key takes about 1,190; refuses giants before any arithmetic


class PublicKey(Protocol):
    """Somebody's key.  Made once for each peer and kept: setting one up costs a third of an encryption."""

    @property
    def modulus(self) -> bytes:
        """The modulus, 256 bytes."""

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the 256-byte OAEP block of exactly 190 bytes.

        Raises ValueError for another size, and CryptoError if the library won't compute with this modulus.
        """

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` (256 bytes, as an integer less than the modulus) is this key's over `message`.

        Raises CryptoError, for whatever reason, if not.
        """


class PrivateKey(Protocol):
    """One's own key.  Its repr shows the fingerprint of the public half, never more."""

    @property
    def modulus(self) -> bytes:
        """The modulus of the public half, 256 bytes."""

    def decrypt(self, block: bytes) -> bytes:
        """Return the 190 bytes in a block.

        Raises CryptoError, always the same, if it isn't 256 bytes, isn't less than the modulus, isn't for this key, is
        damaged, or holds another number of bytes.
        """

    def sign(self, message: bytes) -> bytes:
        """Return the 256-byte signature over `message`."""

    def to_der(self) -> bytes:
        """Return the key as PKCS#1 DER (secret)."""


class Engine(Protocol):
    """An RSA library behind the three things we need of it."""

    @property
    def name(self) -> str:
        """`openssl` or `reference`."""

    def generate(self) -> PrivateKey:
        """Make a fresh RSA-2048 key."""

    def public_key(self, modulus: bytes) -> PublicKey:
        """Return the key for a modulus.  Raises CryptoError unless it is 256 bytes, its top bit set, and odd."""

    def private_key(self, der: bytes) -> PrivateKey:
        """Load PKCS#1 DER.  Raises CryptoError unless it is a consistent RSA-2048 key with e = 65537."""


def acceptable_modulus(modulus: bytes) -> bool:
    """Say whether 256 bytes can be a peer's modulus: top bit 1, odd (section 2)."""
    return len(modulus) == MODULUS_SIZE and modulus[0] >= 0x80 and modulus[-1] & 1 == 1


def below(number: bytes, modulus: bytes) -> bool:
    """Say whether `number`, 256 bytes, is less than the modulus.

    Some libraries accept c + n and s + n as well as c and s; so the range is checked before either engine (section 2).
    """
    return len(number) == MODULUS_SIZE and number < modulus  # big-endian, equal lengths: bytes compare as integers
