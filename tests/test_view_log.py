"""The log: rows, ticks, delivery, scrolling, pruning, links, the menu; and hostile texts in it (attack 55)."""

from __future__ import annotations

import time
import tkinter as tk
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import gallery
import pytest
from gallery import fp, said

from gui import theme
from gui.events import OpenLink, ShowReaders, TakeBack, ViewEvent
from gui.links import split_links
from gui.psg import sg
from gui.shown import DayItem, Delivery, LineItem, MessageItem, Note, Tick, Tone
from gui.view.kit import Kit
from gui.view.log import INDENT, MAX_SHOWN, SIDE, SLACK, TAKE_BACK, RowLog, count_words
from gui.view.page_window import make_window


class Shown:
    """A log in a window, and what it emitted and copied."""

    def __init__(self, size: tuple[int, int] = (700, 400), dark: bool = False) -> None:
        self.emitted: list[ViewEvent] = []
        self.copied: list[str] = []
        kit = Kit(theme.DARK if dark else theme.LIGHT)
        self.log: Any = RowLog(kit, self.emitted.append, copy=self.copied.append)
        self.window: Any = make_window(kit, "A log", [[self.log]], size=size, resizable=True, location=(10, 10))
        self.text: Any = self.log.text
        self.window.TKroot.update()
        self.window.TKroot.focus_force()

    def update(self) -> None:
        self.window.TKroot.update()

    def lines(self) -> list[str]:
        return [line for line in self.log.shown_text().split("\n") if line.strip()]

    def tags_of(self, needle: str) -> set[str]:
        at = self.text.search(needle, "1.0")
        assert at, f"{needle!r} isn't shown"
        return set(self.text.tag_names(at))

    def top(self) -> str:
        """Return the first text that is in view."""
        at = self.text.index("@0,0")
        return str(self.text.get(f"{at} linestart", f"{at} lineend"))


@pytest.fixture
def shown() -> Generator[Shown]:
    made = Shown()
    yield made
    made.window.close()


def many(first: int, count: int, **how: Any) -> list[MessageItem]:
    return [said(n, ("alice", "bob")[n % 2], f"message {n}", **how) for n in range(first, first + count)]


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_show_who_when_and_what(shown: Shown) -> None:
    shown.log.extend(
        [
            DayItem("Friday 20 November"),
            said(1, "alice", "Good morning", clock="12:02"),
            said(2, "alice", "Second", clock="12:03", group=True),
            LineItem("bob joined", Tone.ACCENT, "12:04"),
            said(3, "bob", "Two\nlines", clock="12:05"),
        ]
    )
    assert shown.lines() == [
        "Friday 20 November", "alice  12:02", "Good morning", "Second", "bob joined  12:04",
        "bob  12:05", "Two", "lines",
    ]  # fmt: skip
    assert f"n{fp('alice').hex()}" in shown.tags_of("alice")
    assert "day" in shown.tags_of("Friday")
    assert f"line-{Tone.ACCENT.value}" in shown.tags_of("bob joined")
    colour = shown.text.tag_cget(f"n{fp('alice').hex()}", "foreground")
    assert colour == theme.person_colour(theme.LIGHT, fp("alice"))


def test_a_person_can_t_type_into_the_log(shown: Shown) -> None:
    shown.log.extend([said(1, "alice", "hello")])
    before = shown.log.shown_text()
    shown.text.focus_force()
    shown.text.event_generate("<Key>", keysym="x")
    shown.text.insert("end", "forged")
    assert shown.log.shown_text() == before


def test_the_log_is_one_text_widget_and_not_a_scrolled_column(shown: Shown) -> None:
    shown.log.extend(many(0, 500))
    assert shown.text.winfo_class() == "Text"
    assert not shown.log.Scrollable
    assert not shown.text.winfo_children()[1:], "a row has become a widget"
    assert isinstance(shown.log.multiline, sg.Multiline)
    assert "-LOG-" not in shown.window.read(timeout=0)[1], "each read copies the log"


