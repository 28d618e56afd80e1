"""What the window tells its controller, as frozen data.  No toolkit.

The window turns a click or a key into one of the `ViewEvent`s and queues it; the controller answers by driving the
pages of `gui.pages` with what `gui.shown` describes.  What takes time is done behind the window, by `gui.backroom`,
whose answers (`gui.news`) come through the same queue.  Nothing else crosses the line.  An `fp` is the 32-byte
fingerprint of an identity key, a `mid` the 16-byte id of a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from chatcore.invite import Mode
from chatcore.lock import Guard
from gui.proxy import OpenProxy, SetProxy


class Sheet(Enum):
    """The small windows beside the page; at most one of each is open."""

    INVITE = "invite"
    KNOCK = "knock"
    READERS = "readers"
    CONFIRM = "confirm"
    REPORT = "report"
    WORDS = "words"
    STEADY = "steady"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class NameEdited:
    """The name field of the start page changed."""

    name: str


@dataclass(frozen=True, slots=True)
class InviteEdited:
    """The invite field changed: typed, pasted or cleared."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Join:
    """Join by the invite in the field.  `passphrase` is for a new profile; empty: none."""

    name: str
    invite_text: str = field(repr=False)
    anonymous: bool = False
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BeginCreate:
    """Show the page that makes a room; `host_here` ticks "this computer" there."""

    name: str
    host_here: bool = False
    anonymous: bool = False
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Create:
    """Make a room.  `relay_line` is a `parley:relay/...` text, or None for a relay on this computer."""

    title: str
    mode: Mode
    relay_line: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenRecent:
    """Show a room that is open, or open one that the profile remembers; without a name, by that of the profile."""

    room_id: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRecent:
    """Erase all that is kept of a room; `sure` once the person has confirmed it."""

    room_id: bytes
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Unlock:
    """Open the profile with this passphrase."""

    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SkipUnlock:
    """Go on without the profile, for one visit."""


@dataclass(frozen=True, slots=True)
class OpenProfile:
    """Show the page about one's profile: who can open it, copies of it, its end."""


@dataclass(frozen=True, slots=True)
class Protect:
    """Have the profile guarded like this from now on.  `current` is the passphrase that holds now, if one does."""

    guard: Guard
    passphrase: str = field(default="", repr=False)
    current: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OpenAtStart:
    """Have all rooms of the profile opened when the program has begun, or none."""

    on: bool


@dataclass(frozen=True, slots=True)
class ExportProfile:
    """Write a copy of the profile into one file, with a passphrase of its own."""

    path: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BeginImport:
    """Show the page that makes a copy one's profile."""


@dataclass(frozen=True, slots=True)
class ImportProfile:
    """Make a copy one's profile; there is none yet."""

    path: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EraseProfile:
    """Leave nothing of the profile; `sure` once the person has confirmed it."""

    sure: bool = False


@dataclass(frozen=True, slots=True)
class Back:
    """Go back one page (Esc, a back button), or close the topmost sheet."""


@dataclass(frozen=True, slots=True)
class AnotherRoom:
    """Show the start page; one stays in the room, or at its door."""


@dataclass(frozen=True, slots=True)
class StopWaiting:
    """Stand no longer at the door."""


@dataclass(frozen=True, slots=True)
class Send:
    """Say this in the room.  The composer keeps the text until `RoomView.composer_taken`."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this message with what is said next; none takes that back."""

    mid: bytes = b""


@dataclass(frozen=True, slots=True)
class OpenSteady:
    """The owner wants to see, or set, the room's steady rhythm."""


@dataclass(frozen=True, slots=True)
class SetSteady:
    """This rhythm is to be kept by everybody: seconds, 0 for none."""

    period_s: int


@dataclass(frozen=True, slots=True)
class OpenMove:
    """The owner wants to move the room to another relay."""


@dataclass(frozen=True, slots=True)
class MoveRoom:
    """Move the room to the relay of this line."""

    line: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenInvite:
    """Show the invite sheet."""


@dataclass(frozen=True, slots=True)
class CopyInvite:
    """Put the invite on the clipboard; with `clear`, take it off again after `CLEAR_CLIPBOARD_S`."""

    clear: bool = True


