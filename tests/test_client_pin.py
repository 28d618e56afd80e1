"""The client and the relay's key, on real sockets: TLS and the pin."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    HASTY,
    FakeRelay,
    Person,
    free_port,
    hang_up,
    no_retry,
    people,
    pin_in,
    plain,
    receive_all,
    room_on,
    through,
    tls_config,
    until,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from proxy import Proxy
from relay_help import RelayThread

from chatcore import cable as cables
from chatcore import dial as dials
from chatcore.cable import is_pinned
from chatcore.events import Connection, ConnectionChanged
from chatcore.invite import RelayAddress
from relay.keys import ensure_keys, pin_of


def test_attack_51_another_key_gets_not_one_byte(tmp_path: Path) -> None:
    """Attack 51: a wrong pin, and no application byte is sent."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    with FakeRelay(receive_all, other) as fake, FakeRelay(hang_up) as busy:
        line = RelayAddress("127.0.0.1", fake.port, (pin_in(ours),))
        with people(room_on(line), "alice") as (alice,):
            stopped = alice.ear.until_state(Connection.STOPPED)
            assert stopped == ConnectionChanged(Connection.STOPPED, dials.NOT_THE_RELAY)
            assert stopped.reason == (
                "What answers at the relay's address is not the relay of this invite, so nothing was sent to it. "
                "Ask whoever made the room for a new invite; "
                "if that is you, make a new room with the line that the relay prints."
            )
            no_retry(alice, plain(busy.port))
            assert fake.accepted == 1
    assert fake.got == [b""]


def test_who_was_in_waits_while_a_relay_of_another_key_is_there(tmp_path: Path) -> None:
    """A server set up anew has a key of its own, until the backup or the spare key is put in place."""
    config = tls_config(tmp_path / "ours", port=free_port())
    with RelayThread(config) as relay:
        alice = Person("alice", room_on(RelayAddress.parse(relay.server.line)))
        alice.ear.until_state(Connection.CONNECTED)
    with alice:
        with FakeRelay(receive_all, tmp_path / "other", port=config.port) as fake:
            wrong = ConnectionChanged(Connection.RECONNECTING, dials.NOT_THE_RELAY)
            alice.ear.until(lambda: wrong in alice.ear.events, "she is told that it is another")
            until(lambda: fake.accepted > 2, "she tries again")
        with RelayThread(config):
            alice.ear.until_state(Connection.CONNECTED, 2)
        assert not any(fake.got)