# -- hostile texts ---------------------------------------------------------------------------------------------------

FORGERY = "hi\n\nbob  12:06\nI agree with everything"


def test_a_text_can_t_look_like_another_row(shown: Shown) -> None:
    shown.log.extend([said(1, "alice", FORGERY), said(2, "bob", "really me", clock="12:07")])
    for needle in ("bob  12:06", "I agree"):
        tags = shown.tags_of(needle)
        assert "body" in tags
        assert not tags & {"head", "time"}
        assert not any(tag.startswith("n") and tag != "next" for tag in tags)
    shown.update()
    forged = shown.text.bbox(shown.text.search("bob  12:06", "1.0"))
    body = shown.text.bbox(shown.text.search("I agree", "1.0"))
    assert forged[0] == body[0], "the forged name stands where a text stands"
    assert "time" in shown.tags_of("12:07")


@pytest.mark.parametrize(
    "text",
    ["\u202eevil\u202c", "a" + "\u0301" * 5000, "\x00\x01\x1b[31m", "\ufffe\ud800", "x" * 65_536, "\n" * 5000,
     "😀" * 500, "שלום עולם مرحبا", "\u2028\u2029\x0b", "\t" * 300, "{ } [ ] $ \\ %s ; # tcl [exit]"],
)  # fmt: skip
def test_hostile_texts_and_names_are_shown(shown: Shown, text: str) -> None:
    shown.log.extend([replace(said(1, "x", text), name=text), said(2, "bob", "after it")])
    shown.log.rename(fp("x"), text)
    shown.update()
    assert "after it" in shown.lines()
    assert not set(shown.log.shown_text()) & set("\u202e\u202c\x00\x1b\u2028")


def test_a_message_of_the_greatest_size_doesn_t_freeze_the_window(shown: Shown) -> None:
    shown.log.extend([said(1, "alice", "w" * 41_000), said(2, "alice", "word " * 8_200, group=True)])
    shown.update()
    widths = [len(line) for line in shown.log.shown_text().split("\n")]
    assert max(widths) <= 2000, "Tk's cost of a line is the square of its length"
    assert shown.log.shown_text().count("w") >= 41_000


def test_the_name_and_the_clock_are_one_line_each(shown: Shown) -> None:
    shown.log.extend([replace(said(1, "a", "text"), name="al\nice", clock="12\n:05")])
    assert shown.lines()[0] == "al ice  12 :05"


# -- ticks and delivery ----------------------------------------------------------------------------------------------


def _picture(shown: Shown, number: int) -> str:
    return str(shown.text.image_cget(f"t{number.to_bytes(16, 'big').hex()}", "image"))


def test_a_tick_on_a_line_of_its_own_stands_below_the_text() -> None:
    shown = Shown((480, 300))
    left = shown.log.kit.px(SIDE + INDENT)
    places = []
    for letters in range(22, 46):  # one of them as long as makes it break just before the tick
        shown.log.extend([said(letters, "alice", "w" * letters, own=True, tick=Tick.ALL)])
        shown.update()
        places.append(shown.text.bbox(f"t{letters.to_bytes(16).hex()}")[0])
    assert min(places) == left
    shown.window.close()


def test_ticks_change_in_place(shown: Shown) -> None:
    shown.log.extend(
        [said(1, "carol", "mine", own=True, tick=Tick.WAITING), said(2, "carol", "mine too", own=True, tick=Tick.ALL)]
    )
    before = shown.log.shown_text()
    seen = {_picture(shown, 1)}
    for tick in (Tick.SOME, Tick.FAILED, Tick.ALL):
        shown.log.set_tick((1).to_bytes(16, "big"), tick)
        seen.add(_picture(shown, 1))
    assert len(seen) == 4
    assert _picture(shown, 1) == _picture(shown, 2)
    shown.log.set_tick(b"nobody's message", Tick.ALL)
    assert shown.log.shown_text() == before


