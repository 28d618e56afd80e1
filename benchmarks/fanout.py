"""One message to a room of 100 others, beside as many bare OAEP encryptions in the same run.  See benchmarks/README.md.

    python benchmarks/fanout.py [--others 100] [--rounds 40]

Contenders take turns, round after round, in one process:

* bare:  pyca/cryptography encrypts 190 bytes once for each key; key objects and padding are made before
* seal:  tag, mask and encrypt one part for each link, one after the other, with nothing around it
* room:  `Room.say` and `Room.data_to_send`: all that a client does for a message, from the text to the frames

The room is real: 100 other rooms have shaken hands with it over an in-memory relay that shows each of them the sender
alone.  After the last round one of them is handed its frames, and must have read every message.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402

from chatcore.clock import Moment  # noqa: E402
from chatcore.engines import PLAINTEXT_SIZE  # noqa: E402
from chatcore.engines.openssl import OpenSSLEngine  # noqa: E402
from chatcore.events import MessageReceived, Presence, RosterChanged  # noqa: E402
from chatcore.invite import Invite, Mode, RelayAddress, new_invite  # noqa: E402
from chatcore.room import Room  # noqa: E402
from chatcore.seal import Body, SealKeys, fingerprint, seal  # noqa: E402
from chatcore.wire import ADDRESS_SIZE, Frame, FrameReader, Kind  # noqa: E402

ENGINE = OpenSSLEngine()
NOW = Moment(1000.0, 1_800_000_000_000)
TEXT = "A message of one part, as most of them are: about as long as a person writes in one go."
LIMIT = 1.3  # what a room may cost, in bare encryptions


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


def gather(others: int) -> tuple[Guest, list[Guest]]:
    """Bring a sender and that many others together."""
    owner = ENGINE.generate()
    relay = RelayAddress("127.0.0.1", 7256)
    invite = new_invite(fingerprint(owner.modulus), Mode.OPEN, relay, "", secret=secrets.token_bytes(32))
    sender = enter(invite, "sender", 1, owner.to_der())
    guests = [enter(invite, f"guest {number}", number + 2) for number in range(others)]
    sender.take(Frame(Kind.WELCOME, 0, address=sender.address))
    for guest in guests:
        guest.take(Frame(Kind.WELCOME, 1, address=guest.address))
        guest.take(Frame(Kind.PRESENT, address=sender.address))
        sender.take(Frame(Kind.PRESENT, address=guest.address))
    by_address = {guest.address: guest for guest in guests}
    busy = True
    while busy:
        from_sender = [frame for frame in sender.sent() if frame.kind is Kind.SEND]
        for frame in from_sender:
            by_address[frame.address].take(Frame(Kind.SEND, address=sender.address, block=frame.block))
        to_sender = [(guest, frame) for guest in guests for frame in guest.sent() if frame.kind is Kind.SEND]
        for guest, frame in to_sender:
            sender.take(Frame(Kind.SEND, address=guest.address, block=frame.block))
        busy = bool(from_sender or to_sender)
    roster = [event for event in sender.room.events_received() if isinstance(event, RosterChanged)][-1]
    here = sum(member.presence is Presence.HERE for member in roster.members)
    if here != others:
        raise SystemExit(f"only {here} of {others} links are up")
    return sender, guests


def contenders(sender: Guest, guests: list[Guest], sent: list[bytes]) -> dict[str, Callable[[], object]]:
    """Return what is to be measured, by name; what the room sends is kept in `sent`."""

    def room() -> None:
        sender.room.say(TEXT, NOW)
        sent.append(sender.room.data_to_send())

    padding = OAEP(MGF1(SHA256()), SHA256(), None)
    bare_keys = [RSAPublicNumbers(65537, int.from_bytes(guest.session)).public_key() for guest in guests]
    our_keys = [ENGINE.public_key(guest.session) for guest in guests]
    seal_keys = [SealKeys(secrets.token_bytes(32), secrets.token_bytes(32)) for _ in guests]
    plaintext = secrets.token_bytes(PLAINTEXT_SIZE)
    body = Body(2, 1, 1, TEXT.encode()).to_bytes()
    return {
        "bare": lambda: [key.encrypt(plaintext, padding) for key in bare_keys],
        "seal": lambda: [key.encrypt(seal(keys, 1, body)) for key, keys in zip(our_keys, seal_keys, strict=True)],
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


def check(sender: Guest, guest: Guest, sent: list[bytes]) -> None:
    """See that a guest reads every message that was measured."""
    for frame in FrameReader().receive_data(b"".join(sent)):
        if frame.address == guest.address:
            guest.take(Frame(Kind.SEND, address=sender.address, block=frame.block))
    read = [event for event in guest.room.events_received() if isinstance(event, MessageReceived)]
    if len(read) != len(sent) or {event.text for event in read} != {TEXT}:
        raise SystemExit(f"a guest read {len(read)} of {len(sent)} messages")


def report(costs: dict[str, Cost], others: int) -> float:
    """Print a table; returns how many times the bare encryptions a room costs, by the clock on the wall.

    Ratios are of neighbours: each round is compared with the bare encryptions of that round, then the median is taken,
    so that a machine that is busy for a while doesn't decide.
    """
    print(f"one message to {others} others: medians, and how many times the bare encryptions of the same round\n")
    print("         ms  ratio   CPU ms  ratio   us a copy")
    bare = costs["bare"]
    wall_ratio = 1.0
    for name, cost in costs.items():
        wall, cpu = statistics.median(cost.wall_s), statistics.median(cost.cpu_s)
        wall_ratio, cpu_ratio = times(cost.wall_s, bare.wall_s), times(cost.cpu_s, bare.cpu_s)
        copy_us = 1e6 * wall / others
        print(f"{name:5}{1e3 * wall:6.2f}{wall_ratio:7.2f}{1e3 * cpu:9.2f}{cpu_ratio:7.2f}{copy_us:12.1f}")
    return wall_ratio


def times(these: list[float], those: list[float]) -> float:
    """Return the median of the ratios of two rows."""
    return statistics.median(this / that for this, that in zip(these, those, strict=True))


def main() -> int:
    """Read the command line, measure, print; status 1 if a room costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--others", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    if not (1 <= options.others <= 255 and 1 <= options.rounds <= 400):
        parser.error("1 to 255 others, 1 to 400 rounds")  # unacknowledged messages wait behind 512 parts in flight
    sender, guests = gather(options.others)
    sent: list[bytes] = []
    costs = measure(contenders(sender, guests, sent), options.rounds)
    check(sender, guests[-1], sent)
    ratio = report(costs, options.others)
    print(f"\nroom / bare = {ratio:.2f}, at most {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
