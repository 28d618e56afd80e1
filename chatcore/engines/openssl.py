"""RSA through pyca/cryptography (OpenSSL): the engine that does the work.  docs/PROTOCOL.md, "Primitives".

Knows nothing of rooms, links or frames.  Key objects are built once and held (building one, and losing its Montgomery
set-up, costs a third of an encryption); the padding object is shared by all of them.
"""

from __future__ import annotations

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from chatcore.engines import (
    EXPONENT,
    MAX_DER_SIZE,
    MIN_PRIME_BITS,
    MODULUS_SIZE,
    PLAINTEXT_SIZE,
    Engine,
    PrivateKey,
    PublicKey,
    acceptable_modulus,
    below,
)
from chatcore.errors import CryptoError
from chatcore.seal import fingerprint

_OAEP = OAEP(MGF1(SHA256()), SHA256(), None)
_SIGNATURE = PKCS1v15()
_SHA256 = SHA256()
_KEY_BITS = 8 * MODULUS_SIZE

# What OpenSSL may answer to a key or number that a stranger made up.  InternalError is its way of saying "I did not
# foresee this"; for us that is one more block that doesn't open.
_FAILURES = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, InternalError)


class OpenSSLPublicKey:
    """A peer's key (see `chatcore.engines.PublicKey`)."""

    __slots__ = ("_key", "modulus")

    def __init__(self, modulus: bytes) -> None:
        if not acceptable_modulus(modulus):
            raise CryptoError
        self.modulus = bytes(modulus)
        try:
            self._key = rsa.RSAPublicNumbers(EXPONENT, int.from_bytes(modulus)).public_key()
        except _FAILURES:
            raise CryptoError from None

    def __repr__(self) -> str:
        return f"OpenSSLPublicKey({fingerprint(self.modulus).hex()[:16]})"

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the 256-byte block of 190 bytes.

        Raises ValueError for another size, CryptoError if OpenSSL won't compute with this modulus (nobody proves to us
        that a modulus is a product of two primes).
        """
        if len(plaintext) != PLAINTEXT_SIZE:
            raise ValueError("a plaintext is 190 bytes")
        try:
            return self._key.encrypt(plaintext, _OAEP)
        except _FAILURES:
            raise CryptoError from None

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if the signature is this key's over the message; raise CryptoError if not."""
        if not below(signature, self.modulus):
            raise CryptoError
        try:
            self._key.verify(signature, message, _SIGNATURE, _SHA256)
        except _FAILURES:
            raise CryptoError from None


class OpenSSLPrivateKey:
    """One's own key (see `chatcore.engines.PrivateKey`)."""

    __slots__ = ("_key", "modulus")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.modulus = key.public_key().public_numbers().n.to_bytes(MODULUS_SIZE)

    def __repr__(self) -> str:
        return f"OpenSSLPrivateKey({fingerprint(self.modulus).hex()[:16]})"

    def decrypt(self, block: bytes) -> bytes:
        """Return the 190 bytes in a block of 256, or raise CryptoError: one path for every reason."""
        if not below(block, self.modulus):
            raise CryptoError
        try:
            plaintext = self._key.decrypt(block, _OAEP)
        except _FAILURES:
            raise CryptoError from None
        if len(plaintext) != PLAINTEXT_SIZE:
            raise CryptoError
        return plaintext

    def sign(self, message: bytes) -> bytes:
        """Return the 256-byte signature over the message."""
        return self._key.sign(message, _SIGNATURE, _SHA256)

    def to_der(self) -> bytes:
        """Return the key as PKCS#1 DER (secret)."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


class OpenSSLEngine:
    """The engine that is used unless somebody asks for the reference by name."""

    name = "openssl"

    def generate(self) -> PrivateKey:
        """Make a fresh RSA-2048 key (some 30 ms, now and then 100)."""
        return OpenSSLPrivateKey(rsa.generate_private_key(EXPONENT, _KEY_BITS))

    def public_key(self, modulus: bytes) -> PublicKey:
        """Return the key for a 256-byte modulus; raise CryptoError unless it is acceptable (section 2)."""
        return OpenSSLPublicKey(modulus)

    def private_key(self, der: bytes) -> PrivateKey:
        """Load PKCS#1 DER; raise CryptoError unless it is a consistent RSA-2048 key with e = 65537."""
        if len(der) > MAX_DER_SIZE:  # before OpenSSL spends seconds on the primes of a 16384-bit key
            raise CryptoError
        try:
            key = load_der_private_key(der, None)
        except _FAILURES:
            raise CryptoError from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != _KEY_BITS:
            raise CryptoError
        numbers, loaded = key.private_numbers(), OpenSSLPrivateKey(key)
        if numbers.public_numbers.e != EXPONENT or min(numbers.p, numbers.q).bit_length() < MIN_PRIME_BITS:
            raise CryptoError
        # Written back it must be the same bytes: so it was PKCS#1 (not PKCS#8), canonical, with nothing after it.
        if loaded.to_der() != der:
            raise CryptoError
        return loaded


_engine: Engine = OpenSSLEngine()  # the type checker holds this module to the protocol