def test_what_became_of_a_message_stands_under_it(shown: Shown) -> None:
    first, second = (said(n, "carol", f"mine {n}", own=True, tick=Tick.SOME) for n in (1, 2))
    shown.log.extend([first, said(3, "bob", "in between"), replace(second, note=Note("Taken back"))])
    assert shown.lines()[-2:] == ["mine 2 ", "Taken back"]
    shown.log.set_delivery(Delivery(first.mid, (), "Arrived at 1 of 2"))
    for text in ("Not delivered to Dave", "Not delivered to Dave and Erin"):
        shown.log.set_note(first.mid, Note(text, Tone.WARN))
        lines = [line.strip() for line in shown.lines()]
        assert lines[:5] == ["carol  12:05", "mine 1", text, "Arrived at 1 of 2", "bob  12:05"]
    assert "note-warn" in shown.tags_of("Not delivered")
    assert shown.log.message_at(shown.text.search("Dave", "1.0")).mid == first.mid
    shown.log.set_note(second.mid, Note("Taken back from Dave"))
    assert shown.lines()[-1] == "Taken back from Dave"
    shown.log.set_note(first.mid, None)
    shown.log.set_note(b"nobody's message", Note("Taken back"))
    assert "Not delivered" not in shown.log.shown_text()
    assert shown.log.shown_text().count("Taken back") == 1


