"""The room's steady rhythm in the window: who sets it, what is said of it, and to whom."""

from __future__ import annotations

from dataclasses import replace

from gui_help import ALICE, BOB, CAROL, Stage, mid

from chatcore.events import GoesOut, MessageArrived, SteadyChanged
from chatcore.rhythm import DAY_S, bytes_a_day
from gui import events, steady
from gui.events import Sheet
from gui.shown import Delivery


def lines(stage: Stage) -> list[str]:
    return stage.log.lines


def test_the_owner_sets_it_and_everybody_sees_that_it_is_on() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage(events.OpenSteady())
    sheet = stage.view.sheets[Sheet.STEADY]
    assert sheet.period_s == 0
    assert "3 people" in sheet.cost
    stage(events.SetSteady(5))
    assert ("keep_steady", 5) in stage.back.asked
    stage.core(SteadyChanged(5))
    assert stage.view.front.header.text == "3 people · 3 here · steady, every 5 s"
    assert lines(stage)[-1] == (
        "Alice set a steady rhythm: everyone sends everyone one block every 5 s, talk or silence"
    )
    stage.core(SteadyChanged(0))
    assert stage.view.front.header.text == "3 people · 3 here"
    assert lines(stage)[-1] == ("Alice ended the steady rhythm: from now on the relay can tell talk from silence")


def test_nobody_else_is_shown_the_sheet() -> None:
    stage = Stage().talking(own=BOB, others=(ALICE,))
    stage(events.OpenSteady())
    assert Sheet.STEADY not in stage.view.sheets
    stage.core(SteadyChanged(10))
    assert stage.view.front.header.text == "2 people · 2 here · steady, every 10 s"


def test_what_was_set_at_an_earlier_visit_is_no_news() -> None:
    stage = Stage().start().open()
    stage.core(SteadyChanged(5), stage.roster(ALICE, BOB))
    assert lines(stage) == []
    assert stage.view.front.header.text.endswith("steady, every 5 s")


def test_how_long_a_message_takes_stands_under_it_until_it_has_come() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    for number, (seconds, said) in enumerate(((150.0, "2 min"), (99.0, "99 s"), (12.0, "12 s")), 1):
        stage.core(stage.sent(number, "long", BOB, CAROL), GoesOut(mid(number), seconds))
        assert stage.log.delivery is not None
        assert stage.log.delivery.text == f"Goes out in about {said}"
        assert stage.log.delivery.may_take_back
    for later_s, said in ((5, "Goes out in about 7 s"), (8, "On its way")):
        stage.now += later_s * 1000
        assert stage().log.delivery == Delivery(mid(3), (), said, may_take_back=said != "On its way")
    stage.core(MessageArrived((mid(3),), BOB, stage.now))
    assert stage.log.delivery is not None
    assert stage.log.delivery.text.startswith("Arrived at 1 of 2")
    stage.core(GoesOut(mid(9), 3.0))  # of one that isn't shown any more


def test_what_it_says_it_costs_is_what_it_costs() -> None:
    assert steady.label(5, 5) == "Every 5 s · 40 MB a day"
    assert round(bytes_a_day(5, 5) / 10**6) == 40
    assert steady.label(1, 256).endswith("GB a day")
    assert steady.label(30, 1) == "Every 30 s · 1 MB a day"
    assert bytes_a_day(2, 30) == DAY_S // 30 * 2 * (272 + 22)
    state = steady.state("Den", 1, 7)
    assert "one person" in state.cost
    assert [period_s for period_s, _ in state.choices] == [0, 1, 2, 5, 7, 10, 30]
    assert state.hides.count(".") == 2
    assert replace(state, period_s=0) != state
