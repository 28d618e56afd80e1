"""A scene in which the key was stolen: a room's owner moves it to the relay's new line, and the thief is refused.

It goes on where anew.key_lost ends, which is what the page has one do first.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anew import BACKUP, LATER
from client_help import Person, people
from page import demand, passage, tell
from play import AS_PEOPLE_DO, PATIENCE_S, Play
from scenes import KEY
from typed import ROOT, commands

from chatcore.dial import NOT_THE_RELAY
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.events import ConnectionChanged, RoomMoved
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.profile import Profile
from chatcore.seal import fingerprint

ENGINE = OpenSSLEngine()
TITLE = "Cabin weekend"


def room_of_olga(directory: Path, relay: RelayAddress) -> Invite:
    """Make a profile on the desk, whose room is on this relay; return the invite."""
    with contextlib.closing(Profile.create(directory, "olga", None, ENGINE)) as profile:
        owner = fingerprint(profile.identity.modulus)
        invite = new_invite(owner, Mode.OPEN, relay, TITLE, secret=secrets.token_bytes(32))
        profile.remember(invite, 0)
        profile.save()
    return invite


def hears(one: Person, told: Callable[[Person], bool], what: str) -> None:
    """Wait until somebody has been told something."""
    one.ear.until(partial(told, one), f"{one.name}: {what}", PATIENCE_S)


def converse(one: Person, other: Person, text: str) -> None:
    """Have both say something that the other gets."""
    for sender, reader in ((one, other), (other, one)):
        sender.say(text)
        hears(reader, lambda who: text in [said for _, said in who.ear.texts()], text)


def sees(other: str, who: Person) -> bool:
    """Tell whether somebody sees another person in the room."""
    return other in who.ear.here()


def refused(who: Person) -> bool:
    """Tell whether somebody's Parley has found another key than the relay's."""
    return any(NOT_THE_RELAY in event.reason for event in who.ear.of(ConnectionChanged))


def moved(play: Play, directory: Path) -> RelayAddress:
    """Do what the page has the two do who run the relay and own the room; return the relay's new line."""
    (show,) = commands(passage("**The key has leaked**", "\n**"))
    (move,) = (line for line in commands(passage("**Without the window**", "\n**")) if " move " in line)
    line = play.desk.type_there(show).strip()
    said = play.desk.type(f"echo '{line}' | {move} --profile {directory}", where=ROOT)
    demand("Have heard: frank, grace." in said, f"not everybody has heard:\n{said}")
    tell(f"  {show}\n  {move}\n    {said.strip()}".replace("\n  Have", "\n    Have"))
    relay = RelayAddress.parse(line)
    with contextlib.closing(Profile.open(directory, None, ENGINE)) as profile:
        (record,) = profile.rooms
        demand(record.relay == relay, "in the owner's profile the room is elsewhere")
    return relay


def key_leaked(play: Play) -> None:
    """The key was stolen, and another server has the spare one: a room is moved to it; who still takes the old key?"""
    machine, first, profile = play.machine, play.invite.relay, play.desk.directory / "profile"
    invite = room_of_olga(profile, first)
    with people(invite, "frank", "grace", timing=AS_PEOPLE_DO) as (frank, grace):
        for one, other in ((frank, grace), (grace, frank)):
            hears(one, partial(sees, other.name), f"sees {other.name}")
        converse(frank, grace, "before")
        relay = moved(play, profile)
        demand(relay.place == first.place and first.pins[0] not in relay.pins, f"the line still has the key: {relay}")
        for one in (frank, grace):
            hears(one, lambda who: [event.relay for event in who.ear.of(RoomMoved)][-1:] == [relay], "it moved")
        converse(frank, grace, "after")

        play.desk.type(f"tar -x -f {BACKUP} --strip-components=1 parley-relay/relay.key")
        machine.put(play.desk.directory / "relay.key")
        thief = f"cp -a {KEY} kept.key && cat relay.key >{KEY} && systemctl restart parley-relay"
        play.again(lambda: machine.run(thief))
        for one in (frank, grace):
            hears(one, refused, "refused")
        rooms = json.loads(machine.run("parley-relay stats --json"))["rooms"]
        demand(rooms == 1, f"the thief has {rooms} rooms instead of the one that wasn't moved")
        tell(f"  the old key at the same address: {NOT_THE_RELAY}  (The room that wasn't moved goes there.)")

        play.again(lambda: machine.run(f"mv kept.key {KEY}; rm relay.key; systemctl restart parley-relay"))
        converse(frank, grace, "again")
        with Person("heidi", invite.at(relay), AS_PEOPLE_DO) as heidi:
            for one in (frank, grace):
                hears(heidi, partial(sees, one.name), f"sees {one.name}")
    play.content(LATER)
    tell("  the new key there again: those in the room are together, and who comes with a new invite is, too")