def test_one_s_own_message_is_taken_back_by_its_menu_and_by_a_key(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tkinter.Menu.tk_popup", lambda *args: None)
    waiting, arrived = (said(n, "carol", f"mine {n}", own=True, tick=t) for n, t in ((1, Tick.WAITING), (2, Tick.ALL)))
    shown.log.extend([said(3, "bob", "not mine"), arrived, waiting])
    shown.text.focus_force()
    shown.update()
    for _ in range(3):
        shown.text.event_generate("<Up>")
        shown.text.event_generate("<Delete>")
    assert shown.emitted == [TakeBack(waiting.mid)]
    shown.text.event_generate("<Escape>")
    shown.text.event_generate("<Delete>")
    assert len(shown.emitted) == 1, "nothing is chosen"
    _click_on(shown, "mine 1", button=3)
    assert _entries(shown) == ["Copy message", "Reply", "Who could read this", "Take back"]
    shown.text.popup_menu.invoke(3)
    assert shown.emitted[1:] == [TakeBack(waiting.mid)]
    for other in ("mine 2", "not mine"):
        _click_on(shown, other, button=3)
        assert "Take back" not in _entries(shown)


def test_the_delivery_line_stands_under_its_message_and_moves(shown: Shown) -> None:
    first, second = (said(n, "carol", f"mine {n}", own=True, tick=Tick.SOME) for n in (1, 2))
    shown.log.extend([first, said(3, "bob", "in between"), second, said(4, "bob", "the last")])
    shown.log.set_delivery(Delivery(second.mid, (fp("bob"), fp("alice")), "Arrived at 2 of 3"))
    assert shown.lines()[-3:] == ["Arrived at 2 of 3", "bob  12:05", "the last"]
    shown.log.set_delivery(Delivery(first.mid, (), "Arrived at 0 of 3"))
    assert [line.strip() for line in shown.lines()][:4] == ["carol  12:05", "mine 1", "Arrived at 0 of 3", "bob  12:05"]
    assert "2 of 3" not in shown.log.shown_text()
    shown.log.extend([said(5, "bob", "later")])
    assert shown.log.message_at(shown.text.search("later", "1.0")).mid == (5).to_bytes(16, "big")
    assert shown.log.message_at(shown.text.search("Arrived", "1.0")) == first
    shown.log.set_delivery(None)
    assert "Arrived" not in shown.log.shown_text()
    shown.log.set_delivery(Delivery(b"nobody's message", (), "Arrived nowhere"))
    assert "Arrived" not in shown.log.shown_text()


def test_what_waits_is_taken_back_by_a_click_beside_it(shown: Shown) -> None:
    mine = said(1, "carol", "mine", own=True, tick=Tick.WAITING)
    shown.log.extend([mine])
    shown.log.set_delivery(Delivery(mine.mid, (), "Waits for the connection", may_take_back=True))
    assert shown.lines()[-1] == f"Waits for the connection · {TAKE_BACK}"
    _click_on(shown, TAKE_BACK)
    assert shown.emitted[-1] == TakeBack(mine.mid)
    shown.log.set_delivery(Delivery(mine.mid, (), "On its way"))
    assert TAKE_BACK not in shown.log.shown_text()


def test_a_delivery_line_under_the_last_message_stays_there(shown: Shown) -> None:
    mine = said(1, "carol", "mine", own=True, tick=Tick.SOME)
    shown.log.extend([mine])
    for number in range(3):
        shown.log.set_delivery(Delivery(mine.mid, (fp("bob"),) * number, f"Arrived at {number} of 3"))
    shown.log.extend([said(2, "bob", "answer")])
    lines = [line.strip() for line in shown.lines()]
    assert lines == ["carol  12:05", "mine", "Arrived at 2 of 3", "bob  12:05", "answer"]


def test_a_name_changes_in_rows_already_shown(shown: Shown) -> None:
    shown.log.extend([said(1, "bob", "one"), said(2, "alice", "two"), said(3, "bob", "three")])
    shown.log.rename(fp("bob"), "bob (ab cd)")
    assert [line.split("  ")[0] for line in shown.lines()[::2]] == ["bob (ab cd)", "alice", "bob (ab cd)"]
    shown.log.extend([said(4, "bob", "four")])
    assert shown.lines()[-2].startswith("bob (ab cd)")
    assert shown.log.message_at(shown.text.search("three", "1.0")).mid == (3).to_bytes(16, "big")


# -- scrolling and pruning -------------------------------------------------------------------------------------------


def test_it_follows_at_the_bottom_and_keeps_the_place_when_scrolled_up(shown: Shown) -> None:
    shown.log.extend(many(0, 100))
    shown.update()
    assert shown.log.at_bottom()
    shown.log.extend(many(100, 1))
    shown.update()
    assert shown.log.at_bottom()
    shown.text.yview_moveto(0.4)
    shown.update()
    assert not shown.log.at_bottom()
    top, pixel = shown.top(), shown.text.dlineinfo("@0,0")[1]
    shown.log.extend(many(101, 3))
    shown.log.extend([LineItem("bob left")])
    shown.update()
    assert (shown.top(), shown.text.dlineinfo("@0,0")[1]) == (top, pixel)
    assert shown.log._pill.winfo_ismapped()
    assert shown.log._pill.cget("text") == "3 new messages"
    shown.log._pill.event_generate("<Button-1>", x=2, y=2)
    shown.update()
    assert shown.log.at_bottom()
    assert not shown.log._pill.winfo_ismapped()


def test_scrolling_down_by_hand_takes_the_pill_away(shown: Shown) -> None:
    shown.log.extend(many(0, 60))
    shown.text.yview_moveto(0)
    shown.update()
    shown.log.extend(many(60, 1))
    assert shown.log._pill.cget("text") == "1 new message"
    shown.text.yview_moveto(1)
    gallery.pump(shown.window, lambda: not shown.log._pill.winfo_ismapped())


def test_one_s_own_message_scrolls_down(shown: Shown) -> None:
    shown.log.extend(many(0, 60))
    shown.text.yview_moveto(0)
    shown.update()
    shown.log.extend([said(99, "carol", "mine", own=True, tick=Tick.WAITING)])
    shown.update()
    assert shown.log.at_bottom()


def test_it_stays_at_the_bottom_when_the_window_changes(shown: Shown) -> None:
    shown.log.extend([said(n, "alice", "a longer text that wraps when the window gets narrow " * 3) for n in range(60)])
    shown.update()
    shown.window.TKroot.geometry("450x300")
    gallery.pump(shown.window, lambda: shown.window.TKroot.winfo_width() == 450 and shown.log.at_bottom())


def test_only_the_newest_stay_and_the_place_is_kept_while_old_ones_go(shown: Shown) -> None:
    shown.log.extend(many(0, MAX_SHOWN))
    shown.text.yview_moveto(0.7)
    shown.update()
    top = shown.top()
    for start in range(MAX_SHOWN, MAX_SHOWN + 3 * SLACK, SLACK):
        shown.log.extend(many(start, SLACK))
    shown.update()
    assert shown.top() == top
    count = sum(line.startswith("message") for line in shown.lines())
    assert MAX_SHOWN <= count <= MAX_SHOWN + SLACK
    assert len(shown.log._items) == len(shown.log._order) == count
    assert "message 0" not in shown.lines()
    assert f"message {MAX_SHOWN + 3 * SLACK - 1}" in shown.lines()
    assert len(shown.text.image_names()) <= 3 * (MAX_SHOWN + SLACK)
    shown.log.set_tick((0).to_bytes(16, "big"), Tick.ALL)


def test_pruning_leaves_no_message_without_its_name(shown: Shown) -> None:
    items = [said(n, "alice", f"message {n}", group=n % 4 != 0) for n in range(MAX_SHOWN + SLACK + 1)]
    shown.log.extend(items)
    assert shown.lines()[0].startswith("alice")


def test_a_thousand_messages_go_in_at_once(shown: Shown) -> None:
    began = time.perf_counter()
    shown.log.extend(many(0, 1000, own=True, tick=Tick.ALL))
    shown.update()
    assert shown.log.at_bottom()
    print(f"1,000 rows with ticks: {time.perf_counter() - began:.2f} s")


# -- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://example.org/a?b=c&d#e.", ["https://example.org/a?b=c&d#e"]),
        ("(http://example.org/a_(b)) and HTTPS://EXAMPLE.ORG!", ["http://example.org/a_(b)", "HTTPS://EXAMPLE.ORG"]),
        ("javascript:alert(1) file:///etc/passwd ftp://x.y mailto:a@b parley:join/x", []),
        ("https:// and http://", []),
        ("<https://a.example>,\"https://b.example\"", ["https://a.example", "https://b.example"]),
        ("xhttps://a.example", ["https://a.example"]),
    ],
)  # fmt: skip
def test_links_are_found(text: str, links: list[str]) -> None:
    pieces = split_links(text)
    assert [piece for piece, is_link in pieces if is_link] == links
    assert "".join(piece for piece, _ in pieces) == text


