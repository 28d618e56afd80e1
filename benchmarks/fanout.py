"""One message to a room of 100 others, beside as many bare OAEP encryptions in the same run.  See benchmarks/README.md.

    python benchmarks/fanout.py [--others 100] [--rounds 40]

Contenders take turns, round after round, in one process:

* bare:  pyca/cryptography encrypts 190 bytes once for each key; key objects and padding are made before
* seal:  tag and mask one part for each link, and encrypt each, with nothing around it
* fan:   the content of a message said on each link of a room, and `Room.data_to_send`: what each copy costs from the
         content to its frame, in the room's own objects
* room:  `Room.say` and `Room.data_to_send`: all that a client does for a message, with what it keeps of each copy until
         that is acknowledged, and for whoever asks who could read it

The room is real: 100 other rooms, in a process of their own as other people are, have shaken hands with it; each of
them sees the sender alone.  After the last round they are handed its frames, and must have read every message.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402

from chatcore.clock import Moment  # noqa: E402
from chatcore.content import ContentKind  # noqa: E402
from chatcore.delivery import Message  # noqa: E402
from chatcore.engines import PLAINTEXT_SIZE  # noqa: E402
from chatcore.engines.openssl import OpenSSLEngine  # noqa: E402
from chatcore.events import MessageReceived, Presence, RosterChanged  # noqa: E402
from chatcore.invite import Invite, Mode, RelayAddress, new_invite  # noqa: E402
from chatcore.room import Room  # noqa: E402
from chatcore.seal import Body, SealKeys, fingerprint, seal_all  # noqa: E402
from chatcore.wire import ADDRESS_SIZE, Frame, FrameReader, Kind  # noqa: E402

ENGINE = OpenSSLEngine()
NOW = Moment(1000.0, 1_800_000_000_000)
TEXT = "A message of one part, as most of them are: about as long as a person writes in one go."
LIMITS = {"fan": 1.3, "room": 1.5}  # what it may cost, in bare encryptions


@dataclass
class Guest:
    """A room and its end of the wire."""

    room: Room
    address: bytes
    session: bytes
    reader: FrameReader = field(default_factory=FrameReader)

    def take(self, frame: Frame) -> None:
        """Hand a frame to the room."""
        self.room.receive_data(frame.to_bytes(), NOW)

    def sent(self) -> list[Frame]:
        """Return what the room wants to send."""
        return self.reader.receive_data(self.room.data_to_send())


def enter(invite: Invite, nick: str, address: int, identity: bytes | None = None) -> Guest:
    """Make a room with a fresh session key (and identity) and connect it."""
    me = ENGINE.private_key(identity) if identity else ENGINE.generate()
    room, session = Room(invite, me, nick, ENGINE, NOW, secrets.token_bytes), ENGINE.generate()
    room.connect(session, NOW)
    return Guest(room, address.to_bytes(ADDRESS_SIZE), session.modulus)


def be_guests(pipe: Connection, invite: Invite, sender: bytes, others: int) -> None:
    """Be everybody else, in a process of their own: hand frames on until the pipe closes; say who read what."""
    guests = {
        guest.address: guest for guest in (enter(invite, f"guest {number}", number + 2) for number in range(others))
    }
    for guest in guests.values():
        guest.take(Frame(Kind.WELCOME, 1, address=guest.address))
        guest.take(Frame(Kind.PRESENT, address=sender))
    pipe.send([(guest.address, guest.session) for guest in guests.values()])
    while (frames := pipe.recv()) is not None:
        for to, block in frames:
            guests[to].take(Frame(Kind.SEND, address=sender, block=block))
        pipe.send([(guest.address, frame.block) for guest in guests.values() for frame in guest.sent() if frame.block])
    read = [
        [event.text for event in guest.room.events_received() if isinstance(event, MessageReceived)]
        for guest in guests.values()
    ]
    pipe.send(read)


@dataclass
class Gathering:
    """A sender in this process, and the others at the end of a pipe."""

    sender: Guest
    sessions: list[bytes]  # the session keys of the others
    pipe: Connection
    sent: list[bytes] = field(default_factory=list)  # what the sender has been asked for while it was measured

    def hand_on(self, data: bytes) -> bool:
        """Give the others what the sender sent, and the sender what they answer; says whether there was anything."""
        frames = [frame for frame in self.sender.reader.receive_data(data) if frame.kind is Kind.SEND]
        self.pipe.send([(frame.address, frame.block) for frame in frames])
        answers = self.pipe.recv()
        for address, block in answers:
            self.sender.take(Frame(Kind.SEND, address=address, block=block))
        return bool(frames or answers)


def gather(others: int) -> Gathering:
    """Bring a sender and that many others together."""
    owner = ENGINE.generate()
    relay = RelayAddress("127.0.0.1", 7256)
    invite = new_invite(fingerprint(owner.modulus), Mode.OPEN, relay, "", secret=secrets.token_bytes(32))
    sender = enter(invite, "sender", 1, owner.to_der())
    pipe, theirs = Pipe()
    Process(target=be_guests, args=(theirs, invite, sender.address, others), daemon=True).start()
    sender.take(Frame(Kind.WELCOME, 0, address=sender.address))
    guests = pipe.recv()
    for address, _ in guests:
        sender.take(Frame(Kind.PRESENT, address=address))
    gathering = Gathering(sender, [session for _, session in guests], pipe)
    while gathering.hand_on(sender.room.data_to_send()):
        pass
    roster = [event for event in sender.room.events_received() if isinstance(event, RosterChanged)][-1]
    here = sum(member.presence is Presence.HERE for member in roster.members)
    if here != others:
        raise SystemExit(f"only {here} of {others} links are up")
    return gathering


def contenders(gathering: Gathering) -> dict[str, Callable[[], object]]:
    """Return what is to be measured, by name; what the room sends is kept."""
    room_of_sender, sent = gathering.sender.room, gathering.sent

    def room() -> None:
        room_of_sender.say(TEXT, NOW)
        sent.append(room_of_sender.data_to_send())

    links = [talk.link for talk in room_of_sender._courier.sending.values()]
    repeated = Message(bytes(16), NOW.ms, bytes(32), TEXT.encode()).to_bytes()
    content = bytes(8) + repeated  # number 0 was always there already: the others open it, and take no message from it

    def fan() -> None:
        for link in links:
            link.send(ContentKind.MSG, content)
        sent.append(room_of_sender.data_to_send())

    padding = OAEP(MGF1(SHA256()), SHA256(), None)
    bare_keys = [RSAPublicNumbers(65537, int.from_bytes(session)).public_key() for session in gathering.sessions]
    our_keys = [ENGINE.public_key(session) for session in gathering.sessions]
    seal_keys = [SealKeys(secrets.token_bytes(32), secrets.token_bytes(32)) for _ in gathering.sessions]
    plaintext = secrets.token_bytes(PLAINTEXT_SIZE)
    counters, bodies = [1] * len(seal_keys), [Body(2, 1, 1, TEXT.encode()).to_bytes()] * len(seal_keys)
    return {
        "bare": lambda: [key.encrypt(plaintext, padding) for key in bare_keys],
        "seal": lambda: [
            key.encrypt(sealed) for key, sealed in zip(our_keys, seal_all(seal_keys, counters, bodies), strict=True)
        ],
        "fan": fan,
        "room": room,
    }


@dataclass
class Cost:
    """What each round of a contender took, in seconds by the clock on the wall and of all processor cores."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def measure(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """Let the contenders take turns."""
    costs = {name: Cost() for name in work}
    for name in work:
        work[name]()  # key objects set up their arithmetic when first used
    for _ in range(rounds):
        for name, run in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            costs[name].cpu_s.append(time.process_time() - cpu)
            costs[name].wall_s.append(time.perf_counter() - wall)
    return costs


def check(gathering: Gathering) -> None:
    """See that everybody reads every message that was measured."""
    gathering.hand_on(b"".join(gathering.sent))
    gathering.pipe.send(None)
    wanted = [TEXT] * (len(gathering.sent) // 2)  # `fan` and `room` took turns
    wrong = [texts for texts in gathering.pipe.recv() if texts != wanted]
    if wrong:
        raise SystemExit(f"{len(wrong)} of the others didn't read the {len(wanted)} messages as they were sent")


def report(costs: dict[str, Cost], others: int) -> dict[str, float]:
    """Print a table; returns how many times the bare encryptions each contender costs, by the clock on the wall.

    Ratios are of neighbours: each round is compared with the bare encryptions of that round, then the median is taken,
    so that a machine that is busy for a while doesn't decide.
    """
    print(f"one message to {others} others: medians, and how many times the bare encryptions of the same round\n")
    print("         ms  ratio   CPU ms  ratio   us a copy")
    bare = costs["bare"]
    ratios = {}
    for name, cost in costs.items():
        wall, cpu = statistics.median(cost.wall_s), statistics.median(cost.cpu_s)
        ratios[name], cpu_ratio = times(cost.wall_s, bare.wall_s), times(cost.cpu_s, bare.cpu_s)
        copy_us = 1e6 * wall / others
        print(f"{name:5}{1e3 * wall:6.2f}{ratios[name]:7.2f}{1e3 * cpu:9.2f}{cpu_ratio:7.2f}{copy_us:12.1f}")
    return ratios


def times(these: list[float], those: list[float]) -> float:
    """Return the median of the ratios of two rows."""
    return statistics.median(this / that for this, that in zip(these, those, strict=True))


def main() -> int:
    """Read the command line, measure, print; status 1 if something costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--others", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    if not (1 <= options.others <= 255 and 1 <= options.rounds <= 400):
        parser.error("1 to 255 others, 1 to 400 rounds")  # unacknowledged messages wait behind 512 parts in flight
    gathering = gather(options.others)
    costs = measure(contenders(gathering), options.rounds)
    check(gathering)
    ratios = report(costs, options.others)
    print()
    for name, limit in LIMITS.items():
        print(f"{name} / bare = {ratios[name]:.2f}, at most {limit}")
    return 0 if all(ratios[name] <= limit for name, limit in LIMITS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
