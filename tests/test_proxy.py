"""Relays through a SOCKS5 proxy: what it is told, what it isn't, and that nothing ever goes around it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_help import (
    HASTY,
    Ear,
    FakeRelay,
    Nobody,
    free_port,
    identity,
    people,
    pin_in,
    receive_all,
    room_on,
    tls_config,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay_help import RelayThread, until
from socks_help import IPV4, IPV6, NAME, NO_AUTH, NOTHING, PASSWORD, SocksServer, says, silence

from chatcore import dial as dials
from chatcore import doctor, proxyfile
from chatcore.cable import Cable, End, Loop, Timing
from chatcore.client import Client
from chatcore.dial import dial
from chatcore.errors import NoWayError, PinError, ProfileError, ProxyError, RelayError
from chatcore.events import Connection
from chatcore.invite import RelayAddress
from chatcore.proxy import NO_PASSWORDS, NOT_A_PROXY, ONLY_SOCKS5, Proxy

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
PIN = b"p" * 32
QUICK = dataclasses.replace(HASTY, dial_s=5.0, proxy_s=5.0)


@pytest.fixture(autouse=True)
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A name server that fails the test when it is asked for anything but an address that is none to look up."""
    asked: list[Any] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", None):
            asked.append(host)
            raise socket.gaierror(-2, "Name or service not known")
        return real(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, name, lambda *arguments: asked.append(arguments))
    yield asked
    assert asked == []


def reach(relay: RelayAddress, proxy: Proxy | None, timing: Timing = QUICK) -> None:
    """Dial, and hang up."""

    async def there() -> None:
        cable = await dial(relay, lambda: Cable(relay.pins, Nobody()), timing, proxy)
        cable.drop(End())
        await cable.gone.wait()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(there())


def refusal(proxy: Proxy | None, relay: RelayAddress | None = None, timing: Timing = QUICK) -> str:
    """Dial in vain; returns the sentence."""
    with pytest.raises(RelayError) as caught:
        reach(relay or RelayAddress("relay.example.org", 7256, (PIN,)), proxy, timing)
    return str(caught.value)


# -- what a person types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9050", "127.0.0.1:9050"),
        ("  localhost:9150\n", "localhost:9150"),
        ("socks5://127.0.0.1:1080/", "127.0.0.1:1080"),
        ("SOCKS5h://proxy.example.org:1080", "proxy.example.org:1080"),
        ("[::1]:9050", "[::1]:9050"),
    ],
)
def test_an_address_is_read(text: str, place: str) -> None:
    proxy = Proxy.parse(text)
    assert proxy.place == place
    assert Proxy.parse(proxy.place) == proxy
    assert repr(proxy) == "Proxy()"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *((text, NOT_A_PROXY) for text in (
            "", "9050", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:9050", "[127.0.0.1]:9050",
            "1.2.3:9050", "a b:9050", "x" * 400, f"{ONION}:9050", "socks5://", "127.0.0.1:9050/x", "ä.org:1", "\0:1",
            "127.0.0.1:٣", "[fe80::1%eth0]:9050",
        )),
        *((text, ONLY_SOCKS5) for text in ("http://127.0.0.1:8080", "socks4://127.0.0.1:9050", "https://a@b:1")),
        *((text, NO_PASSWORDS) for text in ("socks5://me:secret@127.0.0.1:9050", "me@127.0.0.1:9050")),
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ProxyError) as caught:
        Proxy.parse(text)
    assert str(caught.value) == sentence
    assert "secret" not in sentence


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_any_text_is_a_proxy_or_a_sentence(text: str) -> None:
    try:
        proxy = Proxy.parse(text)
    except ProxyError:
        return
    assert Proxy.parse(proxy.place) == proxy


# -- what it is told ---------------------------------------------------------------------------------------------------


