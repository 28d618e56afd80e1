"""The engine: its table in the configuration, servers that misbehave, and real ones that are killed or stopped."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from client_help import Person, pin_in, room_on, tls_config
from nats_help import Cluster, needs_nats, relay_on, settings_for, up
from proxy import Proxy
from relay_help import BareClient, RelayThread, send_frame, until

from chatcore.errors import ConfigError
from chatcore.events import PresenceChanged
from chatcore.invite import RelayAddress
from chatcore.wire import Kind
from relay import config as configuration
from relay import monitor, server
from relay.across import MAX_MESSAGE_BYTES, Subjects
from relay.cluster import GRACE_BEATS, SILENT_BEATS
from relay.config import Config
from relay.counts import as_table, counts
from relay.engine import Place, Settings
from relay.engine_nats import MAX_WAITING_BYTES, SILENCE_S

Script = Callable[[socket.socket], None]
INFO = b'INFO {"max_payload":65536}\r\n'


# -- the configuration -------------------------------------------------------------------------------------------------


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "relay.toml"
    path.write_text(text)
    return configuration.load(path)


def test_without_a_table_or_with_an_empty_one_the_relay_is_alone(tmp_path: Path) -> None:
    assert load(tmp_path, "").engine is None
    assert load(tmp_path, "[engine]\n").engine is None
    with RelayThread(Config(port=0)) as relay:
        assert relay.server.engine is None
        assert relay.server.switch.cluster is None


def test_a_table_names_servers_and_files(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        '[engine]\nnats = ["tls://relay-1:p%40ss@nats.example", "nats://[fd00::5]:4333"]\nname = "relay-1"\n'
        'cluster = "friends"\nca = "ca.pem"\ncertificate = "c.pem"\nkey = "k.pem"\n',
    ).engine
    assert found == Settings(
        (Place("nats.example", 4222, True, "relay-1", "p@ss"), Place("fd00::5", 4333, False)),
        "friends",
        "relay-1",
        tmp_path / "ca.pem",
        tmp_path / "c.pem",
        tmp_path / "k.pem",
    )
    assert "p@ss" not in repr(found)
    assert [str(place) for place in found.places] == ["nats.example:4222", "[fd00::5]:4333"]


@pytest.mark.parametrize(
    ("table", "line", "sentence"),
    [
        ('name = "a"', 1, "nats must be a list of 1 to 16 servers"),
        ("nats = []", 2, "nats must be a list of 1 to 16 servers"),
        ('nats = "nats://127.0.0.1"', 2, "nats must be a list"),
        ("nats = [1]", 2, "each server in nats must look like"),
        ('nats = ["http://127.0.0.1"]', 2, "each server in nats must look like"),
        ('nats = ["nats://127.0.0.1:99999"]', 2, "each server in nats must look like"),
        ('nats = ["nats://127.0.0.1:0"]', 2, "each server in nats must look like"),
        ('nats = ["nats://user@127.0.0.1"]', 2, "each server in nats must look like"),
        ('nats = ["nats://127.0.0.1/path"]', 2, "each server in nats must look like"),
        ('nats = ["nats://"]', 2, "each server in nats must look like"),
        ('nats = ["nats://[::1"]', 2, "each server in nats must look like"),
        ('nats = ["nats://nats.example"]', 2, "nats:// is not encrypted"),
        ('nats = ["nats://1.1.1.1"]', 2, "write tls:// for 1.1.1.1:4222"),
        ('nats = ["nats://127.0.0.1"]\nname = "A.b"', 3, "name must be 1 to 32 small letters"),
        ('nats = ["nats://127.0.0.1"]\ncluster = ">"', 3, "cluster must be 1 to 32 small letters"),
        ('nats = ["nats://127.0.0.1"]\nca = ""', 3, "ca must be the name of a file"),
        ('nats = ["nats://127.0.0.1"]\nkey = "k"', 3, "key needs certificate beside it"),
        ('nats = ["nats://127.0.0.1"]\ncolour = 1', 3, "'colour' is not known in [engine]"),
        (
            'nats = ["nats://127.0.0.1"]\n[limits]\nmax_seats_per_room = 4000',
            4,
            "must be at most 2048 where rooms reach",
        ),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, table: str, line: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[engine]\n{table}\n")
    assert f"relay.toml, line {line}: " in str(caught.value)
    assert sentence in str(caught.value)
    assert "user" not in str(caught.value).replace("USER", "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "100.64.0.7", "[fd00::1]", "[::1]"])
def test_in_a_private_network_tls_is_left_to_the_network(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, f'[engine]\nnats = ["nats://{host}"]\n').engine is not None


def test_files_that_can_not_be_used_are_found_before_the_relay_runs(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    for name in ("ca.pem", "missing.pem"):
        config = load(tmp_path, f'[relay]\nbehind_tls_terminator = true\n[engine]\nnats = ["tls://h"]\nca = "{name}"\n')
        with pytest.raises(ConfigError, match=r"the files that \[engine\] names can't be used .*; ca must be"):
            server.check(config)


# -- servers that misbehave --------------------------------------------------------------------------------------------


class FakeNats:
    """Does with each connection what a test says."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> FakeNats:
        self._threads[0].start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.accepted += 1
                self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            self._script(sock)
            self._end.wait()


