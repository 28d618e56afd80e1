"""What the client's doctor finds on the way to a relay, and the cure it names."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from relay_help import DEADLINE_S, ROOT, BareClient, RelayThread, until

from chatcore import dial, doctor
from chatcore.cable import NO_ANSWER, Loop, Timing
from chatcore.doctor import examine, relay_in
from chatcore.errors import Finding, InviteError
from chatcore.invite import Mode, RelayAddress, new_invite
from chatcore.wire import FRAME_SIZE, Frame, Kind, Refusal, parse_frame
from relay import keys
from relay.config import Config
from relay.limits import Limits

HASTY = Timing(dial_s=1.0, welcome_s=0.5)
PASS = b"p" * 32


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RelayThread]:
    """Run a relay with TLS and a pass."""
    certificate, key = keys.ensure_keys(tmp_path)
    with RelayThread(Config(port=0, certificate=certificate, key=key, relay_pass=PASS)) as thread:
        yield thread


def look(address: RelayAddress, timing: Timing = HASTY) -> list[Finding]:
    """Return all that the doctor finds; the loop must be left without anything open."""

    async def all_of_it() -> list[Finding]:
        return [finding async for finding in examine(address, timing)]

    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(all_of_it())


def last(address: RelayAddress, timing: Timing = HASTY) -> Finding:
    """Return the last finding; what came before it must be good."""
    *before, finding = look(address, timing)
    assert [item.grade for item in before] == ["ok"] * len(before), before
    return finding


def run(text: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command with this on its standard input."""
    done = subprocess.run(
        [sys.executable, "gui_client.py", "doctor", *arguments],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_good_way_is_six_good_lines_that_name_nothing(relay: RelayThread) -> None:
    status, out, err = run(relay.server.line + "\n")
    assert (status, err) == (0, "")
    assert [line[:6] for line in out.splitlines()] == ["ok    "] * 6
    assert [line[6:].split(":")[0] for line in out.splitlines()] == [
        "line", "clock", "name", "port", "seat", "round trip",
    ]  # fmt: skip
    assert "it is whole, with a pin and a pass." in out
    for secret in ("127.0.0.1", str(relay.port), *relay.server.line.split("/")[2:]):
        assert secret not in out
    until(lambda: relay.server.door.connections == 0, "the doctor has gone")
    assert relay.server.journal.totals == {"listening": 1}


def test_an_invite_will_do(relay: RelayThread) -> None:
    address = RelayAddress.parse(relay.server.line)
    invite = new_invite(b"o" * 32, Mode.ASK, address, "Cabin weekend", secret=b"s" * 32)
    assert relay_in(f"Hello!\n> {invite.to_text()}\n") == address
    status, out, _ = run(invite.to_text())
    assert status == 0
    assert "Cabin" not in out


@pytest.mark.parametrize(
    "text", ["", "hello", "parley:relay/x", "parley:join/127.0.0.1:1/AAAA", "\x00\ud800" * 9, "x" * 70_000]
)
def test_what_is_no_line_is_one_sentence(text: str) -> None:
    with pytest.raises(InviteError) as caught:
        relay_in(text)
    if text.isprintable():
        status, out, err = run(text)
        assert (status, out, err) == (1, f"bad   line: {caught.value}\n", "")


def test_a_line_is_never_an_argument(relay: RelayThread) -> None:
    status, out, err = run("", relay.server.line)
    assert (status, out, err) == (2, "", doctor.USAGE + "\n")
    assert run("", "--help") == (0, "", doctor.USAGE + "\n")


def test_bytes_that_are_no_text_are_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["parley-doctor"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00" * 1000)))
    assert doctor.main() == 1
    assert capsys.readouterr().out.startswith("bad   line: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_person_can_paste_it_even_broken_over_lines(relay: RelayThread) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chatcore.doctor"],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    try:
        assert select.select([ours], [], [], DEADLINE_S)[0]
        assert b"Paste the relay's line" in os.read(ours, 1000)
        line = relay.server.line
        os.write(ours, f"{line[:50]}\n{line[50:]}\n".encode())
        out, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        os.close(ours)
    assert process.returncode == 0
    assert out.count("ok    ") == 6


# -- what can be wrong -------------------------------------------------------------------------------------------------


def plain(port: int) -> RelayAddress:
    return RelayAddress("127.0.0.1", port)


def pinned(port: int) -> RelayAddress:
    return RelayAddress("127.0.0.1", port, (b"x" * 32,))


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Be something else than a relay."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    sock.settimeout(DEADLINE_S)
                    kept.append(sock)
                    answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        for sock in kept:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        for sock in kept:
            sock.close()


def silence(_sock: socket.socket) -> None:
    pass


def test_every_way_in_which_dialling_fails_has_its_cure() -> None:
    said = {getattr(dial, name) for name in dir(dial) if name.isupper() and isinstance(getattr(dial, name), str)}
    assert doctor._BROKEN.keys() == (said | {NO_ANSWER}) - {dial.NO_NAME}  # the name is looked at first
    assert doctor._REFUSED.keys() == set(Refusal)


def test_a_name_that_leads_nowhere() -> None:
    finding = last(RelayAddress("no.such.host.invalid", 7256, (b"x" * 32,)), Timing(dial_s=DEADLINE_S))
    assert (finding.grade, finding.about) == ("bad", "name")


def test_a_name_that_is_never_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(DEADLINE_S) or [])
    finding = last(RelayAddress("relay.example", 7256, (b"x" * 32,)), Timing(dial_s=0.1))
    over.set()
    assert (finding.grade, finding.about) == ("bad", "name")


def test_a_name_that_leads_here(relay: RelayThread) -> None:
    address = dataclasses.replace(RelayAddress.parse(relay.server.line), host="localhost")
    findings = look(address)
    assert findings[-1].about == "round trip"
    assert re.match(r"it leads to \d address", findings[1].sentence)


def test_nobody_there() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        finding = last(pinned(sock.getsockname()[1]))
    assert (finding.grade, finding.about) == ("bad", "port")
    assert "nobody listens there" in finding.sentence


def test_something_that_says_nothing() -> None:
    with answering(silence) as port:
        assert "there is no answer" in last(pinned(port)).sentence
        finding = last(plain(port))
        assert (finding.about, "let its owner run `doctor` there" in finding.sentence) == ("seat", True)


def test_something_that_hangs_up() -> None:
    with answering(lambda sock: sock.close()) as port:
        assert "hung up" in last(pinned(port)).sentence
        assert "hung up without a word" in last(plain(port)).sentence


def test_something_that_speaks_another_language() -> None:
    with answering(lambda sock: sock.sendall(b"SSH-2.0-x\r\n" * 50)) as port:
        finding = last(pinned(port))
        assert (finding.about, "speaks no TLS 1.3" in finding.sentence) == ("tls", True)
        finding = last(plain(port))
        assert (finding.grade, finding.about) == ("bad", "seat")


def test_another_key_gets_no_pass(relay: RelayThread) -> None:
    address = dataclasses.replace(RelayAddress.parse(relay.server.line), pins=(b"y" * 32,))
    finding = last(address)
    assert (finding.grade, finding.about) == ("bad", "pin")
    assert "was sent nothing" in finding.sentence
    until(lambda: relay.server.door.connections == 0, "it has gone")
    assert relay.server.switch.joins == 0
    assert relay.server.journal.totals["relay_pass"] == 0


def test_another_pass(relay: RelayThread) -> None:
    address = dataclasses.replace(RelayAddress.parse(relay.server.line), relay_pass=b"q" * 32)
    finding = last(address)
    assert (finding.about, "the pass in this line isn't the relay's" in finding.sentence) == ("seat", True)


def test_a_full_relay() -> None:
    with (
        RelayThread(Config(port=0, limits=Limits(max_connections=1))) as relay,
        BareClient(relay.port, tls=False).join(),
    ):
        assert "it is full" in last(plain(relay.port)).sentence


@pytest.mark.parametrize("reason", [*Refusal, 0, 99])
def test_each_refusal_has_a_sentence(reason: int) -> None:
    with answering(lambda sock: sock.sendall(Frame(Kind.REFUSED, reason, 5).to_bytes())) as port:
        finding = last(plain(port))
    assert (finding.grade, finding.about) == ("bad", "seat")
    known = doctor._REFUSED[Refusal(reason)] if reason in set(Refusal) else "that this Parley doesn't know: update it."
    assert finding.sentence.endswith(known)


def test_a_relay_that_stops_in_the_middle() -> None:
    def welcome(sock: socket.socket) -> None:
        sock.sendall(Frame(Kind.WELCOME, address=b"12345678").to_bytes())

    with answering(welcome) as port:
        finding = last(plain(port))
    assert (finding.grade, finding.about) == ("bad", "round trip")


def test_a_slow_way(monkeypatch: pytest.MonkeyPatch, relay: RelayThread) -> None:
    monkeypatch.setattr(doctor, "SLOW_MS", 0)
    finding = last(RelayAddress.parse(relay.server.line))
    assert (finding.grade, finding.about) == ("warn", "round trip")


def test_a_flood_is_no_harm() -> None:
    def flood(sock: socket.socket) -> None:
        frames = Frame(Kind.WELCOME, address=b"12345678").to_bytes() + Frame(Kind.SEND).to_bytes() * 1000
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(frames)

    with answering(flood) as port:
        finding = last(plain(port))
    assert finding.about in ("seat", "round trip")


def test_it_joins_a_room_that_nobody_can_know() -> None:
    rooms = []

    def keep(sock: socket.socket) -> None:
        data = b""
        while len(data) < FRAME_SIZE:
            data += sock.recv(FRAME_SIZE)
        rooms.append(parse_frame(data[:FRAME_SIZE]).block[:32])
        sock.close()

    with answering(keep) as port:
        for _ in range(2):
            last(plain(port))
    assert len(set(rooms)) == 2


def test_a_clock_from_before_the_program() -> None:
    finding = doctor._clock(0.0)
    assert (finding.grade, "it says 1970-01-01, before this program was written" in finding.sentence) == ("bad", True)
