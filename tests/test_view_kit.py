"""The kit: buttons by mouse and keyboard, fields, hiding in place, rows that fill whatever their order."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import gallery
import pytest

from gui import art, theme
from gui.psg import sg
from gui.view.kit import MAX_PHOTOS, Kit, Picture, show
from gui.view.page_window import make_window

NAME, GO, STOP, ICON = "-NAME-", "-GO-", "-STOP-", "-ICON-"
Open = Callable[..., Any]


@pytest.fixture(params=[theme.LIGHT, theme.DARK], ids=["light", "dark"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit(request.param)


@pytest.fixture
def opened() -> Generator[Open]:
    windows: list[Any] = []

    def open_window(kit: Kit, rows: Any, **how: Any) -> Any:
        window = make_window(kit, "A page", rows, **{"location": (10, 10), **how})
        windows.append(window)
        window.TKroot.update()
        window.TKroot.focus_force()
        window.TKroot.update()
        return window

    yield open_window
    for window in windows:
        window.close()


def _page(kit: Kit) -> list[list[Any]]:
    return [
        [kit.field(NAME, placeholder="Your name")],
        [kit.button("Go", GO), kit.gap(8), kit.button("Stop", STOP, kind="danger", on=False)],
        [kit.icon_button("gear", ICON, tooltip="Settings")],
    ]


def _click(widget: Any) -> None:
    widget.event_generate("<Button-1>", x=4, y=4)
    widget.event_generate("<ButtonRelease-1>", x=4, y=4)


def _next(window: Any, but: Callable[[], None]) -> Any:
    window.TKroot.after(20, but)
    return window.read(timeout=5000)[0]


@pytest.mark.parametrize("key", [GO, ICON])
def test_a_button_works_by_mouse_and_by_keyboard(kit: Kit, opened: Open, key: str) -> None:
    window = opened(kit, _page(kit))
    widget = window[key].Widget
    assert _next(window, lambda: _click(widget)) == key
    for keys in ("<Return>", "<KP_Enter>", "<space>"):
        widget.focus_force()
        assert _next(window, lambda keys=keys: widget.event_generate(keys)) == key  # type: ignore[misc]


def test_a_button_that_is_off_gives_nothing_and_one_that_was_switched_on_does(kit: Kit, opened: Open) -> None:
    window = opened(kit, _page(kit))
    stop = window[STOP]

    def try_it() -> None:
        _click(stop.Widget)
        stop.press()
        window.write_event_value("-END-", 0)

    assert _next(window, try_it) == "-END-"
    assert str(stop.Widget.cget("takefocus")) == "0"
    stop.set_on(True)
    assert _next(window, lambda: _click(stop.Widget)) == STOP


def test_letting_go_outside_is_no_click(kit: Kit, opened: Open) -> None:
    window = opened(kit, _page(kit))
    widget = window[GO].Widget

    def slip() -> None:
        widget.event_generate("<Button-1>", x=4, y=4)
        widget.event_generate("<ButtonRelease-1>", x=-40, y=4)
        window.write_event_value("-END-", 0)

    assert _next(window, slip) == "-END-"


def test_a_command_is_called_instead_of_an_event(kit: Kit, opened: Open) -> None:
    called: list[int] = []
    window = opened(kit, [[kit.button("Go", command=lambda: called.append(1))]])
    button = window.Rows[0][0]
    _click(button.Widget)
    assert called == [1]


def test_a_field_shows_its_placeholder_only_while_it_is_empty(kit: Kit, opened: Open) -> None:
    window = opened(kit, _page(kit))
    field = window[NAME].field
    assert field._hint.winfo_ismapped()
    window[NAME].update("alice")
    window.TKroot.update()
    assert not field._hint.winfo_ismapped()
    assert window.read(timeout=0)[1][NAME] == "alice"
    window[NAME].update("")
    window.TKroot.update()
    assert field._hint.winfo_ismapped()


def test_a_field_shows_focus_and_fault(kit: Kit, opened: Open) -> None:
    window = opened(kit, _page(kit))
    field, entry, p = window[NAME].field, window[NAME].Widget, kit.p
    assert field.border == p.edge
    entry.focus_force()
    gallery.pump(window, lambda: field.border == p.accent)
    field.fail(True)
    assert (field.border, field.ground, str(entry.cget("bg"))) == (p.bad, p.bad_tint, p.bad_tint)
    field.fail(False)
    assert (field.border, field.ground) == (p.accent, p.field)
    entry.insert(0, "bob")
    entry.event_generate("<Control-a>")
    assert entry.selection_get() == "bob"


def test_a_field_has_the_height_it_was_asked_for(kit: Kit, opened: Open) -> None:
    window = opened(
        kit, [[kit.field("a")], [kit.field("b", trailing=[kit.button("Paste", kind="outline", height=32)])]]
    )
    assert window["a"].field.Widget.winfo_height() == pytest.approx(kit.px(48), abs=1)
    assert window["b"].field.Widget.winfo_height() == pytest.approx(kit.px(48), abs=1)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_rows_fill_in_any_order_of_their_elements(kit: Kit, opened: Open, order: tuple[int, ...]) -> None:
    tall = kit.panel([[kit.text("side")]], ground=kit.p.side, expand_y=True)
    both = kit.panel([[kit.text("middle")]], expand_x=True, expand_y=True)
    bar = kit.rule(upright=True)
    opened(kit, [[[tall, both, bar][i] for i in order], [kit.text("below")]], size=(600, 400))
    widgets = [element.Widget for element in (tall, both, bar)]
    assert [w.winfo_height() for w in widgets] == [widgets[0].winfo_height()] * 3
    assert widgets[0].winfo_height() > kit.px(350)
    assert widgets[1].winfo_width() > kit.px(500)
    assert widgets[0].winfo_width() < kit.px(60)
    assert widgets[2].winfo_width() == 1


def test_elements_hide_and_come_back_in_their_place(kit: Kit, opened: Open) -> None:
    labels = [kit.text(word) for word in ("one", "two", "three", "four")]
    window = opened(kit, [[labels[0]], [labels[1], labels[2]], [labels[3]]])

    def places() -> list[tuple[int, int]]:
        window.TKroot.update()
        return [
            (e.Widget.winfo_rootx(), e.Widget.winfo_rooty()) if e.Widget.winfo_ismapped() else (0, 0) for e in labels
        ]

    first = places()
    show(labels[1], False)
    show(labels[2], False)
    assert places()[3][1] < first[3][1], "an empty row still takes room"
    show(labels[2], True)
    show(labels[1], True)
    assert places() == first
    show(labels[0], False)
    show(labels[0], False)
    show(labels[0], True)
    assert places() == first


def test_everything_has_the_colour_of_what_it_lies_on(kit: Kit, opened: Open) -> None:
    words, inner = kit.text("on a card"), kit.panel([[kit.text("deeper")]])
    card = kit.card([[words], [inner]], fill=kit.p.side)
    window = opened(kit, [[card], [kit.text("outside", "-OUT-")]], ground=kit.p.well)
    assert str(words.Widget.cget("bg")) == str(inner.Widget.cget("bg")) == kit.p.side
    assert str(inner.Rows[0][0].Widget.cget("bg")) == kit.p.side
    assert str(window["-OUT-"].Widget.cget("bg")) == kit.p.well
    card.paint(fill=kit.p.tint)
    assert str(words.Widget.cget("bg")) == str(inner.Rows[0][0].Widget.cget("bg")) == kit.p.tint


def test_texts_of_strangers_are_safe_in_every_element(kit: Kit, opened: Open) -> None:
    words = kit.text("a\u202eb\x00", "-T-")
    name = kit.text("n\nm\u202e", "-N-", name=True)
    button = kit.button("x\u202ey", "-B-")
    window = opened(kit, [[words], [name], [button]])
    assert words.get() == "ab\ufffd"
    assert name.get() == "n m"
    assert button.get() == "xy"
    words.update("c\u2066d")
    button.set_words("\u202ez")
    assert (words.get(), button.get()) == ("cd", "z")
    assert window.Title == "A page"


def test_a_strip_says_what_where_and_what_to_do(kit: Kit, opened: Open) -> None:
    action = kit.button("See who it is", GO, height=36)
    rows = [
        [kit.notice("bob is at the door", "Knocked at 12:07", picture=art.avatar(kit.p, b"b" * 32, 36), action=action)],
        [kit.notice("It is done", kind="good", icon="tick")],
        [kit.notice("Look out", "Why", kind="warn", icon="warning")],
        [kit.notice("Stop", "Why", kind="bad", icon="warning")],
    ]
    window = opened(kit, rows, size=(600, 400))
    assert _next(window, action.press) == GO


def test_text_is_measured_and_cut_as_it_is_drawn(kit: Kit) -> None:
    font = kit.font(theme.BODY, bold=True)
    label = "Climbing club with a long name"
    width = kit.measure(label, font)
    assert kit.clip(label, font, width) == label
    cut = kit.clip(label, font, width // 2)
    assert cut.endswith("…")
    assert kit.measure(cut, font) <= width // 2
    assert kit.clip("x" * 41_000, font, 100).endswith("…")
    assert kit.clip("two\nlines", font, 500) == "two lines"


def test_a_sheet_lies_over_its_window_and_escape_closes_it(kit: Kit, opened: Open) -> None:
    under = opened(kit, _page(kit), size=(700, 500), location=(100, 100))
    sheet = opened(kit, [[kit.text("A question")], [kit.button("Done", "-DONE-")]], parent=under)
    top = sheet.TKroot
    top.update()
    assert not top.winfo_viewable(), "it isn't filled yet"
    sheet.appear()
    top.update()
    middle = top.winfo_rootx() + top.winfo_width() // 2
    assert middle == pytest.approx(under.TKroot.winfo_rootx() + under.TKroot.winfo_width() // 2, abs=20)
    top.focus_force()
    assert _next(sheet, lambda: top.event_generate("<Escape>")) == sg.WINDOW_CLOSE_ATTEMPTED_EVENT


def test_a_window_is_made_out_of_sight_and_then_in_the_middle(kit: Kit) -> None:
    seen: list[bool] = []

    class Watcher(Picture):
        def dress(self, ground: str) -> None:
            seen.append(bool(self.Widget.winfo_toplevel().winfo_viewable()))
            super().dress(ground)

    window = make_window(kit, "A page", [[Watcher(kit, None, None, pad=0)]], size=(300, 200))
    top = window.TKroot
    top.update()
    assert seen
    assert not any(seen)
    assert top.winfo_viewable()
    assert abs(top.winfo_rootx() + 150 - top.winfo_screenwidth() // 2) < 20
    assert abs(top.winfo_rooty() + 100 - top.winfo_screenheight() // 2) < 40
    window.close()


def test_zoom_makes_everything_larger() -> None:
    small, large = Kit(theme.LIGHT), Kit(theme.LIGHT, zoom=1.5)
    assert large.px(100) == pytest.approx(1.5 * small.px(100), abs=1)
    assert large.measure("Parley", large.font()) > 1.3 * small.measure("Parley", small.font())


def test_pictures_out_of_use_are_dropped_and_those_in_use_stay(kit: Kit, opened: Open) -> None:
    words = kit.text("here", icon="gear")
    opened(kit, [[words]])
    shown = str(words.Widget.cget("image"))
    for number in range(3 * MAX_PHOTOS):
        kit.photo(("test", number), lambda: art.box(2, 2, 0, "#000000"))
    assert len(kit._photos) <= 2 * MAX_PHOTOS
    assert kit.root.tk.call("image", "width", shown) > 10
    assert kit.icon("gear", 17) is kit.icon("gear", 17)


def test_what_is_cut_keeps_the_mark_that_tells_people_apart(kit: Kit) -> None:
    font = kit.font(theme.BODY, bold=True)
    cut = kit.clip("W" * 32 + " (3f2a)", font, 150)
    assert cut.startswith("WW")
    assert cut.endswith("… (3f2a)")
    assert kit.measure(cut, font) <= 150
    assert kit.clip("alice (3f2a)", font, 150) == "alice (3f2a)"
    assert kit.clip("W" * 32, font, 150).endswith("W…")