def welcome(sock: socket.socket) -> None:
    sock.sendall(INFO)
    heard = b""
    while b"PING\r\n" not in heard:
        heard += sock.recv(65_536)
    sock.sendall(b"PONG\r\n")


def say(data: bytes, before: Script = lambda _sock: None) -> Script:
    def script(sock: socket.socket) -> None:
        before(sock)
        sock.sendall(data)

    return script


def hang_up(sock: socket.socket) -> None:
    welcome(sock)
    sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (lambda _sock: None, "engine_away"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "engine_away"),
        (say(b"+OK\r\n"), "engine_away"),
        (say(b"MSG a 1 0\r\n"), "engine_away"),
        (say(b"INFO " + b"x" * 200_000), "engine_away"),
        (say(b'INFO {"max_payload":1024}\r\n'), "engine_away"),
        (say(b'INFO {"tls_required":true}\r\n'), "engine_away"),
        (say(INFO + b"-ERR 'Authorization Violation'\r\n"), "engine_denied"),
        (say(b"MSG a 1 -1\r\n", welcome), "engine_lost"),
        (say(b"-ERR 'Stale Connection'\r\n", welcome), "engine_lost"),
        (hang_up, "engine_lost"),
    ],
    ids=["silent", "ssh", "ok", "message", "endless", "small", "tls", "denied", "garbage", "error", "close"],
)
def test_a_server_that_misbehaves_is_given_up_and_the_relay_serves_on(script: Script, word: str) -> None:
    with FakeNats(script) as fake, relay_on(fake.port, name="a") as relay:
        journal, engine = relay.server.journal, relay.server.engine
        assert engine is not None
        until(lambda: journal.totals[word] >= 1 and fake.accepted >= 2, "it was given up, and tried again")
        with BareClient(relay.port, tls=False) as one, BareClient(relay.port, tls=False) as two:
            one.join()
            two.join()
            two.send(send_frame(one.seat, 3))
            assert [one.frame().kind, one.frame().kind] == [Kind.PRESENT, Kind.SEND]
        assert journal.totals["fault"] == 0
    assert journal.totals["loop"] == 0


def test_a_relay_whose_engine_is_away_says_so_and_is_not_ready_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody, relay_on(nobody.getsockname()[1], name="a") as relay:
        page = monitor.pages_of(relay.server)["/readyz"]
        engine = relay.server.engine
        assert engine is not None
        assert page()[0] == 200
        engine.down_s -= SILENCE_S  # so long it has been away
        assert page()[0] == 503
        assert page()[2] == "without its engine\n"
        assert as_table(counts(relay.server))["engine_up"] == 0
        assert monitor.pages_of(relay.server)["/healthz"]()[0] == 200