def _click_on(shown: Shown, needle: str, button: int = 1) -> None:
    at = shown.text.search(needle, "1.0")
    shown.text.see(at)
    shown.update()
    x, y, *_ = shown.text.bbox(f"{at}+2c")
    shown.text.event_generate("<Motion>", x=x + 1, y=y + 3)
    shown.text.event_generate(f"<Button-{button}>", x=x + 1, y=y + 3)
    shown.text.event_generate(f"<ButtonRelease-{button}>", x=x + 1, y=y + 3)
    shown.update()


def test_a_click_on_a_link_asks_to_open_exactly_what_is_shown(shown: Shown) -> None:
    shown.log.extend([said(1, "bob", "maps: https://one.example/a https://two.example/b, or not")])
    _click_on(shown, "https://two")
    _click_on(shown, "maps:")
    assert shown.emitted == [OpenLink("https://two.example/b")]


def test_a_link_is_what_it_looks_like(shown: Shown) -> None:
    shown.log.extend([said(1, "bob", "https://good.example/\u202egpj.evil")])
    _click_on(shown, "https://good")
    assert shown.emitted == [OpenLink("https://good.example/gpj.evil")]


def test_a_link_with_letters_that_are_turned_round_can_t_be_clicked(shown: Shown) -> None:
    shown.log.extend([said(1, "bob", "https://one.example/\u05d0\u05d1 https://two.example/a \u05d0")])
    _click_on(shown, "https://one")
    _click_on(shown, "https://two")
    assert shown.emitted == [OpenLink("https://two.example/a")]