@dataclass(frozen=True, slots=True)
class ShowKnock:
    """Show who is at the door."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class LetIn:
    """Let the knocker in."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Turn the knocker away."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class ShowReaders:
    """Show who could read this message."""

    mid: bytes


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take back one's own message from those to whom it hasn't gone."""

    mid: bytes


@dataclass(frozen=True, slots=True)
class ShowSealed:
    """Show the sealed blocks of the message whose readers are shown; `hide` folds them again."""

    mid: bytes
    hide: bool = False


@dataclass(frozen=True, slots=True)
class OpenWords:
    """Show the room's words, or with an `fp` those of oneself and somebody."""

    fp: bytes = b""


@dataclass(frozen=True, slots=True)
class TickWords:
    """Tick, or not, that somebody read the words aloud too."""

    fp: bytes


@dataclass(frozen=True, slots=True)
class WordsSame:
    """Those who are ticked read the same words."""


@dataclass(frozen=True, slots=True)
class WordsDiffer:
    """Somebody has other words."""


@dataclass(frozen=True, slots=True)
class SettleKey:
    """Somebody of a known name has another key, and that is known to be right."""

    fp: bytes


TrustAct = OpenWords | TickWords | WordsSame | WordsDiffer | SettleKey


@dataclass(frozen=True, slots=True)
class OpenReport:
    """Show what was counted of the relay."""


@dataclass(frozen=True, slots=True)
class TickNames:
    """Have names in the report's file, or not."""


@dataclass(frozen=True, slots=True)
class SaveReport:
    """Write the report to a file."""

    place: str = field(repr=False)


TrialAct = OpenReport | TickNames | SaveReport


@dataclass(frozen=True, slots=True)
class DismissBanner:
    """Put away a banner that may be put away."""

    key: str


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Leave the room for good; `sure` once the person has confirmed it."""

    sure: bool = False


@dataclass(frozen=True, slots=True)
class CloseRoom:
    """Close the room and stay a member: the others see one as away."""


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Open a link of a message in the browser; `sure` once the person has confirmed it.  Only http and https."""

    url: str = field(repr=False)
    sure: bool = False


@dataclass(frozen=True, slots=True)
class TogglePeople:
    """Show or hide the people."""


@dataclass(frozen=True, slots=True)
class ThemeToggled:
    """Change between light and dark."""


@dataclass(frozen=True, slots=True)
class FocusChanged:
    """The window got the keyboard, or lost it."""

    focused: bool


@dataclass(frozen=True, slots=True)
class SheetClosed:
    """A sheet is to be closed: by its X, with Esc, or by a button that does nothing else."""

    sheet: Sheet


@dataclass(frozen=True, slots=True)
class Close:
    """Close the program."""


OwnAct = (
    OpenProfile
    | Protect
    | OpenAtStart
    | ExportProfile
    | BeginImport
    | ImportProfile
    | EraseProfile
    | OpenProxy
    | SetProxy
)
WayOut = AnotherRoom | StopWaiting | LeaveRoom | CloseRoom
InsideAct = (
    Send
    | Answer
    | OpenSteady
    | SetSteady
    | OpenMove
    | MoveRoom
    | OpenInvite
    | CopyInvite
    | ShowKnock
    | LetIn
    | TurnAway
    | ShowReaders
    | TakeBack
    | ShowSealed
    | TrustAct
    | TrialAct
    | DismissBanner
    | TogglePeople
)
RoomAct = WayOut | InsideAct


@dataclass(frozen=True, slots=True)
class InRoom:
    """Something done on the page of a room, or on a sheet over it: for that room, or for none if it isn't shown now.

    A page stays for a moment when another room is already to be shown, and what is typed there isn't for that one.
    """

    room_id: bytes
    act: RoomAct


PageAct = (
    NameEdited
    | InviteEdited
    | Join
    | BeginCreate
    | Create
    | OpenRecent
    | ForgetRecent
    | Unlock
    | SkipUnlock
    | Back
    | OpenLink
    | ThemeToggled
    | FocusChanged
    | SheetClosed
    | Close
)
ViewEvent = OwnAct | RoomAct | InRoom | PageAct

Emit = Callable[[ViewEvent], None]
"""What a page is given to report with.  Called in the GUI thread, it only queues, so a page may call it anywhere."""

CLEAR_CLIPBOARD_S = 60