def test_a_name_goes_to_the_proxy_and_tls_with_its_pin_inside(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        for host in (ONION, "relay.example.org"):
            reach(RelayAddress(host, 7256, (pin_in(tmp_path),)), server.at)
        with pytest.raises(PinError):
            reach(RelayAddress(ONION, 7256, (PIN,)), server.at)
    assert [(asked.kind, asked.host, asked.port) for asked in server.asked] == [
        (NAME, ONION, 7256), (NAME, "relay.example.org", 7256), (NAME, ONION, 7256),
    ]  # fmt: skip


@pytest.mark.parametrize(("host", "kind"), [("203.0.113.5", IPV4), ("2001:db8::5", IPV6)])
def test_an_address_is_passed_on_as_it_is(tmp_path: Path, host: str, kind: int) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port, wants=NO_AUTH) as server:
        reach(RelayAddress(host, 443, (pin_in(tmp_path),)), server.at)
    (asked,) = server.asked
    assert (asked.kind, asked.host, asked.port, asked.user) == (kind, host, 443, b"")


def test_no_two_connections_have_one_name_so_tor_gives_each_a_circuit(tmp_path: Path) -> None:
    line = RelayAddress(ONION, 7256, (pin_in(tmp_path),))
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        for _ in range(3):
            reach(line, server.at)
    users = {asked.user for asked in server.asked}
    assert len(users) == 3
    assert {len(user) for user in users} == {32}
    assert {asked.methods for asked in server.asked} == {bytes((NO_AUTH, PASSWORD))}


def test_two_people_talk_in_a_room_of_an_onion_service(tmp_path: Path) -> None:
    invite = room_on(RelayAddress(ONION, 7256, (pin_in(tmp_path),)))
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        ears = [Ear(), Ear()]
        clients = [Client(ear, timing=HASTY, proxy=server.at) for ear in ears]
        try:
            for client, name in zip(clients, ("alice", "bob"), strict=True):
                client.start()
                client.open_room(invite, identity(name), name)
            ears[0].until(lambda: ears[0].here() >= {"bob"}, "alice sees bob")
            clients[0].say(invite.room_id, "through the onion")
            ears[1].until(lambda: ("alice", "through the onion") in ears[1].texts(), "bob has it")
        finally:
            for client in clients:
                client.stop()
    assert [asked.host for asked in server.asked] == [ONION, ONION]


def test_the_connection_that_takes_the_place_of_another_goes_the_same_way(tmp_path: Path) -> None:
    ear = Ear()
    client = Client(ear, timing=dataclasses.replace(HASTY, renew_s=0.1, renew_again_s=0.1))
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        client.go_through(server.at)
        client.start()
        try:
            client.open_room(room_on(RelayAddress(ONION, 7256, (pin_in(tmp_path),))), identity("alice"), "alice")
            ear.until_state(Connection.CONNECTED)
            until(lambda: len(server.asked) > 1, "there is another")
        finally:
            client.stop()
    assert len({asked.user for asked in server.asked}) == len(server.asked)