# -- right to left ---------------------------------------------------------------------------------------------------

SHALOM, TURNED = "\u05e9\u05dc\u05d5\u05dd", "\u05dd\u05d5\u05dc\u05e9"


def test_right_to_left_text_is_drawn_in_its_order_and_copied_as_it_was_sent(shown: Shown) -> None:
    if shown.log.kit.system != "x11":
        pytest.skip("this system puts it in order itself")
    shown.log.extend(
        [said(1, "bob", f"{SHALOM} 12"), replace(said(2, "b", "hi"), name=SHALOM), LineItem(f"{SHALOM} joined")]
    )
    shown.log.rename(fp("bob"), f"a {SHALOM}")
    assert shown.lines()[0].startswith(f"a {TURNED}  ")
    assert shown.lines()[1] == f"12 {TURNED}"
    assert shown.lines()[2].startswith(f"{TURNED}  ")
    assert shown.lines()[4] == f"joined {TURNED}"
    shown.log.menu_for(shown.log.message_at("2.0"))[0][1]()
    assert shown.copied == [f"{SHALOM} 12"]


def test_a_long_right_to_left_text_is_broken_before_it_is_turned(shown: Shown) -> None:
    if shown.log.kit.system != "x11":
        pytest.skip("this system puts it in order itself")
    words = [f"{SHALOM}{n}" for n in range(80)]
    shown.log.extend([said(1, "bob", " ".join(words))])
    body = shown.lines()[1:]
    assert len(body) > 2
    assert "0" in body[0]
    assert "79" in body[-1]
    shown.update()
    assert all(int(shown.text.count(f"{n}.0", f"{n}.end", "displaylines") or 0) == 0 for n in range(2, 2 + len(body)))


# -- the menu and the keyboard ---------------------------------------------------------------------------------------


def _entries(shown: Shown) -> list[str]:
    menu = shown.text.popup_menu
    return [str(menu.entrycget(i, "label")).strip() for i in range(menu.index("end") + 1)]


