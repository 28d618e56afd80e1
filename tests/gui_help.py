"""A window and a backroom that only remember what they were told; the controller doesn't see the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chatcore.errors import TextError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    LetIn,
    Member,
    MessageReceived,
    MessageSent,
    Presence,
    RoomEvent,
    RosterChanged,
)
from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.lock import Guard
from chatcore.pins import Page
from gui.controller import Controller
from gui.events import Sheet
from gui.news import AppEvent, FromRoom, ProfileFound, Remembered, RoomOpened
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
    LineItem,
    LogItem,
    MessageItem,
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

ALICE, BOB, CAROL, DAVE = (bytes((n,)) * 32 for n in (1, 2, 3, 4))
NICKS = {ALICE: "Alice", BOB: "Bob", CAROL: "Carol", DAVE: "Dave"}
NOON = 1_763_640_000_000  # some noon
WORDS = ("amber", "canoe", "violet", "orbit", "maple", "signal", "tundra", "pepper")


def mid(number: int) -> bytes:
    return number.to_bytes(16)


def heard(number: int, text: str, sender: bytes = BOB, **more: object) -> MessageReceived:
    fields = {"time_ms": NOON, "received_ms": NOON, "readers": (ALICE, BOB)} | more
    return MessageReceived(mid(number), sender, NICKS[sender], text, **fields)  # type: ignore[arg-type]


class FakeLog:
    def __init__(self, items: Sequence[LogItem]) -> None:
        self.items = list(items)
        self.ticks = {i.mid: i.tick for i in items if isinstance(i, MessageItem)}
        self.delivery: Delivery | None = None
        self.extended = 0

    def extend(self, items: Sequence[LogItem]) -> None:
        self.extended += 1
        self.items += items
        self.ticks |= {i.mid: i.tick for i in items if isinstance(i, MessageItem)}

    def set_tick(self, mid: bytes, tick: Tick) -> None:
        assert mid in self.ticks, "a tick for a message that isn't shown"
        self.ticks[mid] = tick

    def set_note(self, mid: bytes, note: Note | None) -> None:
        self.items = [replace(i, note=note) if isinstance(i, MessageItem) and i.mid == mid else i for i in self.items]

    def set_delivery(self, delivery: Delivery | None) -> None:
        self.delivery = delivery

    def rename(self, fp: bytes, name: str) -> None:
        self.items = [
            MessageItem(i.mid, i.fp, name, i.text, i.clock, i.own, i.tick, i.group)
            if isinstance(i, MessageItem) and i.fp == fp
            else i
            for i in self.items
        ]

    @property
    def lines(self) -> list[str]:
        return [i.text for i in self.items if isinstance(i, LineItem)]

    @property
    def texts(self) -> list[str]:
        return [i.text for i in self.items if isinstance(i, MessageItem)]


class FakeRoomPage:
    def __init__(self, state: RoomState) -> None:
        self.state = state
        self.log = FakeLog(state.items)
        self.header, self.people, self.status = state.header, list(state.people), state.status
        self.banners, self.composer, self.quiet = list(state.banners), state.composer, state.quiet
        self.answering = state.answering
        self.rooms: Sequence[RoomRow] = state.rooms
        self.typed, self.refusal, self.people_shown = state.draft, "", state.show_people

    def set_header(self, header: Header) -> None:
        self.header = header

    def set_roster(self, people: Sequence[Person]) -> None:
        self.people = list(people)

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        self.rooms = rooms

    def set_status(self, status: Status) -> None:
        self.status = status

    def set_banners(self, banners: Sequence[Banner]) -> None:
        self.banners = list(banners)

    def set_composer(self, composer: Composer) -> None:
        self.composer = composer

    def set_quiet(self, quiet: Quiet | None) -> None:
        self.quiet = quiet

    def set_answering(self, quoted: Quoted | None) -> None:
        self.answering = quoted

    def composer_taken(self, text: str) -> None:
        if self.typed == text:
            self.typed = ""

    def composer_refused(self, text: str, sentence: str) -> None:
        self.refusal = sentence

    def draft(self) -> str:
        return self.typed

    def show_people(self, shown: bool) -> None:
        self.people_shown = shown


class FakePage:
    """The start, create, unlock and waiting pages."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.busy = self.problem = ""
        self.name_check, self.invite_check = Check(), Check()
        if isinstance(state, StartState):
            self.name_check, self.invite_check, self.problem = state.name_check, state.invite_check, state.problem
            self.rooms: Sequence[RoomRow] = state.rooms

    def set_busy(self, sentence: str) -> None:
        self.busy = sentence

    def set_problem(self, sentence: str) -> None:
        self.problem = sentence

    def set_name_check(self, check: Check) -> None:
        self.name_check = check

    def set_invite_check(self, check: Check) -> None:
        self.invite_check = check

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        self.rooms = rooms

    def update(self, state: WaitingState) -> None:
        self.state = state


