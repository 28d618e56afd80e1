"""Help for the tests of many relays: switches in one process, and an engine between them that a test can break."""

from __future__ import annotations

from collections.abc import Callable

from relay_help import ROOM, Bench, Guest

from chatcore.wire import Kind
from relay.across import Subjects
from relay.cluster import Cluster
from relay.limits import Limits

Item = tuple[str, str, str, bytes]  # which call of Events, for which relay or room, who says it, data


class Hub:
    """An engine in this process.  `run` delivers what was said; `loses` decides what is lost on its way to whom."""

    def __init__(self) -> None:
        self.ways: list[Way] = []
        self.loses: Callable[[Way, Way, Item], bool] = lambda _from, _to, _item: False
        self.log: list[Item] = []

    def run(self) -> None:
        """Deliver until nobody has anything to say."""
        while True:
            for way in self.ways:
                way.bench.turn()
            if not any(way.said for way in self.ways):
                return
            for way in list(self.ways):
                said, way.said = way.said, []
                for item in said:
                    self.log.append(item)
                    for other in list(self.ways):
                        if not self.loses(way, other, item):
                            other.hear(item)


class Way:
    """The `Engine` of one relay of a hub."""

    def __init__(self, hub: Hub, bench: Bench, name: str, boot: bytes) -> None:
        self.hub, self.bench, self.name, self.boot = hub, bench, name, boot.hex()
        self.rooms: set[str] = set()
        self.said: list[Item] = []
        self.cluster: Cluster
        hub.ways.append(self)

    def hear(self, item: Item) -> None:
        what, where, name, data = item
        if what == "heart":
            self.cluster.take_heart(name, data)
        elif what == "word" and where in self.rooms:
            self.cluster.take_word(where, name, data)
        elif what == "blocks" and where.startswith(f"{self.name}.{self.boot}."):
            self.cluster.take_blocks(where.rpartition(".")[2], data)

    def subscribe_room(self, token: str) -> None:
        self.rooms.add(token)

    def unsubscribe_room(self, token: str) -> None:
        self.rooms.remove(token)

    def publish_batch(self, name: str, boot: str, token: str, blocks: bytes) -> None:
        self.said.append(("blocks", f"{name}.{boot}.{token}", self.name, blocks))

    def publish_word(self, token: str, data: bytes) -> None:
        self.said.append(("word", token, self.name, data))

    def beat(self, data: bytes) -> None:
        self.said.append(("heart", "", self.name, data))

    async def close(self) -> None:
        self.hub.ways.remove(self)


class Relays:
    """Some relays on one hub.  `clock` is what each takes for the time, in ms since 1970."""

    def __init__(self, count: int, **limits: int) -> None:
        self.hub = Hub()
        self.limits = Limits(**{"ping_after_s": 10**6, "silence_s": 10**6, **limits})  # nobody says anything here
        self.benches: list[Bench] = []
        self.clocks: list[int] = []
        for _ in range(count):
            self.start()

    def start(self, name: str = "") -> Bench:
        """Start one more."""
        at = len(self.benches)
        bench = Bench(self.limits)
        bench._count = at << 32  # else all would draw the same addresses
        boot = (at + 1).to_bytes(8)
        way = Way(self.hub, bench, name or f"relay{at}", boot)
        self.clocks.append(1_000_000)
        way.cluster = bench.switch.cluster = Cluster(
            bench.switch, way, boot, later=bench.pending.append, now_ms=lambda: self.clocks[at]
        )
        self.benches.append(bench)
        return bench

    def cluster(self, at: int) -> Cluster:
        cluster = self.benches[at].switch.cluster
        assert cluster is not None
        return cluster

    def way(self, at: int) -> Way:
        return next(way for way in self.hub.ways if way.bench is self.benches[at])

    def kill(self, at: int) -> None:
        """End one without a word."""
        self.hub.ways.remove(self.way(at))

    def join(self, at: int, room: bytes = ROOM) -> Guest:
        self.clocks[at] += 1
        guest = self.benches[at].join(room)
        self.hub.run()
        return guest

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            for way in list(self.hub.ways):
                way.bench.beat()
            self.hub.run()


class View:
    """What one client knows of its room from its frames: who is here, and to whom it must speak first."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.first: dict[bytes, bool] = {}
        self.left = 0
        self.blocks: list[tuple[bytes, int]] = []
        self._expected = 0

    def look(self) -> View:
        for frame in self.guest.take():
            match frame.kind:
                case Kind.WELCOME:
                    self._expected = frame.argument
                case Kind.PRESENT:
                    assert frame.address not in self.first, "announced twice"
                    self.first[frame.address] = self._expected > 0 or frame.argument == 1
                    self._expected = max(0, self._expected - 1)
                case Kind.LEFT:
                    del self.first[frame.address]
                    self.left += 1
                case Kind.SEND:
                    self.blocks.append((frame.address, int.from_bytes(frame.block[:4])))
                case _:
                    pass
        return self


def subjects(cluster: str = "parley") -> Subjects:
    return Subjects(cluster, "one", "01" * 8)


def agree(views: list[View]) -> None:
    """Everybody sees everybody, and of each two at least one speaks first."""
    for view in views:
        view.look()
    here = {view.guest.address for view in views}
    for view in views:
        assert view.first.keys() == here - {view.guest.address}
    for one in views:
        for two in views:
            if one is not two:
                assert one.first[two.guest.address] or two.first[one.guest.address]