def test_the_second_pin_counts_as_much(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay:
        line = RelayAddress("127.0.0.1", relay.port, (b"x" * 32, pin_in(tmp_path)))
        with people(room_on(line), "alice") as (alice,):
            alice.ear.until_state(Connection.CONNECTED)


def test_a_relay_without_tls_gets_no_plain_text(tmp_path: Path) -> None:
    with FakeRelay(receive_all) as fake, FakeRelay(lambda heard: heard.sendall(b"SSH-2.0-x\r\n")) as other:
        for port, sentence in ((other.port, dials.NO_TLS), (fake.port, "")):
            line = RelayAddress("127.0.0.1", port, (b"p" * 32,))
            invite = room_on(line)
            with people(invite, "alice", timing=dataclasses.replace(HASTY, dial_s=0.3)) as (alice,):
                assert alice.ear.until_state(Connection.RECONNECTING).reason in (sentence, cables.NO_ANSWER)
                alice.ear.until_state(Connection.RECONNECTING, 4)
    got = [*fake.got, *other.got]
    assert any(got)
    for data in got:
        assert data == b"" or data.startswith(b"\x16\x03")  # a TLS handshake
        assert invite.room_id not in data


def test_an_older_tls_is_refused(tmp_path: Path) -> None:
    with FakeRelay(receive_all, tmp_path) as fake:
        assert fake.context is not None
        fake.context.minimum_version = ssl.TLSVersion.TLSv1_2
        fake.context.maximum_version = ssl.TLSVersion.TLSv1_2
        line = RelayAddress("127.0.0.1", fake.port, (pin_in(tmp_path),))
        with people(room_on(line), "alice") as (alice,):
            assert alice.ear.until_state(Connection.RECONNECTING).reason == dials.NO_TLS
    assert set(fake.got) == {b""}


def test_nothing_but_tls_goes_out(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy:
        invite = through(room_on(RelayAddress.parse(relay.server.line)), proxy.port)
        with people(invite, "alice", "bob") as (alice, bob):
            alice.until_here("bob")
            proxy.reset()
            for one in (alice, bob):
                one.ear.until_state(Connection.CONNECTED, 2)
            alice.say("after all")
            bob.until_text("after all")
    assert len(proxy.recorded) >= 4
    for data in proxy.recorded:
        assert data.startswith(b"\x16\x03")
        assert invite.room_id not in data


def certificates() -> list[tuple[bytes, bytes]]:
    """Certificates of several kinds, each with its public key as the library sees it."""
    made = []
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n" * 60)] * 3)  # long enough for two length bytes
    keys: list[Any] = [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ]
    for key in keys:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        )
        encoding = serialization.Encoding.DER
        info = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        made.append((certificate.public_bytes(encoding), info))
    return made


CERTIFICATES = certificates()


def pin_of_key(info: bytes) -> bytes:
    return hashlib.sha256(info).digest()


@pytest.mark.parametrize(("certificate", "info"), CERTIFICATES, ids=["EC", "Ed25519", "RSA"])
def test_the_key_in_a_certificate_is_known_by_its_pin(certificate: bytes, info: bytes) -> None:
    pin = pin_of_key(info)
    assert info in certificate
    assert is_pinned(certificate, (pin,))
    assert is_pinned(certificate, (b"p" * 32, pin))
    for pins in ((), (b"p" * 32,), (pin[:-1] + bytes((pin[-1] ^ 1,)),), (pin[:16],), (b"",)):
        assert not is_pinned(certificate, pins)


def test_a_pin_that_the_relay_prints_is_the_one_that_is_looked_for(tmp_path: Path) -> None:
    certificate, _ = ensure_keys(tmp_path)
    assert is_pinned(ssl.PEM_cert_to_DER_cert(certificate.read_text()), (pin_of(certificate),))


@given(which=st.sampled_from(CERTIFICATES), data=st.data())
def test_a_certificate_altered_in_its_key_is_not_pinned(which: tuple[bytes, bytes], data: st.DataObject) -> None:
    certificate, info = which
    start = certificate.index(info)
    at = data.draw(st.integers(start, start + len(info) - 1))
    altered = certificate[:at] + bytes([certificate[at] ^ data.draw(st.integers(1, 255))]) + certificate[at + 1 :]
    assert not is_pinned(altered, (pin_of_key(info),))


@given(which=st.sampled_from(CERTIFICATES), data=st.data())
def test_a_certificate_altered_anywhere_shows_no_key_but_its_own(
    which: tuple[bytes, bytes], data: st.DataObject
) -> None:
    certificate, info = which
    at = data.draw(st.integers(0, len(certificate) - 1))
    altered = certificate[:at] + bytes([data.draw(st.integers(0, 255))]) + certificate[at + 1 :]
    assert info in altered or not is_pinned(altered, (pin_of_key(info),))


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.one_of(st.none(), st.binary(max_size=400)))
def test_what_is_no_certificate_is_not_pinned(junk: bytes | None) -> None:
    assert not is_pinned(junk, (pin_of_key(b""), pin_of_key(junk or b"")))


def test_a_certificate_in_another_form_is_not_pinned() -> None:
    certificate, info = CERTIFICATES[0]
    size = len(certificate) - 4
    assert certificate[:4] == bytes((0x30, 0x82)) + size.to_bytes(2)
    rest = certificate[4:]
    forms = [certificate[:cut] for cut in (0, 1, 2, 3, 50, 200, len(certificate) - 1)]
    forms += [certificate + b"\0", certificate + certificate]
    forms += [
        head + rest
        for head in (
            b"\x30\x80",  # of no stated length
            b"\x30\x83" + size.to_bytes(3),  # longer than need be
            b"\x30\x84" + size.to_bytes(4),
            b"\x31\x82" + size.to_bytes(2),  # another kind
            b"\x30\x82" + (size + 1).to_bytes(2),  # beyond the end
        )
    ]
    for form in forms:
        assert not is_pinned(form, (pin_of_key(info),))
