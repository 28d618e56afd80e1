"""What a relay tells who runs it: counts, health, the control socket; and to whom it doesn't."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client_help import free_port
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay_help import DEADLINE_S, OTHER_ROOM, BareClient, Process, run_relay, send_frame, until

import relay_server
from chatcore.errors import ConfigError, RelayError
from chatcore.wire import Kind
from relay import config as configuration
from relay import keys, monitor
from relay.config import load
from relay.counts import Count, as_table, exposition
from relay.journal import MOODS
from relay.monitor import MAX_AT_ONCE, MAX_HEAD_BYTES, Monitor, Page

ROOT = Path(relay_server.__file__).parent
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def get(place: int | Path, target: str = "/metrics", method: str = "GET") -> tuple[int, str, http.client.HTTPMessage]:
    """Ask as a program that speaks HTTP would."""
    connection = http.client.HTTPConnection("127.0.0.1", place if isinstance(place, int) else 1, timeout=DEADLINE_S)
    if isinstance(place, Path):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE_S)
        connection.sock.connect(str(place))
    with contextlib.closing(connection):
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def samples(text: str) -> dict[str, float]:
    """Read the exposition format strictly: HELP, TYPE, then samples of that name."""
    found: dict[str, float] = {}
    name = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert not any(key.split("{")[0] == name for key in found)
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2:] == [name, "counter" if name.endswith("_total") else "gauge"]
        else:
            match = re.fullmatch(rf'({name}(?:{{event="[a-z_]+"}})?) ({NUMBER})', line)
            assert match, line
            assert match[1] not in found
            found[match[1]] = float(match[2])
    return found


# -- counts ------------------------------------------------------------------------------------------------------------


def test_counts_are_written_as_prometheus_reads_them() -> None:
    text = exposition([Count("a", "What a is.", 3), Count("b_total", "B.", 1, "x"), Count("b_total", "B.", 0.5, "y")])
    assert text == (
        "# HELP a What a is.\n# TYPE a gauge\na 3\n"
        '# HELP b_total B.\n# TYPE b_total counter\nb_total{event="x"} 1\nb_total{event="y"} 0.5\n'
    )
    table = as_table([Count("parley_relay_a", "", 3), Count("b", "", 1, "x"), Count("b", "", 0, "y")])
    assert table == {"a": 3, "events": {"x": 1}}


def test_every_word_that_the_relay_says_has_a_mood_and_stands_in_the_paper() -> None:
    said = set()
    for path in (ROOT / "relay").glob("*.py"):
        said |= set(re.findall(r"(?:note|drop|_turn_away)\((?:sock, )?\"(\w+)", path.read_text()))
    assert len(said) > 10
    assert said <= MOODS.keys()
    paper = (ROOT / "docs" / "SELF_HOSTING.md").read_text("utf-8")
    assert [word for word in MOODS if f"`{word}`" not in paper] == []


def test_when_a_certificate_ends_is_what_the_library_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (10, 36_500):  # written with two digits for the year, and with four
        monkeypatch.setattr(keys, "VALID_DAYS", days)
        keys.init_keys(tmp_path / str(days))
        certificate = tmp_path / str(days) / keys.CERTIFICATE_NAME
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        wanted = int(read.not_valid_before_utc.timestamp()), int(read.not_valid_after_utc.timestamp())
        assert keys.validity(certificate) == wanted
    certificate.write_text("-----BEGIN CERTIFICATE-----\nMAAw\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match="is not a PEM certificate"):
        keys.validity(certificate)


@given(st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_certificate_says_when_it_ends_or_is_none(tmp_path: Path, damage: list[tuple[int, bytes]]) -> None:
    certificate = tmp_path / keys.CERTIFICATE_NAME
    if not certificate.exists():
        keys.init_keys(tmp_path)
    der = bytearray(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
    for at, data in damage:
        der[at : at + len(data)] = data
    damaged = tmp_path / "damaged.crt"
    damaged.write_text(ssl.DER_cert_to_PEM_cert(bytes(der)))
    for read in (keys.validity, keys.pin_of):
        with contextlib.suppress(ConfigError):
            assert read(damaged)


# -- a relay with metrics ----------------------------------------------------------------------------------------------


def with_metrics(state: Path, listen: str, control: str = "") -> Path:
    """Make a configuration for this computer with metrics."""
    path = configuration.init_state(state)
    text = path.read_text().replace('# listen = "127.0.0.1:9256"', f'listen = "{listen}"')
    if control:
        text = text.replace('# control = "control.sock"', f'control = "{control}"')
    path.write_text(text)
    return path


def test_metrics_count_what_happens_and_name_nobody(tmp_path: Path) -> None:
    port = free_port()
    path = with_metrics(tmp_path, f"127.0.0.1:{port}")
    with Process(tmp_path, "--config", str(path), "--port", "0") as process:
        assert get(port, "/healthz")[:2] == (200, "alive\n")
        assert get(port, "/readyz")[:2] == (200, "ready\n")
        calm = samples(get(port)[1])
        assert calm["parley_relay_connections"] == calm["parley_relay_seats"] == calm["parley_relay_frames_total"] == 0
        assert {name for name in calm if "event=" in name} == {
            f'parley_relay_events_total{{event="{word}"}}' for word in MOODS
        }
        with (
            BareClient(process.port, tls=True).join() as alice,
            BareClient(process.port, tls=True).join() as bob,
            BareClient(process.port, tls=True).join(OTHER_ROOM),
            BareClient(process.port, tls=True) as stranger,
        ):
            for _ in range(50):
                alice.send(send_frame(bob.seat))
            stranger.send(b"\x09")
            assert stranger.frame().kind is Kind.REFUSED
            while bob.frame().kind is not Kind.SEND:
                pass
            for _ in range(49):
                bob.frame()
            status, text, headers = get(port)
            found = samples(text)
            assert status == 200
            assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert found["parley_relay_connections"] >= 3
            assert (found["parley_relay_seats"], found["parley_relay_rooms"]) == (3, 2)
            assert (found["parley_relay_joins_total"], found["parley_relay_frames_total"]) == (3, 50)
            assert found['parley_relay_events_total{event="version"}'] == 1
            assert found["parley_relay_max_connections"] <= 4096
            assert found["parley_relay_certificate_end_seconds"] > time.time() + 300 * 86_400
            assert found["process_start_time_seconds"] > 1_700_000_000
            for secret in (str(process.port), "127.0.0.1", alice.seat.hex(), process.line.split("/")[-1]):
                assert secret not in text
            assert not re.search(rf"\b{alice.local_port}\b", text)
        until(lambda: samples(get(port)[1])["parley_relay_connections"] == 0, "all have gone")
        status, _, err = process.end()
        assert status == 0
        assert "Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        get(port)


def test_without_the_line_nothing_listens(tmp_path: Path) -> None:
    with Process(tmp_path, "--port", "0") as process:
        sockets = Path(f"/proc/{process.process.pid}/net/unix")
        assert not sockets.exists() or str(tmp_path) not in sockets.read_text()
        fds = Path(f"/proc/{process.process.pid}/fd")
        if fds.exists():
            inodes = {entry.readlink().name for entry in fds.iterdir()}
            tcp = Path(f"/proc/{process.process.pid}/net/tcp").read_text().splitlines()[1:]
            listening = [line.split() for line in tcp if line.split()[3] == "0A"]
            ours = [fields for fields in listening if f"socket:[{fields[9]}]" in inodes]
            assert [int(fields[1].split(":")[1], 16) for fields in ours] == [process.port]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('listen = "0.0.0.0:9256"', "metrics are for this computer alone"),
        ('listen = ":9256"', "metrics are for this computer alone"),
        ('listen = "192.0.2.7:9256"', "metrics are for this computer alone"),
        ('listen = "[::]:9256"', "metrics are for this computer alone"),
        ('listen = "relay.example:9256"', "metrics are for this computer alone"),
        ('listen = "127.0.0.1"', 'listen must be "127.0.0.1:9256"'),
        ('listen = "127.0.0.1:0"', 'listen must be "127.0.0.1:9256"'),
        ('listen = "127.0.0.1:65536"', 'listen must be "127.0.0.1:9256"'),
        ('listen = "127.0.0.1:' + "9" * 4000 + '"', 'listen must be "127.0.0.1:9256"'),
        ('listen = "unix:metrics.sock"', 'listen must be "127.0.0.1:9256"'),
        ("listen = 9256", 'listen must be "127.0.0.1:9256"'),
        ("listen = true", 'listen must be "127.0.0.1:9256"'),
        ('listen = "unix:/' + "x" * 100 + '"', "the path of a socket has at most 100 bytes"),
        ('listen = "unix:/run/\\u0000"', 'listen must be "127.0.0.1:9256"'),
        ('port = "9256"', "'port' is not known in [metrics]; the keys are listen."),
    ],
)
def test_metrics_for_others_are_refused_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    path = tmp_path / "parley-relay.toml"
    path.write_text(f"[relay]\n\n[metrics]\n{line}\n")
    assert relay_server.main(["check-config", "--config", str(path)]) == 78
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"parley-relay: {path}, line 4: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_where_metrics_may_listen(tmp_path: Path) -> None:
    path = tmp_path / "parley-relay.toml"
    for text, place in {
        "127.0.0.1:9256": ("127.0.0.1", 9256),
        "[::1]:1": ("::1", 1),
        "localhost:65535": ("localhost", 65535),
        "unix:/run/x.sock": Path("/run/x.sock"),
    }.items():
        path.write_text(f'[metrics]\nlisten = "{text}"\n')
        assert load(path).metrics == place
    path.write_text("[metrics]\n")
    assert load(path).metrics is None
    path.write_text(f'[relay]\ncontrol = "{"x" * 100}"\n')
    with pytest.raises(ConfigError, match=r"line 2: the path of a socket has at most 100 bytes"):
        load(path)


@pytest.mark.parametrize("listen", ["taken", "file"])
def test_a_place_that_is_taken_is_one_sentence_and_status_1(tmp_path: Path, listen: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if listen == "taken":
            place = f"127.0.0.1:{taken.getsockname()[1]}"
        else:
            (tmp_path / "precious").write_text("text")
            place = f"unix:{tmp_path / 'precious'}"
        path = with_metrics(tmp_path / "state", place)
        status, err = run_relay(tmp_path, "run", "--config", str(path), "--port", "0")
    assert status == 1
    assert err.count("\n") == 1
    assert "something else serves there; stop it, or choose another place." in err
    if listen == "file":
        assert (tmp_path / "precious").read_text() == "text"


def test_while_it_drains_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    place = tmp_path / "metrics.sock"
    path = with_metrics(tmp_path / "state", f"unix:{place}")
    with Process(tmp_path, "--config", str(path), "--port", "0") as process:
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        stubborn = BareClient(process.port, tls=True).join()
        process.process.send_signal(signal.SIGTERM)
        assert stubborn.frame().kind is Kind.REFUSED  # and it doesn't hang up, so the relay waits for a moment
        assert get(place, "/readyz")[:2] == (503, "stopping\n")
        assert get(place, "/healthz")[0] == 200
        assert samples(get(place)[1])["parley_relay_ready"] == 0
        stubborn.sock.close()
        _, err = process.process.communicate(timeout=DEADLINE_S)
        assert process.process.returncode == 0
        assert "Traceback" not in err
    assert not place.exists()


# -- stats -------------------------------------------------------------------------------------------------------------


def test_stats_come_from_the_control_socket_which_is_its_owners_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration.init_state(tmp_path)
    path.write_text(path.read_text().replace("# control = ", "control = "))
    place = tmp_path / "control.sock"
    asked = ["stats", "--config", str(path)]
    with Process(tmp_path, "--config", str(path), "--port", "0") as process:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        with BareClient(process.port, tls=True).join():
            assert relay_server.main([*asked, "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert (found["seats"], found["rooms"], found["ready"]) == (1, 1, 1)
            assert found["events"] == {"listening": 1}
            assert relay_server.main(asked) == 0
            lines = [line.split() for line in capsys.readouterr().out.splitlines()]
            assert ["seats", "1"] in lines
            assert ["event", "listening", "1"] in lines
        process.process.kill()
        process.process.wait()
        assert place.exists()
        assert relay_server.main(asked) == 1
        said = capsys.readouterr().err
        assert "no relay answers there; start it" in said
        assert said.count("\n") == 1
    with Process(tmp_path, "--config", str(path), "--port", "0") as process:  # what a killed one left is no obstacle
        assert monitor.ask(place)["connections"] == 0
        status, err = run_relay(tmp_path, "run", "--config", str(path), "--port", "0")
        assert status == 1
        assert "something else serves there" in err
        assert monitor.ask(place)["connections"] == 0
        assert process.end()[0] == 0
    assert not place.exists()


def test_a_crowd_at_the_metrics_does_not_keep_the_owner_out(tmp_path: Path) -> None:
    path = with_metrics(tmp_path, f"unix:{tmp_path / 'metrics.sock'}", control="control.sock")
    with Process(tmp_path, "--config", str(path), "--port", "0"), contextlib.ExitStack() as stack:
        for _ in range(MAX_AT_ONCE):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "metrics.sock"))
        assert talk(tmp_path / "metrics.sock", b"GET /healthz HTTP/1.1\r\n\r\n") == b""
        assert monitor.ask(tmp_path / "control.sock")["ready"] == 1


def test_where_systemd_makes_a_place_there_is_a_control_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "run"
    place.mkdir()
    with Process(tmp_path / "state", "--port", "0", RUNTIME_DIRECTORY=str(place)):
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        assert relay_server.main(["stats", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["ready"] == 1
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setattr(configuration, "SERVICE_CONTROL", tmp_path / "none.sock")
    assert relay_server.main(["stats"]) == 1
    assert str(tmp_path / "none.sock") in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n[1]", b"HTTP/1.1 200 OK\r\n\r\n{"]
)
def test_what_is_no_relay_at_the_control_socket_is_a_sentence(tmp_path: Path, answer: bytes) -> None:
    place = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            sock.recv(1000)
            sock.sendall(answer)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(RelayError, match="what answers there is no relay"):
            monitor.ask(place)
        thread.join(DEADLINE_S)
    place.unlink()
    place.write_text("")
    with pytest.raises(RelayError, match=r"no relay answers there|can't be asked"):
        monitor.ask(place)


# -- HTTP --------------------------------------------------------------------------------------------------------------


class MonitorThread:
    """A monitor on its own thread."""

    def __init__(self, place: Path, pages: dict[str, Callable[[], Page]]) -> None:
        self.monitor = Monitor(pages)
        self.place = place
        self.failures: list[object] = []
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _loop, context: self.failures.append(context))
        await self.monitor.listen(self.place, 0o600)
        self._up.set()
        await self._stop.wait()
        self.monitor.close()

    def __enter__(self) -> MonitorThread:
        self._thread.start()
        assert self._up.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self.failures == []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve one page, impatiently."""
    monkeypatch.setattr(monitor, "DEADLINE_S", 1.0)
    with MonitorThread(tmp_path / "m.sock", {"/page": lambda: (200, "text/plain", "grüße\n")}) as thread:
        yield thread.place


