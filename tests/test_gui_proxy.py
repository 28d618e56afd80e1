"""Through which proxy relays are reached, as a person sets it: the page, the controller, and what is done behind it."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from client_help import pin_in, tls_config, until
from gui_help import Stage
from relay_help import RelayThread
from screen import Screen
from socks_help import SocksServer

import gui_client
from chatcore import dial, proxyfile
from chatcore.events import Connection, ConnectionChanged
from chatcore.invite import Mode, RelayAddress
from chatcore.proxy import ONLY_SOCKS5, Proxy
from gui import events, proxy
from gui.backroom import Backroom
from gui.news import AppEvent, Failed, FromRoom, ProfileFound, ProfileKnown, RoomOpened
from gui.proxy import OpenProxy, ProxyKnown, SetProxy
from gui.proxy_desk import ProxyDesk
from gui.shown import StartState
from gui.view.proxy import ADDRESS
from relay.embedded import EmbeddedRelay

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
E = TypeVar("E")


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_offers_tor_and_says_what_it_means(screen: Screen) -> None:
    page = screen.windows.show_proxy(ProxyKnown())
    seen = screen.reads()
    for words in (proxy.TITLE, proxy.DIRECTLY_NOTE, proxy.THROUGH_NOTE, proxy.HOLDS):
        assert words in seen
    assert proxy.TOR not in seen
    assert proxy.GIVEN not in seen
    screen.press("Save")
    assert screen.last() == SetProxy("")
    page.through.press()
    assert screen.reads().count("127.0.0.1:9050") == 1
    screen.press("Save")
    assert screen.last() == SetProxy("127.0.0.1:9050")
    screen.field(ADDRESS).delete(0, "end")
    told = len(screen.told)
    screen.key("Return", screen.field(ADDRESS))
    assert screen.told[told:] == []
    assert "Type the host and the port of the proxy, such as 127.0.0.1:9050, which is Tor's." in " ".join(
        screen.reads()
    )
    screen.field(ADDRESS).insert(0, " localhost:9150 ")
    screen.key("Return", screen.field(ADDRESS))
    assert screen.last() == SetProxy("localhost:9150")
    page.set_busy("Keeping it…")
    told = len(screen.told)
    screen.press("Save")
    assert screen.told[told:] == []
    page.set_busy("")
    page.set_problem(ONLY_SOCKS5)
    assert "Parley goes through SOCKS5 proxies only." in screen.reads()
    screen.key("Escape")
    assert screen.last() == events.Back()


def test_the_page_shows_what_holds(screen: Screen) -> None:
    screen.windows.show_proxy(ProxyKnown("127.0.0.1:9150", done=proxy.SET_THROUGH))
    seen = screen.reads()
    assert "127.0.0.1:9150" in seen
    assert "Relays are reached through this proxy alone from now on." in seen
    screen.windows.show_proxy(ProxyKnown("127.0.0.1:9150", given=True))
    assert "It was given when Parley was started, and isn't kept." in screen.reads()
    broken = screen.windows.show_proxy(ProxyKnown(problem=proxyfile.UNUSABLE.format("proxy.txt")))
    assert broken.through.value, "what can't be read isn't shown as none"
    assert "can't be used, so Parley connects to none" in " ".join(screen.reads())


def test_the_start_page_says_at_a_glance_that_there_is_one(screen: Screen) -> None:
    screen.windows.show_start(StartState("Maya", first_time=True))
    screen.press("Proxy")
    assert screen.last() == OpenProxy()
    screen.windows.show_start(StartState("Maya", proxied=True))
    screen.press("Through a proxy")
    assert screen.last() == OpenProxy()


# -- the controller ----------------------------------------------------------------------------------------------------


def test_from_the_start_page_to_the_proxy_and_back() -> None:
    stage = Stage().start()
    assert not stage.page.state.proxied
    stage(OpenProxy(), ProxyKnown())
    assert (stage.view.page, stage.view.title) == ("proxy", "How relays are reached — Parley")
    stage(SetProxy("http://x:1"))
    assert stage.page.busy == "Keeping it…"
    stage(events.Back(), OpenProxy())  # it is busy
    assert stage.view.page == "proxy"
    stage(Failed(ONLY_SOCKS5))
    assert (stage.page.busy, stage.page.problem) == ("", ONLY_SOCKS5)
    stage(SetProxy("127.0.0.1:9050"), ProxyKnown("127.0.0.1:9050", done=proxy.SET_THROUGH))
    assert stage.page.state.done == proxy.SET_THROUGH
    stage(events.ThemeToggled())
    assert stage.view.page == "proxy"
    stage(events.Back())
    assert stage.view.page == "start"
    assert stage.page.state.proxied
    assert stage.back.asked[1:] == [("proxy",), ("set proxy", "http://x:1"), ("set proxy", "127.0.0.1:9050")]


def test_what_holds_is_known_before_there_is_a_profile_and_before_it_is_open() -> None:
    for found in (ProfileFound(first_time=True, proxied=True), ProfileFound(locked=True, proxied=True)):
        stage = Stage()
        stage.controller.begin()
        stage(found, events.SkipUnlock())
        assert stage.page.state.proxied
    stage(replace(found, locked=False, proxied=False, first_time=True))
    assert not stage.page.state.proxied


def test_who_opens_a_link_is_told_that_the_proxy_isnt_the_browsers() -> None:
    for proxied in (True, False):
        stage = Stage()
        stage.controller.begin()
        stage(ProfileFound(first_time=True, proxied=proxied), events.OpenLink("https://example.org/x"))
        text = stage.view.sheets[events.Sheet.CONFIRM].text
        assert ("The proxy that you set is for relays: your browser goes its own way." in text) is proxied


def test_it_is_known_too_where_the_profile_cannot_be_opened() -> None:
    stage = Stage(proxied=True)
    stage.controller.begin()
    stage(Failed("Parley is open already with this profile."))
    assert (stage.view.page, stage.page.state.proxied) == ("start", True)


# -- behind it ---------------------------------------------------------------------------------------------------------


class Somebody:
    """A backroom, and what it put into the window's queue."""

    def __init__(self, directory: Path, given: Proxy | None = None) -> None:
        self.came: queue.SimpleQueue[AppEvent] = queue.SimpleQueue()
        self.back = Backroom(directory, self.came.put, given)
        self.back.start()

    def wait(self, kind: type[E], wanted: Callable[[E], bool] = lambda event: True) -> E:
        end_s = time.monotonic() + 30
        while True:
            event: object = self.came.get(timeout=max(0.1, end_s - time.monotonic()))
            event = event.event if isinstance(event, FromRoom) else event
            if isinstance(event, kind) and wanted(event):
                return event

    def join(self, line: str) -> None:
        self.back.create("alice", "Den", Mode.OPEN, line, True, "")

    def why(self, state: Connection) -> str:
        return self.wait(ConnectionChanged, lambda event: event.state is state).reason


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Callable[..., Somebody]]:
    people: list[Somebody] = []

    def make(given: Proxy | None = None) -> Somebody:
        people.append(Somebody(tmp_path / "alice", given))
        return people[-1]

    yield make
    for somebody in people:
        somebody.back.stop()