def test_what_is_meant_for_nobody_or_is_too_long_is_counted_and_nothing_grows() -> None:
    """A user of the engine who floods it with what no relay says."""
    words = Subjects("parley", "evil", "66" * 8)
    token = "a" * 32

    def flood(sock: socket.socket) -> None:
        welcome(sock)
        for subject, sid in (
            (words.own_blocks, 1),
            (words.own_heart, 2),
            (f"parley.parley.h.{'X' * 99}", 2),
            (token, 99),
        ):
            for size in (0, 5, 272, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1, 2_000_000):
                sock.sendall(f"MSG {subject} {sid} {size}\r\n".encode() + bytes(size) + b"\r\n")
        sock.sendall(b"PING\r\n")
        heard = b""
        while not heard.endswith(b"PONG\r\n"):
            heard += sock.recv(65_536)
        done.set()

    done = threading.Event()
    with FakeNats(flood) as fake, relay_on(fake.port, name="a") as relay:
        assert done.wait(20)
        cluster = relay.server.switch.cluster
        engine = relay.server.engine
        assert cluster is not None
        assert engine is not None
        assert engine.refused >= 8
        assert cluster.refused >= 6
        assert (cluster.relays, cluster.far_seats) == ({}, 0)
        assert relay.server.journal.totals["fault"] == 0


def test_a_server_that_does_not_read_costs_the_relay_a_bounded_buffer_and_its_seats_nothing() -> None:
    with FakeNats(welcome) as fake, relay_on(fake.port, name="a") as relay:
        engine = relay.server.engine
        assert engine is not None
        until(lambda: engine.up, "it is up")
        batch = bytes(64 * 272)
        most = 0

        def pour() -> None:
            nonlocal most
            for _ in range(40):
                engine.publish_batch("other", "00" * 8, "a" * 32, batch)
            assert engine._writer is not None
            most = max(most, engine._writer.transport.get_write_buffer_size() + engine._out_bytes)

        with BareClient(relay.port, tls=False) as one, BareClient(relay.port, tls=False) as two:
            one.join()
            two.join()
            one.frame()
            for mark in range(60):
                if engine.up:
                    relay.call(pour)
                two.send(send_frame(one.seat, mark))
                assert one.frame().block[:4] == mark.to_bytes(4)
        assert engine.lost_blocks > 0
        assert most <= MAX_WAITING_BYTES + 41 * len(batch)
        assert relay.server.journal.totals["engine_slow"] >= 1


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_the_socket_to_the_engine_notices_a_dead_peer_each_time_anew(loop: str) -> None:
    enough = threading.Event()

    def script(sock: socket.socket) -> None:
        welcome(sock)
        if not enough.is_set():  # the first connection; the second stays
            enough.wait(20)
            sock.shutdown(socket.SHUT_RDWR)

    options = (
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    )
    found: list[list[int]] = []
    with FakeNats(script) as fake, relay_on(fake.port, name="a", loop=loop) as relay:
        engine = relay.server.engine
        assert engine is not None

        def look() -> None:
            assert engine._writer is not None
            sock = engine._writer.get_extra_info("socket")
            found.append([sock.getsockopt(*option) for option in options])

        until(lambda: engine.up, "it is up")
        relay.call(look)
        enough.set()
        until(lambda: engine.connections >= 2 and engine.up, "it is up again")
        relay.call(look)
    assert found == [[4000, 1, 2, 1]] * 2


# -- real ones ---------------------------------------------------------------------------------------------------------


def drain(client: BareClient, stop: threading.Event, blocks: list[tuple[bytes, int]]) -> None:
    """Take what comes until told to stop."""
    client.tcp.settimeout(0.2)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            frame = client.frame()
            if frame.kind is Kind.SEND:
                blocks.append((frame.address, int.from_bytes(frame.block[:4])))


