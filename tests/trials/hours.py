"""R3b, R9 to R12, R14 and F8: rooms in memory, where hours and days go by and clocks are set as a case likes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

from attacker import Puppet, talk
from judge import Got, Said, mistakes
from world import Client, Memory, World, fp, key

from chatcore.clock import Moment
from chatcore.content import ContentKind
from chatcore.events import Gap, MemberLeft, MessageReceived, NotDelivered, RosterChanged
from chatcore.members import StatementType, make_statement
from chatcore.room import Room
from gui.wording import LATE_MS, message_clock
from trials.sheet import Sheet, case

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
DAY_MS = 24 * 3600 * 1000
Late = tuple[float, str, str, bytes]


class Conversation:
    """Keeps what is said in a world, to be judged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.said: Said = {name: [] for name in world.clients}

    def say(self, *names: str) -> None:
        """Have everybody (or these) say something."""
        for name in names or self.said:
            self.said[name].append(f"{len(self.said[name])} of {name}")
            self.world.clients[name].say(self.said[name][-1])

    def got(self) -> Got:
        return {name: self.world.clients[name].texts() for name in self.said}

    def judge(self, sheet: Sheet, what: str = "") -> None:
        """Write down what is wrong."""
        got = self.got()
        wrong = mistakes(self.said, got)
        sheet.none(f"{what}lost, doubled, forged or out of order", len(wrong), sum(map(len, got.values())))
        sheet.broken += wrong

    def missing(self) -> int:
        """Return how many copies haven't arrived."""
        copies = sum(map(len, self.said.values())) * (len(self.said) - 1)
        return copies - sum(map(len, self.got().values()))

    def until_all(self, step_s: float, most_s: float) -> float:
        """Let time go by until everything has arrived; returns how long that took."""
        begun_s = self.world.now.s
        while self.missing() and self.world.now.s < begun_s + most_s:
            self.world.advance(step_s)
        return self.world.now.s - begun_s


def people(*names: str, **more: Any) -> World:
    world = World(**more)
    for name in names:
        world.client(name, store=Memory())
        world.advance(2)
    return world


def listed(client: Client) -> set[bytes]:
    """Return who is on somebody's list of members."""
    return {member.fp for member in cast(RosterChanged, client.of(RosterChanged)[-1]).members}


