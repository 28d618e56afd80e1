"""Attacks 56 and 57: what nobody can read who has the disk, the logs, or sees the arguments of a program.

Attack 57: nothing of a conversation stands in a log, in a crash report, or in the arguments of a program.

A relay and two members, each a program of its own, with every logger at its most talkative and asyncio told to be in
debug mode, go through a conversation, a wrong passphrase, failing windows, a broken connection, a farewell and a crash.
Then all that they wrote is searched for all that they knew, in every form in which it might have been written down.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from client_help import identity, room_on, through
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from proxy import Proxy
from relay_help import ROOT, command, environment
from world import ENGINE, World, fp, key

from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.profile import Profile
from chatcore.seal import fingerprint

TITLE = "Sekret Söciety"
NICKS = {"alice": "Älice Wünderkind", "bob": "Bøb the Büilder"}
TEXTS = {
    "alice": ["the törtoise flies at midnight", "a secönd message " + "with a long tail " * 30],
    "bob": ["the häre is informed"],
}
LAST = {"alice": "after the störm", "bob": "still stånding"}
PASSPHRASE = "öpen sesame 1234"


# -- looking -----------------------------------------------------------------------------------------------------------


def forms_of_bytes(secret: bytes) -> set[bytes]:
    """Every form in which somebody might write bytes down; of long ones the beginning would be enough."""
    forms = set()
    for part in {secret, secret[:16], secret[:32]}:
        numbers = ", ".join(map(str, part))
        texts = {part.hex(), part.hex().upper(), part.hex(":"), part.hex(" "), numbers, repr(part)[2:-1]}
        for start in range(3):  # in base64 a piece inside of something longer looks in one of three ways
            whole = part[start : len(part) - (len(part) - start) % 3]
            texts |= {base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()}
        forms |= {part, *(text.encode() for text in texts)}
    return forms


def forms_of_text(secret: str) -> set[bytes]:
    """Every form in which somebody might write a text down."""
    forms = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1], repr(secret.encode())[2:-1]}
    return {form.encode() for form in forms} | {secret.encode("utf-16-le")} | forms_of_bytes(secret.encode())


def forms_of_key(der: bytes) -> set[bytes]:
    """Every form of a private key, its numbers among them."""
    key = load_der_private_key(der, None)
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    forms = forms_of_bytes(der)
    for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
        forms |= {str(number)[:40].encode(), f"{number:x}"[:40].encode()}
        forms |= forms_of_bytes(number.to_bytes(-(-number.bit_length() // 8)))
    return forms


def found(places: Mapping[str, bytes], secrets: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Return which secret stands where."""
    return [
        f"{secret} in {place}"
        for place, data in places.items()
        for secret, forms in secrets.items()
        if any(form in data for form in forms)
    ]


@pytest.mark.parametrize(
    "written",
    [
        "{0!r}", "{0!s}", "{1}", "x{2}y", "{3}", "numbers [{4}, 7]", "{5}", "{6}",
    ],
)  # fmt: skip
def test_the_looking_finds_what_is_there(written: str) -> None:
    secret = bytes(range(100, 148))
    in_the_middle = base64.b64encode(b"head" + secret + b"tail").decode()
    data = written.format(
        secret, secret.hex(), secret.hex().upper(), base64.urlsafe_b64encode(secret[:32]).decode(),
        ", ".join(map(str, secret)), in_the_middle, secret.hex()[:32],
    )  # fmt: skip
    assert found({"log": b"before " + data.encode() + b" after"}, {"key": forms_of_bytes(secret)}) == ["key in log"]
    assert found({"log": b"before  after"}, {"key": forms_of_bytes(secret)}) == []


def test_the_looking_finds_texts_and_private_keys() -> None:
    for written in (f"{TITLE}", f"{TITLE!a}", json.dumps({"title": TITLE}), f"{TITLE.encode()!r}"):
        assert found({"log": written.encode()}, {"title": forms_of_text(TITLE)}) == ["title in log"]
    der = identity("alice").to_der()
    key = load_der_private_key(der, None)
    assert isinstance(key, RSAPrivateKey)
    for number in (key.private_numbers().d, key.private_numbers().q):
        for text in (str(number), hex(number)):
            assert found({"log": text.encode()}, {"key": forms_of_key(der)}) == ["key in log"]
    assert found({"log": base64.encodebytes(der)}, {"key": forms_of_key(der)}) == ["key in log"]


