"""What a room tells its shell, as frozen data.  No secrets in any of them but the text of messages.

The shells hand these on unchanged; a window handles them with `match` and `typing.assert_never`.  Times are
milliseconds since 1970, UTC.  An `fp` is the 32-byte fingerprint of an identity key; a `mid` the 16-byte
id of a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from chatcore.invite import RelayAddress


class Presence(Enum):
    """Where a member is, as far as this client can tell."""

    SELF = "self"
    HERE = "here"  # a link is up
    ARRIVING = "arriving"  # has a seat; the link isn't up yet
    AWAY = "away"  # no link; what is written now waits for them


class Connection(Enum):
    """How this client stands to its relay."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"  # lost, and trying again by itself
    STOPPED = "stopped"  # won't try again: the reason says why (wrong pin, another version, closed)


@dataclass(frozen=True, slots=True)
class Member:
    """One line of the roster.  `since_ms` is when the presence last changed."""

    fp: bytes
    nick: str
    presence: Presence
    is_owner: bool = False
    since_ms: int = 0


# -- the connection (from the shell) ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """`reason` is one sentence for a person, empty when all is well; `retry_s` seconds until the next try, or 0."""

    state: Connection
    reason: str = ""
    retry_s: float = 0.0


# -- who is here ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """The whole roster, self first, then by nick.  Sent whenever any of it changes."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class StatementsChanged:
    """Other statements are held than before: who belongs, or what the owner has set.  They are to be kept now."""


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """Somebody became a member (their JOIN, and in an `ask` room the ADMIT, are now known)."""

    fp: bytes
    nick: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """Somebody left the room for good (LEAVE)."""

    fp: bytes
    nick: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A member came (HERE) or went away (AWAY)."""

    fp: bytes
    nick: str
    presence: Presence
    at_ms: int


@dataclass(frozen=True, slots=True)
class SteadyChanged:
    """The owner has set a rhythm: one block to each member every `period_s` seconds.  0: whenever there is something.

    Told when it changes, and at the beginning if there is one.
    """

    period_s: int


@dataclass(frozen=True, slots=True)
class RoomMoved:
    """The owner has said that the room is on this relay from now on; `before` is where it was.

    Told when that is heard, and at the beginning if it was heard at an `earlier` visit.
    """

    relay: RelayAddress
    before: RelayAddress
    earlier: bool = False


# -- the door of an `ask` room ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Knocked:
    """Somebody with the invite asks to come in, and this client may let them in."""

    fp: bytes
    nick: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class KnockEnded:
    """The knocker was let in, turned away, or went."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """This client is the one who knocks.

    `keeper` is the nick of the owner, `keeper_fp` the fingerprint; the nick is empty until the owner has been heard.
    """

    keeper: str
    keeper_fp: bytes
    keeper_here: bool


@dataclass(frozen=True, slots=True)
class LetIn:
    """This client is a member now; it may talk."""

    by: bytes  # fp of who signed the ADMIT; one's own in an open room or one's own room


# -- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quote:
    """What a reply answers: the message's id, whose it is, and when it came to the one who answers (by their clock)."""

    mid: bytes
    author: bytes
    came_ms: int


@dataclass(frozen=True, slots=True)
class MessageSent:
    """One's own message: the core has taken it, for `readers` (fps, without oneself), frozen at this time.

    `answers` is what it quotes; `away` are those of the readers who weren't here then.
    """

    mid: bytes
    text: str = field(repr=False)
    time_ms: int
    readers: tuple[bytes, ...]
    answers: Quote | None = None
    away: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class NotSaid:
    """One's own text was not taken: these belong to the room and weren't on the list that its writer saw."""

    text: str = field(repr=False)
    others: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class GoesOut:
    """In steady mode: the last part of one's own message goes out to all who are here in about `in_s` seconds."""

    mid: bytes
    in_s: float


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Somebody's message, authentic, once, in that sender's order.

    `readers` are the fps it was sealed for, with the sender and oneself, or None when the sender's list isn't one that
    this client has seen (their list differs from ours).
    """

    mid: bytes
    sender: bytes
    nick: str
    text: str = field(repr=False)
    time_ms: int
    received_ms: int
    readers: tuple[bytes, ...] | None
    answers: Quote | None = None


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """`sender` answers, with the message `mid`, something of `author` that should be here and isn't.

    Either `author` wrote something else to `sender` than to this client, or it never came here, or `sender` made it up.
    `away`: the author isn't here, so it may well come yet; it is told again if it doesn't.
    """

    mid: bytes
    sender: bytes
    nick: str
    author: bytes
    at_ms: int
    away: bool = False


People = tuple[tuple[bytes, str], ...]
"""Fingerprints and nicks; the nicks of those whom this client doesn't know are those that another one told."""


@dataclass(frozen=True, slots=True)
class ReadersLearned:
    """Whom these messages of `sender`, told with `readers` None, were sealed for; still None if `sender` doesn't say.

    `theirs` are those on that list whom this client has no reason to find there, `ours` those it misses there.
    """

    mids: tuple[bytes, ...]
    sender: bytes
    readers: tuple[bytes, ...] | None
    theirs: People = ()
    ours: People = ()


