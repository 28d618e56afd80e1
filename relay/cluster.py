"""Rooms that reach over several relays: which seats are at others, and the way of blocks to them and from them.  Pure.

Each relay says for each of its rooms which seats it has: all of them to whoever asks, then each change, and every few
seconds a digest, so that whoever missed something notices and asks again.  A seat at another relay is a `FarSeat`: in
the room it is an address like any other, with a list of frames that wait for it.  So a block's way inside this relay is
what it is without others.  docs/PROTOCOL.md, "Between relays".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from chatcore.errors import WireError
from chatcore.wire import FRAME_SIZE, Kind
from relay import across
from relay.across import BLOCK_BYTES, MAX_BLOCKS, RECORD, About, Message, digest_of
from relay.engine import Engine
from relay.intake import FRAME_WORDS, SEND_HEAD
from relay.limits import Bucket
from relay.seat import frame
from relay.share import NOTHING_FITS, FarSeat, Holding, Relay, Share, word_in

if TYPE_CHECKING:
    from relay.seat import Room, Seat
    from relay.switch import Switch

SILENT_BEATS = 3  # of no sign of life, and a relay counts as gone
GRACE_BEATS = 10  # more, until its seats are given up: who was there has time to come back by another relay
ROUND_BEATS = 4  # each room is looked after once in so many beats
ROUNDS = 3  # without a word about a room, and the seats in it are given up
MAX_RELAYS = 64
MAX_LIVES = 4  # of one name: a relay that was started again is another one, and the one before it fades
FAR_SEATS_PER_CONNECTION = 16  # and what else an engine can make a relay keep counts as seats, too
LISTS_PER_BEAT = 4  # of one room, whoever asks; then one at the next beat for all who have asked
CHANGES_AT_ONCE = 4  # in one room, times the seats that it may have; and then
CHANGES_PER_SECOND = 64  # more is put off, for each is a frame to everybody

_BATCH_BYTES = MAX_BLOCKS * BLOCK_BYTES
_DAY_MS = 86_400_000


class Cluster:
    """What a switch knows of other relays.  `now_ms` is the time since 1970; `later` as in the switch."""

    def __init__(
        self,
        switch: Switch,
        engine: Engine,
        boot: bytes,
        *,
        later: Callable[[Callable[[], None]], Any],
        now_ms: Callable[[], int],
    ) -> None:
        self.boot = boot
        self.relays: dict[tuple[str, bytes], Relay] = {}
        self.far_seats = 0
        self.blocks_out = self.blocks_in = self.refused = 0
        self._switch = switch
        self._engine = engine
        self._later = later
        self._now_ms = now_ms
        self._shares: dict[str, Share] = {}
        self._of_room: dict[bytes, Share] = {}
        self._changed: list[Share] = []
        self._owing: set[Share] = set()  # a list, at the next beat
        self._kept = 0  # seats and holdings
        self._number = 0
        self._beats = 1
        self._leaving = False

    # -- what the switch says

    def sat(self, seat: Seat, room: Room) -> None:
        """One of our seats was given."""
        share = self._of_room.get(room.room_id)
        if share is None:
            share = self._open(room)
        # Later than all that are known, whatever their relays' clocks say: who is new is to speak first.
        share.latest_ms = max(self._now_ms(), share.latest_ms + 1)
        record = RECORD.pack(share.latest_ms, seat.address)
        share.own[seat.word] = share.come[seat.word] = record
        share.digest ^= digest_of((record,))
        self._note(share)

    def rose(self, seat: Seat, room: Room) -> None:
        """One of our seats was given up; the room may be empty now."""
        share = self._of_room.get(room.room_id)
        if share is None:
            return
        record = share.own.pop(seat.word)
        share.digest ^= digest_of((record,))
        if share.come.pop(seat.word, None) is None:
            share.gone[seat.word] = record
        if room.seats:
            self._note(share)
        else:
            self._close(share)

    def carry(self, room: Room) -> None:
        """Send what waits for far seats; called when the room is flushed."""
        batches: dict[Relay, list[bytearray]] = {}
        for far in room.far.values():
            if far.out:
                data = bytearray(b"".join(far.out))
                # The head of each is the same and is made anew over there; in its place goes where it is to go.
                frames = len(data) // FRAME_SIZE
                memoryview(data).cast("Q")[::FRAME_WORDS] = memoryview(far.address * frames).cast("Q")
                far.out.clear()
                batches.setdefault(far.relay, []).append(data)
        token = self._of_room[room.room_id].token
        for relay, pieces in batches.items():
            blocks = b"".join(pieces)
            self.blocks_out += len(blocks) // BLOCK_BYTES
            for at in range(0, len(blocks), _BATCH_BYTES):
                self._engine.publish_batch(relay.name, relay.boot, token, blocks[at : at + _BATCH_BYTES])

    def beat(self) -> None:
        """Let a second pass."""
        self._beats += 1
        self._engine.beat(Message(About.BYE if self._leaving else About.HERE, self.boot).to_bytes())
        for relay in list(self.relays.values()):
            relay.silence += 1
            if relay.silence > SILENT_BEATS + GRACE_BEATS:
                self._forget(relay)
        owing, self._owing = self._owing, set()
        for share in owing:
            self._tell_list(share)
        for share in list(self._shares.values()):
            if ord(share.token[0]) % ROUND_BEATS == self._beats % ROUND_BEATS:
                self._look_after(share)

    def leave(self) -> None:
        """Tell the others that this relay goes.  What its seats do from now on isn't told any more."""
        self._leaving = True
        self._engine.beat(Message(About.BYE, self.boot).to_bytes())

    def others(self) -> int:
        """Return how many other relays are alive."""
        return sum(relay.silence <= SILENT_BEATS for relay in self.relays.values())

    # -- what we tell

    def _open(self, room: Room) -> Share:
        share = Share(room, self._beats)
        self._shares[share.token] = self._of_room[room.room_id] = share
        self._engine.subscribe_room(share.token)
        self._say(share, Message(About.ASK, self.boot, anew=True))
        return share

    def _close(self, share: Share) -> None:
        self._tell_change(share)
        self._engine.unsubscribe_room(share.token)
        for relay in list(share.holdings):
            self._drop(share, relay)
        del self._shares[share.token], self._of_room[share.room.room_id]
        self._owing.discard(share)

    def _say(self, share: Share, message: Message) -> None:
        if not self._leaving:
            self._engine.publish_word(share.token, message.to_bytes())

    def _note(self, share: Share) -> None:
        if not self._changed:
            self._later(self._tell_changes)
        self._changed.append(share)

    def _tell_changes(self) -> None:
        changed, self._changed = self._changed, []
        for share in changed:
            self._tell_change(share)

    def _tell_change(self, share: Share) -> None:
        if not share.come and not share.gone:
            return
        before, self._number = share.number, self._number + 1
        share.number = self._number
        come, gone = tuple(sorted(share.come.values())), tuple(sorted(share.gone.values()))
        share.come.clear()
        share.gone.clear()
        if len(come) + len(gone) > across.MAX_RECORDS:
            self._tell_list(share)
        else:
            self._say(share, Message(About.CHANGE, self.boot, share.number, before, gone, come))

    def _tell_list(self, share: Share) -> None:
        self._tell_change(share)
        self._say(share, Message(About.LIST, self.boot, share.number, come=tuple(sorted(share.own.values()))))

    def _look_after(self, share: Share) -> None:
        self._tell_change(share)
        self._say(share, Message(About.BEAT, self.boot, share.number, digest=share.digest))
        for relay, holding in list(share.holdings.items()):
            holding.rounds += 1
            if holding.rounds > ROUNDS:
                self._drop(share, relay)

    # -- what others tell

    def engine_is_up(self) -> None:
        """Say at once what others may have missed."""
        self._engine.beat(Message(About.BYE if self._leaving else About.HERE, self.boot).to_bytes())
        for share in self._shares.values():
            self._tell_change(share)
            self._say(share, Message(About.BEAT, self.boot, share.number, digest=share.digest))

    def take_heart(self, name: str, data: bytes) -> None:
        """Hear that a relay is alive, or goes."""
        if not data:  # a doctor, who only wants to hear it come back
            return
        message = self._parse(data, {About.HERE, About.BYE})
        if message is not None and message.boot != self.boot:
            relay = self._relay(name, message.boot)
            if relay is not None:
                relay.silence = 0 if message.about is About.HERE else max(relay.silence, SILENT_BEATS + 1)

    def take_word(self, token: str, name: str, data: bytes) -> None:
        """Hear about a room."""
        share = self._shares.get(token)
        message = self._parse(data, {About.LIST, About.CHANGE, About.BEAT, About.ASK})
        if share is None or message is None or message.boot == self.boot:
            return
        relay = self._relay(name, message.boot)
        if relay is None:
            return
        if message.about is About.ASK:
            if message.whom in (across.EVERYBODY, self.boot):
                self._answer(share, relay, message.anew)
            return
        holding = share.holdings.get(relay)
        if holding is None:
            holding = self._meet(share, relay, message)
            if holding is None:
                return
        holding.rounds = 0
        match message.about:
            case About.LIST if message.number >= holding.number:
                self._take_list(share, relay, holding, message)
            case About.CHANGE if message.before == holding.number:
                self._take_change(share, relay, holding, message)
            case About.CHANGE if message.number > holding.number:
                self._ask(share, relay, holding)
            case About.BEAT:
                agreed = (message.number, message.digest) == (holding.number, holding.digest)
                if not agreed or (holding.short and self._has_place(share.room)):
                    self._ask(share, relay, holding)

    def take_blocks(self, token: str, data: bytes) -> None:
        """Hand blocks to our seats; from nobody but far seats of this room, and to nobody but our own."""
        share = self._shares.get(token)
        blocks, rest = divmod(len(data), BLOCK_BYTES)
        if rest or not 0 < blocks <= MAX_BLOCKS:
            self.refused += 1
        elif share is not None:
            room = share.room
            words = memoryview(bytearray(data)).cast("Q")
            wheres, sources = words[::FRAME_WORDS].tolist(), words[1::FRAME_WORDS].tolist()
            words[::FRAME_WORDS] = memoryview(SEND_HEAD * blocks).cast("Q")
            frames = words.cast("B")
            for at, (where, source) in enumerate(zip(wheres, sources, strict=True)):
                seat = room.seats.get(where)
                if seat is not None and source in room.far:
                    seat.out.append(bytes(frames[at * FRAME_SIZE : (at + 1) * FRAME_SIZE]))
                    self.blocks_in += 1
            self._switch.mark(room)

    def _parse(self, data: bytes, kinds: set[About]) -> Message | None:
        try:
            message = across.parse(data)
            if message.about in kinds:
                return message
        except WireError:
            pass
        self.refused += 1
        return None

    def _relay(self, name: str, boot: bytes) -> Relay | None:
        """Return a relay, known or new; None when there is no place for it.  An earlier life of it makes room."""
        relay = self.relays.get((name, boot))
        if relay is None:
            lives = [other for other in self.relays.values() if other.name == name]
            if len(lives) >= MAX_LIVES:
                self._forget(max(lives, key=lambda other: other.silence))
            if len(self.relays) >= MAX_RELAYS:
                self.refused += 1
                return None
            relay = self.relays[name, boot] = Relay(name, boot)
        return relay

    def _forget(self, relay: Relay) -> None:
        del self.relays[relay.name, bytes.fromhex(relay.boot)]
        for share in list(relay.holdings):
            self._drop(share, relay)

    def _answer(self, share: Share, relay: Relay, anew: bool) -> None:
        if anew:  # their seats have lost sight of ours, so ours must lose sight of theirs: both begin again
            self._drop(share, relay)
            holding = self._hold(share, relay)
            if holding is not None:
                self._expect_list(holding)
        self._owe_list(share)

    def _owe_list(self, share: Share) -> None:
        if share.listed != self._beats:
            share.listed, share.lists = self._beats, 0
        share.lists += 1
        if share.lists > LISTS_PER_BEAT:
            self._owing.add(share)
        else:
            self._tell_list(share)

    def _hold(self, share: Share, relay: Relay) -> Holding | None:
        """Remember that a relay has seats in a room; None when there is no place for that."""
        if self._is_full():
            self.refused += 1
            return None
        self._kept += 1
        holding = relay.holdings[share] = share.holdings[relay] = Holding()
        return holding

    def _meet(self, share: Share, relay: Relay, message: Message) -> Holding | None:
        """Hear of a relay's seats in a room for the first time, or the first time since they were given up."""
        holding = self._hold(share, relay)
        opened = message.about is About.CHANGE and message.before == 0  # just now, and then it has asked us itself
        asked = self._beats - share.opened <= 1  # have we, when we opened the room
        if holding is not None:
            if asked:
                self._expect_list(holding)
            elif not opened:
                self._ask(share, relay, holding)
        return holding

    def _expect_list(self, holding: Holding) -> None:
        holding.asked = self._beats + 1

    def _ask(self, share: Share, relay: Relay, holding: Holding) -> None:
        """Ask for a list, unless one is on its way; if nothing was heard yet, anew: then ours is needed, too."""
        if self._beats > holding.asked:
            self._expect_list(holding)
            boot = bytes.fromhex(relay.boot)
            self._say(share, Message(About.ASK, self.boot, whom=boot, anew=not holding.heard))
            if not holding.heard:
                self._owe_list(share)

    # -- far seats

    def _take_list(self, share: Share, relay: Relay, holding: Holding, message: Message) -> None:
        listed = {word_in(record) for record in message.come}
        gone = [far.record for word, far in holding.seats.items() if word not in listed]
        come = [record for record in message.come if word_in(record) not in holding.seats]
        if self._may_change(share, holding, len(gone) + len(come)):
            holding.number, holding.digest = message.number, digest_of(message.come)
            holding.short, holding.heard = False, True
            self._apply(share, relay, holding, gone, come)

    def _take_change(self, share: Share, relay: Relay, holding: Holding, message: Message) -> None:
        if self._may_change(share, holding, len(message.gone) + len(message.come)):
            holding.number, holding.heard = message.number, True
            holding.digest ^= digest_of(message.gone) ^ digest_of(message.come)
            self._apply(share, relay, holding, message.gone, message.come)

    def _may_change(self, share: Share, holding: Holding, changes: int) -> bool:
        """Ration what is told to everybody: an engine full of comings and goings must not flood our seats."""
        now_s = float(self._beats)
        if share.bucket is None:
            share.bucket = Bucket(CHANGES_PER_SECOND, CHANGES_AT_ONCE * self._switch.limits.max_seats_per_room, now_s)
        if changes and share.bucket.take(0, now_s) > 0:
            holding.number = NOTHING_FITS  # the next beat about this room will have us ask again
            self.refused += 1
            return False
        share.bucket.take(changes, now_s)
        return True

    def _apply(
        self, share: Share, relay: Relay, holding: Holding, gone: Iterable[bytes], come: Iterable[bytes]
    ) -> None:
        room = share.room
        for record in gone:
            far = holding.seats.pop(word_in(record), None)
            if far is not None:
                self._remove(room, far)
        for record in come:
            word = word_in(record)
            if word in room:  # ours, or another relay's: who was there first stays
                self.refused += word not in holding.seats
            elif self._has_place(room):
                far = holding.seats[word] = room.far[word] = FarSeat(record, relay)
                room[word] = far.out
                self._kept += 1
                self.far_seats += 1
                since_ms, _ = RECORD.unpack(record)
                if since_ms < self._now_ms() + _DAY_MS:  # else it is no clock that is a little fast
                    share.latest_ms = max(share.latest_ms, since_ms)
                self._announce(share, far)
            else:
                holding.short = True

    def _announce(self, share: Share, far: FarSeat) -> None:
        """Tell our seats of a far one.  Of each two it is for the one who came later to speak first."""
        wait, speak = (frame(Kind.PRESENT, first, 0, far.address) for first in (0, 1))
        for word, seat in share.room.seats.items():
            seat.out.append(speak if share.own[word] > far.record else wait)
        self._switch.mark(share.room)

    def _remove(self, room: Room, far: FarSeat) -> None:
        del room[far.word], room.far[far.word]
        self._kept -= 1
        self.far_seats -= 1
        if room.seats:
            self._switch.tell(room, frame(Kind.LEFT, 0, 0, far.address))
            self._switch.mark(room)

    def _drop(self, share: Share, relay: Relay) -> None:
        """Give up the seats that a relay has in a room."""
        holding = share.holdings.pop(relay, None)
        if holding is not None:
            del relay.holdings[share]
            self._kept -= 1
            for far in holding.seats.values():
                self._remove(share.room, far)

    def _has_place(self, room: Room) -> bool:
        return len(room) < self._switch.limits.max_seats_per_room and not self._is_full()

    def _is_full(self) -> bool:
        return self._kept >= self._switch.limits.max_connections * FAR_SEATS_PER_CONNECTION