def secrets_of(invite: Invite) -> dict[str, Iterable[bytes]]:
    """Return what nobody may find of a room and of its members' passphrase, in all its forms."""
    return {
        "title": forms_of_text(TITLE),
        "passphrase": forms_of_text(PASSPHRASE),
        "invite": forms_of_text(invite.to_text()) | {invite.to_text()[-40:].encode(), b"parley:join/"},
        "room secret": forms_of_bytes(invite.secret),
        "room id": forms_of_bytes(invite.room_id),
        "room key": forms_of_bytes(invite.room_key),
    }


# -- the disk ----------------------------------------------------------------------------------------------------------


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


@pytest.mark.parametrize("passphrase", [PASSPHRASE, None])
def test_attack_56_the_disk_after_a_visit_shows_nothing_to_who_has_no_passphrase(
    passphrase: str | None, tmp_path: Path
) -> None:
    """As it lies there while the room is open, after a kill -9, and after it was closed; keys, outbox and history."""
    world = World()
    profile = Profile.create(tmp_path, NICKS["alice"], passphrase, ENGINE)
    profile.identity = key("identity alice")
    invite, bob = replace(world.invite, title=TITLE), world.client(NICKS["bob"], identity="bob")
    alice = world.client(NICKS["alice"], identity="alice", invite=invite, store=profile.room(invite.room_id))
    profile.people.meet({fp("bob"): NICKS["bob"]}, invite.room_id, 5)
    world.advance(2)
    for text, other in ((TEXTS["alice"][0], TEXTS["bob"][0]), (TEXTS["alice"][1], LAST["bob"])):
        alice.say(text)
        bob.say(other)
        world.advance(1)
    bob.disconnect()
    alice.say(LAST["alice"])
    world.advance(1)
    profile.remember(invite, world.now.ms, alice.room.statements())
    profile.save()
    disks = {"open": everything_in(tmp_path)}
    assert alice.room.owed == 1
    vault = profile._vault
    assert vault is not None
    shutil.copytree(tmp_path, killed := tmp_path.with_name(f"{tmp_path.name} killed"))
    profile.close()
    disks["closed"] = everything_in(tmp_path)
    with contextlib.closing(Profile.open(killed, passphrase, ENGINE)) as again:
        kept = again.room(invite.room_id).load()
        assert (len(kept.lines), sum(map(len, kept.owed.values()))) == (5, 1)
    disks["killed, and opened again"] = everything_in(killed)
    session = key(f"session {NICKS['alice']} 1").to_der()
    secrets = secrets_of(invite) | {"session key": forms_of_key(session)}
    for name in NICKS:
        secrets[f"nick of {name}"] = forms_of_text(NICKS[name])
        secrets[f"fingerprint of {name}"] = forms_of_bytes(fp(name))
        secrets[f"identity of {name}"] = forms_of_key(key(f"identity {name}").to_der())
        for number, text in enumerate((*TEXTS[name], LAST[name])):
            secrets[f"text {number} of {name}"] = forms_of_text(text)
    assert found(disks, secrets) == []
    keys = {"key of the vault": [form for at in (0, 32, 64) for form in forms_of_bytes(vault.keys[at : at + 32])]}
    # Without a passphrase that is what the thief finds, and with it all of the above.
    assert found(disks, keys) == ([] if passphrase else [f"key of the vault in {name}" for name in disks])


# -- the conversation --------------------------------------------------------------------------------------------------


class Program:
    """One of the three, and where it writes."""

    def __init__(self, name: str, arguments: list[str], directory: Path, state: Path) -> None:
        self.name = name
        self.error = directory / f"{name}.stderr"
        env = environment(state, PYTHONASYNCIODEBUG="1", PYTHONDEVMODE="1", PYTHONPATH=str(ROOT))
        with self.error.open("wb") as error:
            self.process = subprocess.Popen(
                arguments, cwd=directory, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=error
            )
        self.said = b""

    def hear(self, wanted: bytes) -> bytes:
        """Return the next line of its output that begins like this."""
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            self.said += line
            assert line, f"{self.name} ended:\n{self.error.read_text()}"
            if line.startswith(wanted):
                return line.strip()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def arguments(self) -> bytes:
        """What anybody on this computer can see of it."""
        place = Path(f"/proc/{self.process.pid}")
        return b"".join((place / name).read_bytes() for name in ("cmdline", "environ", "comm"))

    def end(self) -> int:
        rest, _ = self.process.communicate(timeout=30)
        self.said += rest
        return self.process.returncode