class FakeView:
    def __init__(self) -> None:
        self.page = ""
        self.front: Any = None
        self.sheets: dict[Sheet, Any] = {}
        self.title = ""
        self.dark: bool | None = None
        self.copied: tuple[str, int] | None = None
        self.opened: list[str] = []

    def _show(self, page: str, front: Any) -> Any:
        self.page, self.front = page, front
        return front

    def show_start(self, state: StartState) -> FakePage:
        return self._show("start", FakePage(state))  # type: ignore[no-any-return]

    def show_create(self, state: CreateState) -> FakePage:
        return self._show("create", FakePage(state))  # type: ignore[no-any-return]

    def show_unlock(self, name: str) -> FakePage:
        return self._show("unlock", FakePage(name))  # type: ignore[no-any-return]

    def show_profile(self, state: ProfileState) -> FakePage:
        return self._show("profile", FakePage(state))  # type: ignore[no-any-return]

    def show_proxy(self, state: ProxyKnown) -> FakePage:
        return self._show("proxy", FakePage(state))  # type: ignore[no-any-return]

    def show_import(self) -> FakePage:
        return self._show("import", FakePage(None))  # type: ignore[no-any-return]

    def show_waiting(self, state: WaitingState) -> FakePage:
        return self._show("waiting", FakePage(state))  # type: ignore[no-any-return]

    def show_room(self, state: RoomState) -> FakeRoomPage:
        return self._show("room", FakeRoomPage(state))  # type: ignore[no-any-return]

    def show_invite(self, state: InviteState) -> None:
        self.sheets[Sheet.INVITE] = state

    def show_knock(self, state: KnockState) -> None:
        self.sheets[Sheet.KNOCK] = state

    def show_readers(self, state: ReadersState) -> None:
        self.sheets[Sheet.READERS] = state

    def show_move(self, state: MoveState) -> None:
        self.sheets[Sheet.MOVE] = state

    def show_steady(self, state: SteadyState) -> None:
        self.sheets[Sheet.STEADY] = state

    def show_words(self, state: WordsState) -> None:
        self.sheets[Sheet.WORDS] = state

    def show_report(self, state: ReportState) -> None:
        self.sheets[Sheet.REPORT] = state

    def show_confirm(self, state: ConfirmState) -> None:
        self.sheets[Sheet.CONFIRM] = state

    def close_sheet(self, sheet: Sheet) -> None:
        self.sheets.pop(sheet, None)

    def set_title(self, title: str) -> None:
        self.title = title

    def set_theme(self, dark: bool) -> None:
        self.dark = dark

    def copy(self, text: str, clear_after_s: int = 0) -> None:
        self.copied = (text, clear_after_s)

    def open_link(self, url: str) -> None:
        self.opened.append(url)

    def close(self) -> None:
        self.page = "closed"


