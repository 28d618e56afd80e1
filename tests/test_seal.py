"""Labels, HKDF, bodies, tags and masks."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from chatcore.errors import CryptoError, WireError
from chatcore.seal import (
    BODY_SIZE,
    CONTENT_SIZE,
    LABEL,
    MAX_CONTENT_BYTES,
    SEALED_SIZE,
    Body,
    SealKeys,
    counter_of,
    digest,
    expand,
    extract,
    fingerprint,
    open_sealed,
    parse_body,
    seal,
    seal_all,
    split,
)

KEYS = SealKeys(bytes(range(32)), bytes(range(32, 64)))
BODY = Body(2, 1, 1, b"hello").to_bytes()


def test_every_label_starts_with_name_and_version() -> None:
    assert LABEL == b"parley/1 "
    assert digest(b"x", b"y") == hashlib.sha256(b"parley/1 xy").digest()
    assert fingerprint(b"n" * 256) == hashlib.sha256(b"parley/1 id" + b"n" * 256).digest()


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 255 * 32])
def test_hkdf_is_that_of_the_rfc(length: int) -> None:
    info = b"some info"
    if length:
        assert expand(b"k" * 32, info, length) == HKDFExpand(SHA256(), length, info).derive(b"k" * 32)
        whole = HKDF(SHA256(), length, b"salt", info).derive(b"ikm")
        assert expand(extract(b"salt", b"ikm"), info, length) == whole
    assert len(expand(b"k" * 32, info, length)) == length


def test_hkdf_of_rfc_5869_test_case_1() -> None:
    prk = extract(bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert expand(prk, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_a_fan_out_is_what_each_would_be_alone(count: int) -> None:
    keys = [SealKeys(bytes((at,)) * 32, bytes((255 - at,)) * 32) for at in range(count)]
    counters = [at * at << 20 for at in range(count)]
    bodies = [Body(2, 1, 1, bytes((at,)) * at).to_bytes() for at in range(count)]
    assert seal_all(keys, counters, bodies) == [seal(*one) for one in zip(keys, counters, bodies, strict=True)]
    assert [open_sealed(*one) for one in zip(keys, seal_all(keys, counters, bodies), strict=True)] == bodies


def test_sealed_bytes_are_those_of_the_formula() -> None:
    sealed = seal(KEYS, 7, BODY)
    counter = (7).to_bytes(8)
    tag = hmac.digest(KEYS.tag, counter + BODY, "sha256")[:16]
    mask = hashlib.shake_256(KEYS.mask + tag + counter).digest(BODY_SIZE)
    assert sealed == counter + tag + bytes(a ^ b for a, b in zip(BODY, mask, strict=True))
    assert len(sealed) == SEALED_SIZE == 190
    assert counter_of(sealed) == 7
    assert open_sealed(KEYS, sealed) == BODY


@pytest.mark.parametrize("at", [0, 7, 8, 23, 24, 100, 189])
def test_a_bit_anywhere_is_noticed(at: int) -> None:
    sealed = seal(KEYS, 7, BODY)
    with pytest.raises(CryptoError):
        open_sealed(KEYS, sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :])


def test_other_keys_open_nothing() -> None:
    sealed = seal(KEYS, 7, BODY)
    for keys in (SealKeys(KEYS.mask, KEYS.tag), SealKeys(KEYS.tag, bytes(32)), SealKeys(bytes(32), KEYS.mask)):
        with pytest.raises(CryptoError):
            open_sealed(keys, sealed)


def test_one_body_under_two_counters_looks_like_two() -> None:
    one, other = (seal(KEYS, counter, BODY)[24:] for counter in (1, 2))
    assert one != other


def test_keys_show_nothing_and_compare_by_value() -> None:
    assert KEYS.tag.hex() not in repr(KEYS)
    assert repr(KEYS) == "SealKeys()"
    assert SealKeys(KEYS.tag, KEYS.mask) == KEYS
    assert SealKeys.derive(b"k" * 32, b"info") == SealKeys(
        *(expand(b"k" * 32, b"info", 64)[at : at + 32] for at in (0, 32))
    )


def test_bodies() -> None:
    assert len(BODY) == BODY_SIZE == 166
    assert parse_body(BODY) == Body(2, 1, 1, b"hello")
    for size in (0, 1, CONTENT_SIZE):
        (body,) = split(3, bytes(size))
        assert parse_body(body) == Body(3, 1, 1, bytes(size))
    parts = [parse_body(body) for body in split(3, b"x" * (2 * CONTENT_SIZE + 1))]
    assert [(body.part, body.parts, len(body.content)) for body in parts] == [(1, 3, 162), (2, 3, 162), (3, 3, 1)]
    assert len(split(3, bytes(MAX_CONTENT_BYTES))) == 255
    assert b"hello" not in repr(parse_body(BODY)).encode()


@pytest.mark.parametrize("size", [0, 1, 3, 4, 165, 167])
def test_another_size_is_no_body(size: int) -> None:
    with pytest.raises(WireError):
        parse_body(bytes(size))