def test_the_menu_knows_the_message_below_the_pointer(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tkinter.Menu.tk_popup", lambda *args: None)
    shown.log.extend([said(1, "alice", "one\ntwo\nthree"), said(2, "bob", "x" * 5000), LineItem("bob left")])
    _click_on(shown, "two", button=3)
    assert _entries(shown) == ["Copy message", "Reply", "Who could read this"]
    shown.text.popup_menu.invoke(2)
    assert shown.emitted == [ShowReaders((1).to_bytes(16, "big"))]
    assert shown.text.tag_ranges("chosen")
    shown.text.popup_menu.invoke(0)
    _click_on(shown, "xxx", button=3)
    shown.text.popup_menu.invoke(0)
    assert shown.copied == ["one\ntwo\nthree", "x" * 5000]
    shown.text.popup_menu.destroy()
    shown.text.popup_menu = None
    _click_on(shown, "left", button=3)
    assert shown.text.popup_menu is None, "a line that isn't a message has no menu"


def test_all_of_it_works_without_a_mouse(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tkinter.Menu.tk_popup", lambda *args: None)
    shown.log.extend([*many(0, 40), LineItem("bob left")])
    shown.text.focus_force()
    shown.update()
    press: Callable[[str], None] = shown.text.event_generate
    press("<Up>")
    assert shown.log.chosen().text == "message 39"
    for _ in range(5):
        press("<Up>")
    press("<Down>")
    assert shown.log.chosen().text == "message 35"
    press("<Control-c>")
    assert shown.copied == ["message 35"]
    press("<Return>")
    shown.text.popup_menu.invoke(2)
    assert shown.emitted == [ShowReaders((35).to_bytes(16, "big"))]
    press("<Escape>")
    assert not shown.text.tag_ranges("chosen")
    assert shown.log.chosen().text == "message 39"


def test_the_longest_name_stays_on_one_line_beside_its_avatar_in_a_narrow_window() -> None:
    shown = Shown(size=(407, 400))
    shown.log.extend([said(1, "W" * 64, "hello")])
    shown.log.extend([said(2, "W" * 64 + "b", "hello")])
    shown.log.rename(fp("W" * 64 + "b"), "W" * 40 + " (3f2a)")
    shown.update()
    for name in ("WW", "(3f2a)"):
        at = shown.text.search(name, "1.0")
        assert at, "the mark is never cut off"
        count = shown.text.count(f"{at} linestart", f"{at} lineend", "displaylines")
        assert count in (None, (0,), 0)
    shown.window.close()


def test_links_are_opened_without_a_mouse_too(shown: Shown) -> None:
    text = "see https://example.org/a, https://example.org/a and http://b.example/" + "x" * 200 + " javascript:alert(1)"
    shown.log.extend([said(1, "alice", text), said(2, "bob", "no link")])
    entries = dict(shown.log.menu_for(shown.log.message_at("1.0")))
    opening = [words for words in entries if words.startswith("Open ")]
    assert opening[0] == "Open https://example.org/a"
    assert opening[1].startswith("Open http://b.example/xxx")
    assert opening[1].endswith("…")
    assert len(opening) == 2
    entries[opening[1]]()
    assert shown.emitted == [OpenLink("http://b.example/" + "x" * 200)]
    assert not [words for words, _ in shown.log.menu_for(shown.log.chosen()) if words.startswith("Open ")]


def test_it_is_seen_where_the_keyboard_is_in_the_log(shown: Shown) -> None:
    shown.log.extend([*many(0, 40), LineItem("bob left")])
    other = tk.Entry(shown.window.TKroot)
    other.pack()
    other.focus_force()
    shown.update()
    shown.text.tk.call("tk::TabToWindow", shown.text)  # as Tab does
    shown.update()
    assert shown.log.chosen().text == "message 39"
    assert shown.text.tag_ranges("chosen")
    shown.text.event_generate("<Up>")
    other.focus_force()
    shown.update()
    assert not shown.text.tag_ranges("chosen")
    shown.text.focus_force()  # back from a sheet, say
    shown.update()
    assert shown.log.chosen().text == "message 38"
    assert shown.text.tag_ranges("chosen")
    other.focus_force()
    shown.update()
    shown.text.event_generate("<Button-1>", x=5, y=5)
    shown.update()
    assert not shown.text.tag_ranges("chosen"), "whoever uses the mouse chooses with it"


def test_the_keyboard_comes_to_what_is_in_view(shown: Shown) -> None:
    shown.log.extend(many(0, 80))
    shown.update()
    shown.text.yview_moveto(0)
    shown.update()
    before = shown.top()
    shown.text.tk.call("tk::TabToWindow", shown.text)
    shown.update()
    assert shown.text.bbox(shown.text.tag_ranges("chosen")[0])
    assert shown.top() == before


def test_a_selection_can_be_copied(shown: Shown) -> None:
    shown.log.extend([said(1, "alice", "some words")])
    at = shown.text.search("words", "1.0")
    shown.text.tag_add("sel", at, f"{at}+5c")
    shown.text.focus_force()
    shown.text.event_generate("<Control-c>")
    assert shown.copied == ["words"]


def test_the_count_is_in_words() -> None:
    assert [count_words(n) for n in (1, 2, 30)] == ["1 new message", "2 new messages", "30 new messages"]


def test_an_empty_log_is_no_trouble(shown: Shown) -> None:
    shown.log.extend([])
    shown.log.extend([said(1, "alice", "")])
    shown.log.set_delivery(None)
    assert shown.log.message_at("1.0").mid == (1).to_bytes(16, "big")
    empty = Shown(dark=True)
    assert empty.log.chosen() is None
    empty.text.focus_force()
    for keys in ("<Up>", "<Down>", "<Return>", "<Control-c>", "<End>"):
        empty.text.event_generate(keys)
    empty.window.close()
