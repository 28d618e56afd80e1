"""The words page: what is on it, what it tells, by mouse and by keyboard.  Real windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from gui_help import WORDS
from screen import Screen
from test_view_pages import ROOM

from chatcore.words import WORD_COUNT
from gui import events, trust
from gui.events import Sheet
from gui.shown import Banner, Tone, WordsPerson, WordsState
from gui.view import words
from gui.view.page_window import BARS

BOB, EVE = b"b" * 32, b"e" * 32
STATE = WordsState(
    "Room words",
    "Cabin weekend · 3 people",
    WORDS,
    trust.ROOM_TEXT,
    "Who read them with you?",
    (
        WordsPerson(BOB, "bob", "Compared on 3 November", Tone.GOOD, True),
        WordsPerson(EVE, "eve", "Not compared yet", Tone.WARN),
    ),
    since="These words are new since 12:05, when eve came.",
    result="1 person ticked",
    ready=True,
)


def show(screen: Screen, state: WordsState = STATE) -> Sequence[str]:
    if screen.windows.main is None:
        screen.windows.show_room(ROOM)
    screen.windows.show_words(state)
    return screen.reads(screen.sheet(Sheet.WORDS))


def test_everything_that_is_to_be_read_out_is_there(screen: Screen) -> None:
    words_ = show(screen)
    assert len(WORDS) == WORD_COUNT
    for text in (*WORDS, STATE.title, STATE.detail, STATE.text, STATE.since, STATE.heading, STATE.result, "bob", "eve"):
        assert text in words_
    assert [str(number) for number in range(1, 9)] == [text for text in words_ if text.isdigit()]


def test_while_words_are_worked_out_it_says_so_and_nothing_can_be_agreed(screen: Screen) -> None:
    words_ = show(screen, replace(STATE, words=(), computing=trust.COMPUTING, ready=False))
    assert trust.COMPUTING in words_
    assert words_.count("…") == WORD_COUNT
    assert words.DIFFER not in words_
    told = len(screen.told)
    screen.press(words.SAME, screen.sheet(Sheet.WORDS))
    assert not [event for event in screen.told[told:] if isinstance(event, events.WordsSame)]


def test_a_person_is_ticked_by_mouse_and_by_keyboard(screen: Screen) -> None:
    show(screen)
    sheet, _ = screen.windows.sheets[Sheet.WORDS]
    canvas = sheet.list.canvas.Widget
    canvas.event_generate("<ButtonRelease-1>", x=40, y=sheet.kit.px(words.ROW) + 20)
    assert screen.last() == events.TickWords(EVE)
    screen.key("Down", canvas)
    screen.key("Up", canvas)
    screen.key("space", canvas)
    assert screen.last() == events.TickWords(BOB)


def test_the_two_answers(screen: Screen) -> None:
    show(screen)
    screen.press(words.SAME, screen.sheet(Sheet.WORDS))
    assert screen.last() == events.WordsSame()
    screen.press(words.DIFFER, screen.sheet(Sheet.WORDS))
    assert screen.last() == events.WordsDiffer()
    pair = replace(STATE, pair=BOB, people=STATE.people[:1], title="Words with bob")
    assert words.ALONE in show(screen, pair)
    screen.key("Escape", screen.sheet(Sheet.WORDS))
    assert screen.last() == events.SheetClosed(Sheet.WORDS)


def test_choosing_a_person_leaves_no_answer_to_press(screen: Screen) -> None:
    words_ = show(screen, replace(STATE, advice=trust.ROOM_DIFFER, choosing=True))
    assert trust.ROOM_DIFFER in words_
    assert words.SAME not in words_
    assert words.DIFFER not in words_


def test_what_isnt_said_leaves_no_hole(screen: Screen) -> None:
    show(screen)
    high = screen.sheet(Sheet.WORDS).winfo_reqheight()
    show(screen, replace(STATE, since="", people=(), heading="", result=""))
    assert screen.sheet(Sheet.WORDS).winfo_reqheight() < high - 150


def test_256_people_scroll_and_the_answers_stay_on_the_screen(screen: Screen) -> None:
    crowd = tuple(WordsPerson(bytes([n]) * 32, f"person {n}", "Not compared yet", Tone.WARN) for n in range(255))
    show(screen, replace(STATE, people=crowd))
    top = screen.sheet(Sheet.WORDS)
    sheet, _ = screen.windows.sheets[Sheet.WORDS]
    assert top.winfo_reqheight() <= top.winfo_screenheight() - sheet.kit.px(BARS)
    assert words.SAME in screen.reads(top)
    canvas = sheet.list.canvas.Widget
    for _ in range(12):
        screen.key("Down", canvas)
    screen.key("Return", canvas)
    assert screen.last() == events.TickWords(crowd[12].fp)


@pytest.mark.parametrize("size", ["1280x800", "480x420"])
def test_a_strip_with_two_answers_is_whole_in_every_window(screen: Screen, size: str) -> None:
    page = screen.windows.show_room(ROOM)
    screen.top.geometry(size)
    screen.update()
    banner = Banner(
        "key", Tone.BAD, "eve has another key than before", "You know eve by the key 3f2a. " * 5,
        ("Compare words", events.OpenWords(EVE)), second=("I know: a new device", events.SettleKey(EVE)),
    )  # fmt: skip
    page.set_banners((banner,))
    words_ = screen.reads()
    assert words_.count("Compare words") == words_.count("I know: a new device") == 1
    screen.press("I know: a new device")
    assert screen.last() == events.SettleKey(EVE)
    screen.press("Compare words")
    assert screen.last() == events.OpenWords(EVE)


def test_a_person_in_the_roster_opens_their_words(screen: Screen) -> None:
    page = screen.windows.show_room(ROOM)
    screen.update()
    canvas = page.roster.list.canvas.Widget
    screen.key("Return", canvas)
    assert isinstance(screen.last(), events.OpenWords)