Meet = Callable[..., Somebody]


def test_a_proxy_is_set_kept_and_gone_through(meet: Meet, tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as server:
        alice = meet()
        alice.back.set_proxy("127.0.0.1")
        assert alice.wait(Failed).sentence.startswith("The address of a proxy is a host and a port")
        alice.back.set_proxy(f" {server.at.place} ")
        assert alice.wait(ProxyKnown) == ProxyKnown(server.at.place, done=proxy.SET_THROUGH)
        alice.join(RelayAddress(ONION, 7256, (pin_in(tmp_path),)).to_text())
        alice.why(Connection.CONNECTED)
        alice.back.stop()
        again = meet()
        again.back.look()
        assert again.wait(ProfileFound).proxied
        again.back.ask_proxy()
        assert again.wait(ProxyKnown) == ProxyKnown(server.at.place)
        again.back.set_proxy("")
        assert again.wait(ProxyKnown) == ProxyKnown(done=proxy.SET_DIRECTLY)
        again.back.look()
        assert not again.wait(ProfileFound).proxied
        again.join(RelayAddress(ONION, 7256, (pin_in(tmp_path),)).to_text())
        assert again.why(Connection.STOPPED) == dial.ONLY_BY_TOR
    assert [asked.host for asked in server.asked] == [ONION]


def test_a_room_that_is_open_goes_another_way_as_soon_as_it_is_set(meet: Meet, tmp_path: Path) -> None:
    with RelayThread(tls_config(tmp_path)) as relay, SocksServer(relay.port) as one, SocksServer(relay.port) as other:
        alice = meet()
        alice.back.set_proxy(one.at.place)
        alice.join(RelayAddress(ONION, 7256, (pin_in(tmp_path),)).to_text())
        alice.why(Connection.CONNECTED)
        alice.back.set_proxy(one.at.place)  # it is as it was
        alice.back.set_proxy(other.at.place)
        alice.why(Connection.RECONNECTING)
        alice.why(Connection.CONNECTED)
    assert [asked.host for asked in (*one.asked, *other.asked)] == [ONION, ONION]
    assert len(other.asked) == 1


def test_what_is_given_at_the_start_counts_and_is_not_kept(meet: Meet, tmp_path: Path) -> None:
    with SocksServer(reply=4) as given, SocksServer(reply=3) as kept:
        proxyfile.keep(tmp_path / "alice", kept.at)
        alice = meet(given.at)
        alice.back.ask_proxy()
        assert alice.wait(ProxyKnown) == ProxyKnown(given.at.place, given=True)
        alice.join(RelayAddress(ONION, 7256, (bytes(32),)).to_text())
        assert alice.why(Connection.RECONNECTING) == dial.PROXY_NO_HOST
        assert proxyfile.kept(tmp_path / "alice") == kept.at
        assert not kept.asked


def test_where_nobody_can_know_the_proxy_no_room_is_opened(meet: Meet, tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "proxy.txt").write_text("127.0.0.1")
    alice = meet()
    alice.back.look()
    assert alice.wait(ProfileFound).proxied
    alice.join(RelayAddress("relay.example.org", 7256, (bytes(32),)).to_text())
    assert alice.wait(Failed).sentence == proxyfile.UNUSABLE.format(tmp_path / "alice" / "proxy.txt")
    assert not any(isinstance(event, RoomOpened) for event in _rest(alice))
    alice.back.ask_proxy()
    assert alice.wait(ProxyKnown).problem.endswith("or delete the file to connect directly.")


def _rest(somebody: Somebody) -> list[AppEvent]:
    events: list[AppEvent] = []
    while not somebody.came.empty():
        events.append(somebody.came.get())
    return events


def test_a_relay_of_this_computer_needs_no_proxy(meet: Meet, tmp_path: Path) -> None:
    made = EmbeddedRelay(tmp_path / "relay")
    made.start()
    try:
        with SocksServer(reply=1) as server:
            alice = meet(server.at)
            alice.join(made.line)
            alice.why(Connection.CONNECTED)
        assert server.connections == 0
    finally:
        made.stop()


def test_a_proxy_that_cannot_be_read_is_erased_as_well(tmp_path: Path) -> None:
    (tmp_path / "proxy.txt").write_text("127.0.0.1")
    desk = ProxyDesk(tmp_path, None)
    assert desk.on
    desk.erase()
    assert list(tmp_path.iterdir()) == []
    assert not desk.on


def test_of_what_is_erased_the_proxy_isnt_left_and_this_window_still_goes_through_it(
    meet: Meet, tmp_path: Path
) -> None:
    with SocksServer(reply=5) as server:
        alice = meet()
        alice.back.create("alice", "Den", Mode.OPEN, None, False, "")
        room_id = alice.wait(RoomOpened).room_id
        alice.back.close_room(room_id)
        alice.back.set_proxy(server.at.place)
        alice.wait(ProxyKnown)
        alice.back.ask_profile()
        alice.wait(ProfileKnown)
        alice.back.erase_profile()
        assert alice.wait(ProfileFound, lambda found: found.first_time).proxied
        until(lambda: not (tmp_path / "alice").exists(), "nothing is left")
        alice.join(RelayAddress("relay.example.org", 7256, (bytes(32),)).to_text())
        assert alice.why(Connection.RECONNECTING) == dial.PROXY_RELAY_OFF


# -- the front door ----------------------------------------------------------------------------------------------------


def test_the_front_door_refuses_what_is_no_proxy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PARLEY_PROXY", raising=False)
    assert gui_client.main(["--proxy", "http://127.0.0.1:8118"]) == 2
    monkeypatch.setenv("PARLEY_PROXY", "socks4://127.0.0.1:1080")
    assert gui_client.main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{ONLY_SOCKS5}\n" * 2)