def start_relay(directory: Path) -> Program:
    state = directory / "relay"
    subprocess.run(command("init", "--state", str(state)), check=True, capture_output=True, timeout=60)
    (config,) = state.glob("*.toml")
    config.write_text(config.read_text().replace('# log = "info"', 'log = "debug"'))
    return Program("relay", command("run", "--config", str(config), "--port", "0"), directory, state)


def start_member(name: str, invite: Invite, directory: Path) -> Program:
    other = "bob" if name == "alice" else "alice"
    program = Program(name, [sys.executable, str(ROOT / "tests" / "talker.py")], directory, directory)
    told = {
        "invite": invite.to_text(),
        "identity": base64.b64encode(identity(name).to_der()).decode(),
        "nick": NICKS[name],
        "passphrase": PASSPHRASE,
        "says": TEXTS[name],
        "hears": TEXTS[other],
        "last": LAST[name],
        "hears_last": LAST[other],
        "log": str(directory / f"{name}.log"),
        "profile": str(directory / f"profile of {name}"),
        "keys": str(directory / f"{name}.keys"),
    }
    program.tell(json.dumps(told))
    return program


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="arguments and environment are read from /proc")
def test_attack_57_nothing_is_written_down(tmp_path: Path) -> None:
    relay = start_relay(tmp_path)
    programs = [relay]
    try:
        line = RelayAddress.parse(relay.hear(b"parley:relay/").decode())
        with Proxy(line.port) as proxy:
            invite = through(room_on(line, mode=Mode.OPEN, title=TITLE), proxy.port)
            members = [start_member(name, invite, tmp_path) for name in NICKS]
            programs += members
            for member in members:
                member.hear(b"talked")
            seen = {f"arguments of {program.name}": program.arguments() for program in programs}
            proxy.reset()
            for member in members:
                member.hear(b"back")
            for member in members:
                member.tell("that's all")
            assert [member.end() for member in members] == [1, 1]  # the crash at the end
        relay.process.terminate()
        assert relay.end() == 0
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.communicate()
    logs = {f"log of {name}": (tmp_path / f"{name}.log").read_bytes() for name in NICKS}
    errors = {f"stderr of {program.name}": program.error.read_bytes() for program in programs}
    outputs = {f"output of {program.name}": program.said for program in members}

    # They did write: what failed, by kind and place, and the crash; and the relay its words.
    assert all(b"fault ValueError at talker.py:" in data for data in logs.values())
    assert all(b"InviteError: This link is cut off at the end." in errors[f"stderr of {name}"] for name in NICKS)
    assert all(b"This passphrase doesn't open the profile." in data for data in outputs.values())
    assert b"parley-relay: listening" in errors["stderr of relay"]

    secrets = secrets_of(invite)
    for name, nick in NICKS.items():
        key = identity(name)
        secrets[f"nick of {name}"] = forms_of_text(nick)
        secrets[f"fingerprint of {name}"] = forms_of_bytes(fingerprint(key.modulus))
        secrets[f"identity of {name}"] = forms_of_key(key.to_der()) | forms_of_bytes(key.modulus)
        for number, text in enumerate((*TEXTS[name], LAST[name])):
            secrets[f"text {number} of {name}"] = forms_of_text(text) | {text[:20].encode()}
        made = json.loads((tmp_path / f"{name}.keys").read_text())
        assert len(made) >= 3  # the identity of a profile, and a session key for each connection
        for number, der in enumerate(made):
            secrets[f"key {number} made by {name}"] = forms_of_key(base64.b64decode(der))
    everywhere = seen | logs | errors | outputs
    assert found(everywhere, secrets) == []

    ports = (line.port, invite.relay.port)
    addresses = {"address": [b"127.0.0.1", *(mark + str(port).encode() for port in ports for mark in (b":", b", "))]}
    assert found(logs | errors | outputs, addresses) == []
    assert found({"output of relay": relay.said}, secrets) == []  # it prints its address and its pin, as it should
