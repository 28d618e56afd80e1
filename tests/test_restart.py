"""Somebody's program ends, in whatever way, and is started again: nobody waits until their old link has been silent.

A client that has started again sits at another address, so the links of before keep nobody from making new ones.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client_help import DEADLINE_S, Person, room_on, through, tls_config
from proxy import Proxy
from relay_help import RelayThread
from world import Client, Memory, World

from chatcore.invite import RelayAddress
from chatcore.link import SILENCE_S
from chatcore.seat import RETRY_JITTER_S

End = Callable[[Person, Proxy], None]


def closed(bob: Person, _: Proxy) -> None:
    """The window is closed."""
    bob.client.stop()


def killed(bob: Person, _: Proxy) -> None:
    """The system ends the program: nothing more is done or said, and the connection is closed."""
    bob.client._worker.abandoned = True
    with bob.client._lock:
        bob.client._visits.clear()
    bob.client.stop()


def cut_off(bob: Person, proxy: Proxy) -> None:
    """The computer loses its power, or its network: nobody hears of that, and for the relay the old seat is taken."""
    proxy.hold()
    killed(bob, proxy)


@contextlib.contextmanager
def talking(person: Person, on: bool) -> Iterator[None]:
    """Have somebody write all the time, or not."""
    done = threading.Event()

    def talk() -> None:
        while on and not done.wait(0.05):
            person.say("and on")

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("end", "kept", "traffic"),
    [
        (closed, "all", False),
        (killed, "all", False),
        (killed, "all", True),
        (killed, "an earlier state", True),
        (killed, "nothing", False),
        (cut_off, "all", False),
        (cut_off, "an earlier state", True),
    ],
)
def test_who_starts_again_is_back_in_the_conversation_long_before_the_old_link_has_ended(
    end: End, kept: str, traffic: bool, tmp_path: Path
) -> None:
    assert DEADLINE_S < SILENCE_S / 2
    with RelayThread(tls_config(tmp_path)) as relay, Proxy(relay.port) as proxy, contextlib.ExitStack() as stack:
        invite, store = room_on(RelayAddress.parse(relay.server.line)), Memory()
        with Person("alice", invite) as alice:
            bob = Person("bob", through(invite, proxy.port), store=store)
            stack.callback(bob.client.stop)
            alice.until_here("bob")
            bob.until_here("alice")
            bob.say("first")
            alice.until_text("first")
            earlier = copy.deepcopy(store)
            bob.say("second")
            alice.until_text("second")
            with talking(alice, traffic):
                end(bob, proxy)
                state = {"all": store, "an earlier state": earlier, "nothing": None}[kept]
                with Person("bob", invite, store=state) as again:
                    again.until_here("alice")
                    alice.say("welcome back")
                    again.say("thank you")
                    again.until_text("welcome back")
                    alice.until_text("thank you")
            said = [text for _, text in alice.ear.texts() if text in ("first", "second", "thank you")]
            assert said == ["first", "second", "thank you"]


def heard_after(world: World, sender: Client, reader: Client, text: str) -> float:
    """Return the seconds until somebody has what another says now."""
    begun_s = world.now.s
    sender.say(text)
    while text not in [said for _, said in reader.texts()]:
        assert world.now.s < begun_s + 600
        world.advance(1)
    return world.now.s - begun_s


@pytest.mark.parametrize("speaker", ["alice", "bob"])
def test_an_end_that_gives_up_a_link_alone_costs_a_silence_at_most(speaker: str) -> None:
    """As for a rule that was broken on it.  The other end takes it for up, and ignores the HELLO, until it is silent.

    Nothing that is said meanwhile is lost.
    """
    world = World()
    people = {name: world.client(name) for name in ("alice", "bob")}
    world.advance(10)
    bob, (talk,) = people["bob"], people["bob"].room._talks
    bob.room._talks.drop(talk.link, world.now)
    (reader,) = people.keys() - {speaker}
    wait_s = heard_after(world, people[speaker], people[reader], "said meanwhile")
    assert 30 < wait_s <= SILENCE_S + RETRY_JITTER_S + 5
    world.advance(60)
    assert people[speaker].room.owed == 0
