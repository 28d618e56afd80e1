"""Replies in the window: what is answered, how it is shown, and the ways there and back.  Real windows, and without."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import gallery
import pytest
from gallery import fp, said
from gui_help import ALICE, BOB, CAROL, NOON, Stage, mid

from chatcore import events as core
from chatcore.errors import TextError
from chatcore.events import Quote
from gui import events
from gui.history import NOT_HERE
from gui.shown import LineItem, MessageItem, Quoted, Tone

QUOTED = Quoted((3).to_bytes(16), fp("carol"), "carol", "Looks great. Who brings the stove?")
REPLY = said(20, "bob", "I do.", quote=QUOTED)
LOST = said(21, "eve", "Done", quote=Quoted(b"?" * 16, fp("alice"), "alice", NOT_HERE, here=False))

Open = Callable[..., Any]


@pytest.fixture
def opened() -> Generator[Open]:
    windows: list[Any] = []

    def open_page(state: Any = gallery.ROOM, **how: Any) -> Any:
        page, window, emitted = gallery.open_room(state, **how)
        page.emitted = emitted
        windows.append(window)
        window.TKroot.update()
        window.TKroot.focus_force()
        window.TKroot.update()
        return page

    yield open_page
    for window in windows:
        window.close()


# -- the window --------------------------------------------------------------------------------------------------------


def test_a_reply_shows_whose_message_it_answers_on_a_line_above_it(opened: Open) -> None:
    page = opened()
    page.log.extend([REPLY, LOST])
    lines = page._log.shown_text().split("\n")
    at = next(n for n, line in enumerate(lines) if line.endswith("I do."))
    assert lines[at - 1].endswith("carol  Looks great. Who brings the stove?")
    assert any(line.endswith(f"alice  {NOT_HERE}") for line in lines)


def test_a_click_on_the_quote_goes_there(opened: Open) -> None:
    page = opened()
    page.log.extend([REPLY, *(said(100 + n, "bob", f"line {n}") for n in range(40))])
    log = page._log
    start = log.text.tag_nextrange("quote", "1.0")[0]
    log.text.see(start)
    log.text.update()
    x, y, *_ = log.text.bbox(f"{start}+8c")
    log.text.event_generate("<Motion>", x=x, y=y)
    log.text.event_generate("<ButtonPress-1>", x=x, y=y)
    log.text.event_generate("<ButtonRelease-1>", x=x, y=y)
    log.text.update()
    assert log.chosen().mid == QUOTED.mid


def test_a_quote_that_isnt_here_leads_nowhere(opened: Open) -> None:
    page = opened()
    page.log.extend([LOST])
    before = page._log._chosen
    page._log.go_to(b"?" * 16)
    assert page._log._chosen == before
    entries = dict(page._log.menu_for(page._log.chosen()))
    assert "Go to what this answers" not in entries


def test_the_menu_answers_and_goes_to_what_is_answered(opened: Open) -> None:
    page = opened()
    page.log.extend([REPLY])
    entries = dict(page._log.menu_for(REPLY))
    entries["Reply"]()
    assert page.emitted[-1] == events.Answer(REPLY.mid)
    entries["Go to what this answers"]()
    assert page._log.chosen().mid == QUOTED.mid


def test_a_key_answers_the_chosen_message_and_escape_takes_it_back(opened: Open) -> None:
    page = opened()
    page.composer.text.event_generate("<Control-r>")
    page.window.TKroot.update()
    assert page.emitted[-1] == events.Answer((8).to_bytes(16))
    page.set_answering(QUOTED)
    page.window.TKroot.update()
    assert page.answer_bar.Widget.winfo_viewable()
    assert page.answer_bar.name.get() == "Reply to carol"
    assert page.answer_bar.text.get() == QUOTED.text
    assert page.answer_bar.Widget.winfo_rooty() < page.composer.Widget.winfo_rooty()
    page.composer.text.event_generate("<Escape>")
    page.window.TKroot.update()
    assert page.emitted[-1] == events.Answer()
    page.set_answering(None)
    page.window.TKroot.update()
    assert not page.answer_bar.Widget.winfo_viewable()


def test_the_bar_closes_by_its_button_and_gives_the_keyboard_to_the_composer(opened: Open) -> None:
    page = opened()
    page._log.text.focus_force()
    page.set_answering(QUOTED)
    page.window.TKroot.update()
    assert page.window.TKroot.focus_get() is page.composer.text
    page.answer_bar.close.press()
    assert page.emitted[-1] == events.Answer()


def test_a_long_or_hostile_text_stays_on_one_line_also_in_a_narrow_window(opened: Open) -> None:
    wild = replace(QUOTED, text="\u202eA\n\n" + "long " * 400, name="carol")
    page = opened(replace(gallery.ROOM, answering=wild), size=(480, 420))
    page.log.extend([replace(REPLY, quote=wild)])
    page.window.TKroot.update()
    assert "\n" not in page.answer_bar.text.get()
    assert page.answer_bar.Widget.winfo_width() <= page.window.TKroot.winfo_width()
    first, last = page._log.text.tag_nextrange("quote", "1.0")
    assert page._log.text.count(first, last, "displaylines") in (None, (0,), (1,), 0, 1)
    assert "\u202e" not in page._log.shown_text()


def test_a_name_that_is_told_apart_later_changes_in_quotes_too(opened: Open) -> None:
    page = opened()
    page.log.extend([REPLY])
    page.log.rename(fp("carol"), "carol (3f2a)")
    assert "carol (3f2a)  Looks great." in page._log.shown_text()
    page._log.text.update()
    assert page._log.text.tag_nextrange("quote", "1.0"), "it can be clicked still"


# -- without a window --------------------------------------------------------------------------------------------------


def came(number: int, sender: bytes, text: str, answers: Quote | None = None) -> core.MessageReceived:
    return core.MessageReceived(mid(number), sender, "", text, NOON, NOON, (ALICE, BOB, CAROL), answers)


def test_what_is_said_next_answers_what_was_chosen_and_then_no_more() -> None:
    stage = Stage().talking(others=(BOB, CAROL)).core(came(1, BOB, "Shall we?"))
    stage(events.Answer(mid(1)))
    assert stage.page.answering == Quoted(mid(1), BOB, "Bob", "Shall we?")
    stage(events.Send("Yes"))
    assert stage.back.asked[-1] == ("say", "Yes", mid(1))
    stage.core(core.MessageSent(mid(2), "Yes", NOON, (BOB, CAROL), Quote(mid(1), BOB, NOON)))
    assert stage.page.answering is None
    stage(events.Send("And more"))
    assert ("say", "And more") in stage.back.asked
    item = next(i for i in stage.log.items if isinstance(i, MessageItem) and i.text == "Yes")
    assert item.quote == Quoted(mid(1), BOB, "Bob", "Shall we?")


def test_what_was_refused_still_answers() -> None:
    stage = Stage().talking().core(came(1, BOB, "Shall we?"))
    stage.back.refuse = TextError("too long")
    stage(events.Answer(mid(1)), events.Send("Yes"))
    assert stage.page.answering is not None


def test_an_answer_is_taken_back_and_one_to_nothing_isnt_begun() -> None:
    stage = Stage().talking().core(came(1, BOB, "Shall we?"))
    stage(events.Answer(mid(7)))
    assert stage.page.answering is None
    stage(events.Answer(mid(1)), events.Answer())
    assert stage.page.answering is None
    stage(events.Send("Hello"))
    assert stage.back.asked[-1] == ("say", "Hello")


def test_what_is_answered_survives_another_look() -> None:
    stage = Stage().talking().core(came(1, BOB, "Shall we?"))
    stage(events.Answer(mid(1)), events.ThemeToggled())
    assert stage.page.answering == Quoted(mid(1), BOB, "Bob", "Shall we?")


def test_the_author_that_a_reply_claims_counts_only_for_what_isnt_here() -> None:
    stage = (
        Stage()
        .talking(others=(BOB, CAROL))
        .core(
            came(1, BOB, "Shall we?"),
            came(2, CAROL, "Yes", Quote(mid(1), CAROL, NOON)),
            came(3, CAROL, "No", Quote(mid(9), BOB, NOON)),
        )
    )
    quotes = [i.quote for i in stage.log.items if isinstance(i, MessageItem) and i.quote]
    assert quotes == [
        Quoted(mid(1), BOB, "Bob", "Shall we?"),
        Quoted(mid(9), BOB, "Bob", NOT_HERE, here=False),
    ]


@pytest.mark.parametrize(
    ("author", "sentence"),
    [
        (BOB, "Carol answers another version of Bob's message, or one that you don't have. Ask Carol what it said"),
        (ALICE, "Carol answers another version of your message, or one that isn't yours. Ask Carol what it said"),
        (b"?" * 32, "Carol answers another version of somebody's message, or one that you don't have. "
         "Ask Carol what it said"),
    ],
)  # fmt: skip
def test_another_version_is_said_in_one_sentence(author: bytes, sentence: str) -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(core.OtherVersion(mid(1), CAROL, "Carol", author, NOON))
    line = stage.log.items[-1]
    assert isinstance(line, LineItem)
    assert (line.text, line.tone) == (sentence, Tone.WARN)


def test_of_an_author_who_is_away_it_is_said_calmly() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(core.OtherVersion(mid(1), CAROL, "Carol", BOB, NOON, away=True))
    line = stage.log.items[-1]
    assert isinstance(line, LineItem)
    assert line.text == "Carol answers a message from Bob that hasn't come to you yet: Bob isn't here"
    assert line.tone is Tone.PLAIN
