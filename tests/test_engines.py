"""Both engines do the same, in both directions, and refuse the same.  Attacks 12, 13 (their engine side) and 14."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Callable
from functools import cache

import pytest
import rsa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa as openssl_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcore.engines import PLAINTEXT_SIZE, Engine, PrivateKey, acceptable_modulus, below
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.engines.reference import ReferenceEngine, ReferencePublicKey, mgf1, oaep_decode, oaep_encode
from chatcore.errors import CryptoError
from chatcore.seal import fingerprint

ENGINES: tuple[Engine, ...] = (OpenSSLEngine(), ReferenceEngine())
ALICE = OpenSSLEngine().generate()
BOB = OpenSSLEngine().generate()
PLAINTEXT = bytes(range(PLAINTEXT_SIZE))

each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
each_pair = pytest.mark.parametrize(
    ("one", "other"), list(itertools.product(ENGINES, repeat=2)), ids=lambda engine: engine.name
)


def _in(engine: Engine, key: PrivateKey) -> PrivateKey:
    return engine.private_key(key.to_der())


def _refused(action: Callable[..., object], *arguments: bytes) -> None:
    """The action raises CryptoError, and nothing in it or behind it says why."""
    with pytest.raises(CryptoError) as caught:
        action(*arguments)
    assert str(caught.value) == ""
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# -- the same, in both directions --------------------------------------------------------------------------------------


@each_pair
def test_what_one_engine_encrypts_the_other_decrypts(one: Engine, other: Engine) -> None:
    block = one.public_key(ALICE.modulus).encrypt(PLAINTEXT)
    assert len(block) == 256
    assert _in(other, ALICE).decrypt(block) == PLAINTEXT


@each_pair
def test_what_one_engine_signs_the_other_verifies(one: Engine, other: Engine) -> None:
    for message in (b"", b"a message", bytes(100_000)):
        signature = _in(one, ALICE).sign(message)
        assert len(signature) == 256
        other.public_key(ALICE.modulus).verify(message, signature)


def test_a_signature_is_the_same_from_both_engines() -> None:
    assert len({_in(engine, ALICE).sign(b"one padding, no randomness") for engine in ENGINES}) == 1


@cache
def _made(name: str) -> PrivateKey:
    """A key made by one engine; the reference takes seconds for it."""
    return next(engine for engine in ENGINES if engine.name == name).generate()


@each_pair
def test_a_key_that_one_engine_made_the_other_loads(one: Engine, other: Engine) -> None:
    made = _made(one.name)
    loaded = other.private_key(made.to_der())
    assert loaded.modulus == made.modulus
    assert acceptable_modulus(made.modulus)
    assert loaded.to_der() == made.to_der()
    assert made.decrypt(other.public_key(made.modulus).encrypt(PLAINTEXT)) == PLAINTEXT
    one.public_key(made.modulus).verify(b"m", loaded.sign(b"m"))


@settings(max_examples=12)
@given(plaintext=st.binary(min_size=PLAINTEXT_SIZE, max_size=PLAINTEXT_SIZE), message=st.binary(max_size=300))
def test_any_plaintext_and_any_message_cross_over(plaintext: bytes, message: bytes) -> None:
    for one, other in itertools.permutations(ENGINES):
        assert _in(one, BOB).decrypt(other.public_key(BOB.modulus).encrypt(plaintext)) == plaintext
        other.public_key(BOB.modulus).verify(message, _in(one, BOB).sign(message))


@each_engine
def test_two_blocks_of_one_plaintext_differ(engine: Engine) -> None:
    key = engine.public_key(ALICE.modulus)
    assert key.encrypt(PLAINTEXT) != key.encrypt(PLAINTEXT)


@each_engine
def test_only_the_right_key_opens_a_block(engine: Engine) -> None:
    block = engine.public_key(ALICE.modulus).encrypt(PLAINTEXT)
    _refused(_in(engine, BOB).decrypt, block)


@each_engine
def test_a_key_knows_its_modulus_and_shows_its_fingerprint_only(engine: Engine) -> None:
    public, private = engine.public_key(ALICE.modulus), _in(engine, ALICE)
    assert public.modulus == private.modulus == ALICE.modulus
    short = fingerprint(ALICE.modulus).hex()[:16]
    for shown in (repr(public), repr(private), str(private)):
        assert short in shown
        assert len(shown) < 60


# -- sizes and ranges --------------------------------------------------------------------------------------------------


@each_engine
@pytest.mark.parametrize("size", [0, 1, 189, 191, 256])
def test_another_size_of_plaintext_is_the_callers_fault(engine: Engine, size: int) -> None:
    with pytest.raises(ValueError, match="190"):
        engine.public_key(ALICE.modulus).encrypt(bytes(size))


def _plus_n(number: bytes) -> bytes | None:
    """The same number modulo n, above n, if 256 bytes can hold it."""
    above = int.from_bytes(number) + int.from_bytes(ALICE.modulus)
    return above.to_bytes(256) if above < 2**2048 else None


def _until_it_fits(make: Callable[[], bytes]) -> tuple[bytes, bytes]:
    """Make numbers until one plus n fits into 256 bytes (most moduli leave room for few)."""
    while True:
        number = make()
        above = _plus_n(number)
        if above is not None:
            return number, above


@each_engine
def test_attack_14_ciphertext_plus_n_is_refused(engine: Engine) -> None:
    public, private = ENGINES[0].public_key(ALICE.modulus), _in(engine, ALICE)
    block, above = _until_it_fits(lambda: public.encrypt(PLAINTEXT))
    assert private.decrypt(block) == PLAINTEXT
    _refused(private.decrypt, above)


@each_engine
def test_attack_14_signature_plus_n_is_refused(engine: Engine) -> None:
    public = engine.public_key(ALICE.modulus)
    messages = iter(range(10**6))
    chosen = b""

    def sign() -> bytes:
        nonlocal chosen
        chosen = str(next(messages)).encode()
        return ALICE.sign(chosen)

    signature, above = _until_it_fits(sign)
    public.verify(chosen, signature)
    _refused(public.verify, chosen, above)


@each_engine
def test_attack_14_other_sizes_are_refused(engine: Engine) -> None:
    public, private = engine.public_key(ALICE.modulus), _in(engine, ALICE)
    block, signature = public.encrypt(PLAINTEXT), private.sign(b"m")
    for wrong in (b"", block[1:], block[:-1], b"\0" + block, block + b"\0", block * 2):
        _refused(private.decrypt, wrong)
    for wrong in (b"", signature[1:], signature[:-1], b"\0" + signature, signature + b"\0"):
        _refused(public.verify, b"m", wrong)


@each_engine
def test_attack_14_numbers_at_the_edges_are_refused(engine: Engine) -> None:
    public, private = engine.public_key(ALICE.modulus), _in(engine, ALICE)
    n = int.from_bytes(ALICE.modulus)
    for number in (0, 1, 2, n - 2, n - 1, n, n + 1, 2**2048 - 1):
        raw = number.to_bytes(256)
        _refused(private.decrypt, raw)
        _refused(public.verify, b"m", raw)


def test_the_range_is_compared_as_numbers() -> None:
    modulus = b"\x80" + bytes(254) + b"\x01"
    assert below(b"\x80" + bytes(255), modulus)
    assert below(bytes(256), modulus)
    assert not below(modulus, modulus)
    assert not below(b"\xff" * 256, modulus)
    assert not below(bytes(255), modulus)
    assert not below(bytes(257), modulus)


@each_engine
@settings(max_examples=30)
@given(st.integers(0, 255), st.integers(0, 7))
def test_a_flipped_bit_is_refused(engine: Engine, at: int, bit: int) -> None:
    def flip(data: bytes) -> bytes:
        return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]

    private, public = _in(engine, BOB), engine.public_key(BOB.modulus)
    _refused(private.decrypt, flip(public.encrypt(PLAINTEXT)))
    _refused(public.verify, b"m", flip(private.sign(b"m")))


@each_engine
def test_a_signature_holds_for_its_message_and_its_key_only(engine: Engine) -> None:
    signature = _in(engine, ALICE).sign(b"yes")
    _refused(engine.public_key(ALICE.modulus).verify, b"no", signature)
    _refused(engine.public_key(BOB.modulus).verify, b"yes", signature)


@each_engine
@pytest.mark.parametrize("size", [0, 1, 6, 189])
def test_a_block_with_fewer_bytes_is_refused(engine: Engine, size: int) -> None:
    """OAEP would carry less than 190 bytes; nobody of ours sends it."""
    encoded = oaep_encode(bytes(size), secrets.token_bytes(32))
    assert oaep_decode(encoded) == bytes(size)
    n = int.from_bytes(ALICE.modulus)
    block = pow(int.from_bytes(encoded), 65537, n).to_bytes(256)
    _refused(_in(engine, ALICE).decrypt, block)


# -- OAEP itself -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=190), st.binary(min_size=32, max_size=32))
def test_oaep_comes_back_at_every_length(message: bytes, seed: bytes) -> None:
    encoded = oaep_encode(message, seed)
    assert len(encoded) == 256
    assert oaep_decode(encoded) == message


def test_oaep_takes_no_more_than_fits() -> None:
    with pytest.raises(ValueError, match="190"):
        oaep_encode(bytes(191), bytes(32))
    with pytest.raises(ValueError, match="32"):
        oaep_encode(bytes(190), bytes(31))


def test_mgf1_gives_as_much_as_is_asked() -> None:
    whole = mgf1(b"seed", 100)
    assert [mgf1(b"seed", size) for size in (0, 1, 32, 33)] == [whole[:size] for size in (0, 1, 32, 33)]


def test_a_fixed_seed_is_for_190_bytes_too() -> None:
    with pytest.raises(ValueError, match="190"):
        ReferencePublicKey(ALICE.modulus).encrypt_with_seed(b"short", bytes(32))


# -- attack 12: what is no modulus -------------------------------------------------------------------------------------


@each_engine
def test_attack_12_a_modulus_is_256_bytes_odd_and_2048_bits(engine: Engine) -> None:
    good = ALICE.modulus
    halved = (int.from_bytes(good) >> 1 | 1).to_bytes(256)  # 2,047 bits, odd
    for bad in (b"", bytes(256), good[:-1], good + b"\0", b"\0" + good, good[:-1] + b"\0", halved, good[:128]):
        assert not acceptable_modulus(bad)
        _refused(engine.public_key, bad)


# -- attack 13: moduli that pass and are no product of two large primes ------------------------------------------------

STRANGE = {
    "prime": 2**2048 - 1942289,
    "power of three": 3**1292,
    "smallest": 2**2047 + 1,
    "largest": 2**2048 - 1,
    "square": (2**1023 * 3 // 2 + 1) ** 2,
    "multiple of e": 65537 * ((2**2047 // 65537 + 2) | 1),
}


def test_the_strange_moduli_are_what_they_say() -> None:
    assert rsa.prime.is_prime(STRANGE["prime"])
    for n in STRANGE.values():
        assert acceptable_modulus(n.to_bytes(256))


@each_engine
@pytest.mark.parametrize("name", STRANGE)
def test_attack_13_a_strange_modulus_harms_nobody_else(engine: Engine, name: str) -> None:
    modulus = STRANGE[name].to_bytes(256)
    with contextlib.suppress(CryptoError):  # a library may refuse to compute with it, and then says so
        key = engine.public_key(modulus)
        for plaintext in (PLAINTEXT, bytes(190), b"\xff" * 190):
            assert len(key.encrypt(plaintext)) == 256
        for signature in (bytes(256), b"\x01" * 256, b"\xff" * 256):
            _refused(key.verify, b"m", signature)


# -- loading private keys ----------------------------------------------------------------------------------------------


def _pkcs1(key: openssl_rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _numbers(**changes: int) -> bytes:
    """Alice's key as DER with some of its integers changed; written by hand, since no library would."""
    fields = rsa.PrivateKey.load_pkcs1(ALICE.to_der(), "DER")
    integers = {
        "version": 0, "n": fields.n, "e": fields.e, "d": fields.d, "p": fields.p, "q": fields.q,
        "exp1": fields.exp1, "exp2": fields.exp2, "coef": fields.coef,
    } | changes  # fmt: skip

    def wrap(tag: int, content: bytes) -> bytes:
        size = len(content)
        head = bytes((size,)) if size < 128 else b"\x81%c" % size if size < 256 else b"\x82" + size.to_bytes(2)
        return bytes((tag,)) + head + content

    return wrap(0x30, b"".join(wrap(2, i.to_bytes(i.bit_length() // 8 + 1, signed=True)) for i in integers.values()))


def test_keys_written_by_hand_are_right_when_unchanged() -> None:
    assert _numbers() == ALICE.to_der()


_ALICE = rsa.PrivateKey.load_pkcs1(ALICE.to_der(), "DER")
INCONSISTENT = {
    "version 1": _numbers(version=1),
    "e = 1": _numbers(e=1),
    "e = 3": _numbers(e=3),
    "even n": _numbers(n=_ALICE.n + 1),
    "another n": _numbers(n=_ALICE.n + 2),
    "zero n": _numbers(n=0),
    "another d": _numbers(d=_ALICE.d + 2),
    "d = 0": _numbers(d=0),
    "negative d": _numbers(d=-1),
    "p and q swapped only": _numbers(p=_ALICE.q, q=_ALICE.p),
    "p = 1": _numbers(p=1, q=_ALICE.n),
    "p = 0": _numbers(p=0),
    "p twice": _numbers(q=_ALICE.p),
    "another exponent 1": _numbers(exp1=_ALICE.exp1 + 2),
    "another exponent 2": _numbers(exp2=_ALICE.exp2 + 2),
    "another coefficient": _numbers(coef=_ALICE.coef + 1),
    "something after it": ALICE.to_der() + b"\0",
    "cut short": ALICE.to_der()[:-1],
    "half": ALICE.to_der()[:600],
    "nothing": b"",
    "one byte": b"\x30",
    "garbage": b"garbage" * 100,
    "endless nesting": b"\x30\x80" * 600,
    "huge length": b"\x30\x84\xff\xff\xff\xff" + ALICE.to_der(),
    "text": b"-----BEGIN",
}


@each_engine
@pytest.mark.parametrize("name", INCONSISTENT)
def test_a_key_that_does_not_fit_together_is_refused(engine: Engine, name: str) -> None:
    _refused(engine.private_key, INCONSISTENT[name])


def _from_primes(p: int, q: int) -> bytes:
    """A key whose numbers all fit together, whatever p and q are."""
    d = pow(65537, -1, (p - 1) * (q - 1))
    return _numbers(n=p * q, d=d, p=p, q=q, exp1=d % (p - 1), exp2=d % (q - 1), coef=pow(q, -1, p))


@each_engine
def test_the_order_of_the_primes_does_not_matter(engine: Engine) -> None:
    assert engine.private_key(_from_primes(_ALICE.q, _ALICE.p)).modulus == ALICE.modulus


def test_a_small_prime_is_refused_by_both() -> None:
    large, small = 2**1648 - 1049, 2**400 - 593
    assert rsa.prime.is_prime(large)
    assert rsa.prime.is_prime(small)
    assert (large * small).bit_length() == 2048
    der = _from_primes(large, small)
    for engine in ENGINES:
        _refused(engine.private_key, der)


def test_a_prime_that_is_none_is_refused_by_both() -> None:
    composite = _ALICE.p + 2 * (_ALICE.p % 3)  # divisible by 3
    assert composite % 3 == 0
    assert composite % 65537 != 1
    der = _from_primes(composite, _ALICE.q)
    for engine in ENGINES:
        _refused(engine.private_key, der)


@each_engine
@pytest.mark.parametrize("bits", [1024, 2046, 2047, 2056, 3072])
def test_a_key_of_another_size_is_refused(engine: Engine, bits: int) -> None:
    der = _pkcs1(openssl_rsa.generate_private_key(65537, bits))
    _refused(engine.private_key, der)


@each_engine
def test_a_key_with_another_exponent_is_refused(engine: Engine) -> None:
    der = _pkcs1(openssl_rsa.generate_private_key(3, 2048))
    _refused(engine.private_key, der)


@each_engine
def test_a_512_bit_key_is_refused(engine: Engine) -> None:
    der: bytes = rsa.newkeys(512)[1].save_pkcs1("DER")
    _refused(engine.private_key, der)


@each_engine
def test_a_giant_is_refused_before_any_arithmetic(engine: Engine) -> None:
    """Sixteen thousand bits of anything: checking its primes would take minutes."""
    giant = 2**16383 + 1
    _refused(engine.private_key, _numbers(n=giant, d=giant, p=giant, q=giant))


@each_engine
def test_other_kinds_of_key_are_refused(engine: Engine) -> None:
    key = openssl_rsa.generate_private_key(65537, 2048)
    others = (
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        _ec_key(),
    )
    for other in others:
        _refused(engine.private_key, other)
    assert engine.private_key(_pkcs1(key)).to_der() == _pkcs1(key)


def _ec_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


@each_engine
@settings(max_examples=60)
@given(st.data())
def test_a_damaged_key_is_refused_or_is_the_same_key(engine: Engine, data: st.DataObject) -> None:
    der = bytearray(ALICE.to_der())
    at = data.draw(st.integers(0, len(der) - 1))
    der[at] ^= data.draw(st.integers(1, 255))
    _refused(engine.private_key, bytes(der))