@contextlib.contextmanager
def crowd(*relays: RelayThread, count: int) -> Iterator[list[BareClient]]:
    """People in one room, spread over these relays, who all know each other."""
    with contextlib.ExitStack() as stack:
        people = [
            stack.enter_context(BareClient(relays[at % len(relays)].port, tls=False)).join() for at in range(count)
        ]
        for person in people:
            known = set(person.others)
            while len(known) < count - 1:
                frame = person.frame()
                assert frame.kind is Kind.PRESENT
                known.add(frame.address)
            assert known == {other.seat for other in people if other is not person}
        yield people


def exchange(people: list[BareClient], mark: int) -> None:
    """Everybody sends everybody a block; all must come."""
    for person in people:
        person.send(b"".join(send_frame(other.seat, mark) for other in people if other is not person))
    for person in people:
        got: set[bytes] = set()
        while len(got) < len(people) - 1:
            frame = person.frame()
            if frame.kind is Kind.SEND and frame.block[:4] == mark.to_bytes(4):
                got.add(frame.address)
        assert got == {other.seat for other in people if other is not person}


def until_through(sender: BareClient, reader: BareClient) -> None:
    """Send until something comes."""
    found: list[tuple[bytes, int]] = []
    stop = threading.Event()
    thread = threading.Thread(target=drain, args=(reader, stop, found))
    thread.start()

    def came() -> bool:
        sender.send(send_frame(reader.seat, 7))
        return bool(found)

    until(came, "a block gets through")
    stop.set()
    thread.join()
    reader.tcp.settimeout(20)


@needs_nats
@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_a_room_of_fifty_over_two_relays_and_two_servers(loop: str) -> None:
    with (
        Cluster(2) as nats,
        relay_on(nats.ports[0], name="a", loop=loop) as a,
        relay_on(nats.ports[1], name="b", loop=loop) as b,
    ):
        up(a, b)
        with crowd(a, b, count=50) as people:
            exchange(people, 1)
            exchange(people, 2)
            table = as_table(counts(a.server))
            assert (table["seats"], table["far_seats"], table["other_relays"], table["engine_up"]) == (25, 25, 1, 1)
            assert table["far_blocks_out_total"] == table["far_blocks_in_total"] == 2 * 25 * 25
            assert (table["engine_lost_blocks_total"], table["engine_refused_total"]) == (0, 0)
            people.pop().sock.close()
            people.pop().sock.close()
            for person in people:
                left: set[bytes] = set()
                while len(left) < 2:
                    frame = person.frame()
                    if frame.kind is Kind.LEFT:
                        left.add(frame.address)


@needs_nats
def test_a_relay_that_stops_says_bye() -> None:
    with Cluster() as nats, relay_on(*nats.ports, name="a") as a:
        with relay_on(*nats.ports, name="b") as b:
            up(a, b)
        cluster = a.server.switch.cluster
        assert cluster is not None
        until(lambda: cluster.others() == 0, "a has heard it")
        assert len(cluster.relays) == 1, "and its seats have their grace"


@needs_nats
@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_a_server_that_dies_or_falls_silent_is_left_for_another(fault: str) -> None:
    with Cluster(2) as nats, relay_on(*nats.ports, name="a") as a, relay_on(*nats.ports, name="b") as b:
        up(a, b)
        engine = a.server.engine
        assert engine is not None
        assert engine._writer is not None
        port = engine._writer.get_extra_info("peername")[1]
        with crowd(a, b, count=4) as people:
            exchange(people, 1)
            bad = nats.servers[nats.ports.index(port)]
            if fault == "kill":
                bad.kill()
            else:
                bad.signal(signal.SIGSTOP)
            until_through(people[0], people[1])
            until_through(people[1], people[0])
            up(a, b)
            assert engine.connections >= 2
            exchange(people, 2)
        word = "engine_silent" if fault == "stop" else "engine_lost"
        assert a.server.journal.totals[word] >= 1


