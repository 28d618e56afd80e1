"""F13 and F14: several relays and their engine: a NATS server, the way to it, or a relay goes.

Each case is done twice: to a room of 50 bare clients over two relays, of whom two send a block to everybody 50 times a
second, for what relays lose and how long it takes; and to four programs with all that a member has, who must lose
nothing.  They dial a balancer that leads to whichever relay answers, as a name with several addresses would.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bare_crowd import Crowd
from nats_help import Cluster, Nats
from proxy import Proxy, _Half
from relay_help import Process

from chatcore.invite import RelayAddress
from relay import config as configuration
from relay import monitor
from trials.sheet import Sheet, case
from trials.stage import Stage, judge, paced, wait

PEOPLE = 50
PATIENCE_S = 300.0
DOWN_S = 5.0  # within the grace for seats at a relay that isn't heard


class Balancer(Proxy):
    """Leads each connection to the next relay that answers."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(ports[0])
        self.ports = ports
        self._turn = itertools.count()

    async def _connect(self, half: _Half) -> None:
        first = next(self._turn)
        for at in range(len(self.ports)):
            with contextlib.suppress(OSError):
                port = self.ports[(first + at) % len(self.ports)]
                await asyncio.get_running_loop().create_connection(lambda: half, "127.0.0.1", port)
                return
        if half.other is not None:
            half.other.reset()