@dataclass(frozen=True, slots=True)
class ListsDiffer:
    """The member `fp` goes on having another list of people: with `theirs`, without `ours`; both empty: doesn't say."""

    fp: bytes
    theirs: People
    ours: People


@dataclass(frozen=True, slots=True)
class ListsAgree:
    """The member `fp` has the same list again."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """`by` has acknowledged these of one's own messages."""

    mids: tuple[bytes, ...]
    by: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """These of one's own messages will never reach `to`: too old, or too many waiting; or `to` has `left` the room.

    `earlier`: that was so in an earlier run already.
    """

    mids: tuple[bytes, ...]
    to: bytes
    earlier: bool = False
    left: bool = False


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The answer to taking back one's own message: it never goes to `spared`; to its other readers it may have gone.

    `earlier`: that was so in an earlier run already.
    """

    mid: bytes
    spared: tuple[bytes, ...]
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """`count` messages from `sender` can't be had any more.

    `before_visit` is True when this client remembers nothing of that sender: they belong to an earlier visit.
    """

    sender: bytes
    nick: str
    count: int
    before_visit: bool


@dataclass(frozen=True, slots=True)
class Damaged:
    """What this client had kept of the room was damaged: `lines` lines of it are lost, and perhaps how far others were.

    Told once, after the lines that are left.
    """

    lines: int


# -- what must not go unnoticed ---------------------------------------------------------------------------------------


class AlarmKind(Enum):
    """What was seen."""

    OWN_IDENTITY_ELSEWHERE = "own identity elsewhere"  # somebody speaks with this client's identity key
    ACKNOWLEDGED_ELSEWHERE = "acknowledged elsewhere"  # a peer was told of messages that this client never had


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that can't happen unless somebody cheats or an identity was copied."""

    kind: AlarmKind
    fp: bytes
    nick: str


class Oddity(Enum):
    """What was seen on links that are up, and an honest relay doesn't do."""

    MISSING = "missing"  # blocks were left out
    LATE = "late"  # a block came after one that was sent later
    REPEATED = "repeated"  # a block came a second time
    FORGED = "forged"  # a block opens to nothing: altered, made up, or meant for somebody else
    HELD = "held"  # somebody is heard, and yet doesn't get what is sent
    SILENT = "silent"  # nothing came any more from somebody who the relay says is there
    HIDDEN = "hidden"  # a block came from a seat that the relay hadn't announced


@dataclass(frozen=True, slots=True)
class Noticed:
    """What was odd between two times, on the way from and to `by` (fps); told again whenever there is more to say.

    `mended`: nothing is missing any more.  `over`: it has been calm since, and what comes next is another matter; if it
    isn't mended then, there is no link any more with those of whom something is missing.
    """

    seen: tuple[tuple[Oddity, int], ...]
    by: tuple[bytes, ...]
    from_ms: int
    to_ms: int
    mended: bool
    over: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of one connection, of one peer, or in all.

    `resent` messages went out more than once, `mended` of them have arrived; the times from sending to acknowledgement
    are in milliseconds, 0 when there are none.  `ended_ms` is 0 while it lasts.
    """

    fp: bytes
    nick: str
    begun_ms: int
    ended_ms: int
    odd: tuple[tuple[Oddity, int], ...]
    resent: int
    mended: int
    answer_ms: int
    slowest_answer_ms: int

    def of(self, what: Oddity) -> int:
        """Return how often something was seen."""
        return dict(self.odd).get(what, 0)


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What this relay did since `since_ms`: the newest connections, and each peer.  Numbers and times, no content.

    `times` are (when, milliseconds) of the newest round trips to the relay; the last two their median and the worst.
    """

    since_ms: int
    at_ms: int
    total: Counted
    visits: tuple[Counted, ...]
    peers: tuple[Counted, ...]
    reconnects: int
    longest_break_ms: int
    times: tuple[tuple[int, int], ...]
    round_trip_ms: int
    slowest_ms: int


@dataclass(frozen=True, slots=True)
class SealedBlocks:
    """The answer to "show the sealed blocks": for each reader the 256-byte blocks as they went over the wire.

    For one's own message: one entry for each reader it was sent to so far.  For a received one: the blocks that came to
    this client, under its own fp.  Empty when they are no longer kept (the newest are, within a bound).
    """

    mid: bytes
    blocks: tuple[tuple[bytes, tuple[bytes, ...]], ...] = field(repr=False)


RoomEvent = (
    ConnectionChanged
    | RosterChanged
    | StatementsChanged
    | MemberJoined
    | MemberLeft
    | PresenceChanged
    | SteadyChanged
    | RoomMoved
    | Knocked
    | KnockEnded
    | Waiting
    | LetIn
    | MessageSent
    | NotSaid
    | GoesOut
    | MessageReceived
    | ReadersLearned
    | ListsDiffer
    | ListsAgree
    | OtherVersion
    | MessageArrived
    | NotDelivered
    | TakenBack
    | Gap
    | Damaged
    | Alarm
    | Noticed
    | ConnectionReport
    | SealedBlocks
)
