"""The connection report: what its page says, by mouse and by keyboard, and the file it makes.  Real windows."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gui_help import BOB, CAROL, NICKS, NOON, Stage
from screen import Screen
from test_view_pages import ROOM

from chatcore.events import ConnectionReport, Counted, Noticed, Oddity
from gui import events, news, report, wording
from gui.events import Sheet
from gui.report import report_state
from gui.shown import ReportState, Tone
from gui.view.page_window import BARS

MINUTE = 60_000


def counted(fp: bytes = b"", *odd: tuple[Oddity, int], begun: int = NOON, ended: int = 0) -> Counted:
    return Counted(fp, NICKS.get(fp, ""), begun, ended, odd, 4, 3, 640, 1234)


REPORT = ConnectionReport(
    NOON, NOON + 90 * MINUTE, counted(b"", (Oddity.MISSING, 3), (Oddity.FORGED, 2)),
    (counted(ended=NOON + 40 * MINUTE), counted(begun=NOON + 41 * MINUTE)),
    (counted(BOB, (Oddity.MISSING, 3)), counted(CAROL, (Oddity.FORGED, 2))),
    1, 41_000, tuple((NOON + at * MINUTE, 20 + at * 7 % 60) for at in range(0, 90, 3)), 34, 212,
)  # fmt: skip
QUIET = replace(
    REPORT, total=replace(counted(), resent=0, mended=0, answer_ms=0, slowest_answer_ms=0), reconnects=0, times=(),
    visits=(counted(),), longest_break_ms=0, round_trip_ms=0, slowest_ms=0,
)  # fmt: skip
STATE = report_state(REPORT, "Cabin weekend", "~/report.txt", names=False, said="", bad=False)


def show(screen: Screen, state: ReportState = STATE) -> list[str]:
    if screen.windows.main is None:
        screen.windows.show_room(ROOM)
    screen.windows.show_report(state)
    return screen.reads(screen.sheet(Sheet.REPORT))


# -- the page ----------------------------------------------------------------------------------------------------------


def test_every_line_of_the_report_can_be_read(screen: Screen) -> None:
    said = show(screen)
    assert STATE.calm in said
    assert STATE.calm.endswith(": 5 irregularities, 1 reconnect, 3 messages sent again")
    for row in STATE.rows:
        assert row.label in said
        assert row.value in said
    for text in ("Longest break 41 seconds", "34 ms", "640 ms", "To the relay and back; the slowest took 212 ms"):
        assert text in said
    assert "Round trip in milliseconds" in said
    assert STATE.foot in said


def test_without_a_round_trip_there_is_no_chart_and_the_window_is_lower(screen: Screen) -> None:
    show(screen)
    high = screen.sheet(Sheet.REPORT).winfo_reqheight()
    said = show(screen, report_state(QUIET, "Cabin weekend", "x", names=False, said="", bad=False))
    assert "Round trip in milliseconds" not in said
    assert any(text.endswith(": nothing out of order") for text in said)
    assert "—" in said
    assert "The connection never broke" in said
    assert screen.sheet(Sheet.REPORT).winfo_reqheight() < high - 80


def test_it_is_saved_by_mouse_and_by_keyboard(screen: Screen) -> None:
    show(screen)
    screen.press("Save report", screen.sheet(Sheet.REPORT))
    assert screen.last() == events.SaveReport("~/report.txt")
    sheet, _ = screen.windows.sheets[Sheet.REPORT]
    told = len(screen.told)
    screen.key("Return", sheet.place.input.Widget)
    assert screen.told[told:].count(events.SaveReport("~/report.txt")) == 1
    screen.press("With the names of the room and its people", screen.sheet(Sheet.REPORT))
    assert screen.last() == events.TickNames()
    screen.key("Up", sheet.table.Widget)
    screen.key("Down", sheet.table.Widget)
    screen.key("Escape", screen.sheet(Sheet.REPORT))
    assert screen.last() == events.SheetClosed(Sheet.REPORT)


def test_what_was_typed_as_the_place_stays_while_the_report_is_renewed(screen: Screen) -> None:
    show(screen)
    sheet, _ = screen.windows.sheets[Sheet.REPORT]
    sheet.place.input.Widget.insert("end", ".old")
    assert report.EXISTS in show(screen, replace(STATE, names=True, said=report.EXISTS, bad=True))
    screen.press("Save report", screen.sheet(Sheet.REPORT))
    assert screen.last() == events.SaveReport("~/report.txt.old")


def test_it_fits_on_the_screen(screen: Screen) -> None:
    show(screen)
    top = screen.sheet(Sheet.REPORT)
    sheet, _ = screen.windows.sheets[Sheet.REPORT]
    assert top.winfo_reqheight() <= top.winfo_screenheight() - sheet.kit.px(BARS)


def test_the_menu_of_the_room_leads_there(screen: Screen) -> None:
    page = screen.windows.show_room(ROOM)
    dict(page.gear_entries())["Connection report…"]()
    assert screen.last() == events.OpenReport()


def _file(stage: Stage) -> str:
    """What was to be written last."""
    asked: Any = stage.back.asked[-1]
    return str(asked[2])


# -- what it does ------------------------------------------------------------------------------------------------------


def test_the_report_is_asked_for_shown_saved_and_put_away() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(Noticed(((Oddity.FORGED, 1),), (BOB,), NOON, NOON, mended=True, over=False))
    (strip,) = stage.page.banners
    assert strip.action == ("Report", events.OpenReport())
    stage.core(REPORT)
    assert Sheet.REPORT not in stage.view.sheets  # nobody asked
    stage(events.SaveReport("x"))
    stage(events.OpenReport())
    assert stage.back.asked[-1] == ("report", stage.room_id)
    stage.core(REPORT)
    state = stage.view.sheets[Sheet.REPORT]
    assert (state.names, state.said, state.tone) == (False, "", Tone.WARN)
    assert state.place.endswith(".txt")
    stage(events.SaveReport("/somewhere/else"))
    asked: Any = stage.back.asked[-1]
    assert asked[:2] == ("write_report", "/somewhere/else")
    assert "Cabin" not in _file(stage)
    stage(news.ReportWritten(stage.room_id, report.EXISTS))
    assert (stage.view.sheets[Sheet.REPORT].said, stage.view.sheets[Sheet.REPORT].bad) == (report.EXISTS, True)
    assert stage.view.sheets[Sheet.REPORT].place == "/somewhere/else"
    stage(events.TickNames(), events.SaveReport("again"))
    assert stage.view.sheets[Sheet.REPORT].names
    assert "these names" in stage.view.sheets[Sheet.REPORT].foot
    assert "Cabin weekend" in _file(stage)
    assert "Member 1: Bob" in _file(stage)
    stage(news.ReportWritten(stage.room_id))
    assert stage.view.sheets[Sheet.REPORT].said == report.SAVED
    stage(events.SheetClosed(Sheet.REPORT))
    stage.core(REPORT)
    assert Sheet.REPORT not in stage.view.sheets
    assert len([one for one in stage.back.asked if one[0] == "write_report"]) == 2


def test_the_report_is_renewed_while_it_is_shown() -> None:
    stage = Stage().talking()
    stage(events.OpenReport())
    stage.core(REPORT, Noticed(((Oddity.FORGED, 1),), (BOB,), NOON, NOON, mended=True, over=False))
    assert [one for one in stage.back.asked if one[0] == "report"] == [("report", stage.room_id)] * 2


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_says_everything_that_was_counted_and_names_nobody() -> None:
    text = report.as_text(REPORT, "Cabin weekend", None)
    for name in ("Cabin", "Bob", "Carol"):
        assert name not in text
    assert text.startswith("Parley: what was counted of one relay\n")
    lines = [line.split() for line in text.splitlines()]
    assert ["missing", "3"] in lines
    assert ["forged", "2"] in lines
    assert ["longest", "break", "41000", "ms"] in lines
    assert [line for line in text.splitlines() if line.startswith(("Member", "Connection"))] == [
        f"Connection 1: {report._stamp(NOON)} to {report._stamp(NOON + 40 * MINUTE)}",
        f"Connection 2: {report._stamp(NOON + 41 * MINUTE)} to now",
        "Member 1",
        "Member 2",
    ]
    assert text.count(" ms\n") >= len(REPORT.times)


def test_a_name_makes_no_other_line_of_the_file() -> None:
    """Names come as they are shown; a room's title and a name that were made to look like lines can't be any."""
    stage = Stage().talking(others=(BOB,))
    stage(events.OpenReport(), events.TickNames())
    stage.core(REPORT)
    stage(events.SaveReport("x"))
    assert _file(stage).count("\nMember") == 2


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_the_file_is_ones_own_and_nothing_is_written_over(tmp_path: Path) -> None:
    place = tmp_path / "report.txt"
    assert report.write(str(place), "one\n") == ""
    assert place.read_text("utf-8") == "one\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert report.write(str(place), "two\n") == report.EXISTS
    assert place.read_text("utf-8") == "one\n"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert report.write(str(tmp_path / "link"), "three\n") == report.EXISTS
    assert not (tmp_path / "elsewhere").exists()
    for wrong in (str(tmp_path / "no" / "such" / "place"), str(tmp_path), "", "a\0b"):
        assert report.write(wrong, "four\n").endswith("Choose another place.") or not wrong or wrong == str(tmp_path)
        assert report.write(wrong, "four\n")


def test_the_place_that_is_offered_has_the_time() -> None:
    assert report.default_place(NOON).startswith(str(Path.home()))
    assert f"{wording.local(NOON):%Y-%m-%d-%H%M}" in report.default_place(NOON)


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0, "0 ms"), (34, "34 ms"), (1234, "1.2 s"), (41_000, "41 seconds"), (200_000, "3 minutes"),
     (3 * 3_600_000, "3 hours"), (5 * 86_400_000, "5 days")],
)  # fmt: skip
def test_times_are_said_in_words(ms: int, said: str) -> None:
    assert report._span(ms) == said
