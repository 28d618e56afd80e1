"""What the pages can be told to show, as frozen data.  No toolkit; nothing is worked out here.

Names, titles and sentences are safe to show as they are (the controller has been at them); the text of a message,
`MessageItem.text` and `Quote.text`, is as it was sent: who shows it passes it through `safetext.safe_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from chatcore.events import Presence
from gui.events import ViewEvent


class Tone(Enum):
    """The weight of a sentence; each is shown by an icon and a colour, never by colour alone."""

    PLAIN = "plain"
    GOOD = "good"  # a tick, green
    WARN = "warn"  # a triangle, amber
    BAD = "bad"  # a triangle, red
    ACCENT = "accent"  # something to do


class Tick(Enum):
    """How far one's own message has come."""

    WAITING = "waiting"  # a clock: it has arrived nowhere yet
    SOME = "some"  # one tick, grey: some have it
    ALL = "all"  # two ticks, green: everybody has it
    FAILED = "failed"  # a triangle: somebody will never get it, and nobody else is outstanding
    TAKEN_BACK = "taken back"  # a cross: it was taken back before it went to everybody


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the people column.  `detail` is the second line: "You", "Here", "Away since 11:20" ..."""

    fp: bytes
    name: str
    presence: Presence
    detail: str
    is_self: bool = False
    is_owner: bool = False
    compared: bool = False  # words were compared with them
    other_key: bool = False  # a known name with another key


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one's own message, under it: "Not delivered to Tom", "Taken back"."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Quoted:
    """A message that another one answers.  With `here` False the window doesn't show it, and `text` says so."""

    mid: bytes
    fp: bytes
    name: str
    text: str = field(repr=False)
    here: bool = True


@dataclass(frozen=True, slots=True)
class MessageItem:
    """One message of the log.  `tick` is None for somebody else's; `group` when name and avatar needn't be repeated."""

    mid: bytes
    fp: bytes
    name: str
    text: str = field(repr=False)
    clock: str  # "12:05", local time
    own: bool = False
    tick: Tick | None = None
    group: bool = False
    note: Note | None = None
    quote: Quoted | None = None  # what it answers


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line between the messages: somebody came, went; messages are missing.  `clock` may be empty."""

    text: str
    tone: Tone = Tone.PLAIN
    clock: str = ""


@dataclass(frozen=True, slots=True)
class DayItem:
    """The line that begins a day: "Friday 20 November"."""

    text: str


LogItem = MessageItem | LineItem | DayItem


@dataclass(frozen=True, slots=True)
class Delivery:
    """The line under the last own message: "Arrived at 3 of 4 · waits on this computer for Tom".

    `arrived` are those who have it, for small avatars.
    """

    mid: bytes
    arrived: tuple[bytes, ...]
    text: str
    may_take_back: bool = False  # it still waits: that is offered beside


@dataclass(frozen=True, slots=True)
class Banner:
    """A strip above the log.  `action` is a button's label and what it emits; `closable` shows an X (DismissBanner)."""

    key: str
    tone: Tone
    title: str
    text: str = ""
    action: tuple[str, ViewEvent] | None = None
    second: tuple[str, ViewEvent] | None = None  # the other answer
    closable: bool = False
    fp: bytes = b""  # whose avatar to show, if anybody's


@dataclass(frozen=True, slots=True)
class Composer:
    """Whether one may write, what stands in the empty field, and the line under it."""

    enabled: bool
    placeholder: str
    hint: str = "Enter to send · Shift+Enter for a new line"


@dataclass(frozen=True, slots=True)
class Status:
    """The status bar: who can read this on the left, how the connection stands on the right."""

    privacy: str
    privacy_tone: Tone
    connection: str
    connection_tone: Tone
    privacy_brief: str = ""  # what is said where there isn't the room
    connection_brief: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The second line of the room's header: "Only you so far", "3 people · 2 here"; `brief` where it doesn't fit."""

    text: str
    tone: Tone = Tone.PLAIN
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Shown in place of an empty log while one is alone in the room.  `qr` is the invite, for a QR code, or empty."""

    title: str
    text: str
    steps: tuple[tuple[str, str], ...]
    qr: str = field(repr=False)
    can_invite: bool = True


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One room where rooms are listed.  `is_open`: one is in it, or at its door, whatever page is shown.

    `detail` is what is new there, or else where it is: "Bob: see you at eight", "relay.example.org"; `tone` its weight.
    """

    room_id: bytes
    title: str
    detail: str = field(repr=False)
    when: str  # "12:13", "Tue", "3 November", or ""
    is_open: bool = False
    unread: int = 0  # what came while nobody looked
    knock: bool = False  # somebody is at the door
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room page to show, whole: also used to fill it again after a change of theme."""

    room_id: bytes
    title: str
    own_fp: bytes
    own_name: str
    items: tuple[LogItem, ...]
    people: tuple[Person, ...]
    header: Header
    status: Status
    composer: Composer
    banners: tuple[Banner, ...] = ()
    delivery: Delivery | None = None
    quiet: Quiet | None = None
    show_people: bool = True
    draft: str = field(default="", repr=False)
    answering: Quoted | None = None  # what the draft answers
    rooms: tuple[RoomRow, ...] = ()  # this one and the others, for the column of rooms
    hues: Mapping[bytes, int] = field(default_factory=dict)  # of the people here; it goes on living


