"""What the relay's doctor finds, and the cure it names."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from relay_help import DEADLINE_S, BareClient, Process, RelayThread, until

import relay_server
from chatcore.errors import Finding
from relay import config as configuration
from relay import doctor, keys, monitor, system
from relay.config import load
from relay.doctor import examine
from relay.renewal import set_key

DAY_S = 86_400


def change(path: Path, old: str, new: str) -> None:
    """Replace one line of a configuration, which must be there."""
    text, count = re.subn(old, new, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a configuration for this computer on a free port, with a control socket."""
    path = configuration.init_state(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        change(path, r"^port = .*", f"port = {sock.getsockname()[1]}")
    change(path, r"^# control", "control")
    return path


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock of this computer kept right, whether it is or not."""
    monkeypatch.setattr(doctor, "clock_is_kept", lambda: True)


class Usage(NamedTuple):
    free: int


def found(path: Path, about: str, now_s: float | None = None) -> Finding:
    """Return the one finding about something."""
    (finding,) = (item for item in examine(path, now_s=now_s) if item.about.startswith(about))
    return finding


@contextlib.contextmanager
def serving(answer: bytes, port: int) -> Iterator[None]:
    """Be another program on this port: say something to everybody, whatever they say, or nothing at all."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    kept.append(sock)
                    sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)
        for sock in kept:
            sock.close()


