"""The room page: composer, strips, people, status, narrow windows, the empty room, and everything by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import gallery
import pytest
from gallery import ALONE, AMBER, KNOCK, PEOPLE, QUIET, ROOM, fp, said
from PIL import ImageColor

from chatcore.events import Presence
from gui import art, theme
from gui.events import (
    AnotherRoom,
    CloseRoom,
    CopyInvite,
    DismissBanner,
    LeaveRoom,
    OpenInvite,
    OpenMove,
    OpenRecent,
    OpenReport,
    OpenSteady,
    OpenWords,
    Send,
    ShowKnock,
    ShowReaders,
    ThemeToggled,
    TogglePeople,
    ViewEvent,
)
from gui.pages import LogView, RoomView
from gui.shown import Banner, Composer, Header, Person, RoomState, Status, Tick, Tone
from gui.view.rooms import NOT_OPEN
from gui.view.roster import rows_of, short_fingerprint


class Page:
    """A room page in a window, and what it emitted."""

    def __init__(self, state: RoomState = ROOM, **how: Any) -> None:
        page, window, emitted = gallery.open_room(state, **how)
        self.page: Any = page
        self.window: Any = window
        self.emitted: list[ViewEvent] = emitted
        self.top: Any = window.TKroot
        self.field: Any = page.composer.text
        self.top.update()
        self.top.focus_force()
        self.top.update()

    def type(self, text: str) -> None:
        self.field.focus_force()
        self.field.insert("insert", text)
        self.top.update()

    def press(self, keys: str, **how: Any) -> None:
        self.field.focus_force()
        self.field.event_generate(keys, **how)
        self.top.update()

    def resize(self, width: int, height: int) -> None:
        self.top.geometry(f"{width}x{height}")
        gallery.pump(self.window, lambda: (self.top.winfo_width(), self.top.winfo_height()) == (width, height))
        self.top.update()

    def mapped(self, element: Any) -> bool:
        return bool(element.Widget.winfo_viewable())


Open = Callable[..., Page]


@pytest.fixture
def opened() -> Generator[Open]:
    pages: list[Page] = []

    def open_page(state: RoomState = ROOM, **how: Any) -> Page:
        pages.append(Page(state, **how))
        return pages[-1]

    yield open_page
    for page in pages:
        page.window.close()


def test_the_page_is_a_room_view(opened: Open) -> None:
    page: RoomView = opened().page
    log: LogView = page.log
    assert log is not None
    for protocol, thing in ((RoomView, page), (LogView, log)):
        names = {name for name in vars(protocol) if not name.startswith("_")}
        assert names
        assert all(hasattr(thing, name) for name in names)


# -- the composer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["<Return>", "<KP_Enter>"])
def test_return_sends_and_the_text_stays_until_the_core_has_taken_it(opened: Open, keys: str) -> None:
    room = opened()
    room.type("hello\nthere 😀")
    room.press(keys)
    room.press(keys)
    assert room.emitted == [Send("hello\nthere 😀")], "sent once, however often Return is pressed"
    assert room.page.draft() == "hello\nthere 😀"
    room.type("!")
    room.page.composer_taken("hello\nthere 😀")
    assert room.page.draft() == "!"
    room.press(keys)
    assert room.emitted[1:] == [Send("!")]
    room.page.composer_taken("something else")
    assert room.page.draft() == "!"


def test_shift_return_makes_a_line(opened: Open) -> None:
    room = opened()
    room.type("one")
    room.press("<Shift-Return>")
    room.type("two")
    assert room.page.draft() == "one\ntwo"
    assert room.emitted == []


@pytest.mark.parametrize("text", ["", "  ", "\n\n", "\t "])
def test_nothing_is_not_sent(opened: Open, text: str) -> None:
    room = opened()
    room.type(text)
    room.press("<Return>")
    room.page.composer.send.press()
    assert room.emitted == []


def test_a_refusal_keeps_the_text_and_says_why_until_it_is_changed(opened: Open) -> None:
    room = opened()
    room.type("too long")
    room.press("<Return>")
    room.page.composer_refused("too long", "This message is too long: at most 40,000 bytes.")
    assert room.page.draft() == "too long"
    assert room.page.composer.note.get() == "This message is too long: at most 40,000 bytes."
    assert room.page.composer.card.border == theme.LIGHT.bad
    room.type(" no more")
    gallery.pump(room.window, lambda: room.page.composer.note.get() == ROOM.composer.hint)
    room.press("<Return>")
    assert room.emitted == [Send("too long"), Send("too long no more")]


def test_it_grows_to_six_lines_and_the_log_stays_at_the_bottom(opened: Open) -> None:
    room = opened(size=(900, 520))
    heights = []
    for number in range(9):
        room.type("line" if number == 0 else "\nline")
        gallery.pump(room.window, lambda n=number: int(room.field.cget("height")) == min(n + 1, 6))  # type: ignore[misc]
        heights.append(int(room.field.cget("height")))
        room.top.update()
        assert room.page._log.at_bottom()
    assert heights == [1, 2, 3, 4, 5, 6, 6, 6, 6]
    room.page.composer_taken(room.page.draft())
    gallery.pump(room.window, lambda: int(room.field.cget("height")) == 1)


def test_select_all_undo_redo_and_paste_over_a_selection(opened: Open) -> None:
    room = opened()
    room.type("first")
    room.press("<Control-a>")
    assert room.field.get("sel.first", "sel.last") == "first"
    room.top.clipboard_clear()
    room.top.clipboard_append("second 😀")
    room.press("<<Paste>>")
    assert room.page.draft() == "second 😀"
    while room.field.edit("canundo"):
        room.press("<Control-z>")
    assert room.page.draft() == ""
    room.press("<Control-z>")
    while room.field.edit("canredo"):
        room.press("<Control-y>")
    assert room.page.draft() == "second 😀"


def test_switched_off_it_says_why_and_keeps_the_draft(opened: Open) -> None:
    room = opened()
    room.type("a draft")
    room.page.set_composer(Composer(False, "You can write as soon as somebody is here", "Nobody is here."))
    room.press("<Return>")
    room.page.composer.send.press()
    assert room.emitted == []
    assert room.page.draft() == "a draft"
    assert room.page.composer.note.get() == "Nobody is here."
    room.page.set_composer(ROOM.composer)
    room.press("<Return>")
    assert room.emitted == [Send("a draft")]


def test_a_draft_comes_back_with_the_page(opened: Open) -> None:
    room = opened(replace(ROOM, draft="half a thought\n"))
    assert room.page.draft() == "half a thought\n"
    off = opened(replace(ROOM, draft="half", composer=Composer(False, "off")))
    assert off.page.draft() == "half"


def test_the_placeholder_is_there_only_while_nothing_is_written(opened: Open) -> None:
    room = opened()
    hint = room.page.composer._hint
    assert hint.winfo_ismapped()
    assert hint.cget("text") == "Message Cabin weekend"
    room.type("x")
    gallery.pump(room.window, lambda: not hint.winfo_ismapped())


# -- strips ----------------------------------------------------------------------------------------------------------


def test_a_knock_shows_a_strip_and_leaves_the_keyboard_where_it_is(opened: Open) -> None:
    room = opened()
    room.type("I am typ")
    assert room.top.focus_get() is room.field
    room.page.set_banners((KNOCK,))
    room.top.update()
    assert room.top.focus_get() is room.field
    room.field.event_generate("<Key>", keysym="i")
    assert room.page.draft() == "I am typi"
    strip = room.page.banners.strips[0]
    assert room.mapped(strip)
    assert (strip.title.get(), strip.note.get(), strip.beside.action.get()) == (
        KNOCK.title,
        KNOCK.text,
        "See who it is",
    )
    assert room.page._log.at_bottom()
    strip.beside.action.press()
    assert room.emitted == [ShowKnock(fp("frank"))]
    room.page.set_banners(())
    room.top.update()
    assert not room.mapped(strip)


def test_strips_can_be_put_away_and_many_are_counted(opened: Open) -> None:
    room = opened()
    knocks = tuple(replace(KNOCK, key=f"k{n}", title=f"guest {n} is at the door", fp=fp(str(n))) for n in range(5))
    room.page.set_banners((AMBER, *knocks))
    room.top.update()
    shown = [strip for strip in room.page.banners.strips if room.mapped(strip)]
    assert [strip.title.get() for strip in shown] == [AMBER.title, knocks[0].title, knocks[1].title]
    assert shown[2].note.get().endswith("(3 more)")
    assert room.mapped(shown[0].close)
    assert not room.mapped(shown[0].beside.action)
    assert not room.mapped(shown[1].close)
    shown[0].close.press()
    assert room.emitted == [DismissBanner("gap")]


@pytest.mark.parametrize("tone", list(Tone))
def test_a_strip_of_each_tone_breaks_its_lines(opened: Open, tone: Tone) -> None:
    room = opened(size=(700, 600))
    room.page.set_banners((Banner("x", tone, "A title " * 12, "And a long text " * 20),))
    room.top.update()
    strip = room.page.banners.strips[0].Widget
    assert strip.winfo_rootx() + strip.winfo_width() <= room.top.winfo_rootx() + 700
    assert room.mapped(room.page.composer.card)


# -- people ----------------------------------------------------------------------------------------------------------


def test_people_are_here_or_away_with_oneself_first() -> None:
    rows = rows_of(PEOPLE, theme.LIGHT)
    assert [row.title for row in rows] == ["Here · 3", "carol", "alice", "bob", "Away · 2", "eve", "dave"]
    assert [row.presence for row in rows] == ["", "here", "here", "here", "", "away", "away"]
    assert [row.text for row in rows[1:4]] == ["You · owner", "Here", "Here"]
    owner = Person(fp("x"), "x", Presence.AWAY, "Away since 11:20", is_owner=True)
    assert rows_of([owner], theme.LIGHT)[1].text == "Away since 11:20 · owner"


def test_names_that_look_the_same_are_told_apart() -> None:
    twins = [
        Person(bytes([n]) * 32, name, Presence.HERE, "Here")
        for n, name in enumerate(("Bob", "bob", "bo\u200bb", "carol"), start=1)
    ]
    rows = rows_of(twins, theme.LIGHT)[1:]
    assert [row.text for row in rows] == ["01 01 · Here", "02 02 · Here", "03 03 · Here", "Here"]
    assert short_fingerprint(b"\xab\xcd" + bytes(30)) == "ab cd"


def test_a_roster_of_256_is_drawn_and_scrolls(opened: Open) -> None:
    room = opened()
    room.page.set_roster([Person(fp(str(n)), f"person {n}", Presence.HERE, "Here") for n in range(256)])
    room.top.update()
    canvas = room.page.roster.list.canvas.Widget
    assert canvas.yview()[1] < 0.2

    def names() -> list[str]:
        texts = [item for item in canvas.find_all() if canvas.type(item) == "text"]
        return [str(canvas.itemcget(item, "text")) for item in texts]

    assert "person 0" in names()
    assert "person 255" not in names(), "what isn't in view isn't drawn"
    canvas.event_generate("<Button-5>")
    room.top.update()
    assert canvas.yview()[0] > 0
    canvas.yview_moveto(1.0)
    room.top.update()
    assert "person 255" in names()
    assert "person 0" not in names()


def test_the_people_can_be_hidden_and_shown(opened: Open) -> None:
    room = opened()
    assert room.mapped(room.page.roster)
    before = room.page.middle.Widget.winfo_width()
    room.page.header.people.press()
    assert room.emitted == [TogglePeople()]
    room.page.show_people(False)
    room.top.update()
    assert not room.mapped(room.page.roster)
    assert room.page.middle.Widget.winfo_width() > before + 200
    room.page.show_people(True)
    room.top.update()
    assert room.mapped(room.page.roster)
    assert room.page.middle.Widget.winfo_width() == before


# -- narrow windows --------------------------------------------------------------------------------------------------


def test_below_820_pixels_the_people_replace_the_log(opened: Open) -> None:
    room = opened(size=(760, 620))
    page = room.page
    assert not room.mapped(page.roster)
    assert room.mapped(page._log)
    assert page.header.people.get().strip() == "5"
    room.type("a draft")
    page.header.people.press()
    room.top.update()
    assert room.emitted == [], "in a narrow window this is the page's own matter"
    assert room.mapped(page.roster)
    assert room.mapped(page.roster.back)
    assert not room.mapped(page.middle)
    assert page.roster.Widget.winfo_width() > 600
    room.top.event_generate("<Escape>")
    room.top.update()
    assert room.mapped(page._log)
    assert not room.mapped(page.roster)
    assert page.draft() == "a draft"
    page.show_people(True)
    room.top.update()
    assert room.mapped(page.roster)
    page.roster.back.press()
    room.top.update()
    assert not room.mapped(page.roster)


def test_the_columns_follow_the_width(opened: Open) -> None:
    room = opened()
    wide = room.page.left.Widget.winfo_width()
    for width, narrow in ((800, True), (1280, False), (600, True), (1000, False)):
        room.resize(width, 640)
        assert room.mapped(room.page.roster) is not narrow
        assert (room.page.left.Widget.winfo_width() < 100) is narrow
        assert room.mapped(room.page.left.title) is not narrow
        send = room.page.composer.send.Widget
        right = send.winfo_rootx() + send.winfo_width()
        assert right < room.top.winfo_rootx() + width
        assert room.mapped(room.page.composer.send)
        status = room.page.status.connection.Widget
        assert status.winfo_rooty() + status.winfo_height() <= room.top.winfo_rooty() + 640
    room.resize(1280, 800)
    assert room.page.left.Widget.winfo_width() == wide


@pytest.mark.parametrize("size", [(1280, 800), (760, 620), (560, 460)])
@pytest.mark.parametrize("dark", [False, True])
def test_long_titles_and_sentences_push_nothing_out(opened: Open, size: tuple[int, int], dark: bool) -> None:
    state = replace(
        ROOM,
        title="A title without end " * 20,
        own_name="A very long name " * 9,
        header=Header("words " * 60, Tone.WARN),
    )
    room = opened(state, size=size, dark=dark)
    for button in (room.page.header.invite, room.page.header.people, room.page.composer.send):
        widget = button.Widget
        assert room.mapped(button)
        assert widget.winfo_rootx() + widget.winfo_width() <= room.top.winfo_rootx() + size[0]
    assert room.page.header.title.get().endswith("…")


# -- status, header, rooms -------------------------------------------------------------------------------------------


def test_the_status_bar_speaks_in_words_and_signs(opened: Open) -> None:
    room = opened()
    page = room.page
    assert page.status.privacy.get() == "Only the people in this room can read this"
    assert page.status.connection.get() == "Connected · everything sent"
    assert (page.status.privacy.icon, page.status.connection.icon) == ("lock", "dot")
    page.set_status(Status("Check who is in this room", Tone.WARN, "Not connected · 2 messages wait", Tone.BAD))
    assert page.status.privacy.get() == "Check who is in this room"
    assert page.status.connection.get() == "Not connected · 2 messages wait"
    assert (page.status.privacy.icon, page.status.connection.icon) == ("warning", "offline")
    page.set_header(Header("Compare words with bob", Tone.WARN))
    assert (page.header.line.get(), page.header.line.icon) == ("Compare words with bob", "warning")


def test_the_column_of_rooms_says_what_is_new_and_leads_to_others(opened: Open) -> None:
    room = opened()
    rows = room.page.left.list.rows()
    assert [(row.title, row.heading) for row in rows] == [
        ("Cabin weekend", False), ("Book club", False), (NOT_OPEN, True), ("Climbing club with a long name", False),
    ]  # fmt: skip
    assert [row.title for row in rows if row.chosen] == ["Cabin weekend"]
    assert [(row.text, row.when, row.badge) for row in rows[:2]] == [
        ("You: On the phone is fine", "12:13", ""), ("alice: Which chapter?", "11:52", "2"),
    ]  # fmt: skip
    canvas = room.page.left.list.canvas.Widget
    canvas.event_generate("<ButtonRelease-1>", x=80, y=30)
    canvas.event_generate("<ButtonRelease-1>", x=80, y=100)
    canvas.focus_force()
    for keys in ("<Down>", "<Down>", "<Down>", "<Return>"):
        canvas.event_generate(keys)
    assert room.emitted == [OpenRecent(fp("Book club")), OpenRecent(fp("Climbing"))]
    room.page.left.plus.press()
    assert room.emitted[-1] == AnotherRoom(), "and this one stays open"


@pytest.mark.parametrize("size", [(1280, 800), (480, 420)])
def test_a_knock_in_another_room_is_marked_in_the_column(opened: Open, size: tuple[int, int]) -> None:
    room = opened(size=size)
    club = replace(ROOM.rooms[1], detail="eve is at the door", knock=True)
    room.page.set_rooms((ROOM.rooms[0], club))
    row = room.page.left.list.rows()[1]
    assert (row.text, row.text_icon) == ("eve is at the door", "door")
    assert row.badge == ("!" if size[0] < 820 else "2")


@pytest.mark.parametrize("size", [(1280, 800), (480, 420)])
def test_a_room_that_is_not_connected_is_marked_in_the_column(opened: Open, size: tuple[int, int]) -> None:
    room = opened(size=size)
    club = replace(ROOM.rooms[1], detail="Not connected", tone=Tone.WARN)
    book = replace(ROOM.rooms[2], detail="Can't be opened", tone=Tone.BAD)
    room.page.set_rooms((ROOM.rooms[0], club, book))
    rows = [row for row in room.page.left.list.rows() if not row.heading]
    assert [(row.text_colour, row.text_icon) for row in rows] == [
        ("", ""), (theme.LIGHT.warn, "offline"), (theme.LIGHT.bad, "warning"),
    ]  # fmt: skip
    assert [row.badge for row in rows] == ["", "2", "!" if size[0] < 820 else ""], "what is unread still counts"


def test_the_gear_offers_the_words_the_look_and_two_ways_out(opened: Open) -> None:
    room = opened()
    for words, act in room.page.gear_entries():
        assert words
        act()
    acts = [OpenWords(), OpenReport(), OpenSteady(), OpenMove(), ThemeToggled(), CloseRoom(), LeaveRoom()]
    assert room.emitted == acts
    assert room.page.gear_entries()[4][0] == "Dark look"
    assert opened(dark=True).page.gear_entries()[4][0] == "Light look"
    room.page.set_roster((Person(fp("carol"), "carol", Presence.SELF, "You", is_self=True),))
    others = [words for words, _ in room.page.gear_entries()]
    assert "Steady rhythm…" not in others
    assert "Move to another relay…" not in others


@pytest.mark.parametrize("size", [(1280, 800), (480, 420)])
def test_the_menu_of_the_gear_opens_above_it(
    opened: Open, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[int] = []
    monkeypatch.setattr("tkinter.Menu.tk_popup", lambda menu, x, y: at.append(y))
    room = opened(size=size)
    room.page.left.open_menu()
    gear = (room.page.left.rail_gear if size[0] < 820 else room.page.left.gear).Widget
    assert at[0] + gear.popup_menu.winfo_reqheight() <= gear.winfo_rooty(), "no second click closes the room"


def test_under_a_long_warning_a_low_window_keeps_its_composer(opened: Open) -> None:
    room = opened(size=(480, 420))
    long = "Somebody came with a key that isn't the known one, under a name that is. " * 3
    answer = ("Compare words", OpenWords())
    room.page.set_quiet(ALONE.quiet)
    room.page.set_quiet(None)  # what comes back is packed anew
    room.page.set_banners([Banner("key", Tone.BAD, "alice has another key", long, action=answer, second=answer)])
    room.page.kit.root.update()
    card = room.page.composer.card.Widget
    assert card.winfo_height() >= card.winfo_reqheight()


# -- the empty room --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 800), (1100, 760), (760, 620), (560, 460)])
def test_an_empty_room_says_what_to_do(opened: Open, size: tuple[int, int]) -> None:
    room = opened(ALONE, size=size)
    page, panel = room.page, room.page.quiet_panel
    assert room.mapped(panel)
    assert not room.mapped(page._log)
    assert panel.title.get() == QUIET.title
    for button in (panel.invite, panel.copy, page.composer.send):
        assert room.mapped(button)
        widget = button.Widget
        assert widget.winfo_rootx() + widget.winfo_width() <= room.top.winfo_rootx() + size[0]
        assert widget.winfo_rooty() + widget.winfo_height() <= room.top.winfo_rooty() + size[1]
    panel.invite.press()
    panel.copy.press()
    assert room.emitted == [OpenInvite(), CopyInvite()]
    words = " ".join(str(e.get()) for step in panel.steps for e in step[1:])
    assert "24 hours" not in words + panel.words.get()
    page.set_quiet(None)
    page.log.extend([said(1, "alice", "hello")])
    room.top.update()
    assert room.mapped(page._log)
    assert not room.mapped(panel)


def test_what_an_empty_room_shows_is_drawn_when_one_is_empty(opened: Open) -> None:
    room = opened()
    panel = room.page.quiet_panel
    assert panel.scene.image is None
    room.page.set_quiet(QUIET)
    assert panel.scene.image is not None
    assert all(circle.image is not None for circle, _, _ in panel.steps)


def test_a_guest_who_is_alone_isn_t_offered_to_invite(opened: Open) -> None:
    room = opened(replace(ALONE, quiet=replace(QUIET, can_invite=False, qr="", steps=())))
    assert not room.mapped(room.page.quiet_panel.invite)
    assert room.mapped(room.page.quiet_panel.title)


# -- the keyboard ----------------------------------------------------------------------------------------------------


def test_the_keys_work_from_the_composer_and_the_log(opened: Open) -> None:
    room = opened()
    for widget in (room.field, room.page._log.text):
        widget.focus_force()
        for keys in ("<Control-i>", "<Control-p>", "<Control-j>", "<Control-n>"):
            widget.event_generate(keys)
        assert room.emitted == [OpenInvite(), TogglePeople(), ShowReaders((8).to_bytes(16, "big")), AnotherRoom()]
        room.emitted.clear()
    assert room.page.draft() == ""


def test_a_letter_typed_into_the_log_goes_to_the_composer(opened: Open) -> None:
    room = opened()
    text = room.page._log.text
    text.focus_force()
    text.event_generate("<Key>", keysym="h")
    assert room.page.draft() == "h"
    assert room.top.focus_get() is room.field


def test_tab_walks_through_the_page_and_comes_round(opened: Open) -> None:
    room = opened()
    room.field.focus_force()
    seen = []
    for _ in range(30):
        focus = room.top.focus_get()
        if focus in seen:
            break
        seen.append(focus)
        focus.event_generate("<Tab>")
        room.top.update()
    wanted = (
        room.page.composer.send,
        room.page.header.invite,
        room.page.header.people,
        room.page.left.gear,
        room.page.left.plus,
    )
    assert {button.Widget for button in wanted} <= set(seen)
    assert room.field in seen
    assert room.page._log.text in seen


# -- ticks through the page ------------------------------------------------------------------------------------------


def test_the_page_hands_the_log_what_concerns_it(opened: Open) -> None:
    room = opened()
    log = room.page.log
    log.extend([said(60, "carol", "sent now", own=True, tick=Tick.WAITING)])
    log.set_tick((60).to_bytes(16, "big"), Tick.ALL)
    log.set_delivery(None)
    log.rename(fp("bob"), "robert")
    shown = room.page._log.shown_text()
    assert "Arrived at" not in shown
    assert "robert" in shown


@pytest.mark.parametrize(("dark", "size"), [(False, (1280, 800)), (True, (760, 620))])
def test_every_scene_can_be_built(dark: bool, size: tuple[int, int]) -> None:
    for state, _ in gallery.SCENES.values():
        page, window, emitted = gallery.open_room(state, dark=dark, size=size)
        window.TKroot.update()
        assert emitted == []
        assert page.draft() == ""
        window.close()


def test_in_the_narrowest_of_windows_nothing_is_cut_off(opened: Open) -> None:
    long = "Nobody gets what you write here until you have compared words with them, one after the other."
    room = opened(
        replace(
            ROOM,
            header=Header("5 people · 3 here · 2 of 4 compared · steady, every 30 s", brief="3 here · steady"),
            status=Status(
                "Only the people in this room can read this", Tone.PLAIN,
                "Connected · 12 messages wait for people who are away", Tone.GOOD,
                "Only this room can read this", "Connected · 12 messages wait",
            ),
            composer=Composer(True, "Message Cabin weekend", long),
        ),
        size=(480, 420),
    )  # fmt: skip
    page = room.page
    assert page.header.line.get() == "3 here · steady"
    assert page.status.privacy.get() == "Only this room can read this"
    assert page.status.connection.get() == "Connected · 12 messages wait"
    assert page.composer.note.get() == long
    for element in (page.header.line, page.status.privacy, page.status.connection, page.composer.note):
        widget = element.Widget
        assert widget.winfo_width() >= widget.winfo_reqwidth()
        assert widget.winfo_height() >= widget.winfo_reqheight()
        assert widget.winfo_rootx() + widget.winfo_width() <= room.top.winfo_rootx() + room.top.winfo_width()
    room.resize(1280, 800)
    assert page.header.line.get().startswith("5 people")
    assert page.status.privacy.get() == "Only the people in this room can read this"
    assert page.status.connection.get().endswith("for people who are away")


def test_people_have_the_hues_of_their_room() -> None:
    hues = {fp("alice"): 3, fp("bob"): 4}
    page, window, _ = gallery.open_room(replace(ROOM, hues=hues))
    for name, hue in (("alice", 3), ("bob", 4)):
        assert page._log.text.tag_cget(f"n{fp(name).hex()}", "foreground") == theme.LIGHT.people[hue]
        assert page.kit.person_colour(fp(name)) == theme.LIGHT.people[hue]
    face = page.kit.face(fp("alice"), 40).convert("RGB")
    assert face.getpixel((20, 2)) == ImageColor.getrgb(theme.LIGHT.people[3])
    assert page.kit.face(fp("bob"), 40) != art.avatar(theme.LIGHT, fp("bob"), 40)
    window.close()
