"""R1 to R8, R13, R15, R17 and R18: a relay that does as it likes to programs that trust it with nothing."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import secrets
import shutil
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import attacker
from client_help import FakeRelay, Heard, Person, pin_in, receive_all, room_on, stay, until
from world import World, fp

from chatcore.cable import Timing
from chatcore.engines import PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import CryptoError
from chatcore.events import Connection, Presence
from chatcore.invite import RelayAddress
from chatcore.seal import counter_of
from chatcore.wire import FRAME_SIZE, Frame, Kind
from trials.adversary import Adversary, Hop, faithful
from trials.sheet import Sheet, case
from trials.stage import Stage, cpu_s, judge, rss_mib, seconds_between, texts, told, wait

HELLO_COUNTERS = 2**63
JUNK_PER_S, JUNK_S = 100_000, 10


@contextlib.contextmanager
def room(home: Path, *names: str) -> Iterator[tuple[Adversary, Stage]]:
    """Have programs in a room over the adversary, which has done nothing bad yet."""
    with Adversary(home / "relay") as relay, Stage(home, names, relay.address) as stage:
        yield relay, stage.start()


def shown_twice(stage: Stage, name: str) -> int:
    got = stage[name].got()
    return len(got) - len({*got})


@case("R1", "drops one block, every tenth, all to one member", slow=True)
def drops(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob", "carol") as (relay, stage):
        alice, bob = stage["alice"], stage["bob"]
        dropped: list[bytes] = []

        def one(source: str, to: str, block: bytes) -> Iterable[Hop]:
            if (source, to) == ("alice", "bob") and not dropped:
                dropped.append(block)
                return []
            return [(source, to, block)]

        relay.script = one
        alice.say("the first is dropped")
        wait(lambda: dropped, "it was dropped")
        alice.say("the second comes")
        stage.until_settled()
        wait(lambda: bob.noticed().get("missing"), "he is told")
        told_s = next(moment for moment, seen, *_ in bob.of("noticed") if seen.get("missing"))
        later = [moment for moment, text in alice.of("said") if text != "the first is dropped" and moment <= told_s]
        sheet.must("one: told in the room after later messages", len(later), 1)
        sheet.note("and s", told_s - later[0])
        sheet.must("repaired after s", max(seconds_between(alice, bob)), 10)

        count = 0

        def tenth(source: str, to: str, block: bytes) -> Iterable[Hop]:
            nonlocal count
            count += 1
            return [] if count % 10 == 0 else [(source, to, block)]

        relay.script = tenth
        begun_s = time.monotonic()
        for name in stage.members:
            texts(stage, name, 20)
        stage.until_settled(200)
        sheet.note("every tenth of all blocks: 60 messages had arrived after s", time.monotonic() - begun_s)

        relay.script = lambda source, to, block: [] if to == "carol" else [(source, to, block)]
        said = texts(stage, "alice", 10, "kept back ")
        wait(lambda: {*said} <= {*bob.got()}, "the other has them")
        time.sleep(3)
        sheet.all("all to one: shown to the sender as not arrived", alice.owed, 10)
        sheet.none("shown to the one", len({*said} & {*stage["carol"].got()}))
        relay.script = faithful
        sheet.must("then repaired after s", stage.until_settled(), 60)
        sheet.none("gaps shown", sum(len(member.of("gap")) for member in stage.members.values()))
        told(sheet, stage, "missing")
        judge(sheet, stage)


@case("R2", "hands out every block twice, and one a thousand times", slow=True)
def doubles(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob") as (relay, stage):
        relay.script = lambda source, to, block: [(source, to, block)] * 2
        texts(stage, "alice", 50)
        stage.until_settled()
        relay.script = faithful
        used_s = cpu_s(stage["bob"].pid)
        relay.inject([("alice", "bob", relay.blocks("alice", "bob")[-1])] * 1000)
        texts(stage, "alice", 1, "after ")
        stage.until_settled()
        sheet.note("processor for each block too many, ms", cpu_s(stage["bob"].pid) - used_s)
        sheet.none("shown twice", shown_twice(stage, "bob"), 51)
        told(sheet, stage, "repeated")
        judge(sheet, stage)


@case("R3", "swaps blocks that are on their way", slow=True)
def swaps(sheet: Sheet, home: Path) -> None:
    dice = random.Random(3)
    with room(home, "alice", "bob") as (relay, stage):
        held: dict[tuple[str, str], Hop] = {}

        def swap(source: str, to: str, block: bytes) -> Iterable[Hop]:
            hop = (source, to, block)
            if (source, to) in held:
                return [hop, held.pop((source, to))]
            if dice.random() < 0.2:
                held[source, to] = hop
                return []
            return [hop]

        relay.script = swap
        begun_s = time.monotonic()
        texts(stage, "alice", 30)
        texts(stage, "bob", 30)
        stage.until_settled(250)
        sheet.note(
            "60 messages with every fifth block swapped with its next had arrived after s", time.monotonic() - begun_s
        )
        order = [int(text.split()[0]) for text in stage["bob"].got()]
        sheet.none("shown out of order", sum(a > b for a, b in itertools.pairwise(order)), len(order))
        told(sheet, stage, "late")
        judge(sheet, stage)


@case("R4", "replays everything after the reader was started again, and after its disk was put back")
def replays(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob") as (relay, stage):
        bob = stage["bob"]
        texts(stage, "alice", 20, "early ")
        stage.until_settled()
        bob.end()
        shutil.copytree(bob.directory, home / "backup")
        bob.start()
        stage.until_whole()
        texts(stage, "alice", 20, "late ")
        stage.until_settled()

        def replay(what: str) -> None:
            recorded = relay.blocks("alice", "bob")
            before = len(bob.got())
            relay.inject([("alice", "bob", block) for block in recorded])
            texts(stage, "alice", 1, what)
            stage.until_settled()
            sheet.none(f"{what}: of what was recorded, shown", len(bob.got()) - before - 1, len(recorded))

        bob.kill()
        bob.start()
        stage.until_whole()
        replay("started again")
        bob.end()
        shutil.rmtree(bob.directory)
        (home / "backup").rename(bob.directory)
        begun = len(bob.told)
        bob.start()
        stage.until_whole()
        replay("put back")
        told = [word for word, *_ in bob.told[begun:]]
        sheet.must("told of what it has lost and can't have again", told.count("gap") + told.count("alarm"), 9, 1)
        sheet.note("alarms", told.count("alarm"))


@case("R5", "hands blocks of one room into another of the same people, even under the same session keys")
def other_room(sheet: Sheet, home: Path) -> None:
    one, other = World(seed=1), World(seed=2)
    for world in (one, other):
        for name in ("alice", "bob"):
            world.client(name)
            world.advance(2)
    for number in range(50):
        one.clients["alice"].say(f"in the first room {number}")
        one.advance(0.5)
    recorded = [block for source, to, block in one.log if (source, to) == ("alice", "bob")]
    for block in recorded:
        other.inject("alice", "bob", block)
    other.advance(1)
    other.clients["alice"].say("in the second room")
    other.advance(10)
    texts = [text for _, text in other.clients["bob"].texts()]
    sheet.none("shown", len([text for text in texts if "first" in text]), len(recorded))
    sheet.all("of the room's own, shown", texts.count("in the second room"), 1)


@case("R6", "hands every block to another reader too, and in another sender's name")
def redirects(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob", "carol") as (relay, stage):
        others = {"alice": "carol", "bob": "alice", "carol": "bob"}
        wrong = 0

        def script(source: str, to: str, block: bytes) -> Iterable[Hop]:
            nonlocal wrong
            wrong += 3
            third = ({*others} - {source, to}).pop()
            return [(source, third, block), (third, to, block), (to, source, block), (source, to, block)]

        relay.script = script
        for name in stage.members:
            texts(stage, name, 30)
        stage.until_settled()
        sheet.note("blocks in the wrong hands or under the wrong name", wrong)
        told(sheet, stage, "forged")
        judge(sheet, stage)


class Impostor:
    """The relay's own key, put in the place of others': counts what is encrypted to it."""

    def __init__(self) -> None:
        self.key: PrivateKey = OpenSSLEngine().generate()
        self.hello = self.other = 0

    def read(self, block: bytes) -> None:
        """Try to decrypt a block."""
        with contextlib.suppress(CryptoError):
            counter = counter_of(self.key.decrypt(block))
            if counter >= HELLO_COUNTERS:
                self.hello += 1
            else:
                self.other += 1


@case("R7", "puts its own key in the place of each newcomer's")
def own_key(sheet: Sheet, home: Path) -> None:
    impostor = Impostor()
    with Adversary(home / "relay") as relay, Stage(home, ("alice", "bob"), relay.address) as stage:
        first: set[tuple[str, str]] = set()

        def script(source: str, to: str, block: bytes) -> Iterable[Hop]:
            if (source, to) not in first:  # the KEY
                first.add((source, to))
                return [(source, to, impostor.key.modulus)]
            impostor.read(block)
            return [(source, to, block)]

        relay.script = script
        stage["alice"].start(stage.invite_of("alice").to_text())
        wait(lambda: stage["alice"].of("connection"), "alice is there")
        stage["alice"].say("for nobody's ears")
        stage["bob"].start(stage.invite_of("bob").to_text())
        wait(lambda: impostor.hello >= 8, "two attempts", 100)
        sheet.note("blocks of the handshake to the wrong key, sealed under the room key", impostor.hello)
        sheet.none("blocks of messages to the wrong key", impostor.other)
        sheet.none("shown as here", max(member.here for member in stage.members.values()))


@case("R8", "announces members who don't exist, and speaks in their name with a key of its own")
def ghosts(sheet: Sheet, home: Path) -> None:
    impostor = Impostor()
    with Adversary(home / "relay") as relay, Stage(home, ("alice", "bob"), relay.address) as stage:
        relay.ghosts = {secrets.token_bytes(8): f"ghost {number}" for number in range(5)}

        def script(source: str, to: str, block: bytes) -> Iterable[Hop]:
            if to.startswith("ghost"):
                impostor.read(block)
                return [(to, source, impostor.key.modulus)]
            return [(source, to, block)]

        relay.script = script
        stage.start()
        late = {secrets.token_bytes(8): f"ghost {number}" for number in range(5, 10)}

        def appear() -> None:
            relay.ghosts |= late
            for seat in relay.seats.values():
                seat.give(*(Frame(Kind.PRESENT, address=address) for address in late))
                relay.hand_out([(ghost, seat.name, impostor.key.modulus) for ghost in late.values()])

        relay.call(appear)
        texts(stage, "alice", 20)
        stage.until_settled()
        rosters = [roster for member in stage.members.values() for _, roster in member.of("roster")]
        sheet.note("announced", 10)
        sheet.note("blocks of handshakes to them, sealed under the room key", impostor.hello)
        sheet.none("blocks of messages to them", impostor.other)
        sheet.none(
            "shown in a list of members", len([name for roster in rosters for name in roster if "ghost" in name])
        )
        judge(sheet, stage)


def flipped(block: bytes, at: int, bit: int) -> bytes:
    return block[:at] + bytes((block[at] ^ (1 << bit),)) + block[at + 1 :]


@case("R13", "flips a bit in each of the 256 bytes of a block, swaps halves of two, cuts and fills up", slow=True)
def tampers(sheet: Sheet, home: Path) -> None:
    dice = random.Random(13)
    with room(home, "alice", "bob") as (relay, stage):
        last = [secrets.token_bytes(256)]
        bad = 0

        def script(source: str, to: str, block: bytes) -> Iterable[Hop]:
            nonlocal bad
            if source != "alice":
                return [(source, to, block)]
            before = last.pop()
            last.append(block)
            wrong = [flipped(block, at, dice.randrange(8)) for at in range(256)]
            wrong += [block[:128] + before[128:], before[:128] + block[128:]]
            wrong += [block[:size] + bytes(256 - size) for size in (1, 128, 255)] + [bytes(256), b"\xff" * 256]
            bad += len(wrong)
            return [(source, to, one) for one in (*wrong, block)]

        relay.script = script
        texts(stage, "alice", 10)
        stage.until_settled()
        wrong = [text for text in stage["bob"].got() if not text.endswith(" of alice")]
        sheet.none("altered blocks shown", len(wrong) + len(stage["bob"].got()) - 10, bad)
        relay.script = faithful
        told(sheet, stage, "forged")
        judge(sheet, stage)


@case("R15", "lies about who is here", slow=True)
def presence(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob") as (relay, stage):
        alice = stage["alice"]
        relay.say("alice", *[Frame(Kind.PRESENT, address=secrets.token_bytes(8)) for _ in range(100)])
        texts(stage, "alice", 5)
        stage.until_settled()
        sheet.none("says that 100 have come: shown", max(len(roster) for _, roster in alice.of("roster")) - 2)
        relay.say("alice", Frame(Kind.LEFT, address=relay.address_of("bob")))
        wait(lambda: alice.here == 0, "bob seems to be away")
        alice.say("to one who is said to be away")
        wait(lambda: alice.owed == 1, "it waits")
        relay.shows = lambda viewer, seen: viewer != "alice"
        stage["bob"].kill()
        stage["bob"].start()
        stage.until_settled()
        sheet.none("says that somebody left who is here: lost", len(alice.of("undelivered")))
        for title, both, kinds in (
            (
                "to one, and taken back: apart for s",
                False,
                (Kind.LEFT, Kind.PRESENT),
            ),
            ("to both, and taken back: s", True, (Kind.LEFT, Kind.PRESENT)),
            ("to both, and not taken back: s", True, (Kind.LEFT,)),
        ):
            sheet.must(title, lie_about_leaving(*kinds, both=both), 36)
    sheet.must("hides that somebody went: noticed after s", hide_leaving(), 91)


def lie_about_leaving(*kinds: Kind, both: bool) -> float:
    """Tell one of two, or both, that the other has gone and perhaps come again; how long does that keep them apart?"""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    world.advance(5)
    for one, other in ((alice, bob), (bob, alice))[: 1 + both]:
        assert other.address is not None
        for kind in kinds:
            world.deliver(one, Frame(kind, address=other.address))
    begun_s = world.now.s
    while world.now.s < begun_s + 300 and not (
        attacker.presence(alice, fp("bob")) is attacker.presence(bob, fp("alice")) is Presence.HERE
    ):
        world.advance(1)
    return world.now.s - begun_s


def hide_leaving() -> float:
    """Take somebody away without telling; returns how long the other shows them as here."""
    world = World()
    alice = world.client("alice")
    world.client("bob")
    world.advance(5)
    del world.clients["bob"]
    world.tamper = lambda source, to, block: []
    begun_s = world.now.s
    while attacker.presence(alice, fp("bob")) is Presence.HERE and world.now.s < begun_s + 300:
        world.advance(1)
    return world.now.s - begun_s


@case("R17", "counts frames and measures them", slow=True)
def sizes(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob", "carol") as (relay, stage):
        stage.until_settled()
        time.sleep(1.5)  # acknowledgements
        counts = []
        for text in ("a", "é" * 40, "x" * 1000, "y" * 1000):
            start = len(relay.log)
            stage["alice"].say(text)
            wait(lambda text=text: text in stage["carol"].got() and text in stage["bob"].got(), "it has come")  # type: ignore[misc]
            counts.append(len([1 for _, source, _, _ in relay.log[start:] if source == "alice"]))
            time.sleep(1.5)
        stage.until_settled()
        sheet.none("bytes that make no whole frame", relay.odd_bytes)
        sheet.note("pieces that came", len(relay.sizes))
        sheet.must("bytes of the smallest", min(relay.sizes), FRAME_SIZE, FRAME_SIZE)
        sheet.must("of which all are multiples", math.gcd(*relay.sizes), FRAME_SIZE, FRAME_SIZE)
        sheet.must("copies of a short and of a shorter message differ by", abs(counts[0] - counts[1]), 0)
        sheet.must("of two long ones of one size", abs(counts[2] - counts[3]), 0)
        sheet.note("blocks to two members for 1, 40, 1000 letters", f"{counts[0]}, {counts[1]}, {counts[2]}")


@case("R18", "is older, plain, of another make", slow=True)
def downgrades(sheet: Sheet, home: Path) -> None:
    (home / "relay").mkdir()
    (home / "other").mkdir()
    pin = pin_in(home / "relay")
    leaked = met = 0

    def answers_old(heard: Heard) -> None:
        heard.recv(FRAME_SIZE)
        heard.sendall(bytes((2, Kind.REFUSED, 0, 1)) + bytes(FRAME_SIZE - 4))
        stay(heard)

    for what in ("plain", "TLS 1.2", "another key"):
        state = None if what == "plain" else home / ("other" if what == "another key" else "relay")
        relay = FakeRelay(receive_all, state)
        if what == "TLS 1.2" and relay.context is not None:
            relay.context.minimum_version = relay.context.maximum_version = ssl.TLSVersion.TLSv1_2
        with relay:
            invite = room_on(RelayAddress("127.0.0.1", relay.port, (pin,)))
            with Person("alice", invite, Timing(dial_s=2.0)) as alice:
                until(lambda: len(alice.ear.states()) > 1, "it has tried")
        met += relay.accepted
        for data in relay.got:
            if what == "plain":
                data = data if data[:1] != b"\x16" else b""  # a ClientHello is no application data
            leaked += len(data)
        sheet.none(f"{what}: bytes of ours", leaked, relay.accepted)
    with FakeRelay(answers_old, home / "relay") as relay:
        invite = room_on(RelayAddress("127.0.0.1", relay.port, (pin,)))
        with Person("alice", invite) as alice:
            reason = alice.ear.until_state(Connection.STOPPED).reason
    sheet.note("version 2", f"“{reason}”")
    sheet.must("connections to it", relay.accepted, 1)


@case("R16", "floods a client with junk blocks and with arrivals", slow=True)
def floods(sheet: Sheet, home: Path) -> None:
    with room(home, "alice", "bob") as (relay, stage):
        alice = stage["alice"]
        texts(stage, "bob", 5)
        stage.until_settled()
        ghost = secrets.token_bytes(8)
        for what, source in (("a stranger", ghost), ("a member", relay.address_of("bob"))):
            before_mib, told = rss_mib(alice.pid), len(alice.told)
            stage["bob"].say(f"beside the junk of {what}")
            offered, went = relay.pour("alice", source, JUNK_PER_S, JUNK_S)
            stage["bob"].say(f"after the junk of {what}")
            stage.until_settled()
            late = [late_s for word, _, late_s, *_ in alice.told[told:] if word == "late"]
            came = {text: moment for moment, _, text, _ in alice.of("got")}
            said = {text: moment for moment, text in stage["bob"].of("said")}
            sheet.must(f"in the name of {what}: blocks offered in 10 s", offered, offered, JUNK_PER_S * JUNK_S)
            sheet.note("of these, taken before TCP held the others back", went)
            sheet.note("memory before, MiB", before_mib)
            sheet.must("and more, at most", rss_mib(alice.pid, "VmHWM") - before_mib, 64)
            sheet.must("window late by at most ms", max(late, default=0.0) * 1000, 200)
            sheet.note(
                "a message beside it took s", came[f"beside the junk of {what}"] - said[f"beside the junk of {what}"]
            )
        before_mib = rss_mib(alice.pid)
        for _ in range(100):
            seats = [secrets.token_bytes(8) for _ in range(100)]
            relay.say("alice", *[Frame(kind, address=seat) for seat in seats for kind in (Kind.PRESENT, Kind.LEFT)])
        texts(stage, "bob", 5, "after the arrivals ")
        stage.until_settled()
        sheet.must("10,000 that come and go: more memory, MiB", rss_mib(alice.pid, "VmHWM") - before_mib, 64)
        judge(sheet, stage)
