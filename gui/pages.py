"""What a page, and what lies behind the window, can be asked to do.  Protocols only, no toolkit.

A page is built from its state and an `Emit`; from then on these methods alone drive it, always in the GUI thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatcore.invite import Mode
from chatcore.lock import Guard
from chatcore.pins import Page
from gui.events import Sheet
from gui.proxy import ProxyKnown
from gui.shown import (
    Banner,
    Check,
    Composer,
    ConfirmState,
    CreateState,
    Delivery,
    Header,
    InviteState,
    KnockState,
    LogItem,
    MoveState,
    Note,
    Person,
    ProfileState,
    Quiet,
    Quoted,
    ReadersState,
    ReportState,
    RoomRow,
    RoomState,
    StartState,
    Status,
    SteadyState,
    Tick,
    WaitingState,
    WordsState,
)


class LogView(Protocol):
    """The log: rows in one text widget, at most `MAX_SHOWN` messages."""

    def extend(self, items: Sequence[LogItem]) -> None:
        """Append; one scroll for all.  Stays at the bottom if it was there, else offers "3 new messages"."""

    def set_tick(self, mid: bytes, tick: Tick) -> None:
        """Change the tick of an own message.  An unknown or pruned `mid` is ignored."""

    def set_note(self, mid: bytes, note: Note | None) -> None:
        """Say under an own message what became of it.  An unknown or pruned `mid` is ignored."""

    def set_delivery(self, delivery: Delivery | None) -> None:
        """Put the delivery line under that message, and take it away from the one that had it."""

    def rename(self, fp: bytes, name: str) -> None:
        """Show this name for `fp` from now on, also in rows already shown (names are told apart late)."""


class RoomView(Protocol):
    """The room page, in a window of its own or in the main one.

    Built as `RoomPage(state: RoomState, emit: Emit, ...)`; emits Send, OpenInvite, ShowReaders, ShowKnock (through a
    banner), DismissBanner, LeaveRoom, CloseRoom, OpenLink, TogglePeople, ThemeToggled.
    """

    @property
    def log(self) -> LogView:
        """The log of this page."""

    def set_header(self, header: Header) -> None:
        """Say the second line of the header."""

    def set_roster(self, people: Sequence[Person]) -> None:
        """Show these people, in this order: self first; the page groups them into Here and Away."""

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        """Show these rooms, this one among them."""

    def set_status(self, status: Status) -> None:
        """Say the status bar."""

    def set_banners(self, banners: Sequence[Banner]) -> None:
        """Show exactly these strips, top first.  Never takes the keyboard away from the composer."""

    def set_composer(self, composer: Composer) -> None:
        """Switch the composer on or off.  Text in it is kept."""

    def set_quiet(self, quiet: Quiet | None) -> None:
        """Show the welcome panel over the empty log, or take it away."""

    def set_answering(self, quoted: Quoted | None) -> None:
        """Show above the composer what is answered with the next text, or nothing."""

    def composer_taken(self, text: str) -> None:
        """Clear the composer if it still holds `text` (what was typed after it is kept)."""

    def composer_refused(self, text: str, sentence: str) -> None:
        """Keep the text, and say the sentence under the composer until the text is changed."""

    def draft(self) -> str:
        """Return what stands in the composer."""

    def show_people(self, shown: bool) -> None:
        """Show or hide the people (below 820 px they replace the log)."""


class StartView(Protocol):
    """The start page.  Built as `StartPage(state: StartState, emit: Emit, ...)`."""

    def set_name_check(self, check: Check) -> None:
        """Say what is wrong with the name, or nothing."""

    def set_invite_check(self, check: Check) -> None:
        """Green line, or red border with sentence, cure and "Paste again"; Join is on only when `check.ok`."""

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        """Show these rooms, as many as there were at first or fewer."""

    def set_busy(self, sentence: str) -> None:
        """Switch the page off and say what it waits for; an empty sentence switches it on."""

    def set_problem(self, sentence: str) -> None:
        """Say why it didn't work, in red above the button; empty takes it away."""


class CreateView(Protocol):
    """The page that makes a room, and with the same two methods the page that unlocks."""

    def set_busy(self, sentence: str) -> None:
        """As in `StartView`."""

    def set_problem(self, sentence: str) -> None:
        """As in `StartView`."""


class WaitingView(Protocol):
    """The page of the one who knocks."""

    def update(self, state: WaitingState) -> None:
        """Show this state."""


class View(Protocol):
    """The windows as the controller sees them: one page at a time, and sheets beside it."""

    def show_start(self, state: StartState) -> StartView:
        """Show the start page."""

    def show_create(self, state: CreateState) -> CreateView:
        """Show the page that makes a room."""

    def show_unlock(self, name: str) -> CreateView:
        """Show the page that asks for the passphrase of the profile."""

    def show_profile(self, state: ProfileState) -> CreateView:
        """Show the page about one's profile."""

    def show_proxy(self, state: ProxyKnown) -> CreateView:
        """Show the page that says through which proxy relays are reached."""

    def show_import(self) -> CreateView:
        """Show the page that makes a copy one's profile."""

    def show_waiting(self, state: WaitingState) -> WaitingView:
        """Show the page of the one who knocks."""

    def show_room(self, state: RoomState) -> RoomView:
        """Show the room page."""

    def show_invite(self, state: InviteState) -> None:
        """Open the invite sheet, or show this state in the one that is open."""

    def show_knock(self, state: KnockState) -> None:
        """Open the knock sheet, or show this state in the one that is open."""

    def show_readers(self, state: ReadersState) -> None:
        """Open the sheet of readers, or show this state in the one that is open."""

    def show_words(self, state: WordsState) -> None:
        """Open the sheet of words, or show this state in the one that is open."""

    def show_report(self, state: ReportState) -> None:
        """Open the connection report, or show this state in the one that is open."""

    def show_steady(self, state: SteadyState) -> None:
        """Open the sheet for the steady rhythm, or show this state in the one that is open."""

    def show_move(self, state: MoveState) -> None:
        """Open the sheet that moves a room, or show this state in the one that is open."""

    def show_confirm(self, state: ConfirmState) -> None:
        """Ask; replaces a question that is open."""

    def close_sheet(self, sheet: Sheet) -> None:
        """Close this sheet if it is open."""

    def set_title(self, title: str) -> None:
        """Name the main window."""

    def set_theme(self, dark: bool) -> None:
        """Use this look for every page and sheet from now on; what is shown is shown again by the controller."""

    def copy(self, text: str, clear_after_s: int = 0) -> None:
        """Put `text` on the clipboard; after `clear_after_s` seconds empty it, if it still holds `text`."""

    def open_link(self, url: str) -> None:
        """Hand an http or https link to the browser."""

    def close(self) -> None:
        """Close every window and end the loop that reads them."""


