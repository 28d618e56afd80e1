"""A configuration that is checked before it is used, and read anew while the relay runs."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from relay_help import (
    DEADLINE_S,
    OTHER_ROOM,
    ROOM,
    BareClient,
    Process,
    RelayThread,
    command,
    environment,
    join_frame,
    send_frame,
)

import relay_server
from chatcore.errors import ConfigError
from chatcore.wire import Frame, Kind, Refusal
from relay import config as configuration
from relay import keys, service
from relay.config import load
from relay.limits import Door, Limits
from relay.server import Server

ROOT = Path(relay_server.__file__).parent


def change(path: Path, old: str, new: str) -> None:
    """Replace one line of a file, which must be there."""
    text = path.read_text()
    assert re.search(old, text, re.MULTILINE)
    path.write_text(re.sub(old, new, text, count=1, flags=re.MULTILINE))


def renew_key(state: Path) -> None:
    """Put another key and certificate in the place of those there."""
    for name in (keys.KEY_NAME, keys.CERTIFICATE_NAME):
        (state / name).unlink()
    keys.init_keys(state)


def certificate_of(guest: BareClient) -> bytes | None:
    assert isinstance(guest.sock, ssl.SSLSocket)
    return guest.sock.getpeercert(binary_form=True)


# -- check-config ------------------------------------------------------------------------------------------------------


def test_a_good_configuration_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configuration.init_state(tmp_path, "192.0.2.7")
    assert relay_server.main(["check-config", "--config", str(path)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{path} can be used.\n", "")


def test_without_a_name_it_is_the_configuration_of_the_state_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert relay_server.main(["check-config"]) == 78
    assert "can't be read" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    configuration.init_state(tmp_path)
    assert relay_server.main(["check-config"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (r"^port = .*", "port = 0", r"parley-relay\.toml, line \d+: port must be a whole number"),
        (r"^# max_connections = .*", "max_conections = 5", r"parley-relay\.toml, line \d+: 'max_conections' is not"),
        (r"^certificate = .*", 'certificate = "gone.crt"', r"gone\.crt: can't be read"),
        (r"^host = .*", 'host = "127.0.0.1"', "others can't dial"),
    ],
)
def test_a_bad_configuration_is_status_78_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, sentence: str
) -> None:
    path = configuration.init_state(tmp_path, "192.0.2.7")
    change(path, old, new)
    assert relay_server.main(["check-config", "--config", str(path)]) == 78
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert re.search(sentence, said.err)


def test_a_certificate_of_another_key_is_found_before_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration.init_state(tmp_path / "one")
    configuration.init_state(tmp_path / "two")
    (tmp_path / "one" / "relay.crt").write_bytes((tmp_path / "two" / "relay.crt").read_bytes())
    assert relay_server.main(["check-config", "--config", str(path)]) == 78
    assert "is not the key of relay.crt" in capsys.readouterr().err


def test_behind_a_terminator_no_certificate_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "parley-relay.toml"
    path.write_text('[relay]\nhost = "chat.example"\nlisten = ["0.0.0.0"]\nbehind_tls_terminator = true\n')
    assert relay_server.main(["check-config", "--config", str(path)]) == 0


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless file here")
def test_an_endless_file_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load(Path("/dev/zero"))


# -- reload ------------------------------------------------------------------------------------------------------------


def test_new_rules_hold_for_who_comes_and_nobody_has_to_go() -> None:
    door = Door(Limits(max_connections_per_address=0, max_joins_per_minute_per_address=2), 100)
    assert door.arrive("a", 0.0).doom is None
    assert door.arrive("a", 0.0).doom is not None
    door.rule(Limits(max_connections_per_address=0, max_joins_per_minute_per_address=60), 100)
    assert door.arrive("a", 0.0).doom is None
    door.rule(Limits(max_connections_per_address=0, max_joins_per_minute_per_address=0), 3)
    assert door.connections == 3
    doom = door.arrive("b", 0.0).doom
    assert doom is not None
    assert doom[0] is Refusal.RELAY_FULL


def test_reload_changes_certificate_limits_and_pass_under_living_connections(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    with RelayThread(dataclasses.replace(load(path), port=0)) as relay:
        server = relay.server
        alice = BareClient(relay.port, tls=True).join()
        first = certificate_of(alice)
        renew_key(tmp_path)
        change(path, r"^# max_seats_per_room = .*", "max_seats_per_room = 2")
        change(path, r"^# (relay_pass = .*)", r"\1")
        said: list[list[str]] = []
        relay.call(lambda: said.append(server.reload(dataclasses.replace(load(path), port=0))))
        assert len(said[0]) == 1
        assert "the line for invites has changed" in said[0][0]
        relay_pass = load(path).relay_pass
        with BareClient(relay.port, tls=True) as stranger:
            assert certificate_of(stranger) not in (None, first)
            stranger.send(join_frame())
            assert stranger.frame().argument == Refusal.RELAY_PASS
        with (
            BareClient(relay.port, tls=True).join(ROOM, relay_pass) as bob,
            BareClient(relay.port, tls=True) as late,
        ):
            assert bob.others == [alice.seat]
            bob.send(send_frame(alice.seat, 7))
            while (got := alice.frame()).kind is not Kind.SEND:
                pass
            assert got.address == bob.seat
            late.send(join_frame(ROOM, relay_pass))
            assert late.frame().argument == Refusal.ROOM_FULL
        alice.sock.close()


def test_what_needs_a_restart_is_named_and_left(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    with RelayThread(dataclasses.replace(load(path), port=0)) as relay:
        port, said = relay.port, []
        change(path, r"^listen = .*", 'listen = ["127.0.0.2"]')
        relay.call(lambda: said.append(relay.server.reload(load(path))))
        assert said == [["a change of listen and port needs a restart, and the rest is taken over."]]
        with BareClient(port, tls=True).join(OTHER_ROOM):
            pass


def test_metrics_and_control_stay_where_they_are_until_a_restart(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    with RelayThread(dataclasses.replace(load(path), port=0)) as relay:
        change(path, r"^# control = ", "control = ")
        change(path, r'^# listen = "127.0.0.1:9256"', 'listen = "127.0.0.1:9256"')
        said: list[list[str]] = []
        relay.call(lambda: said.append(relay.server.reload(dataclasses.replace(load(path), port=0))))
        assert said == [["a change of metrics and control needs a restart, and the rest is taken over."]]
        relay.call(lambda: said.append(relay.server.reload(dataclasses.replace(load(path), port=0))))
        assert said[0] == said[1]  # as long as it is so


class Manager:
    """Who started a relay, and is told how it is."""

    def __init__(self, home: Path) -> None:
        self.place = home / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.place))
        self._socket.settimeout(DEADLINE_S)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def told(self, what: bytes) -> bytes:
        while what not in (said := self._socket.recv(200)):
            pass
        return said

    def reloads(self, process: Process) -> bytes:
        """Have it reload; return what it says when it has."""
        process.process.send_signal(signal.SIGHUP)
        assert b"MONOTONIC_USEC=" in self.told(b"RELOADING=1")
        return self.told(b"READY=1")


@pytest.mark.parametrize("bound", ["max_bytes_per_second_per_seat", "max_bytes_per_second_per_reader"])
def test_sighup_bounds_how_fast_those_are_read_who_are_there_and_frees_them_again(tmp_path: Path, bound: str) -> None:
    """Of two who came without a bound, one sends what takes a moment, and under the bound some minutes."""
    path, count = configuration.init_state(tmp_path), 8000
    for name in ("max_bytes_per_second_per_seat", "max_bytes_per_second_per_reader"):
        change(path, f"^# {name} = .*", f"{name} = 0")
    with (
        Manager(tmp_path) as manager,
        Process(tmp_path, "--port", "0", NOTIFY_SOCKET=str(manager.place)) as process,
        BareClient(process.port, tls=True).join() as alice,
        BareClient(process.port, tls=True).join() as bob,
    ):
        manager.told(b"READY=1")
        change(path, f"^{bound} = 0", f"{bound} = 10000")
        manager.reloads(process)
        sender = threading.Thread(target=alice.send, args=(send_frame(bob.seat) * count,))
        sender.start()
        came = turns = 0
        while not came or turns < 10:
            bob.send(Frame(Kind.PING, number=turns).to_bytes())
            while (got := bob.frame()).kind is not Kind.PONG:
                came += got.kind is Kind.SEND
            turns += 1
        assert came < count
        change(path, f"^{bound} = 10000", f"{bound} = 0")
        manager.reloads(process)
        while came < count:
            came += bob.frame().kind is Kind.SEND
        sender.join(DEADLINE_S)


def test_sighup_takes_what_is_good_and_refuses_what_is_not(tmp_path: Path) -> None:
    with Manager(tmp_path) as manager:
        state = tmp_path / "state"
        with Process(state, "--port", "0", NOTIFY_SOCKET=str(manager.place)) as process:
            manager.told(b"READY=1")
            path = state / configuration.CONFIG_NAME
            alice = BareClient(process.port, tls=True).join()
            good = path.read_text()

            def reload() -> bytes:
                return manager.reloads(process)

            path.write_text(good + "\nbroken = \n")
            assert b"was refused" in reload()
            path.write_text(good)
            (state / "relay.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
            assert b"was refused" in reload()
            path.unlink()  # and no new one is made in its place
            assert b"was refused" in reload()
            assert not path.exists()
            with BareClient(process.port, tls=True).join() as bob:
                assert bob.others == [alice.seat]
                assert certificate_of(bob) == certificate_of(alice)
            path.write_text(good.replace("# max_seats_per_room = 256", "max_seats_per_room = 1"))
            (state / "relay.key").unlink()
            (state / "relay.crt").unlink()
            keys.init_keys(state)
            assert b"refused" not in reload()
            with BareClient(process.port, tls=True) as carol:
                assert certificate_of(carol) != certificate_of(alice)
                carol.send(join_frame())
                assert carol.frame().argument == Refusal.ROOM_FULL
            alice.sock.close()
            status, _, err = process.end()
    assert status == 0
    refused = [line for line in err.splitlines() if "reload refused, and all stays as it was: " in line]
    assert len(refused) == 3
    assert re.search(r"parley-relay\.toml, line \d+: this is not valid TOML", refused[0])
    assert "relay.crt: is not a PEM certificate" in refused[1]
    assert "can't be read" in refused[2]
    assert "reloaded" in err
    assert "the line for invites has changed" in err
    assert "Traceback" not in err


def test_a_signal_before_the_start_changes_nothing(tmp_path: Path) -> None:
    server = Server(load(configuration.init_state(tmp_path)))
    service.reload(server, lambda: pytest.fail("read in vain"))
    assert server.state == "starting"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_signal_while_it_reads_its_configuration_does_not_end_it(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    text = path.read_text()
    path.unlink()
    os.mkfifo(path)
    process = subprocess.Popen(
        command("run", "--config", str(path), "--port", "0"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with path.open("w") as file:  # which waits until it reads
        process.send_signal(signal.SIGHUP)
        file.write(text)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("parley:relay/")
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_a_signal_while_it_stops_changes_nothing(tmp_path: Path) -> None:
    server = Server(load(configuration.init_state(tmp_path)))
    server.state = "stopping"
    service.reload(server, lambda: pytest.fail("read in vain"))
    assert server.state == "stopping"


def test_many_signals_are_no_harm(tmp_path: Path) -> None:
    with Process(tmp_path, "--port", "0") as process:
        for _ in range(50):
            os.kill(process.process.pid, signal.SIGHUP)
        with BareClient(process.port, tls=True).join():
            pass
        status, _, err = process.end()
        assert status == 0
        assert err.count("\n") < 10