@dataclass(frozen=True, slots=True)
class Check:
    """The sentence under a field, and what to do about it.  `ok` None: nothing to say yet."""

    ok: bool | None = None
    sentence: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class StartState:
    """The start page.  `first_time`: there is no profile yet, so a passphrase may be set."""

    name: str
    rooms: tuple[RoomRow, ...] = ()
    back: str = ""  # the title of the open room that one goes back to, if there is one
    first_time: bool = False
    has_profile: bool = False  # it is open
    unprotected: bool = False  # and opens for everybody
    proxied: bool = False  # relays aren't reached directly
    anonymous: bool = False
    invite_text: str = field(default="", repr=False)
    name_check: Check = Check()
    invite_check: Check = Check()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CreateState:
    """The page that makes a room."""

    host_here: bool = False
    title: str = ""
    ask: bool = True
    relay_line: str = field(default="", repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ProfileState:
    """The page about one's profile.  `standing` says who can open it."""

    name: str
    standing: str
    detail: str
    tone: Tone
    has_passphrase: bool = False  # it is asked for before anything is changed
    may_remove: bool = False
    may_use_keyring: bool = False
    copy_path: str = ""
    done: str = ""
    at_start: bool = False  # its rooms are opened then


@dataclass(frozen=True, slots=True)
class WaitingState:
    """The page of the one who knocks.  `words` are eight, or empty while they are worked out or no one is known."""

    own_fp: bytes
    title: str  # heading
    text: str  # who can see it, or why nobody can
    advice: str
    words: tuple[str, ...] = ()
    connection: str = ""  # a sentence when the relay is out of reach
    room_id: bytes = b""


@dataclass(frozen=True, slots=True)
class SteadyState:
    """The sheet for the room's steady rhythm.  `choices` are seconds (0: off) and what is said of each."""

    room_title: str
    what: str
    hides: str
    cost: str
    choices: tuple[tuple[int, str], ...]
    period_s: int


@dataclass(frozen=True, slots=True)
class MoveState:
    """The sheet that moves a room to another relay.  `busy` says what is waited for."""

    room_title: str
    where: str
    follows: str
    sees: str
    line: str = field(default="", repr=False)
    problem: str = ""
    busy: str = ""


@dataclass(frozen=True, slots=True)
class InviteState:
    """The invite sheet."""

    room_title: str
    text: str = field(repr=False)
    note: str
    copied: str = ""  # "Copied. Parley takes it off the clipboard in 60 seconds."


@dataclass(frozen=True, slots=True)
class KnockState:
    """The knock sheet.  `words` are eight, or empty while they are worked out."""

    fp: bytes
    title: str  # "Léa would like to come in"
    detail: str  # "Cabin weekend · knocked at 12:07 with your invite"
    ask: str  # "Ask Léa on the phone."
    promise: str  # "Until you let Léa in, nothing that is written here is encrypted to Léa."
    words: tuple[str, ...] = ()
    warning: str = ""  # a known name with another key
    gone: bool = False  # the knocker isn't at the door any more: nobody can be let in


@dataclass(frozen=True, slots=True)
class WordsPerson:
    """One line of the words page.  `detail`: "Compared on 3 November", "Not compared yet"."""

    fp: bytes
    name: str
    detail: str
    tone: Tone
    ticked: bool = False


@dataclass(frozen=True, slots=True)
class WordsState:
    """The words of a room, or (`pair`) of oneself and somebody.  `words` are eight, or none while `computing`."""

    title: str  # "Room words"
    detail: str  # "Cabin weekend · 5 people"
    words: tuple[str, ...]
    text: str
    heading: str  # "Who read them with you?"
    people: tuple[WordsPerson, ...]
    computing: str = ""
    since: str = ""  # "These words are new since 12:05, when Léa came."
    advice: str = ""  # what to do when somebody has other words
    result: str = ""  # "3 people ticked"
    ready: bool = False  # whether "All the same" can be pressed
    choosing: bool = False  # a person of the list is chosen, not ticked
    pair: bytes = b""


@dataclass(frozen=True, slots=True)
class Reader:
    """One line of who could read this.  `away` dims the dot of the avatar; `tick` None for received messages."""

    fp: bytes
    name: str
    detail: str  # "Arrived 12:13", "Away: it waits on this computer"
    away: bool = False
    tick: Tick | None = None
    compared: bool = False  # words were compared with them


@dataclass(frozen=True, slots=True)
class SealedLine:
    """The sealed blocks for one reader: the first bytes in hex, and the size: "256 bytes", "3 × 256 bytes"."""

    name: str
    hex: str
    size: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that a sheet is about."""

    fp: bytes
    name: str
    clock: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadersState:
    """Who could read a message.  `sealed` None: folded; empty with `sealed_note`: no longer kept, or on its way."""

    mid: bytes
    quote: Quote
    heading: str  # "These 4 people, and nobody else"
    readers: tuple[Reader, ...]
    note: str  # "Encrypted separately for 4 people. ..."
    note_tone: Tone = Tone.GOOD
    sealed: tuple[SealedLine, ...] | None = None
    sealed_note: str = ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One line of the connection report."""

    icon: str
    label: str
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class ReportMark:
    """Something at a time of the chart: 0 is its left edge, 1 its right."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class ReportState:
    """The connection report.  `points` are (0 to 1, milliseconds); `span` what stands under the chart's ends.

    `place` is where it is offered to be written; `said` is what became of that, `bad` if it failed.
    """

    title: str
    detail: str
    calm: str
    tone: Tone
    points: tuple[tuple[float, int], ...]
    marks: tuple[ReportMark, ...]
    span: tuple[str, str]
    rows: tuple[ReportRow, ...]
    foot: str
    place: str
    names: bool = False
    said: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmState:
    """A question with two answers; "no" is Back.  `danger` paints the button red."""

    title: str
    text: str
    yes: str
    event: ViewEvent
    danger: bool = False
