"""One room as its window sees it: takes what the core and the person say, and drives the page.  No toolkit.

Everything that arrives changes what is known first; `flush` then tells the page what is different, once for however
much came together.  One is in the room, or waits at its door: `flush` shows which.  While another page is shown
nothing is told, and what comes is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from chatcore.events import (
    Connection,
    ConnectionChanged,
    MessageReceived,
    RoomMoved,
    Waiting,
)
from chatcore.invite import Invite, Mode
from gui import move, sentences, wording
from gui.events import CLEAR_CLIPBOARD_S, Sheet
from gui.history import History
from gui.knocks import Knocks, knocking
from gui.lists import Lists
from gui.news import PeopleKnown, RoomOpened
from gui.pages import Behind, RoomView, View, WaitingView
from gui.readers import Readers
from gui.roster import Roster
from gui.shown import (
    Banner,
    Composer,
    Delivery,
    Header,
    Quiet,
    RoomRow,
    RoomState,
    Status,
    Tick,
    Tone,
    WaitingState,
)
from gui.steady import Steady
from gui.trial import Trial
from gui.trust import Trust
from gui.writing import Writing

Shown = TypeVar("Shown")


class RoomController:
    """What is known of one room, and its page.

    `rooms` returns all rooms that one can go to, this one among them; `now_ms` is the wall clock.
    """

    def __init__(
        self,
        view: View,
        behind: Behind,
        opened: RoomOpened,
        rooms: Callable[[], tuple[RoomRow, ...]],
        now_ms: Callable[[], int],
    ) -> None:
        self._view, self._behind, self.opened, self._rooms, self._now_ms = view, behind, opened, rooms, now_ms
        self.room_id = opened.room_id
        self.title = sentences.room_title(opened.title)
        self.history = History()
        self.roster = Roster(opened, self.history, self._rename)
        self.lists = Lists(self.history, self.roster, now_ms)
        self.name = self.roster.name
        self.trial = Trial(view, behind, opened, self.name, now_ms)
        self.steady = Steady(view, behind, self.room_id, self.title)
        self.move = move.Move(view, behind, self.room_id, self.title, Invite.parse(opened.invite_text).relay)
        self.trust = Trust(view, behind, opened, self.name, now_ms)
        self._page: RoomView | None = None
        self._door: WaitingView | None = None
        self.inside = opened.member or opened.mode is Mode.OPEN or opened.own_fp == opened.owner_fp
        self._waiting: Waiting | None = None
        self._connection = ConnectionChanged(Connection.CONNECTING)
        self._told: dict[str, object] = {}  # what the page shows, so that it is told only what is new
        self.connected_ms = 0  # when it was connected last
        self._tries = 0  # in vain, since it was connected last
        self.knocks = Knocks(view, behind, opened, self.name, self.trust.warning)
        self.readers = Readers(view, behind, opened, self.history, self.roster, self.trust.is_compared, now_ms)
        self.alarms: dict[str, Banner] = {}
        self.writing = Writing(behind, self.room_id, self.history, self.name)
        self._invite_shown = False
        self._people_shown = True
        self._seen_ms = min(opened.seen_ms or now_ms(), now_ms())  # what came until then is read
        self._seen = False  # the page is shown, and its window has the keyboard
        self.unread = 0

    # -- what is known -------------------------------------------------------------------------------------------------

    def trouble(self, sentence: str) -> None:
        """Say that something behind the window didn't work."""
        self.alarms["trouble"] = Banner("trouble", Tone.WARN, "Something didn't work", sentence, closable=True)

    def take_known(self, news: PeopleKnown) -> None:
        """Take in what the profile knows of the people."""
        for line in self.trust.known(news):
            self.history.line(line, self._now_ms(), Tone.BAD)
        self.knocks.show_again()

    @property
    def connected(self) -> bool:
        """Whether one has a seat in it now."""
        return self._connection.state is Connection.CONNECTED

    def connect(self, event: ConnectionChanged) -> None:
        """Take in how the room stands to its relay."""
        if event.state is Connection.CONNECTED and self._connection.state is not Connection.CONNECTED:
            self.connected_ms = self._now_ms()
        self._connection = event
        self.alarms.pop("connection", None)
        if event.state is Connection.CONNECTED:
            self._tries = 0
        elif event.retry_s:
            self._tries += 1
        if event.state is Connection.STOPPED and event.reason:
            self.alarms["connection"] = Banner("connection", Tone.BAD, "Parley has stopped connecting", event.reason)
        elif event.reason and (self._tries > 1 or not self.connected_ms):  # a short break needs no banner
            self.alarms["connection"] = Banner("connection", Tone.WARN, "Not connected", event.reason)

    def _rename(self, fp: bytes, name: str) -> None:
        if self._page is not None:
            self._page.log.rename(fp, name)

    def wait(self, event: Waiting) -> None:
        """Take in that one stands at the door."""
        self.inside, self._waiting = False, event
        if event.keeper:
            self.roster.learn({event.keeper_fp: event.keeper})
        if not self.knocks.words(event.keeper_fp):
            self._behind.work_out_words(self.room_id, event.keeper_fp)

    def let_in(self) -> None:
        """Take in that one belongs to the room."""
        self.unread += self._waiting is not None and not self._seen
        self.inside, self._waiting = True, None

    def moved(self, event: RoomMoved) -> None:
        """What is copied from now on leads to the new relay."""
        self.move.relay = event.relay
        invite = Invite.parse(self.opened.invite_text).at(event.relay)
        self.opened = replace(self.opened, invite_text=invite.to_text(), only_here=event.relay.is_here)
        if self._invite_shown:
            self.show_invite()
        if not event.earlier:
            self.history.line(move.moved(self.name(self.opened.owner_fp), event.relay), self._now_ms())

    def receive(self, event: MessageReceived) -> None:
        """Take in what somebody said."""
        self.roster.learn({event.sender: event.nick})
        self.history.received(event)
        if event.readers is not None:
            self.lists.wrote_to_ours(event.sender)
        if not self._seen and event.received_ms >= self._seen_ms:  # else it is told again, from the disk
            self.unread += 1

    # -- what the person does ------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say something to those whom one sees."""
        self.writing.say(text, frozenset(self.roster.fps))

    def show_invite(self, copied: str = "") -> None:
        """Show the invite sheet."""
        self._invite_shown = True
        self._view.show_invite(sentences.invite_state(self.opened, self.title, self.name(self.opened.owner_fp), copied))

    def copy_invite(self, clear: bool) -> None:
        """Copy the invite, and say how long it stays."""
        self._view.copy(self.opened.invite_text, CLEAR_CLIPBOARD_S if clear else 0)
        self.show_invite(sentences.copied(clear))

    def answer_knock(self, fp: bytes, let_in: bool) -> None:
        """Let somebody in, or turn them away."""
        if fp not in self.knocks:
            return
        if let_in:
            self.roster.let_in(fp)
            self._behind.let_in(self.room_id, fp)
        else:
            self._behind.turn_away(self.room_id, fp)
            self.history.line(f"You turned {self.name(fp)} away", self._now_ms())
        self.knocks.end(fp)

    def take_back(self, mid: bytes) -> None:
        """Take back one's own message, as far as it hasn't gone."""
        if self.history.message(mid) is not None:
            self._behind.take_back(self.room_id, mid)

    def show_steady(self) -> None:
        """Show its owner the room's rhythm."""
        if self.opened.own_fp == self.opened.owner_fp:
            self.steady.show(len(self.roster.members))

    def show_move(self) -> None:
        """Show its owner how the room is moved."""
        if self.opened.own_fp == self.opened.owner_fp:
            self.move.show()

    def ask_to_leave(self) -> None:
        """Ask whether to leave for good."""
        self._view.show_confirm(sentences.leave_question(self.title, self.opened, self.connected))

    def sheet_closed(self, sheet: Sheet) -> None:
        """Note that a sheet is no longer shown."""
        if sheet is Sheet.KNOCK:
            self.knocks.closed()
        elif sheet is Sheet.INVITE:
            self._invite_shown = False
        elif sheet is Sheet.STEADY:
            self.steady.close()
        elif sheet is Sheet.MOVE:
            self.move.close()
        elif sheet is Sheet.WORDS:
            self.trust.close()
        elif sheet is Sheet.REPORT:
            self.trial.close()
        elif sheet is Sheet.READERS:
            self.readers.closed()

    def dismiss(self, key: str) -> None:
        """Put a banner away."""
        self.alarms.pop(key, None)
        if key == "noticed":
            self.trial.dismiss()

    def toggle_people(self) -> None:
        """Show or hide the people."""
        self._people_shown = not self._people_shown
        if self._page is not None:
            self._page.show_people(self._people_shown)

    def focus(self, focused: bool) -> None:
        """Note whether the window has the keyboard, with this page in it: then everything has been seen."""
        if focused != self._seen:
            self._behind.look_at(self.room_id if focused else b"")
        self._seen = focused
        if focused:
            self.unread = 0

    # -- what is shown -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the room, or the door, as a new page (also after a change of theme)."""
        self.roster.settle_hues()
        self._told.clear()
        if not self.inside:
            self.writing.hidden()
            self._page, self._door = None, self._view.show_waiting(self._waiting_state())
            self._view.set_title(f"Knocking — {self.title}")
            return
        self._door = None
        draft = self.writing.hand_over()
        self._page = self._view.show_room(
            RoomState(
                self.room_id,
                self.title,
                self.opened.own_fp,
                self.name(self.opened.own_fp),
                tuple(self.history.items(self.name)),
                self.roster.people(self.trust, self._now_ms()),
                self._header(),
                self._status(),
                self._composer(),
                self._banners(),
                self._delivery(),
                self._quiet(),
                self._people_shown,
                draft,
                self.writing.answered,
                self._rooms(),
                self.roster.hues.of,
            )
        )
        self.writing.shown(self._page, draft)
        self._title(self._rooms())

    def hide(self) -> None:
        """Another page is to be shown: keep what stands in the composer.  Sheets go with the page."""
        self.writing.hidden()
        self._page = self._door = None
        self.focus(False)
        for sheet in Sheet:
            self.sheet_closed(sheet)

    def row(self) -> RoomRow:
        """Return what is said of the room where rooms are listed."""
        at_door = next(iter(self.knocks), None)
        text, at_ms = sentences.newest(self.history.newest, self.name)
        if self.writing.draft.strip() and not self.unread:
            text = sentences.draft(self.writing.draft)
        tone, alarm = Tone.PLAIN, self.alarms.get("connection")
        if at_door is not None:
            text = knocking(self.name(at_door))
        elif alarm is not None:
            tone, text = alarm.tone, sentences.STOPPED if alarm.tone is Tone.BAD else sentences.NOT_CONNECTED
        elif not self.inside:
            text = "Waiting to be let in"
        elif self._connection.state is Connection.CONNECTING and not self.unread:
            text = sentences.CONNECTING
        elif self.unread and not text:
            text = "You have been let in"
        when = wording.when(at_ms, self._now_ms())
        knock = at_door is not None
        return RoomRow(self.room_id, self.title, text or self._header().text, when, True, self.unread, knock, tone)

    @property
    def newest_ms(self) -> int:
        """When the newest message came; in a room without one, when it was looked at last."""
        newest = self.history.newest
        return newest.received_ms if newest is not None else self._seen_ms

    def show_again(self) -> None:
        """Show everything anew, sheets too: the theme has changed."""
        self.writing.hidden()
        self.show()
        if self._invite_shown:
            self.show_invite()
        self.knocks.show_again()
        self.readers.show_again()
        self.trust.show_again()
        self.trial.show()
        self.steady.show_again(len(self.roster.members))
        self.move.show_again()

    def flush(self) -> None:
        """Tell the page what is different since the last time."""
        if (self._page if self.inside else self._door) is None:
            self.show()
            return
        if self._door is not None:
            self._tell("door", self._door.update, self._waiting_state())
        if self._page is None:
            return
        self.roster.settle_hues()
        page, history = self._page, self.history
        self._tell("quiet", page.set_quiet, self._quiet())
        rows = history.take_new(self.name)
        ticks, notes = history.take_ticks(), history.take_notes(self.name)
        if rows:
            page.log.extend(rows)
        for mid, tick in ticks.items():
            page.log.set_tick(mid, tick)
        for mid, note in notes.items():
            page.log.set_note(mid, note)
        self._tell("delivery", page.log.set_delivery, self._delivery())
        self._tell("people", page.set_roster, self.roster.people(self.trust, self._now_ms()))
        self._tell("header", page.set_header, self._header())
        self._tell("status", page.set_status, self._status())
        self._tell("composer", page.set_composer, self._composer())
        self._tell("banners", page.set_banners, self._banners())
        rooms = self._rooms()
        self._tell("rooms", page.set_rooms, rooms)
        self._title(rooms)

    def _tell(self, what: str, how: Callable[[Shown], None], value: Shown) -> None:
        if what not in self._told or self._told[what] != value:
            self._told[what] = value
            how(value)

    def _title(self, rooms: tuple[RoomRow, ...]) -> None:
        count = sum(row.unread for row in rooms)
        door = next((f"{knocking(self.name(fp))} · " for fp in self.knocks if not self._seen), "")
        self._tell("title", self._view.set_title, sentences.window_title(f"{door}{self.title}", count))

    def _header(self) -> Header:
        return sentences.header(self.roster.members, self.trust.count_compared(), self.steady.period_s)

    def _status(self) -> Status:
        going, waiting = self.history.outstanding(self.roster.here)
        last = self.history.last_own
        sent = last is not None and last.tick is Tick.ALL
        trouble = any(key.startswith("alarm") for key in self.alarms) or bool(self.lists)
        trouble = trouble or bool(self.trust.warnings(self.roster.fps))
        return sentences.status(self._connection, going, waiting, sent, trouble)

    def _delivery(self) -> Delivery | None:
        own, here = self.history.last_own, self.roster.here
        return sentences.delivery(own, self.name, here, self.connected, self._now_ms())

    def _composer(self) -> Composer:
        composer = sentences.composer(self.title, self.roster.alone, self._connection.state is Connection.STOPPED)
        unsettled = self.trust.warnings(self.roster.fps)
        if composer.enabled and unsettled:
            composer = replace(composer, hint=sentences.compare_first(self.name(unsettled[0].fp)))
        return composer

    def _banners(self) -> tuple[Banner, ...]:
        keys = self.trust.banners(self.roster.fps, self.knocks)
        return (*keys, *self.alarms.values(), *self.knocks.banners(), *self.trial.banners())

    def _quiet(self) -> Quiet | None:
        stopped = self._connection.state is Connection.STOPPED  # then there is no room to invite anybody to
        if stopped or not self.roster.alone or len(self.history):
            return None
        return sentences.quiet(self.opened)

    def _waiting_state(self) -> WaitingState:
        words = self.knocks.words(self._waiting.keeper_fp) if self._waiting is not None else ()
        keeper = self.name(self._waiting.keeper_fp) if self._waiting is not None and self._waiting.keeper else ""
        return sentences.waiting_state(self.opened, self.title, self._waiting, keeper, words, self._connection)