class Behind(Protocol):
    """What the controller asks of `gui.backroom`.  Nothing here waits: answers come as `gui.news`.

    Each request of the first group is answered by what it says, or by `Failed`.
    """

    def look(self) -> None:
        """Look for the profile: `ProfileFound`."""

    def unlock(self, passphrase: str) -> None:
        """Open the profile: `ProfileFound`."""

    def ask_profile(self) -> None:
        """Say who can open the profile: `ProfileKnown`."""

    def protect(self, guard: Guard, passphrase: str, current: str) -> None:
        """Have the profile guarded otherwise: `ProfileKnown`."""

    def open_at_start(self, on: bool) -> None:
        """Keep in the profile whether its rooms are opened when the program has begun."""

    def export_profile(self, path: str, passphrase: str) -> None:
        """Write a copy of the profile: `ProfileKnown`."""

    def import_profile(self, path: str, passphrase: str) -> None:
        """Make a copy the profile: `ProfileFound`."""

    def erase_profile(self) -> None:
        """Close the rooms of the profile, `RoomClosed` each, and leave nothing of it: `ProfileFound`."""

    def ask_proxy(self) -> None:
        """Say through which proxy relays are reached: `ProxyKnown`."""

    def set_proxy(self, address: str) -> None:
        """Reach relays through another proxy, or through none: `ProxyKnown`."""

    def join(self, name: str, invite_text: str, anonymous: bool, passphrase: str) -> None:
        """Open the room of an invite, making a profile if there is none: `RoomOpened`."""

    def create(
        self, name: str, title: str, mode: Mode, relay_line: str | None, anonymous: bool, passphrase: str
    ) -> None:
        """Make a room on a relay, or on one of this computer: `RoomOpened`."""

    def open_recent(self, room_id: bytes, name: str) -> None:
        """Open a room that the profile remembers: `RoomOpened`, unless it is open."""

    def open_behind(self, room_ids: Sequence[bytes], name: str) -> None:
        """Open these one after the other, a while apart, none of them shown: `RoomOpened` or `NotOpened` each."""

    def look_at(self, room_id: bytes) -> None:
        """Keep that the person has this room before their eyes from now on; none, if it is empty."""

    def keep_look(self, dark: bool) -> None:
        """Keep the look for the next time, where anything is kept."""

    def forget(self, room_id: bytes) -> None:
        """Take a room off the profile: `ProfileFound`."""

    def work_out_words(self, room_id: bytes, fp: bytes) -> None:
        """Work out the words of oneself and `fp`: `WordsReady`."""

    def work_out_room_words(self, room_id: bytes, fps: frozenset[bytes]) -> None:
        """Work out the words of these people: `RoomWordsReady`."""

    def words_compared(self, room_id: bytes, fps: Sequence[bytes], page: Page, same: bool) -> None:
        """Keep in the profile that words were compared with these people: `PeopleKnown`."""

    def settle_key(self, room_id: bytes, fp: bytes) -> None:
        """Keep in the profile that the other key of a known name is right: `PeopleKnown`."""

    def say(self, room_id: bytes, text: str, answers: bytes = b"", listed: frozenset[bytes] | None = None) -> None:
        """Say something, in answer to the message with the mid `answers` if there is one, to nobody but `listed`.

        Raises TextError or StateError at once; `MessageSent` follows when it was taken, `NotSaid` when it wasn't.
        """

    def take_back(self, room_id: bytes, mid: bytes) -> None:
        """Take back one's own message: `TakenBack`."""

    def let_in(self, room_id: bytes, fp: bytes) -> None:
        """Let a knocker in."""

    def keep_steady(self, room_id: bytes, period_s: int) -> None:
        """Set the rhythm of the room: seconds, 0 for none."""

    def move(self, room_id: bytes, line: str) -> None:
        """Move the room to the relay of this line, if that lets people in: `MoveAnswered`."""

    def turn_away(self, room_id: bytes, fp: bytes) -> None:
        """Turn a knocker away."""

    def ask_sealed_blocks(self, room_id: bytes, mid: bytes) -> None:
        """Ask for the blocks of a message: `SealedBlocks`."""

    def ask_report(self, room_id: bytes) -> None:
        """Ask what was counted of the relay: `ConnectionReport`."""

    def write_report(self, room_id: bytes, place: str, text: str) -> None:
        """Write a report to a file: `ReportWritten`."""

    def leave(self, room_id: bytes) -> None:
        """Leave a room for good."""

    def close_room(self, room_id: bytes) -> None:
        """Give up one's seat and stay a member."""