class FakeBackroom:
    """Remembers what was asked; `refuse` makes `say` refuse."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: TextError | None = None
        self.dark: bool | None = None
        self.looked_at: list[bytes] = []

    def look(self) -> None:
        self.asked.append(("look",))

    def unlock(self, passphrase: str) -> None:
        self.asked.append(("unlock", passphrase))

    def ask_profile(self) -> None:
        self.asked.append(("profile",))

    def protect(self, guard: Guard, passphrase: str, current: str) -> None:
        self.asked.append(("protect", guard, passphrase, current))

    def open_at_start(self, on: bool) -> None:
        self.asked.append(("at start", on))

    def export_profile(self, path: str, passphrase: str) -> None:
        self.asked.append(("export", path, passphrase))

    def import_profile(self, path: str, passphrase: str) -> None:
        self.asked.append(("import", path, passphrase))

    def erase_profile(self) -> None:
        self.asked.append(("erase",))

    def ask_proxy(self) -> None:
        self.asked.append(("proxy",))

    def set_proxy(self, address: str) -> None:
        self.asked.append(("set proxy", address))

    def join(self, name: str, invite_text: str, anonymous: bool, passphrase: str) -> None:
        self.asked.append(("join", name, invite_text, anonymous, passphrase))

    def create(
        self, name: str, title: str, mode: Mode, relay_line: str | None, anonymous: bool, passphrase: str
    ) -> None:
        self.asked.append(("create", name, title, mode, relay_line, anonymous, passphrase))

    def open_recent(self, room_id: bytes, name: str) -> None:
        self.asked.append(("open_recent", room_id, name))

    def open_behind(self, room_ids: Sequence[bytes], name: str) -> None:
        self.asked.append(("open_behind", tuple(room_ids), name))

    def look_at(self, room_id: bytes) -> None:
        self.looked_at.append(room_id)

    def keep_look(self, dark: bool) -> None:
        self.dark = dark

    def forget(self, room_id: bytes) -> None:
        self.asked.append(("forget", room_id))

    def work_out_words(self, room_id: bytes, fp: bytes) -> None:
        self.asked.append(("words", fp))

    def work_out_room_words(self, room_id: bytes, fps: frozenset[bytes]) -> None:
        self.asked.append(("room words", fps))

    def words_compared(self, room_id: bytes, fps: Sequence[bytes], page: Page, same: bool) -> None:
        self.asked.append(("compared", tuple(fps), page, same))

    def settle_key(self, room_id: bytes, fp: bytes) -> None:
        self.asked.append(("settle", fp))

    def say(self, room_id: bytes, text: str, answers: bytes = b"", listed: frozenset[bytes] | None = None) -> None:
        self.listed = listed
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(("say", text, answers) if answers else ("say", text))

    def ask_report(self, room_id: bytes) -> None:
        self.asked.append(("report", room_id))

    def write_report(self, room_id: bytes, place: str, text: str) -> None:
        self.asked.append(("write_report", place, text))

    def take_back(self, room_id: bytes, mid: bytes) -> None:
        self.asked.append(("take_back", mid))

    def let_in(self, room_id: bytes, fp: bytes) -> None:
        self.asked.append(("let_in", fp))

    def turn_away(self, room_id: bytes, fp: bytes) -> None:
        self.asked.append(("turn_away", fp))

    def ask_sealed_blocks(self, room_id: bytes, mid: bytes) -> None:
        self.asked.append(("blocks", mid))

    def move(self, room_id: bytes, line: str) -> None:
        self.asked.append(("move", line))

    def keep_steady(self, room_id: bytes, period_s: int) -> None:
        self.asked.append(("keep_steady", period_s))

    def leave(self, room_id: bytes) -> None:
        self.asked.append(("leave", room_id))

    def close_room(self, room_id: bytes) -> None:
        self.asked.append(("close_room", room_id))


def an_invite(mode: Mode = Mode.ASK, title: str = "Cabin weekend", owner: bytes = ALICE, number: int = 0) -> Invite:
    """Return the invite of a room; another number is another room."""
    relay = RelayAddress("relay.example.org", 7256, (bytes(32),))
    return Invite(bytes(range(number, number + 32)), owner, 0, mode, relay, title)


class Stage:
    """A controller between a fake window and a fake backroom, at a clock that stands still."""

    def __init__(self, **options: Any) -> None:
        self.view, self.back, self.now = FakeView(), FakeBackroom(), NOON
        self.controller = Controller(self.view, self.back, now_ms=lambda: self.now, **options)

    def __call__(self, *events: AppEvent) -> Stage:
        """Let these events come in one batch."""
        for event in events:
            self.controller.handle(event)
        self.controller.flush()
        return self

    def start(
        self,
        *rooms: Remembered,
        nick: str = "",
        first_time: bool = True,
        locked: bool = False,
        at_start: bool = False,
    ) -> Stage:
        self.controller.begin()
        return self(ProfileFound(nick, rooms, locked, first_time, at_start=at_start))

    def open(self, own: bytes = ALICE, mode: Mode = Mode.ASK, title: str = "Cabin weekend", number: int = 0) -> Stage:
        """Open a room that Alice made."""
        invite = an_invite(mode, title, number=number)
        self.room_id = invite.room_id
        return self(RoomOpened(self.room_id, invite.to_text(), title, mode, own, NICKS[own], ALICE, False))

    def core(self, *events: RoomEvent) -> Stage:
        """Let the core say these in one batch."""
        return self(*(FromRoom(self.room_id, event) for event in events))

    def talking(self, own: bytes = ALICE, others: Sequence[bytes] = (BOB,), mode: Mode = Mode.ASK) -> Stage:
        """Open a room with others in it, connected."""
        self.start().open(own, mode)
        return self.core(LetIn(ALICE), ConnectionChanged(Connection.CONNECTED), self.roster(own, *others))

    def roster(self, own: bytes, *others: bytes, away: Sequence[bytes] = ()) -> RosterChanged:
        return RosterChanged(
            (
                Member(own, NICKS[own], Presence.SELF, own == ALICE),
                *(
                    Member(fp, NICKS[fp], Presence.AWAY if fp in away else Presence.HERE, fp == ALICE, NOON - 60_000)
                    for fp in others
                ),
            )
        )

    def sent(self, number: int, text: str, *readers: bytes) -> MessageSent:
        return MessageSent(mid(number), text, self.now, readers)

    def note(self, number: int) -> Note | None:
        """What is said under a message."""
        (item,) = (i for i in self.log.items if isinstance(i, MessageItem) and i.mid == mid(number))
        return item.note

    @property
    def page(self) -> Any:
        return self.view.front

    @property
    def log(self) -> FakeLog:
        log: FakeLog = self.view.front.log
        return log
