"""What the window does next: a state machine over what the person does and what happens behind the window.  No toolkit.

Every event comes through `handle`, and `flush` follows when no more is queued.  There is one page at a time: start,
create, unlock, or a room (`RoomController`).  Rooms stay open while another page is shown (`OpenRooms`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

from chatcore.errors import TextError
from chatcore.invite import Mode
from chatcore.lock import Guard
from chatcore.names import clean_name
from gui import events, news, profile_words, sentences
from gui.checks import check_invite, check_room, is_web_link, link_question
from gui.events import Sheet
from gui.news import AppEvent
from gui.open_rooms import OpenRooms
from gui.pages import Behind, CreateView, StartView, View
from gui.proxy import TITLE as PROXY_TITLE
from gui.proxy import OpenProxy, ProxyKnown, SetProxy
from gui.room_acts import act
from gui.room_controller import RoomController
from gui.room_news import take
from gui.safetext import safe_name
from gui.shown import Check, CreateState, StartState
from gui.start import Start


class Page(Enum):
    """What the main window shows."""

    NOTHING = auto()
    START = auto()
    CREATE = auto()
    UNLOCK = auto()
    PROFILE = auto()
    IMPORT = auto()
    PROXY = auto()
    OPENING = auto()  # what there was before, while the room looked at last is opened
    ROOM = auto()


def wall_clock_ms() -> int:
    """Return milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Controller:
    """The window's mind.  `name` and `invite_text` fill the start page's fields; `dark` is the look to begin with.

    `proxied`: relays aren't reached directly, which holds too where the profile can't be opened.
    """

    def __init__(
        self,
        view: View,
        behind: Behind,
        *,
        name: str = "",
        invite_text: str = "",
        dark: bool = False,
        proxied: bool = False,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._view, self._behind, self._now_ms, self._dark = view, behind, now_ms, dark
        self._page = Page.NOTHING
        self._create = CreateState()
        self._begun = events.BeginCreate("")
        self._profile = news.ProfileFound()
        self._known = news.ProfileKnown(Guard.NOBODY, False)
        self._proxy = ProxyKnown()
        self._other_page: CreateView | None = None
        self._busy = False
        self._wanted = b""  # the room that is to be shown when it is open
        self._rooms = OpenRooms(view, behind, now_ms)
        filled = StartState(name, proxied=proxied, invite_text=invite_text, invite_check=check_invite(invite_text))
        self._start = Start(view, self._rooms, filled)
        self._focused = True
        self._open = True

    def begin(self) -> None:
        """Look for the profile; the first page follows."""
        self._behind.look()

    def flush(self) -> None:
        """Show what changed; call when no more events are queued."""
        if self._room is not None:
            self._room.flush()
        elif self._page is Page.START and self._start.list_rooms():
            self._set_title()

    @property
    def _room(self) -> RoomController | None:
        """The room that is shown, if one is."""
        return self._rooms.front if self._page is Page.ROOM else None

    def handle(self, event: AppEvent) -> bool:
        """Take in one event; False once the program is to end."""
        if isinstance(event, news.RoomNews):
            self._from_room(event)
        elif isinstance(event, events.OwnAct):
            self._about_oneself(event)
        elif isinstance(event, events.InRoom):
            if self._room is not None and self._room.room_id == event.room_id:
                self._in_room(self._room, event.act)
        elif isinstance(event, events.RoomAct):
            if self._room is not None:
                self._in_room(self._room, event)
        else:
            self._handle(event)
        return self._open

    def _handle(self, event: events.PageAct | news.PageNews) -> None:
        match event:
            case news.KeyringAsked():
                if self._page is Page.NOTHING:  # and it stays so: this is no page to do anything on
                    self._start.show().set_busy(profile_words.KEYRING_ASKED)
                    self._busy = True
            case news.ProfileFound():
                self._profile_found(event)
            case news.Failed():
                self._failed(event.sentence)
            case news.RoomOpened():
                self._opened(event)
            case news.NotOpened():
                self._rooms.fail(event.room_id)
            case news.RoomClosed():
                self._rooms.drop(event.room_id)
            case events.NameEdited() | events.InviteEdited():
                if self._page in (Page.START, Page.NOTHING):
                    self._start.edited(event)
            case events.Join():
                self._join(event)
            case events.BeginCreate():
                self._begin_create(event)
            case events.Create():
                self._make(event)
            case events.OpenRecent():
                self._open_recent(event)
            case events.ForgetRecent(sure=False):
                titles = (room.title for room in self._rooms.rows() if room.room_id == event.room_id)
                self._view.show_confirm(profile_words.erase_room(event.room_id, next(titles, "")))
            case events.ForgetRecent():
                self._view.close_sheet(Sheet.CONFIRM)
                if self._rooms[event.room_id] is None:
                    self._behind.forget(event.room_id)
            case events.Unlock():
                self._wait_for("Opening your profile…")
                self._behind.unlock(event.passphrase)
            case events.SkipUnlock():
                self._start.change(anonymous=True, problem="")
                self._show_start()
            case news.ProfileKnown():
                self._known = event
                self._show_profile()
            case ProxyKnown():
                self._proxy = event
                self._show_proxy()
            case events.Back():
                self._back()
            case events.ThemeToggled():
                self._toggle_theme()
            case events.OpenLink():
                self._open_link(event)
            case events.SheetClosed():
                self._view.close_sheet(event.sheet)
                if self._room is not None:
                    self._room.sheet_closed(event.sheet)
            case events.FocusChanged():
                self._focused = event.focused
                if self._room is not None:
                    self._room.focus(event.focused)
            case events.Close():
                self._open = False
            case _:
                assert_never(event)

    # -- the start page ------------------------------------------------------------------------------------------------

    def _profile_found(self, found: news.ProfileFound) -> None:
        self._profile = found
        self._rooms.know(found.rooms)
        erased = self._page is Page.PROFILE and found.first_time
        begins = self._page in (Page.NOTHING, Page.UNLOCK)
        gone_on = self._page in (Page.ROOM, Page.CREATE, Page.PROXY, Page.OPENING)
        gone_on = gone_on or (self._page is Page.IMPORT and found.first_time)
        self._start.change(
            name="" if erased else self._start.state.name or found.nick,
            first_time=found.first_time,
            proxied=found.proxied,
            has_profile=not found.first_time and not found.locked,
            unprotected=not found.first_time and not found.locked and found.guard is Guard.NOBODY,
            problem=sentences.loss(found.loss) if found.loss else "",
        )
        if found.locked:
            self._busy = False
            self._page, self._other_page = Page.UNLOCK, self._view.show_unlock(found.nick)
            self._view.set_title("Parley")
        elif begins and found.at_start and not found.loss and self._open_rooms():
            pass
        elif self._page is Page.START and self._start.has_place:
            pass  # what is new in the rooms is shown by `flush`
        elif not gone_on:
            self._show_start()

    def _open_rooms(self) -> bool:
        """Have the rooms of the profile opened; say whether one of them is to be shown, in place of the start page."""
        try:
            name = clean_name(self._start.state.name)
        except TextError:
            return False  # one has to choose another first
        rooms = self._rooms.expect()
        if rooms and not self._start.state.invite_text:
            self._wanted, *rooms = rooms
            self._page, self._busy = Page.OPENING, True
            self._behind.open_recent(self._wanted, name)
        if rooms:
            self._behind.open_behind(rooms, name)
        return self._page is Page.OPENING

    def _show_start(self) -> None:
        self._leave_room()
        self._page, self._busy = Page.START, False
        self._start.show()
        self._set_title()

    def _set_title(self, page: str = "") -> None:
        self._view.set_title(sentences.window_title(page, self._rooms.unread))

    def _join(self, event: events.Join) -> None:
        name = self._start.check_join(event)
        if name:
            self._start.change(name=name, anonymous=event.anonymous, problem="")
            self._wait_for("Joining the room…")
            self._behind.join(name, event.invite_text, event.anonymous, event.passphrase)

    def _open_recent(self, event: events.OpenRecent) -> None:
        room = self._rooms[event.room_id]
        if room is not None:
            self._show_room(room)
            return
        # From another room, it is by the name of the profile: the one there may be that of an anonymous visit.
        nick = self._profile.nick or self._start.state.name
        name = self._start.check_name(event.name) if self._room is None else nick
        if not name or self._busy:
            return
        if self._room is None:
            self._wait_for("Opening the room…")
        self._busy, self._wanted = True, event.room_id
        self._behind.open_recent(event.room_id, name)

    def _show_room(self, room: RoomController) -> None:
        """Show this room: `flush` does."""
        self._leave_room()
        self._rooms.show(room)
        self._page, self._busy = Page.ROOM, False
        room.focus(self._focused)

    def _leave_room(self) -> None:
        """Have the room that is shown go on behind another page."""
        if self._room is not None:
            self._room.hide()
            for sheet in Sheet:
                self._view.close_sheet(sheet)

    # -- one's profile -------------------------------------------------------------------------------------------------

    def _about_oneself(self, event: events.OwnAct) -> None:
        if self._busy:
            return
        match event:
            case events.OpenProfile():
                self._behind.ask_profile()
            case events.Protect():
                self._wait_for("Sealing everything anew…")
                self._behind.protect(event.guard, event.passphrase, event.current)
            case events.OpenAtStart():
                self._known = replace(self._known, at_start=event.on)
                self._behind.open_at_start(event.on)
            case events.ExportProfile():
                self._wait_for("Writing the copy…")
                self._behind.export_profile(event.path, event.passphrase)
            case events.BeginImport():
                self._page, self._other_page = Page.IMPORT, self._view.show_import()
            case events.ImportProfile():
                self._wait_for("Opening the copy…")
                self._behind.import_profile(event.path, event.passphrase)
            case events.EraseProfile(sure=False):
                self._view.show_confirm(profile_words.ERASE)
            case events.EraseProfile():
                self._view.close_sheet(Sheet.CONFIRM)
                self._wait_for("Erasing everything…")
                self._behind.erase_profile()
            case OpenProxy():
                self._behind.ask_proxy()
            case SetProxy():
                self._wait_for("Keeping it…")
                self._behind.set_proxy(event.address)
            case _:
                assert_never(event)

    def _show_profile(self) -> None:
        self._page, self._busy = Page.PROFILE, False
        self._other_page = self._view.show_profile(profile_words.profile(safe_name(self._profile.nick), self._known))
        self._set_title("Your profile")

    def _show_proxy(self) -> None:
        self._page, self._busy = Page.PROXY, False
        self._start.change(proxied=bool(self._proxy.address or self._proxy.problem))
        self._other_page = self._view.show_proxy(self._proxy)
        self._set_title(PROXY_TITLE)

    # -- making a room -------------------------------------------------------------------------------------------------

    def _begin_create(self, event: events.BeginCreate) -> None:
        name = self._start.check_name(event.name)
        if name:
            self._begun = replace(event, name=name)
            self._start.change(name=name, anonymous=event.anonymous, problem="")
            self._create = CreateState(host_here=event.host_here)
            self._show_create()

    def _show_create(self) -> None:
        self._page, self._busy = Page.CREATE, False
        self._other_page = self._view.show_create(self._create)
        self._set_title("New room")

    def _make(self, event: events.Create) -> None:
        self._create = CreateState(
            event.relay_line is None, event.title, event.mode is Mode.ASK, event.relay_line or "", ""
        )
        problem = check_room(event)
        if problem:
            self._failed(problem)
            return
        self._wait_for("Making the room…")
        self._behind.create(
            self._begun.name, event.title, event.mode, event.relay_line, self._begun.anonymous, self._begun.passphrase
        )

    # -- what was asked for, and came ----------------------------------------------------------------------------------

    def _current(self) -> StartView | CreateView | None:
        return self._start.page if self._page is Page.START else self._other_page

    def _wait_for(self, sentence: str) -> None:
        self._busy = True
        page = self._current()
        if page is not None:
            page.set_problem("")
            page.set_busy(sentence)

    def _failed(self, sentence: str) -> None:
        self._busy = False
        if self._wanted:
            self._rooms.fail(self._wanted)
            self._wanted = b""
        page = self._current()
        if self._page is Page.NOTHING:  # the profile can't be read: one can still visit without it
            self._start.change(problem=sentence, anonymous=True)
            self._show_start()
        elif self._page is Page.OPENING:
            self._start.change(problem=sentence)
            self._show_start()
        elif self._room is not None:
            self._room.trouble(sentence)
        elif page is not None:
            page.set_busy("")
            page.set_problem(sentence)

    def _opened(self, event: news.RoomOpened) -> None:
        room = self._rooms.open(event)
        if event.behind and event.room_id != self._wanted:
            return
        self._wanted = b""
        self._start.change(invite_text="", invite_check=Check(), problem="")
        self._show_room(room)
        if not self._start.state.anonymous:
            self._behind.look()  # it may be the first of a profile that was just made

    def _from_room(self, event: news.RoomNews) -> None:
        room = self._rooms[event.room_id]
        if room is None:
            return  # it was closed a moment ago
        match event:
            case news.FromRoom():
                take(room, event.event, self._now_ms())
            case news.WordsReady():
                room.knocks.take_words(event.fp, event.words)
            case news.RoomWordsReady():
                room.trust.take_words(event.fps, event.words)
            case news.PeopleKnown():
                room.take_known(event)
            case news.MoveAnswered(failure=failure):
                if room.move.answered(failure):
                    self._view.close_sheet(Sheet.MOVE)
                    room.sheet_closed(Sheet.MOVE)
            case news.ReportWritten(failure=failure):
                room.trial.written(failure)
            case _:
                assert_never(event)

    def _in_room(self, room: RoomController, event: events.RoomAct) -> None:
        match event:
            case events.AnotherRoom():
                self._show_start()
            case events.LeaveRoom(sure=False):
                room.ask_to_leave()
            case events.LeaveRoom():
                self._behind.leave(room.room_id)
                self._drop(room)
            case events.CloseRoom() | events.StopWaiting():
                self._behind.close_room(room.room_id)
                self._drop(room)
            case _:
                act(room, self._view, event)

    def _drop(self, room: RoomController) -> None:
        self._leave_room()
        self._rooms.drop(room.room_id)
        self._show_start()
        if not self._start.state.anonymous:
            self._behind.look()

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _back(self) -> None:
        if self._busy:
            return
        if self._page is Page.START and self._rooms.front is not None:
            self._show_room(self._rooms.front)
        if self._page not in (Page.CREATE, Page.PROFILE, Page.IMPORT, Page.PROXY):
            return
        if self._page is Page.PROFILE:
            self._start.change(unprotected=self._known.guard is Guard.NOBODY)
        self._show_start()

    def _toggle_theme(self) -> None:
        if self._busy:
            return
        self._dark = not self._dark
        self._view.set_theme(self._dark)
        self._behind.keep_look(self._dark)
        match self._page:
            case Page.START:
                self._show_start()
            case Page.CREATE:
                self._show_create()
            case Page.UNLOCK:
                self._other_page = self._view.show_unlock(self._profile.nick)
            case Page.PROFILE:
                self._show_profile()
            case Page.IMPORT:
                self._other_page = self._view.show_import()
            case Page.PROXY:
                self._show_proxy()
            case Page.ROOM:
                if self._room is not None:
                    self._room.show_again()
            case Page.NOTHING | Page.OPENING:
                pass
            case _:
                assert_never(self._page)

    def _open_link(self, event: events.OpenLink) -> None:
        if not is_web_link(event.url):
            return
        if event.sure:
            self._view.close_sheet(Sheet.CONFIRM)
            self._view.open_link(event.url)
            return
        self._view.show_confirm(link_question(event.url, self._start.state.proxied))