@needs_nats
def test_a_network_that_falls_silent_is_noticed_and_the_room_is_whole_when_it_is_back() -> None:
    with (
        Cluster() as nats,
        Proxy(nats.ports[0]) as network,
        relay_on(network.port, name="a") as a,
        relay_on(nats.ports[0], name="b") as b,
    ):
        up(a, b)
        with crowd(a, b, count=4) as people:
            exchange(people, 1)
            network.hold()
            engine = a.server.engine
            assert engine is not None
            engine._heard_s -= SILENCE_S  # for so long it hasn't heard itself
            until(lambda: a.server.journal.totals["engine_silent"] >= 1, "it was noticed")
            network.go_on()
            up(a, b)
            until_through(people[0], people[1])
            exchange(people, 2)


@needs_nats
def test_messages_of_real_people_survive_the_end_of_a_server(tmp_path: Path) -> None:
    """Blocks are lost, and said again end to end: nothing of what was written is lost or doubled."""
    with Cluster(2) as nats, contextlib.ExitStack() as stack:
        relays = []
        for name in ("a", "b"):
            config = tls_config(tmp_path)  # the same key: to the people they are one relay
            config = Config(
                port=0, certificate=config.certificate, key=config.key, engine=settings_for(*nats.ports, name=name)
            )
            relays.append(stack.enter_context(RelayThread(config)))
        up(*relays)
        invites = [room_on(RelayAddress("127.0.0.1", relay.port, (pin_in(tmp_path),))) for relay in relays]
        people = [stack.enter_context(Person(n, invites[at % 2])) for at, n in enumerate(("alice", "bob", "carol"))]
        for person in people:
            person.until_here(*({"alice", "bob", "carol"} - {person.name}))
        for number in range(30):
            people[number % 3].say(f"{number}")
            if number == 10:
                nats.servers[0].kill()
        for person in people:
            wanted = {str(number) for number in range(30) if people[number % 3] is not person}
            person.ear.until(lambda: {text for _, text in person.ear.texts()} >= wanted, "everything has come")  # noqa: B023
            assert len(person.ear.texts()) == len(wanted)


@needs_nats
def test_a_member_who_comes_back_by_another_relay_was_never_away(tmp_path: Path) -> None:
    """The seat at the dead relay is a ghost for its grace; by then its person is here again."""
    config = tls_config(tmp_path)
    with Cluster() as nats, contextlib.ExitStack() as stack:

        def relay(name: str) -> RelayThread:
            engine = settings_for(*nats.ports, name=name)
            return RelayThread(Config(port=0, certificate=config.certificate, key=config.key, engine=engine))

        first, second = (stack.enter_context(relay(name)) for name in ("a", "b"))
        up(first, second)
        with contextlib.ExitStack() as place:
            moving = place.enter_context(Proxy(first.port))
            pin = (pin_in(tmp_path),)
            alice = stack.enter_context(Person("alice", room_on(RelayAddress("127.0.0.1", second.port, pin))))
            bob = stack.enter_context(Person("bob", room_on(RelayAddress("127.0.0.1", moving.port, pin))))
            alice.until_here("bob")
            before = len(alice.ear.of(PresenceChanged))
            assert first.server.engine is not None
            first.call(lambda: first.server.engine._task.cancel())  # type: ignore[union-attr]
            moving.target_port = second.port
            moving.reset()
            bob.say("here again")
            alice.until_text("here again")
            cluster = second.server.switch.cluster
            assert cluster is not None
            for _ in range(SILENT_BEATS + GRACE_BEATS + 1):
                second.call(cluster.beat)  # the relay's seconds go by
            until(lambda: cluster.far_seats == 0, "the ghost is gone")
            exchanged = "the ghost was somebody else's"
            bob.say(exchanged)
            alice.until_text(exchanged)
            assert alice.ear.here() == {"bob"}
            assert alice.ear.of(PresenceChanged)[before:] == []