def talk(place: Path, data: bytes) -> bytes:
    """Send and return all that comes until the end."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE_S)
        sock.connect(str(place))
        answer = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
            while piece := sock.recv(4096):
                answer += piece
        return answer


def test_pages_by_get_and_head(place: Path) -> None:
    status, text, headers = get(place, "/page?x=1")
    assert (status, text, headers["Content-Length"], headers["Connection"]) == (200, "grüße\n", "8", "close")
    status, text, headers = get(place, "/page", "HEAD")
    assert (status, text, headers["Content-Length"]) == (200, "", "8")
    assert get(place, "/other")[:2] == (404, "The pages are /page.\n")
    status, _, headers = get(place, "/page", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "data",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /page\r\n\r\n", b"GET /page HTTP/2\r\n\r\n", b"\x16\x03\x01 \xff\r\n\r\n"],
)
def test_what_is_no_request_is_told_so(place: Path, data: bytes) -> None:
    assert talk(place, data).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@given(
    st.binary(max_size=300)
    | st.builds(
        b"".join, st.lists(st.sampled_from([b"GET", b" ", b"/page", b"HTTP/1.1", b"?", b"\r\n", b"\xff", b"HEAD"]))
    )
)
@settings(max_examples=300, deadline=None)
def test_any_head_gets_one_whole_answer(head: bytes) -> None:
    answer = Monitor({"/page": lambda: (200, "text/plain", "text\n")})._answer(head + b"\r\n\r\n")
    first, _, body = answer.partition(b"\r\n\r\n")
    status = int(re.match(rb"HTTP/1\.1 (200|400|404|405) [A-Z]", first)[1])  # type: ignore[index]
    (size,) = re.findall(rb"\r\nContent-Length: (\d+)\r\n", first + b"\r\n")
    assert len(body) in (0, int(size))
    assert (status == 200) == bool(re.match(rb"(GET|HEAD) /page(\?[^ \r]*)? HTTP/1\.[01]\r\n", head + b"\r\n\r\n"))


def test_a_long_head_and_a_slow_one_are_cut_off(place: Path) -> None:
    assert talk(place, b"GET /page HTTP/1.1\r\nX: " + b"x" * 10 * MAX_HEAD_BYTES) == b""
    assert talk(place, b"GET /page HTTP/1.1\r\n") == b""  # after the deadline
    assert get(place, "/page")[0] == 200


def test_a_handful_at_once_and_no_more(place: Path) -> None:
    with contextlib.ExitStack() as stack:
        silent = []
        for _ in range(MAX_AT_ONCE):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(DEADLINE_S)
            sock.connect(str(place))
            silent.append(sock)
        assert talk(place, b"GET /page HTTP/1.1\r\n\r\n") == b""
        assert all(sock.recv(1) == b"" for sock in silent)  # each at its deadline
        assert get(place, "/page")[0] == 200


def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "DEADLINE_S", 1.0)
    pages: dict[str, Callable[[], Page]] = {"/page": lambda: (200, "text/plain", "x" * 50_000_000)}
    with MonitorThread(tmp_path / "m.sock", pages) as thread, socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE_S)
        sock.connect(str(thread.place))
        sock.sendall(b"GET /page HTTP/1.1\r\n\r\n")
        until(lambda: thread.monitor._busy == 1, "it is served")
        until(lambda: thread.monitor._busy == 0, "and no longer")
