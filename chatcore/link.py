"""One link: the encrypted relation of two session keys, from their exchange to the last block.  Pure.

Knows one pair and nothing of rooms, members or messages: whom to answer, and what goes into a READY, is told to it.
docs/PROTOCOL.md, "Handshake" and "Counters".  Who speaks first only decides who waits.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from chatcore.clock import Moment
from chatcore.content import Assembly, Content, ContentKind
from chatcore.engines import PublicKey
from chatcore.errors import CryptoError, StateError
from chatcore.events import Oddity
from chatcore.hello import HELLO_COUNTER, Greeting, Hellos, Self, hello_keys, link_keys, make_hello
from chatcore.rhythm import Backlog
from chatcore.seal import MAX_PARTS, SealKeys, counter_of, open_sealed, parse_body, split

COUNTER_LIMIT = 2**32  # a direction that gets here ends its link; nobody talks so much in one connection
LAST_COUNTER = COUNTER_LIMIT - MAX_PARTS
WORN_COUNTER = COUNTER_LIMIT - 2**24  # from here on a new link is wanted: half an hour at full speed is left

HELLO_REPEATS_S = (2.0, 4.0, 8.0, 16.0, 32.0)  # HELLO and READY go out again, until the other is seen to be up
ATTEMPT_S = 60.0  # an attempt that isn't up by then is erased
KNOCK_S = 15 * 60.0  # a verified HELLO that nobody may answer yet is kept so long
SILENCE_S = 90.0  # an up link that is silent for so long has ended
MAX_EARLY_BLOCKS = 48  # blocks looked at for one attempt before it is up
MAX_LEFT_OUT = 64  # counters remembered that didn't come, to tell what is late from what comes twice

# A part that was said: on which link, its keys, its counter, its body of 166 bytes, and the list that wants the block
# made of it.  A plain tuple, for one is made for each copy of a message.
Part = tuple["Link", SealKeys, int, bytes, list[bytes]]


class State(Enum):
    """Where a link stands."""

    KEYED = "keyed"  # both session keys are known; the other's HELLO isn't
    GREETED = "greeted"  # the other's HELLO is verified and not answered
    SHAKING = "shaking"  # own HELLO and READY are sent; the other's READY isn't open yet
    UP = "up"
    ENDED = "ended"


_UP = State.UP  # to look a member of an enum up costs a third of sealing: not for each copy of a message


class Step(Enum):
    """What can happen to a link."""

    HELLO = "hello"  # a HELLO of the other verified
    ANSWER = "answer"  # own HELLO and READY went out
    READY = "ready"  # the other's READY opened
    END = "end"


# Every lawful step; a missing entry is the error.  A newer HELLO while shaking, or on an up link that is provisional,
# is a newer attempt of the other side: it is answered anew, with the same HELLO of one's own.
TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.KEYED, Step.HELLO): State.GREETED,
    (State.GREETED, Step.HELLO): State.GREETED,
    (State.SHAKING, Step.HELLO): State.GREETED,
    (State.UP, Step.HELLO): State.GREETED,
    (State.GREETED, Step.ANSWER): State.SHAKING,
    (State.SHAKING, Step.READY): State.UP,
    (State.KEYED, Step.END): State.ENDED,
    (State.GREETED, Step.END): State.ENDED,
    (State.SHAKING, Step.END): State.ENDED,
    (State.UP, Step.END): State.ENDED,
}


class Link:
    """One attempt to come together with the session key at one address, and the link that comes of it.

    What is said gathers in `said`.  It is sealed and encrypted when somebody collects it, not when it is said: a whole
    fan-out in tight loops.  `receive` takes a block; what it returns is either the Greeting of a HELLO, to which the
    owner of the link says `answer` or nothing, or Content.  The first Content is always a READY.
    """

    def __init__(
        self,
        me: Self,
        other: PublicKey,
        now: Moment,
        *,
        first: bool,
        route: bytes = b"",
        said: list[Part] | None = None,
        beaten: list[Part] | None = None,
    ) -> None:
        """`other` is the session key at the other end; `first` says that our KEY went out before theirs came.

        `said` is where the parts gather that are said here, and on other links too; who collects them finds in `route`
        where their blocks go.  `beaten` is the same for what goes out on the next beat of steady mode.
        """
        self.me, self.other, self.first, self.route = me, other, first, route
        self.said: list[Part] = [] if said is None else said
        self.beaten: list[Part] = [] if beaten is None else beaten
        self.backlog: Backlog | None = None  # in steady mode: what is said waits here for its beats
        self.state = State.KEYED
        self.provisional = True  # one end isn't a member: statements only, and a newer HELLO may replace it
        self.greeting: Greeting | None = None
        self.carried: bytes | None = None  # an ADMIT to go with our HELLO
        self.odd: list[tuple[Oddity, int]] = []  # what an honest relay doesn't do; for the owner of the link to take
        self._left_out: deque[int] = deque(maxlen=MAX_LEFT_OUT)  # counters that didn't come in their turn
        self.heard_s = now.s
        self.up_s = 0.0
        self._started_s = now.s
        self._early = 0
        self._hello_keys = hello_keys(me.room_key, me.session.modulus, other.modulus)
        self._own_hello = b""
        self._hellos = Hellos(me, other.modulus)
        self._keys_out: SealKeys | None = None
        self._keys_in: SealKeys | None = None
        self._next_out = self._next_in = 0
        self._ready = b""
        self._assembly = Assembly()
        self._repeat_from_s = now.s
        self._repeats = 0
        self.confirmed = False  # the other has sent a block that only an up link sends

    def _step(self, step: Step) -> None:
        try:
            self.state = TRANSITIONS[self.state, step]
        except KeyError:
            raise StateError(f"{step.value} is illegal while a link is {self.state.value}") from None

    # -- sending

    def _say(self, keys: SealKeys, counter: int, body: bytes) -> None:
        self.said.append((self, keys, counter, body, []))

    def greet(self, now: Moment) -> None:
        """Send our HELLO (the same for the whole attempt), and the ADMIT it carries, if any."""
        if self.state is State.ENDED:
            raise StateError("the link has ended")
        if not self._own_hello:
            self._own_hello = make_hello(self.me, self.other.modulus)
            self._repeat_from_s, self._repeats = now.s, 0
        bodies = split(ContentKind.HELLO, self._own_hello)
        bodies += split(ContentKind.STMT, self.carried) if self.carried else []
        for index, body in enumerate(bodies):
            self._say(self._hello_keys, HELLO_COUNTER + index, body)

    def answer(self, ready: bytes, now: Moment) -> None:
        """Send our HELLO, unless it is on its way, and our READY (88 bytes), to a HELLO that was verified."""
        self._step(Step.ANSWER)
        if not self._own_hello or self._hellos.are_many:
            self.greet(now)
        ends = {self.me.session.modulus: self._own_hello, self.other.modulus: self._hellos.newest}
        keys = link_keys(self.me.room_key, self.me.room_id, ends)
        self._keys_out, self._keys_in = keys[self.me.session.modulus], keys[self.other.modulus]
        self._left_out.clear()
        self._next_out = self._next_in = 0
        self.confirmed = False
        self._repeat_from_s, self._repeats = now.s, 0
        self._ready = ready
        self._send_ready()
        self._next_out = 1

    def _send_ready(self) -> None:
        assert self._keys_out is not None
        (body,) = split(ContentKind.READY, self._ready)
        self._say(self._keys_out, 0, body)

    def send(self, kind: ContentKind, content: bytes) -> list[bytes]:
        """Say content of up to 41,310 bytes on an up link; its blocks come into the list returned when they are sent.

        Raises StateError when the link isn't up, or is used up.
        """
        keys, counter = self._keys_out, self._next_out
        if self.state is not _UP or keys is None:
            raise StateError("the link isn't up")
        if counter >= LAST_COUNTER:
            raise StateError("the link is used up")
        if self.backlog is not None:
            return self.backlog.put(kind, content, message=kind is ContentKind.MSG)
        blocks: list[bytes] = []
        for body in split(kind, content):
            self.said.append((self, keys, counter, body, blocks))
            counter += 1
        self._next_out = counter
        return blocks

    def keep_time(self) -> None:
        """From now on say one part on each beat."""
        if self.backlog is None and self.state is _UP:
            self.backlog = Backlog(ContentKind.DUMMY, (ContentKind.ACK, ContentKind.READY))

    def beat(self) -> None:
        """Say a part of what waits, or a dummy."""
        if self.backlog is not None and self._keys_out is not None and self._next_out < LAST_COUNTER:
            body, blocks = self.backlog.take()
            self.beaten.append((self, self._keys_out, self._next_out, body, blocks))
            self._next_out += 1

    def flow(self) -> None:
        """Say at once what waits, and from now on what is said."""
        backlog, self.backlog = self.backlog, None
        if backlog is not None and self._keys_out is not None:
            for body, blocks in backlog.take_all():
                self.said.append((self, self._keys_out, self._next_out, body, blocks))
                self._next_out += 1

    @property
    def behind(self) -> bool:
        """Whether what was said hasn't even gone out, or what could answer it can't have come yet."""
        waits = self.backlog is not None and (self.backlog.parts > 0 or self._assembly.unfinished)
        return waits or bool(self.said)

    @property
    def worn(self) -> bool:
        """Whether so much was sent that another link should take the place of this one."""
        return self._next_out >= WORN_COUNTER

    # -- receiving

    @property
    def opened(self) -> int:
        """Grows with each block that opens in its turn, once both have said READY."""
        return self._next_in

    @property
    def tired(self) -> bool:
        """Whether so many blocks came to nothing that no more are looked at in this attempt."""
        return self._early >= MAX_EARLY_BLOCKS

    def receive(self, block: bytes, now: Moment) -> Greeting | Content | None:
        """Take a block from the other's address.

        Returns None for what is merely not news (a repeat, a part of something).  Raises CryptoError or WireError for
        everything that isn't from the other end, in order and in form: one path, nothing is sent.
        """
        if self.state is not State.UP:
            if self.tired:
                raise CryptoError
            self._early += 1
        sealed = self.me.session.decrypt(block)
        counter = counter_of(sealed)
        if counter >= HELLO_COUNTER:
            return self._receive_hello_part(counter - HELLO_COUNTER, sealed, now)
        return self._receive_part(counter, sealed, block, now)

    def _receive_hello_part(self, index: int, sealed: bytes, now: Moment) -> Greeting | Content | None:
        if self.state is State.UP and self.confirmed and not self.provisional:
            return None
        news = self._hellos.take(index, sealed)
        if isinstance(news, Greeting):
            self._step(Step.HELLO)
            self.greeting = news
            self._keys_in = self._keys_out = None
            self._started_s = self.heard_s = now.s
            self._early = 0
        return news

    def _receive_part(self, counter: int, sealed: bytes, block: bytes, now: Moment) -> Content | None:
        if self._keys_in is None or counter >= COUNTER_LIMIT:  # nobody gets there who goes on from what they said
            raise CryptoError
        if counter < self._next_in:
            self._note_old(counter)
            return None  # a repeat, or a replay: old news either way
        body = parse_body(open_sealed(self._keys_in, sealed))
        if self.state is not State.UP and (counter != 0 or body.kind != ContentKind.READY or body.parts != 1):
            return None  # before the READY nothing counts; its sender will say it again
        if counter > self._next_in:
            self._assembly.discard()
            self.odd.append((Oddity.MISSING, counter - self._next_in))
            self._left_out.extend(range(max(self._next_in, counter - MAX_LEFT_OUT), counter))
        self._next_in = counter + 1
        self.heard_s = now.s
        if self.state is State.SHAKING:
            self._step(Step.READY)
            self.up_s = now.s
            return Content(ContentKind.READY, body.content, (block,))
        self.confirmed = True
        return self._assembly.add(body, block)

    def _note_old(self, counter: int) -> None:
        if counter in self._left_out:
            self._left_out.remove(counter)
            self.odd.append((Oddity.LATE, 1))
        elif counter:  # the READY is repeated by whoever isn't sure that it came
            self.odd.append((Oddity.REPEATED, 1))

    # -- time

    def _deadline_s(self) -> float:
        if self.state is State.UP:
            return self.heard_s + SILENCE_S
        if self.state is State.GREETED:
            return self._started_s + KNOCK_S
        return self._started_s + ATTEMPT_S

    def _repeat_s(self) -> float | None:
        waiting = self._own_hello and not self.confirmed and self.state in (State.KEYED, State.SHAKING, State.UP)
        if not waiting or self._repeats >= len(HELLO_REPEATS_S):
            return None
        return self._repeat_from_s + HELLO_REPEATS_S[self._repeats]

    def next_tick(self) -> float:
        """Return when `tick` has something to do, in monotonic seconds."""
        repeat = self._repeat_s()
        return self._deadline_s() if repeat is None else min(repeat, self._deadline_s())

    def tick(self, now: Moment, *, more_waits: bool = False) -> None:
        """Repeat what may have been lost; end what has come to nothing.

        `more_waits`: bytes have come that weren't looked at yet.  What would end the repeats may be among them, or wait
        at the other end, so only the last is said regardless: else whoever is behind would make everybody's work more.
        """
        if now.s >= self._deadline_s():
            self.end()
            return
        repeat = self._repeat_s()
        if repeat is not None and now.s >= repeat:
            self._repeats += 1
            if more_waits and self._repeats < len(HELLO_REPEATS_S):
                return
            self.greet(now)
            if self._keys_out is not None:
                self._send_ready()

    def end(self) -> None:
        """Erase what the link knew.  A later attempt draws a new nonce: that is what defeats a replay."""
        if self.state is not State.ENDED:
            self._step(Step.END)
        self._own_hello = self._ready = b""
        self._keys_in = self._keys_out = None
        for parts in (self.said, self.beaten):
            parts[:] = [part for part in parts if part[0] is not self]
        self.backlog = None
        self._hellos.erase()
        self._assembly.discard()