def test_a_healthy_relay_is_nine_good_lines_and_stays_as_it_was(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(path, r"^# (relay_pass = .*)", r"\1")
    with Process(path.parent, "--config", str(path)) as process:
        assert relay_server.main(["doctor", "--config", str(path)]) == 0
        said = capsys.readouterr()
        lines = said.out.splitlines()
        assert [line[:6] for line in lines] == ["ok    "] * 9
        assert [line[6:].split(":")[0].split(" ")[0] for line in lines] == [
            "configuration", "key", "certificate", "clock", "name", "disk", "port", "room", "descriptors",
        ]  # fmt: skip
        assert "this relay gives a seat, and answers in" in lines[6]
        assert said.err == ""
        assert keys.to_base64url(load(path).relay_pass) not in said.out
        until(lambda: monitor.ask(path.parent / "control.sock")["connections"] == 0, "the doctor has gone")
        status, _, err = process.end()
        assert (status, err.count("\n")) == (0, 3)


def test_a_broken_configuration_is_alone_and_status_78(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(path, r"^port = .*", "prot = 1")
    assert relay_server.main(["doctor", "--config", str(path)]) == 78
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert re.match(r"bad   configuration: .*, line \d+: 'prot' is not known", lines[0])


def test_a_relay_that_does_not_run_is_no_mistake(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert relay_server.main(["doctor", "--config", str(path)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok"))
    assert re.fullmatch(r"warn  port \d+ on 127\.0\.0\.1: it is free, so the relay isn't running; start it\.", line)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n" * 50])
def test_another_program_on_the_port_is_named_and_gets_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.5)
    with serving(answer, load(path).port):
        finding = found(path, "port")
        assert relay_server.main(["doctor", "--config", str(path)]) == 1
        assert "Traceback" not in capsys.readouterr().err
    assert finding.grade == "bad"
    assert ("speaks no TLS 1.3; stop it" if answer else "doesn't answer as a relay") in finding.sentence


@pytest.mark.parametrize("answer", [b"x" * 272, b"\x01\x05" + bytes(270), b"\x01\x08\x00\x63" + bytes(268), b"short"])
def test_garbage_in_the_place_of_a_welcome(path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.5)
    change(path, r"^# behind_tls_terminator = .*", "behind_tls_terminator = true")
    with serving(answer, load(path).port):
        finding = found(path, "port")
    assert finding.grade == "bad"
    assert re.search(r"no relay of this version|makes no sense; restart it|doesn't answer as a relay", finding.sentence)


def test_a_relay_that_runs_with_older_files(path: Path) -> None:
    with Process(path.parent, "--config", str(path)):
        (path.parent / keys.KEY_NAME).unlink()
        (path.parent / keys.CERTIFICATE_NAME).unlink()
        keys.init_keys(path.parent)
        finding = found(path, "port")
        assert (finding.grade, "has another key than the configuration names; reload" in finding.sentence) == (
            "bad",
            True,
        )


def test_what_keeps_a_guest_out_has_a_cure(path: Path) -> None:
    change(path, r"^# (relay_pass = .*)", r"\1")
    with RelayThread(load(path)) as relay:
        change(path, r"^relay_pass = .*", f'relay_pass = "{keys.new_relay_pass()}"')
        assert "asks for another pass than the configuration has; reload it." in found(path, "port").sentence
        relay.call(lambda: relay.server.reload(load(path)))
        assert found(path, "port").grade == "ok"
        change(path, r"^# max_connections = .*", "max_connections = 1")
        relay.call(lambda: relay.server.reload(load(path)))
        with BareClient(relay.port, tls=True).join(relay_pass=load(path).relay_pass):
            assert "it is full; raise max_connections" in found(path, "port").sentence
        change(path, r"^max_connections = .*", "max_connections = 100")
        change(path, r"^# max_joins_per_minute_per_address = .*", "max_joins_per_minute_per_address = 2")
        relay.call(lambda: relay.server.reload(load(path)))
        until(lambda: relay.server.door.connections == 0, "all have gone")
        assert found(path, "port").grade == "ok"
        assert "too many connections from this computer; ask again in a minute." in found(path, "port").sentence


def test_where_loopback_is_a_proxy_the_doctor_speaks_as_one(path: Path) -> None:
    change(path, r"^# proxy_from = .*", 'proxy_from = ["127.0.0.1"]')
    with RelayThread(load(path)):
        assert found(path, "port").grade == "ok"


def test_plain_text_where_tls_was_meant(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 2.0)
    with Process(path.parent, "--config", str(path), "--plaintext"):
        finding = found(path, "port")
    assert finding.grade == "bad"
    assert "with --plaintext" in finding.sentence


def test_every_address_is_tried_on_this_computer(path: Path) -> None:
    config = load(path)
    with RelayThread(config):
        finding, runs = doctor._port(config, "0.0.0.0")
        assert finding is not None
        assert (finding.grade, runs) == ("ok", True)
    finding, runs = doctor._port(config, "192.0.2.1")
    assert finding is not None
    assert (finding.grade, runs) == ("bad", False)
    assert "no address of this computer" in finding.sentence


def test_a_key_that_others_may_read(path: Path) -> None:
    key = path.parent / keys.KEY_NAME
    key.chmod(0o644)
    finding = found(path, "key")
    assert (finding.grade, finding.sentence) == (
        "warn", f"others on this computer may read {key}, and could pretend to be this relay; chmod 600 it."
    )  # fmt: skip


def test_a_certificate_that_ends_and_who_makes_a_new_one(path: Path) -> None:
    certificate = path.parent / keys.CERTIFICATE_NAME
    _, end_s = keys.validity(certificate)
    assert found(path, "certificate", end_s - 31 * DAY_S).grade == "ok"
    assert "it ends on " in found(path, "certificate", end_s - 29 * DAY_S).sentence
    finding = found(path, "certificate", end_s + DAY_S)
    assert finding.grade == "warn"
    assert "it ended on " in finding.sentence
    assert finding.sentence.endswith(
        "within the hour, or when it is reloaded; if this one stays, see that it may write there."
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_a_certificate_of_somebody_else_that_ends(path: Path) -> None:
    key, certificate = path.parent / keys.KEY_NAME, path.parent / keys.CERTIFICATE_NAME
    request = ["openssl", "req", "-x509", "-new", "-key", str(key), "-subj", "/CN=chat.example.org", "-days", "9"]
    subprocess.run([*request, "-out", str(certificate)], check=True, capture_output=True, timeout=60)
    assert found(path, "certificate").sentence.endswith(
        "get a new one from where it came, for the same key, and reload."
    )


def with_spare(path: Path) -> Path:
    """Give a relay a spare key, as one gets that others can reach; return where it lies."""
    key, certificate = keys.make_key_and_certificate()
    set_key(path, "spare_pin", keys.to_base64url(keys.pin_of_pem(certificate.decode("ascii"))))
    spare = path.parent / keys.SPARE_NAME
    spare.write_bytes(key)
    return spare


def test_a_spare_key_that_is_still_there(path: Path) -> None:
    spare = with_spare(path)
    finding = found(path, "key")
    assert (finding.grade, finding.sentence) == (
        "warn", f"{spare} lies beside it, and would be stolen with it; move it to another computer."
    )  # fmt: skip


@pytest.mark.parametrize("of", ["another installation", "nothing"])
def test_a_spare_key_that_isnt_this_relays(path: Path, tmp_path_factory: pytest.TempPathFactory, of: str) -> None:
    """Put back a backup over a new installation: its spare key is left, and would be copied over the true one."""
    spare = with_spare(path)
    spare.write_bytes(keys.make_key_and_certificate()[0] if of == "another installation" else b"precious")
    finding = found(path, "key")
    assert finding.grade == "warn"
    assert finding.sentence == (
        f"{spare} isn't the spare key that the line for invites names, but of another installation; delete it, and "
        "never copy it over yours."
    )


def test_the_disk_with_the_least_room_is_told_of(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration may be on one disk, and what the relay writes on another."""
    other = tmp_path / "other"
    other.mkdir()
    (path.parent / keys.CERTIFICATE_NAME).rename(other / keys.CERTIFICATE_NAME)
    change(path, r"^certificate = .*", f'certificate = "{other / keys.CERTIFICATE_NAME}"')
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(5 * 2**20 if place == other else 5 * 2**30))
    assert str(other) in found(path, "disk").sentence


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give away a key")
def test_roots_key_may_be_read_by_the_group_of_the_relay(path: Path) -> None:
    key = path.parent / keys.KEY_NAME
    key.chmod(0o640)
    assert found(path, "key").grade == "ok"
    os.chown(key, 65534, 65534)
    assert found(path, "key").grade == "warn"


def test_a_clock_from_before_the_relay(path: Path) -> None:
    finding = found(path, "clock", 0.0)
    assert (finding.grade, "it says 1970-01-01, before this relay was made" in finding.sentence) == ("bad", True)
    assert "timedatectl set-ntp true" in finding.sentence
    assert found(path, "clock", time.time()).grade == "ok"


def test_a_clock_that_nothing_keeps_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "clock_is_kept", lambda: False)
    monkeypatch.setattr(doctor, "hypervisors_clock_s", lambda: None)
    finding = found(path, "clock", time.time() + DAY_S)
    assert (finding.grade, "nothing here keeps it right; compare it with yours" in finding.sentence) == ("warn", True)
    assert finding.sentence.startswith(time.strftime("%Y-%m-%d", time.gmtime(time.time() + DAY_S)))
    assert finding.sentence.endswith("timedatectl set-ntp true")


@pytest.mark.parametrize(("ahead_s", "grade"), [(0, "ok"), (2, "ok"), (-2, "ok"), (3, "warn"), (-3600, "warn")])
def test_a_clock_of_which_a_hypervisor_says_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: int, grade: str
) -> None:
    monkeypatch.setattr(doctor, "clock_is_kept", lambda: False)
    now_s = float(int(time.time()))
    monkeypatch.setattr(doctor, "hypervisors_clock_s", lambda: now_s + ahead_s)
    finding = found(path, "clock", now_s)
    assert finding.grade == grade
    said = "and its hypervisor's says the same; compare it with yours."
    assert (said in finding.sentence, "nothing here keeps it right" in finding.sentence) == (
        grade == "ok",
        grade == "warn",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the program in its place is a shell script")
@pytest.mark.parametrize(
    ("virtual", "hardware", "says"),
    [(0, "1795297191\n", 1795297191.0), (1, "1795297191\n", None), (0, "", None), (0, None, None), (None, "7\n", None)],
)
def test_a_hardwares_clock_is_a_hypervisors_only_in_a_virtual_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, virtual: int | None, hardware: str | None, says: float | None
) -> None:
    if virtual is not None:
        program = tmp_path / "systemd-detect-virt"
        program.write_text(f'#!/bin/sh\n[ "$*" = "--quiet --vm" ] && exit {virtual}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(system, "HARDWARE_CLOCK", tmp_path / "since_epoch")
    if hardware is not None:
        (tmp_path / "since_epoch").write_text(hardware)
    assert system.hypervisors_clock_s() == says


def test_what_the_kernel_says_of_the_clock_is_asked_and_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.time() - time.monotonic()
    assert system.clock_is_kept() in (True, False)
    assert abs(time.time() - time.monotonic() - before) < 1
    monkeypatch.setattr(ctypes, "CDLL", lambda _: NamedTuple("Other", []))
    assert system.clock_is_kept()  # where there is no such call, nothing is said


def test_a_certificate_from_the_future_is_no_reason_to_set_a_clock_that_is_right(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_s, _ = keys.validity(path.parent / keys.CERTIFICATE_NAME)
    monkeypatch.setattr(doctor, "made_s", lambda: begin_s - 9 * DAY_S)
    finding = found(path, "clock", begin_s - 2 * DAY_S)
    assert finding.grade == "warn"
    assert "so it is wrong, or was: set it (timedatectl set-ntp true); if it is right now" in finding.sentence
    assert found(path, "clock", begin_s).grade == "ok"


def test_a_name_that_leads_nowhere_or_home(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    led: list[str] = []

    def lookup(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if not led:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in led]

    change(path, r"^host = .*", 'host = "relay.example"')
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(doctor, "listener", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert found(path, "name") == Finding(
        "bad",
        "name",
        "relay.example leads nowhere, so nobody can come; set what they dial "
        "(`parley-relay host NAME-OR-IP`), or its DNS record.",
    )
    led[:] = ["192.0.2.9", "192.0.2.7"]
    assert found(path, "name") == Finding("ok", "name", "relay.example leads to 192.0.2.7, 192.0.2.9.")
    led[:] = ["127.0.1.1"]
    assert found(path, "name").grade == "ok"
    change(path, r"^listen = .*", 'listen = ["0.0.0.0"]')
    assert found(path, "name").grade == "warn"


def test_an_onion_service_is_looked_up_nowhere_and_wants_other_limits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise AssertionError("a name server was asked")

    change(path, r"^host = .*", 'host = "Abc.Onion"')
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(doctor, "listener", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert found(path, "name") == Finding(
        "warn",
        "name",
        "Abc.Onion is an onion service: all who come by it seem to come from this computer, and count as one address; "
        "set max_connections_per_address and max_joins_per_minute_per_address for all of them together, or to 0.",
    )
    change(path, r"^# max_connections_per_address = .*", "max_connections_per_address = 1024")
    assert found(path, "name") == Finding(
        "ok", "name", "Abc.Onion is an onion service: Tor leads there, and nothing was looked up."
    )


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "not allowed")


def test_little_room_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(5 * 2**20))
    finding = found(path, "disk")
    assert (finding.grade, "5 MiB are left" in finding.sentence) == ("warn", True)


def test_room_for_more_and_descriptors_are_asked_of_the_running_relay(path: Path) -> None:
    resource = pytest.importorskip("resource")
    change(path, r"^# max_connections = .*", "max_connections = 10")
    with Process(path.parent, "--config", str(path)) as process, contextlib.ExitStack() as guests:
        for _ in range(9):
            guests.enter_context(BareClient(process.port, tls=True).join())
        finding = found(path, "room")
        assert finding.grade == "warn"
        assert re.match(r"(9|10) of 10 connections are taken; raise max_connections", finding.sentence)
        resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (70, 70))
        finding = found(path, "descriptors")
        assert finding.grade == "warn"
        assert finding.sentence.startswith(
            "10 connections need 74, and the running relay may open 70, so it lets in 5;"
        )
    with Process(path.parent, "--config", str(path)):
        os.unlink(path.parent / "control.sock")
        finding = found(path, "room")
        assert (finding.grade, "no relay answers there" in finding.sentence) == ("warn", True)


def test_a_relay_that_cannot_be_asked_had_room_for_the_doctor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(configuration, "SERVICE_CONTROL", path.parent / "none.sock")
    change(path, r"^control", "# control")
    with RelayThread(load(path)):
        finding = found(path, "room")
    assert (finding.grade, "for one at least; set `control`" in finding.sentence) == ("ok", True)