class Delays:
    """A tamper that holds every block back, and lets it go so much later."""

    def __init__(self, world: World) -> None:
        self.world, self.by_s, self.held = world, 0.0, cast(list[Late], [])
        self.step_s = 1.0
        world.tamper = self.tamper

    def tamper(self, source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        if not self.by_s:
            return [(source, to, block)]
        self.held.append((self.world.now.s + self.by_s, source, to, block))
        return []

    def advance(self, seconds: float) -> None:
        """Let time go by, and hand out what is due."""
        end_s = self.world.now.s + seconds
        while self.world.now.s < end_s:
            next_s = min((late[0] for late in self.held), default=end_s)
            self.world.advance(max(0.05, min(next_s, end_s) - self.world.now.s), step=self.step_s)
            due = [late for late in self.held if late[0] <= self.world.now.s]
            self.held = [late for late in self.held if late[0] > self.world.now.s]
            for _, source, to, block in due:
                self.world.inject(source, to, block)
            self.world.settle()


@case("R9", "shows the two halves of a room different members")
def equivocates(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob", "carol", "dave")
    halves = ({"alice", "bob", "eve"}, {"carol", "dave"})
    world.tamper = lambda source, to, block: (
        [(source, to, block)] if any({source, to} <= half for half in halves) else []
    )
    world.client("eve", store=Memory())  # who comes is shown to one half only
    world.advance(5)
    world.clients["alice"].say("eve can read this")
    world.clients["carol"].say("eve can't read this")
    world.advance(5)
    world.tamper = lambda source, to, block: [(source, to, block)] if "eve" not in (source, to) else []
    world.advance(1)
    words = {name: client.room.set_digest for name, client in world.clients.items()}
    sheet.note("lists that differ while the halves are apart", len({*words.values()}))
    for what, name, sees_eve in (("the other half", "carol", True), ("the first half", "alice", False)):
        for _ in range(300):
            if world.clients[name].texts():
                break
            world.advance(1)
        seen = [event for event in world.clients[name].events if isinstance(event, MessageReceived)]
        known = [event.readers is None or (fp("eve") in event.readers) is sees_eve for event in seen]
        sheet.must(f"messages until {what} is shown that the list was another", known.index(True) + 1, 1)
    begun_s = world.now.s
    while len({client.room.set_digest for client in world.clients.values()}) > 1 and world.now.s < begun_s + 60:
        world.advance(1)
    sheet.must("until all lists are the same, s", world.now.s - begun_s, 10)
    listing = sum(fp("eve") in listed(world.clients[name]) for name in halves[1])
    sheet.all("of the other half list the one who was hidden", listing, 2)


@case("R10", "cuts a room in two for an hour, then heals")
def partitions(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob", "carol", "dave")
    conversation = Conversation(world)
    halves = ({"alice", "bob"}, {"carol", "dave"})
    world.tamper = lambda source, to, block: (
        [(source, to, block)] if any({source, to} <= half for half in halves) else []
    )
    for _ in range(12):
        conversation.say()
        world.advance(HOUR_S / 12, step=1.0)
    sheet.note("copies that wait after an hour", conversation.missing())
    world.tamper = lambda source, to, block: [(source, to, block)]
    sheet.must("arrived after s", conversation.until_all(1, 600), 200)
    sheet.none("gaps shown", sum(len(client.of(Gap)) for client in world.clients.values()))
    conversation.judge(sheet)


@case("R11", "puts the list of members back to an older one")
def rolls_back(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob")
    bob = world.clients["bob"]
    old = bob.room.statements()  # before carol came
    world.client("carol")
    world.advance(3)
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    world.advance(3)
    tried = 0
    older = [
        make_statement(kind, world.invite.room_id, key(f"identity {name}"), fp(name), ms, name)
        for name in ("mallory",)
        for kind in (StatementType.JOIN, StatementType.LEAVE)
        for ms in (1, world.now.ms - DAY_MS)
    ]
    for raw in [*old, *(statement.raw for statement in older)]:
        mallory.send("alice", ContentKind.STMT, raw)
        tried += 1
    world.advance(3)
    members = listed(world.clients["alice"])
    sheet.none(
        "older statements that took anybody off the list", len({fp("bob"), fp("carol"), fp("mallory")} - members), tried
    )
    world.leave(bob)
    again = world.client("bob", statements=old, connect=False)  # a reader whose disk was put back
    again.connections = bob.connections + 100
    again.connect()
    begun_s = world.now.s
    while again.room.set_digest != world.clients["alice"].room.set_digest and world.now.s < begun_s + 60:
        world.advance(0.5)
    sheet.must("whose disk was put back: has the list again after s", world.now.s - begun_s, 10)


@case("R12", "brings back one who has left, with their old statements")
def resurrects(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob", "carol")
    recorded = [(source, to, block) for source, to, block in world.log]
    joins = world.clients["carol"].room.statements()
    world.clients["carol"].room.leave(world.now)
    world.advance(2)
    world.clients["carol"].disconnect()
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    world.advance(2)
    for source, to, block in recorded:
        if to != "carol" and source != "carol":
            world.inject(source, to, block)
        elif to != "carol":
            world.inject("mallory", to, block)
    for raw in joins:
        mallory.send("alice", ContentKind.STMT, raw)
    world.advance(5)
    start = len(world.log)
    world.clients["alice"].say("carol isn't here any more")
    world.advance(10)
    sheet.none("on the list again", int(fp("carol") in listed(world.clients["alice"])), len(recorded) + len(joins))
    sheet.none("blocks to her", sum(to == "carol" for _, to, _ in world.log[start:]))
    sheet.all("others told that she left", sum(bool(world.clients[n].of(MemberLeft)) for n in ("alice", "bob")), 2)
    sheet.note("removal against somebody's will", "isn't in this version")


def delayed(by_s: float, for_s: float, sheet: Sheet, name: str, most_s: float) -> None:
    """Delay everything for a while, then no more; all that was said must arrive."""
    world = people("alice", "bob")
    conversation, delays = Conversation(world), Delays(world)
    delays.by_s = by_s
    for _ in range(5):
        conversation.say()
        delays.advance(for_s / 5)
    delays.by_s = 0.0
    begun_s = world.now.s
    while conversation.missing() and world.now.s < begun_s + most_s:
        delays.advance(5)
    sheet.must(f"{name}: after the delays all had arrived after s", world.now.s - begun_s, most_s)
    delays.step_s = max(1.0, by_s / 10_000)
    delays.advance(by_s)  # what is still to come late
    if by_s * 1000 > LATE_MS:
        came = [cast(MessageReceived, e) for client in world.clients.values() for e in client.of(MessageReceived)]
        late = [e for e in came if e.received_ms - e.time_ms > LATE_MS]
        both = [e for e in late if "came" in message_clock(e.time_ms, e.received_ms)]
        sheet.all(f"{name}: of those that came late, shown with both times", len(both), len(late) or 1)
    wrong = mistakes(conversation.said, conversation.got())
    lost = sum(len(client.of(NotDelivered)) for client in world.clients.values())
    sheet.none(f"{name}: refused for no reason", len(wrong) + lost, sum(map(len, conversation.said.values())))


@case("R14", "delays everything by a second, an hour, seven days; and clocks are a day off", slow=True)
def delays(sheet: Sheet, home: Path) -> None:
    delayed(1.0, 60.0, sheet, "1 s", 60)
    delayed(HOUR_S, 2 * HOUR_S, sheet, "1 h", 120)
    delayed(7 * DAY_S, DAY_S / 4, sheet, "7 days", 120)
    world = skewed({"alice": DAY_MS, "bob": -DAY_MS})
    conversation = Conversation(world)
    for _ in range(20):
        conversation.say()
        world.advance(2)
    conversation.judge(sheet, "clocks a day ahead and a day behind: ")


@case("R3b", "keeps blocks back for hours, and hands them out in another order")
def shuffles(sheet: Sheet, home: Path) -> None:
    dice = random.Random(3)
    world = people("alice", "bob")
    conversation = Conversation(world)
    held: list[tuple[str, str, bytes]] = []

    def tamper(source: str, to: str, block: bytes) -> list[tuple[str, str, bytes]]:
        if dice.random() < 0.3:
            held.append((source, to, block))
            return []
        return [(source, to, block)]

    world.tamper = tamper
    tried = 0
    for _ in range(3):
        for _ in range(10):
            conversation.say()
            world.advance(5)
        world.advance(HOUR_S - 50, step=1.0)
        dice.shuffle(held)
        tried += len(held)
        for hop in held:
            world.inject(*hop)
        held.clear()
        world.settle()
    world.tamper = lambda source, to, block: [(source, to, block)]
    sheet.note("blocks that came hours late", tried)
    sheet.must("all had arrived after s", conversation.until_all(5, 700), 600)
    conversation.judge(sheet)


class Skewed:
    """A room whose clock is off by so many ms; only the clock on the wall, as it is with people."""

    def __init__(self, room: Room, skew_ms: int) -> None:
        self.room, self.skew_ms = room, skew_ms

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.room, name)
        if not callable(found):
            return found
        return lambda *given: found(*(self.off(one) if isinstance(one, Moment) else one for one in given))

    def off(self, now: Moment) -> Moment:
        return Moment(now.s, max(0, now.ms + self.skew_ms))


def skewed(skews: dict[str, int]) -> World:
    """Have people in a room whose clocks are off."""
    world = World()
    for name, skew_ms in skews.items():
        true = world.now
        world.now = Moment(true.s, max(0, true.ms + skew_ms))
        client = world.client(name, store=Memory(), connect=False)
        world.now = true
        client.room = cast(Room, Skewed(client.room, skew_ms))
        client.connect()
        world.advance(2)
    return world


def set_clock(client: Client, skew_ms: int) -> None:
    """Have somebody's clock jump."""
    cast(Skewed, client.room).skew_ms = skew_ms


@case("F8", "clocks are a day behind, a day ahead, in 1970, and jump in the middle")
def clocks(sheet: Sheet, home: Path) -> None:
    to_1970 = -World().now.ms
    for what, skew in (("a day behind", -DAY_MS), ("a day ahead", DAY_MS), ("1970", to_1970)):
        world = skewed({"alice": 0, "bob": skew, "carol": 0})
        conversation = Conversation(world)
        for _ in range(10):
            conversation.say()
            world.advance(1)
        conversation.judge(sheet, f"{what}: ")
        late = [
            e for e in world.clients["alice"].of(MessageReceived) if cast(MessageReceived, e).time_ms > world.now.ms
        ]
        sheet.none("shown as written in the future", len(late))
    world = skewed({"alice": 0, "bob": 0})
    conversation = Conversation(world)
    for skew in (0, DAY_MS, -DAY_MS, to_1970, 10 * DAY_MS, 0):
        set_clock(world.clients["bob"], skew)
        for _ in range(5):
            conversation.say()
            world.advance(1)
    conversation.judge(sheet, "five jumps: ")
    sheet.none("given up as too old", sum(len(client.of(NotDelivered)) for client in world.clients.values()))
    world = skewed({"alice": 0, "bob": 0})
    world.clients["bob"].disconnect()
    conversation = Conversation(world)
    conversation.say("alice")
    set_clock(world.clients["alice"], 30 * DAY_MS)
    world.advance(1800, 10)
    set_clock(world.clients["alice"], 0)
    world.clients["bob"].connect()
    world.advance(30)
    lost = len(world.clients["alice"].of(NotDelivered))
    sheet.none("a jump of 30 days and back while somebody is away: given up", lost, 1)
    sheet.none("lost without a word", conversation.missing() - lost)
    talk(world, "alice", "bob")