class Pair:
    """Two relays with one key, two NATS servers, and a way between that can be cut."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.nats = Cluster(2)
        self.ways = [Proxy(port) for port in self.nats.ports]  # that of the first relay, to each server
        self.relays: list[Process] = []
        configuration.init_state(home / "relay-0")
        shutil.copytree(home / "relay-0", home / "relay-1")

    def __enter__(self) -> Pair:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.nats)
            for way in self.ways:
                stack.enter_context(way)
            for at, ports in enumerate(([way.port for way in self.ways], self.nats.ports[::-1])):
                self.relays.append(stack.enter_context(self._relay(at, ports)))
            wait(lambda: all(self.stats(at).get("other_relays") == 1 for at in (0, 1)), "the relays have met")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _relay(self, at: int, ports: list[int]) -> Process:
        state = self.home / f"relay-{at}"
        path = state / configuration.CONFIG_NAME
        servers = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        text = path.read_text().replace("[engine]\n", f'[engine]\nnats = [{servers}]\nname = "relay-{at}"\n')
        path.write_text(text.replace("# control = ", "control = "))
        return Process(state, "--config", str(path), "--port", "0", "--unlimited")

    def stats(self, at: int) -> dict[str, float]:
        """Ask a relay for its counts."""
        return monitor.ask(self.home / f"relay-{at}" / "control.sock")

    def server_of_first(self) -> Nats:
        """Return the NATS server at which the first relay is."""
        return next(
            self.nats.servers[at]
            for at, way in enumerate(self.ways)
            if any(half.transport is not None and half.other is not None for half in way.halves)
        )

    def port(self, at: int) -> Callable[[], int]:
        """Return where somebody finds this relay, or the other one when it is gone."""

        def find() -> int:
            alive = [relay.port for relay in self.relays if relay.process.poll() is None]
            return self.relays[at].port if self.relays[at].port in alive else alive[0]

        return find

    @contextlib.contextmanager
    def crowd(self) -> Iterator[Crowd]:
        """Have 50 people come, half of them to each relay."""
        with Crowd([self.port(0), self.port(1)], PEOPLE, 2) as crowd:
            wait(crowd.whole, "everybody sees everybody")
            crowd.talk(True)
            time.sleep(1)
            yield crowd

    @contextlib.contextmanager
    def members(self) -> Iterator[Stage]:
        """Have four programs come, through a balancer."""
        with Balancer([relay.port for relay in self.relays]) as balancer:
            address = RelayAddress.parse(self.relays[0].line)
            there = RelayAddress("127.0.0.1", balancer.port, address.pins)
            with Stage(self.home, ("alice", "bob", "carol", "dave"), lambda _name: there) as stage:
                yield stage.start()


def calm(crowd: Crowd) -> None:
    """Let the talkers end, and what they said arrive."""
    crowd.talk(False)
    time.sleep(1)


def fate(sheet: Sheet, crowd: Crowd) -> None:
    """Write down what became of blocks between seats that are still there."""
    sent, came, odd = crowd.fate()
    sheet.note("blocks sent", sent)
    sheet.note("lost between relays", sent - came)
    sheet.none("doubled or out of order", odd)


def nothing_lost(
    sheet: Sheet, home: Path, harm: Callable[[Pair], None], mend: Callable[[Pair], None] | None = None
) -> None:
    """Have four members talk while the same is done, and later undone if it has to be, and judge what they kept."""
    with Pair(home / "members") as pair, pair.members() as stage:
        names = list(stage.members)
        paced(stage, names, 20, 3, "before ")
        harm(pair)
        paced(stage, names, 20, 10, "after ")
        if mend is not None:
            mend(pair)
        stage.until_whole(patience_s=PATIENCE_S)
        sheet.note("members: all has come after s", stage.until_settled(PATIENCE_S))
        judge(sheet, stage)


@case("F13a", "two relays: a NATS server is killed, five times", slow=True)
def server_killed(sheet: Sheet, home: Path) -> None:
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        gaps = []
        for _ in range(5):
            server = pair.server_of_first()
            begun_s = time.monotonic()
            server.kill()
            time.sleep(3)
            gaps.append(crowd.longest_gap_s(begun_s))
            server.start()
            time.sleep(2)
        calm(crowd)
        fate(sheet, crowd)
        sheet.note("longest pause ms", statistics.median(gaps) * 1000)
        sheet.must("the longest of five ms", max(gaps) * 1000, 3000)
        sheet.none("who sees others than are there", 0 if crowd.whole() else 1)
    nothing_lost(sheet, home, lambda pair: pair.server_of_first().kill())


@case("F13b", "two relays: a NATS server is stopped and looks alive", slow=True)
def server_stopped(sheet: Sheet, home: Path) -> None:
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        begun_s = time.monotonic()
        pair.server_of_first().signal(signal.SIGSTOP)
        time.sleep(9)
        sheet.must("longest pause s", crowd.longest_gap_s(begun_s), 8)
        calm(crowd)
        fate(sheet, crowd)
        sheet.none("who sees others than are there", 0 if crowd.whole() else 1)
    nothing_lost(sheet, home, lambda pair: pair.server_of_first().signal(signal.SIGSTOP))


@case("F13c", "two relays: the way from one to both NATS servers is silent for 30 s, and heals", slow=True)
def way_silent(sheet: Sheet, home: Path) -> None:
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        left = [len(person.left) for person in crowd.people]
        begun_s = time.monotonic()
        for way in pair.ways:
            way.hold()
        noticed_s = wait(lambda: pair.stats(0).get("engine_up") == 0, "the relay notices")
        sheet.must("noticed after s", noticed_s, 6)
        wait(
            lambda: all(len(person.left) > before for person, before in zip(crowd.people, left, strict=True)), "they go"
        )
        moments = [moment for person in crowd.people for moment, _ in person.left]
        sheet.must("the others are gone after s", max(moments) - begun_s, 20, 13)
        time.sleep(max(0.0, begun_s + 30 - time.monotonic()))
        healed_s = time.monotonic()
        for way in pair.ways:
            way.go_on()
        wait(crowd.whole, "everybody sees everybody again")
        sheet.must("whole again after s", time.monotonic() - healed_s, 12)
        time.sleep(1)
        calm(crowd)
        fate(sheet, crowd)

    def cut(pair: Pair) -> None:
        for way in pair.ways:
            way.hold()
        time.sleep(20)
        for way in pair.ways:
            way.go_on()

    nothing_lost(sheet, home, cut)


@case("F13d", "two relays: a NATS server goes in order (lame duck)", slow=True)
def server_leaves(sheet: Sheet, home: Path) -> None:
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        begun_s = time.monotonic()
        server = pair.server_of_first()
        server.signal(signal.SIGUSR2)
        wait(lambda: pair.server_of_first() is not server, "the relay has gone to the other")
        sheet.must("longest pause s", crowd.longest_gap_s(begun_s), 5)
        calm(crowd)
        fate(sheet, crowd)
        sheet.none("who sees others than are there", 0 if crowd.whole() else 1)


def all_killed(pair: Pair) -> None:
    """Kill both NATS servers in one moment."""
    for server in pair.nats.servers:
        server.signal(signal.SIGKILL)


def all_started(pair: Pair) -> None:
    """Start both again, as soon as they are really gone."""
    for server in pair.nats.servers:
        server.kill()
        server.start()


@case("F13e", "two relays: both NATS servers are killed in one moment, and started again seconds later", slow=True)
def servers_killed(sheet: Sheet, home: Path) -> None:
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        seats = [person.seat for person in crowd.people]
        begun_s = time.monotonic()
        all_killed(pair)
        noticed_s = wait(lambda: not any(pair.stats(at).get("engine_up") for at in (0, 1)), "both relays notice")
        sheet.must("noticed by both after s", noticed_s, 6)
        time.sleep(max(0.0, begun_s + DOWN_S - time.monotonic()))
        all_started(pair)
        back_s = time.monotonic()
        wait(lambda: all(pair.stats(at).get("engine_up") for at in (0, 1)), "both relays are at an engine again")
        sheet.must("both at an engine again after its return, s", time.monotonic() - back_s, 5)
        time.sleep(3)
        sheet.note("longest pause between relays s", crowd.longest_gap_s(begun_s))
        sheet.must("between people at one relay s", crowd.longest_gap_s(begun_s, near=True), 1)
        calm(crowd)
        fate(sheet, crowd)
        sent, came, odd = crowd.fate(near=True)
        sheet.none("of these, between people at one relay lost or out of order", sent - came + odd, sent)
        sheet.none("told to have left", sum(moment > begun_s for one in crowd.people for moment, _ in one.left))
        sheet.none("who had to come back", sum(one.seat != seat for one, seat in zip(crowd.people, seats, strict=True)))
        sheet.none("who sees others than are there", 0 if crowd.whole() else 1)

    nothing_lost(sheet, home, all_killed, all_started)


def relay_goes(sheet: Sheet, home: Path, number: int) -> None:
    """End the first relay; its people come back by the second."""
    with Pair(home / "crowd") as pair, pair.crowd() as crowd:
        stay = crowd.people[1::2]
        ghosts = {person.seat for person in crowd.people[0::2]}
        begun_s = time.monotonic()
        pair.relays[0].process.send_signal(number)
        wait(lambda: all(person.seat and person.seat not in ghosts for person in crowd.people), "they are back")
        sheet.note("all back by the other after s", time.monotonic() - begun_s)
        wait(lambda: pair.stats(1).get("other_relays") == 0, "it is known")
        sheet.must("the relay known to be gone after s", time.monotonic() - begun_s, 8)
        sheet.none("told to have left by then", sum(address in ghosts for one in stay for _, address in one.left))
        wait(crowd.whole, "nobody sees a ghost")
        sheet.must("ghosts gone after s", time.monotonic() - begun_s, 20)
        sheet.none("ghosts", int(pair.stats(1)["far_seats"]))
        calm(crowd)
        fate(sheet, crowd)
    nothing_lost(sheet, home, lambda pair: pair.relays[0].process.send_signal(number))


@case("F14a", "two relays: one is killed", slow=True)
def relay_killed(sheet: Sheet, home: Path) -> None:
    relay_goes(sheet, home, signal.SIGKILL)


@case("F14b", "two relays: one is stopped in order", slow=True)
def relay_stopped(sheet: Sheet, home: Path) -> None:
    relay_goes(sheet, home, signal.SIGTERM)
