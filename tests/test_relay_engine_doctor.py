"""What the doctor says of an engine; and the sample of its configuration, with real servers, certificates, accounts."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from client_help import free_port
from nats_help import SERVER, Cluster, Nats, needs_nats, settings_for, up
from relay_help import ROOT, BareClient, RelayThread, run_relay, send_frame
from typed import SELF_HOSTING, commands, words_of

from relay import config as configuration
from relay import doctor, engine_doctor, nats
from relay.across import Subjects
from relay.config import Config
from relay.engine import Place, Settings
from relay.engine_doctor import examine_engine
from relay.engine_nats import connect, context_of
from relay.names import Names

SAMPLE = ROOT / "deploy" / "nats-server.conf"
PAGE = SELF_HOSTING.read_text("utf-8")


def certificates(directory: Path) -> None:
    """Make what docs/SELF_HOSTING.md says, with the commands that stand there, for an engine on this computer."""
    authority, engine = (words for line in commands(PAGE) for words in words_of(line) if "req" in words)
    at = engine.index("-addext")
    relay = engine[:at] + engine[at + 2 :]
    for words, name in ((authority, ""), (engine, "engine-1"), (relay, "relay-1"), (relay, "relay-2")):
        typed = [word.replace("engine-1", name).replace("10.0.0.5", "127.0.0.1") for word in words]
        done = subprocess.run(typed, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nats, Path]]:
    """A server with the sample configuration, on loopback."""
    if SERVER is None:
        pytest.skip("nats-server isn't installed: sudo apt-get install nats-server")
    home = tmp_path_factory.mktemp("engine")
    certificates(home)
    text = SAMPLE.read_text().replace("/etc/nats/", f"{home}/").replace("10.0.0.5", "127.0.0.1")
    text = text.replace("10.0.0.6", "127.0.0.1").replace("6222", str(free_port()))
    path = home / "nats-server.conf"
    path.write_text(text)
    checked = subprocess.run([SERVER, "-t", "-c", str(path)], capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
    server = Nats(home, "sample", "-c", str(path))
    yield server, home
    server.kill()


def settings(engine: tuple[Nats, Path], name: str = "relay-1", password: str = "") -> Settings:
    server, home = engine
    password = password or f"CHANGE-ME-{name[-1]}"
    place = Place("127.0.0.1", server.port, True, name, password)
    return Settings((place,), "parley", name, home / "engine-ca.pem", home / f"{name}.pem", home / f"{name}-key.pem")


def said(settings: Settings) -> list[tuple[str, str]]:
    return [(finding.grade, finding.sentence) for finding in examine_engine(settings)]


@needs_nats
def test_an_engine_that_is_well() -> None:
    with Cluster(2) as cluster:
        findings = list(examine_engine(settings_for(*cluster.ports)))
    assert [finding.grade for finding in findings] == ["ok", "ok"]
    assert [finding.about for finding in findings] == [f"engine 127.0.0.1:{port}" for port in cluster.ports]
    assert all(finding.sentence.startswith("it carries what this relay says, in ") for finding in findings)


def test_an_engine_that_is_off_silent_or_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_doctor, "PATIENCE_S", 0.5)
    ((grade, text),) = said(settings_for(free_port()))
    assert (grade, text) == ("bad", "it can't be reached (Connection refused); start it, or correct nats.")
    place = Place("no-such-name.invalid", 4222, False)
    ((grade, text),) = said(Settings((place,)))
    assert text == "it can't be reached (no such name); start it, or correct nats."
    with socket.create_server(("127.0.0.1", 0)) as silent:
        findings = examine_engine(settings_for(silent.getsockname()[1]))
        assert next(findings).sentence == "it doesn't answer; look at the firewall, and whether it runs."


def test_the_relays_doctor_goes_there(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    path.write_text(path.read_text().replace("[engine]\n", f'[engine]\nnats = ["nats://127.0.0.1:{free_port()}"]\n'))
    assert run_relay(tmp_path, "check-config", "--config", str(path))[0] == 0, "the engine needn't run for that"
    findings = {finding.about: finding for finding in doctor.examine(path)}
    (engine,) = (about for about in findings if about.startswith("engine 127.0.0.1:"))
    assert findings[engine].grade == "bad"


def test_the_sample_lets_relays_in_and_nobody_else(engine: tuple[Nats, Path]) -> None:
    first = settings(engine)
    assert [grade for grade, _ in said(first)] == ["ok"]
    assert [grade for grade, _ in said(settings(engine, "relay-2"))] == ["ok"]
    refused = "it refuses this relay, or one of its subjects; look at user, password, and its permissions for `name`."
    assert said(settings(engine, password="guessed")) == [("bad", refused)]
    assert said(replace(first, name="relay-2")) == [("bad", refused)], "in another's name"
    assert said(replace(first, cluster="others")) == [("bad", refused)]
    ((grade, text),) = said(replace(first, certificate=None, key=None))
    assert grade == "bad", "without a certificate"
    ((grade, text),) = said(replace(first, ca=None))
    assert (grade, text) == ("bad", "TLS fails (CERTIFICATE_VERIFY_FAILED); look at ca, certificate and key.")
    plain = replace(first, places=(replace(first.places[0], tls=False),))
    ((grade, text),) = said(plain)
    assert text == "it is no engine for this relay (it wants TLS); look at nats, and at its own configuration."


def test_a_python_that_asks_more_of_an_authority_takes_that_of_the_page(
    engine: tuple[Nats, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of Debian 13 does, by default."""
    default = ssl.create_default_context

    def strict(cafile: Path) -> ssl.SSLContext:
        context = default(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    assert [grade for grade, _ in said(settings(engine))] == ["ok"]


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("sub", "parley.parley.n.relay-2.*.*"),
        ("sub", "parley.parley.n.*.*.*"),
        ("sub", ">"),
        ("sub", "$SYS.>"),
        ("pub", "parley.parley.h.relay-2"),
        ("pub", "parley.parley.c.aaaa.relay-2"),
        ("pub", "$SYS.REQ.SERVER.PING"),
    ],
)
def test_a_relay_that_is_taken_over_hears_and_says_nothing_in_anothers_name(
    engine: tuple[Nats, Path], kind: str, subject: str
) -> None:
    mine = settings(engine)

    async def ask() -> list[nats.Said]:
        reader, writer, said = await connect(mine.places[0], context_of(mine), Names())
        writer.write((nats.subscribe(subject, 1) if kind == "sub" else nats.publish(subject, b"x")) + nats.PING)
        heard: list[nats.Said] = []
        while nats.PONG not in heard:
            heard += said.receive_data(await reader.read(65_536))
        writer.transport.abort()
        return heard

    # newer servers tell of themselves once more, after they have let somebody in
    heard = [one for one in asyncio.run(ask()) if not isinstance(one, nats.Info)]
    assert heard == [nats.Trouble(False, True), nats.PONG]


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_two_relays_meet_over_the_sample(engine: tuple[Nats, Path], loop: str) -> None:
    relays = [
        RelayThread(Config(port=0, event_loop=loop, engine=settings(engine, name))) for name in ("relay-1", "relay-2")
    ]
    with relays[0] as a, relays[1] as b:
        up(a, b)
        with BareClient(a.port, tls=False).join() as alice, BareClient(b.port, tls=False).join() as bob:
            assert alice.frame().address == bob.seat
            alice.send(send_frame(bob.seat, 4))
            frame = bob.frame()
            while frame.address != alice.seat or not frame.block[3]:
                frame = bob.frame()
            assert frame.block[:4] == (4).to_bytes(4)
        for relay in (a, b):
            assert relay.server.journal.totals["engine_denied"] == 0


def test_the_subjects_in_the_sample_are_those_in_the_code() -> None:
    text = SAMPLE.read_text()
    for name in ("relay-1", "relay-2"):
        subjects = Subjects("parley", name, "*")
        mine = (subjects.own_heart, subjects.own_words("*"), subjects.blocks("*", "*", "*"))
        heard = (subjects.all_hearts, subjects.room("*"), subjects.blocks(name, "*", "*"))
        assert f"publish: {list(mine)}".replace("'", '"') in text
        assert f"subscribe: {list(heard)}".replace("'", '"') in text