def test_a_relay_of_this_computer_is_reached_directly(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        for host in ("127.0.0.1", "localhost"):
            reach(RelayAddress(host, relay.port, (pin_in(tmp_path),)), server.at)
    assert server.connections == 0


def test_what_only_looks_like_this_computer_goes_through_the_proxy(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        reach(RelayAddress("127.0.0.1.example.org", relay.port, (pin_in(tmp_path),)), server.at)
    assert [asked.host for asked in server.asked] == ["127.0.0.1.example.org"]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_an_onion_service_without_a_proxy_is_never_looked_up_or_dialled() -> None:
    for host in (ONION, ONION.upper(), "onion"):
        line = RelayAddress(host, 7256, (PIN,))
        with pytest.raises(NoWayError) as caught:
            reach(line, None)
        assert str(caught.value) == (
            "This relay is an onion service, which is reached through Tor alone, so nothing was sent. "
            "Start Tor, set 127.0.0.1:9050 as the proxy for relays (on the start page), then open the room again."
        )
    with people(room_on(line), "alice") as (alice,):
        assert alice.ear.until_state(Connection.STOPPED).reason == dials.ONLY_BY_TOR
        assert Connection.RECONNECTING not in alice.ear.states()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (1, "The proxy found no way to the relay: it may have no network yet, or the relay is off. "
            "Parley keeps trying."),
        (2, "The proxy's rules don't allow this relay. Change them, or use another proxy; Parley keeps trying."),
        (3, "The proxy has no network just now. Parley keeps trying."),
        (4, "The proxy can't find the relay: it is off, or its name is wrong. Parley keeps trying."),
        (5, "The proxy found the relay's computer, but the relay is off. Parley keeps trying."),
        (6, "Nothing came back through the proxy in time: it or the relay may be off. Parley keeps trying."),
        (7, "What answers at the proxy's address is no SOCKS5 proxy. Set its address right; Parley keeps trying."),
        (8, "The proxy can't take the relay's kind of address. Use another proxy, such as Tor."),
        (9, dials.PROXY_MUTE),
        (0xF0, dials.PROXY_MUTE),
    ],
)  # fmt: skip
def test_each_refusal_of_a_proxy_is_a_sentence(code: int, sentence: str) -> None:
    with SocksServer(reply=code) as server:
        assert refusal(server.at) == sentence
    assert len(server.asked) == 1


@pytest.mark.parametrize("behaviour", [{"wants": NOTHING}, {"knows": {b"me"}}], ids=["no method", "wrong password"])
def test_a_proxy_that_asks_for_a_password(behaviour: dict[str, Any]) -> None:
    with SocksServer(**behaviour) as server:
        assert refusal(server.at) == (
            "The proxy asks for a name and a password, which Parley doesn't have. Use one that asks for none."
        )


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of this computer count as those of another: a relay there could be reached directly, and mustn't be."""
    monkeypatch.setattr(RelayAddress, "is_here", property(lambda self: False))


@pytest.mark.usefixtures("elsewhere")
def test_a_proxy_that_is_off_is_not_gone_around(tmp_path: Path) -> None:
    with FakeRelay(receive_all, tmp_path) as fake:
        relay = RelayAddress("127.0.0.1", fake.port, (pin_in(tmp_path),))
        assert refusal(Proxy("127.0.0.1", free_port()), relay) == (
            "The proxy can't be reached, and nothing goes to the relay without it. Start it; Parley keeps trying."
        )
        for behaviour in ({"reply": 1}, {"wants": NOTHING}, {"answer": says(b"")}, {"answer": silence}):
            with SocksServer(fake.port, **behaviour) as server:
                refusal(server.at, relay, dataclasses.replace(QUICK, proxy_s=0.2))
                assert server.connections == 1
        assert fake.accepted == 0
        reach(relay, None)
        assert fake.accepted == 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", dials.PROXY_MUTE),
        (b"\x04\x5a", dials.PROXY_MUTE),
        (b"\x05\x01", dials.PROXY_MUTE),
        (b"\x05\x07", dials.PROXY_MUTE),
        (b"\x05\x00\x04\x00\x00", dials.PROXY_MUTE),
        (b"\x05\x00\x05\x00\x00\x09", dials.PROXY_MUTE),
        (b"\x05\x00\x05\x00\x00\x03\x02\xff\xff\x00\x00", dials.PROXY_MUTE),
        (b"", dials.PROXY_HUNG_UP),
        (b"\x05", dials.PROXY_HUNG_UP),
        (b"\x05\x00\x05\x00", dials.PROXY_HUNG_UP),
        (b"\x05\x02\x01", dials.PROXY_HUNG_UP),
    ],
)
def test_what_answers_is_no_proxy(data: bytes, sentence: str) -> None:
    with SocksServer(answer=says(data)) as server:
        assert refusal(server.at) == sentence
    assert dials.PROXY_HUNG_UP == "The proxy hung up: it may be starting, or be no SOCKS5 proxy. Parley keeps trying."


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda rest: b"\x05\x00\x05\x00\x00" + rest)))
def test_whatever_a_proxy_says_is_one_of_our_errors(data: bytes) -> None:
    with SocksServer(answer=says(data)) as server:
        assert refusal(server.at).endswith(("Parley keeps trying.", "asks for none.", "such as Tor."))


