"""Addresses of names: nobody waits for a name server that is silent, least of all a relay that is told to stop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from relay_help import DEADLINE_S, until

from relay.across import BOOT_SIZE
from relay.engine import Place, Settings
from relay.engine_nats import NatsEngine
from relay.names import MOST_ASKED, Names


class NameServer:
    """Answers with 192.0.2.1 and 2001:db8::1 when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.speak = threading.Event()
        self.answered = threading.Event()

    def look(self, host: str, *_args: Any, **_more: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self.speak.wait(DEADLINE_S)
        self.answered.set()
        if host.startswith("nobody"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, 0)) for address in ("192.0.2.1", "2001:db8::1", "192.0.2.1")]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Stand for the name server of this computer."""
    found = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", found.look)
    yield found
    found.speak.set()


def test_an_address_is_asked_of_nobody(name_server: NameServer) -> None:
    for host in ("192.0.2.7", "2001:db8::7", "fe80::1%lo"):
        assert asyncio.run(Names().addresses(host)) == [host]
    assert not name_server.asked


def test_each_address_of_a_name_comes_once_and_a_name_without_any_is_an_error(name_server: NameServer) -> None:
    name_server.speak.set()
    assert asyncio.run(Names().addresses("engine.example")) == ["192.0.2.1", "2001:db8::1"]
    with pytest.raises(OSError, match="no such name"):
        asyncio.run(Names().addresses("nobody.example"))


def test_those_who_ask_for_the_same_name_wait_for_the_same_answer_and_few_names_are_asked_for_at_once(
    name_server: NameServer,
) -> None:
    async def ask() -> None:
        names = Names()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await names.addresses("engine-0.example")
        waiting = [asyncio.create_task(names.addresses(f"engine-{n}.example")) for n in range(MOST_ASKED)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="no answer"):
            await names.addresses("one-more.example")
        name_server.speak.set()
        assert len([await one for one in waiting]) == MOST_ASKED
        assert await names.addresses("one-more.example")
        assert len(name_server.asked) == MOST_ASKED + 1

    asyncio.run(ask())


def test_a_relay_ends_though_the_name_of_its_engine_is_still_looked_for(name_server: NameServer) -> None:
    async def live() -> None:
        place = Place("engine.example", 4222, False)
        engine = NatsEngine(
            Settings((place,)), bytes(BOOT_SIZE), note=lambda _word: None, fault=lambda error: pytest.fail(repr(error))
        )
        engine.start(None)  # type: ignore[arg-type]  # nothing will happen
        await asyncio.to_thread(until, lambda: bool(name_server.asked), "it asks")
        await engine.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(live())
    assert not name_server.answered.is_set()