def test_a_proxy_that_says_nothing(tmp_path: Path) -> None:
    with SocksServer(answer=silence) as server:
        assert refusal(server.at, timing=dataclasses.replace(QUICK, proxy_s=0.1)) == dials.PROXY_LATE


def test_a_client_that_is_stopped_leaves_a_silent_proxy() -> None:
    with SocksServer(answer=silence) as server:
        client = Client(Ear(), timing=HASTY, proxy=server.at)
        client.start()
        client.open_room(room_on(RelayAddress(ONION, 7256, (PIN,))), identity("alice"), "alice")
        until(lambda: server.connections == 1, "it asks")
        client.stop()
        until(lambda: server.gone == 1, "and is gone")


@pytest.mark.usefixtures("elsewhere")
def test_a_client_tries_again_through_the_proxy_and_never_around_it(tmp_path: Path) -> None:
    """Refused, off, and there again: a relay that could be reached directly hears of it by the proxy alone."""
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port, reply=1) as server:
        invite = room_on(RelayAddress("127.0.0.1", relay.port, (pin_in(tmp_path),)))
        ear = Ear()
        client = Client(ear, timing=HASTY, proxy=server.at)
        client.start()
        try:
            client.open_room(invite, identity("alice"), "alice")
            assert ear.until_state(Connection.RECONNECTING).reason == dials.PROXY_FAILED
            ear.until(lambda: len(server.asked) > 2, "it tries again")
            assert relay.server.door.connections == 0
            client.go_through(Proxy("127.0.0.1", free_port()))
            ear.until(lambda: dials.PROXY_OFF in _reasons(ear), "it is off")
            server.reply = 0
            client.go_through(server.at)
            ear.until_state(Connection.CONNECTED)
        finally:
            client.stop()


def _reasons(ear: Ear) -> set[str]:
    return {getattr(event, "reason", "") for event in ear.events}


def test_a_relay_that_hangs_up_behind_the_proxy(tmp_path: Path) -> None:
    with FakeRelay(lambda heard: None) as fake, SocksServer(fake.port) as server:
        assert refusal(server.at) in (dials.HUNG_UP, dials.NO_TLS)


# -- where it is kept --------------------------------------------------------------------------------------------------


def test_a_proxy_is_kept_beside_the_profile(tmp_path: Path) -> None:
    place = tmp_path / "new" / "one"
    assert proxyfile.kept(place) is None
    proxyfile.keep(place, None)
    for proxy in (Proxy("127.0.0.1", 9050), Proxy("::1", 9150)):
        proxyfile.keep(place, proxy)
        assert proxyfile.kept(place) == proxy
    if os.name == "posix":
        assert (place.stat().st_mode & 0o777, (place / "proxy.txt").stat().st_mode & 0o777) == (0o700, 0o600)
    assert [path.name for path in place.iterdir()] == ["proxy.txt"]
    proxyfile.keep(place, None)
    assert proxyfile.kept(place) is None
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"none", b"\xff\xfe", b"127.0.0.1:9050\n127.0.0.1:9051\n", b"1" * 1000])
def test_a_file_that_cannot_be_used_is_not_taken_for_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "proxy.txt").write_bytes(data)
    with pytest.raises(ProfileError) as caught:
        proxyfile.kept(tmp_path)
    assert str(caught.value) == (
        f"The file {tmp_path / 'proxy.txt'} says through which proxy relays are reached, and can't be used, so Parley "
        "connects to none. Set the proxy again, or delete the file to connect directly."
    )
    proxyfile.keep(tmp_path, Proxy("127.0.0.1", 9050))
    assert proxyfile.kept(tmp_path) == Proxy("127.0.0.1", 9050)


def test_a_directory_or_a_dead_link_in_its_place_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "proxy.txt").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "proxy.txt").symlink_to(tmp_path / "nowhere")
    for name in ("a", "b"):
        with pytest.raises(ProfileError):
            proxyfile.kept(tmp_path / name)


def test_an_option_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_PROXY", raising=False)
    assert proxyfile.given(None) is None
    monkeypatch.setenv("PARLEY_PROXY", "")
    assert proxyfile.given(None) is None
    for nothing in ("", " "):
        with pytest.raises(ProxyError):
            proxyfile.given(nothing)
    monkeypatch.setenv("PARLEY_PROXY", "socks5://127.0.0.1:9150")
    assert proxyfile.given(None) == Proxy("127.0.0.1", 9150)
    assert proxyfile.given("127.0.0.1:9050") == Proxy("127.0.0.1", 9050)
    monkeypatch.setenv("PARLEY_PROXY", "http://127.0.0.1:9150")
    with pytest.raises(ProxyError, match="SOCKS5 proxies only"):
        proxyfile.given(None)


# -- the doctor --------------------------------------------------------------------------------------------------------


def findings(relay: RelayAddress, proxy: Proxy | None) -> list[str]:
    async def all_of_it() -> list[str]:
        return [str(finding) async for finding in doctor.examine(relay, QUICK, proxy)]

    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(all_of_it())[1:]  # without the clock


def test_the_doctor_goes_through_the_proxy(tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        name, port, seat, trip = findings(RelayAddress(ONION, 7256, (pin_in(tmp_path),)), server.at)
    assert name == "ok    name: the proxy looks it up, and this computer doesn't."
    assert port == "ok    port: it answers through the proxy with TLS 1.3, and the key that the line names."
    assert seat == "ok    seat: the relay would let you in."
    assert trip.startswith("ok    round trip: ")
    assert len(server.asked) == 1


def test_the_doctor_names_the_cure_for_an_onion_service_without_a_proxy() -> None:
    assert findings(RelayAddress(ONION, 7256, (PIN,)), None) == [
        "bad   name: it is an onion service, which is reached through Tor alone, and wasn't looked up: start Tor, then "
        "try again with --proxy 127.0.0.1:9050."
    ]


def test_the_doctor_names_the_cure_for_a_proxy_that_is_off() -> None:
    assert findings(RelayAddress(ONION, 7256, (PIN,)), Proxy("127.0.0.1", free_port()))[-1] == (
        "bad   proxy: it can't be reached, and nothing is tried without it: start it, and see that its address is "
        "right (Tor: 127.0.0.1:9050; Tor Browser: 127.0.0.1:9150)."
    )


def test_the_command_takes_the_proxy_that_the_window_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = RelayAddress(ONION, 7256, (PIN,)).to_text()

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["parley-doctor", "--profile", str(tmp_path), *arguments])
        monkeypatch.setattr("sys.stdin", Typed(line))
        assert doctor.main() == 1
        return capsys.readouterr().out.splitlines()[-1]

    monkeypatch.delenv("PARLEY_PROXY", raising=False)
    assert run().startswith("bad   name: it is an onion service")
    with SocksServer(reply=3) as kept, SocksServer(reply=5) as told:
        proxyfile.keep(tmp_path, kept.at)
        assert run() == "bad   proxy: it has no network: look at its log."
        assert run("--proxy", told.at.place).startswith("bad   port: the proxy found the computer")
        monkeypatch.setenv("PARLEY_PROXY", told.at.place)
        assert run().startswith("bad   port: ")
        monkeypatch.delenv("PARLEY_PROXY")
    (tmp_path / "proxy.txt").write_text("none")
    assert run().startswith("bad   proxy: The file ")
    assert run("--proxy", "http://127.0.0.1:1") == f"bad   proxy: {ONLY_SOCKS5}"


class Typed:
    """Standard input with one line in it."""

    def __init__(self, line: str) -> None:
        self.buffer, self.line = self, line

    def isatty(self) -> bool:
        return False

    def read(self, _most: int) -> bytes:
        return self.line.encode()
