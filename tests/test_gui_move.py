"""A room's move to another relay in the window: who makes it, what is said of it, what is refused, what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gui_help import ALICE, BOB, Stage, an_invite

from chatcore import invite as invites
from chatcore import moving
from chatcore.events import RoomMoved
from chatcore.invite import Invite, RelayAddress
from gui import events, move, news
from gui.events import Sheet

THERE = RelayAddress("new.example.org", 443, (b"n" * 32,))
HERE = RelayAddress("127.0.0.1", 7256, (b"n" * 32,))


def test_the_owner_moves_it_and_everybody_reads_that() -> None:
    stage = Stage().talking(others=(BOB,))
    stage(events.OpenMove())
    sheet = stage.view.sheets[Sheet.MOVE]
    assert sheet.where == f"The room is on {an_invite().relay.place} now."
    assert "two weeks" in sheet.follows
    assert "can't read" in sheet.sees
    stage(events.MoveRoom(THERE.to_text()))
    assert ("move", THERE.to_text()) in stage.back.asked
    assert stage.view.sheets[Sheet.MOVE].busy == move.ASKING
    asked = len(stage.back.asked)
    stage(events.MoveRoom(THERE.to_text()))  # pressed again
    assert len(stage.back.asked) == asked
    stage(news.MoveAnswered(stage.room_id))
    assert Sheet.MOVE not in stage.view.sheets
    stage.core(RoomMoved(THERE, an_invite().relay))
    assert stage.log.lines[-1] == (
        "Alice moved the room to another relay, new.example.org:443: Parley goes there by itself"
    )
    stage(events.OpenInvite())
    copied = Invite.parse(stage.view.sheets[Sheet.INVITE].text)
    assert copied.relay == THERE
    assert copied.room_id == stage.room_id
    stage(events.OpenMove())
    assert stage.view.sheets[Sheet.MOVE].where == "The room is on new.example.org:443 now."


def test_why_it_doesnt_go_stands_under_what_was_pasted() -> None:
    stage = Stage().talking()
    stage(events.OpenMove(), events.MoveRoom(THERE.to_text()))
    stage(news.MoveAnswered(stage.room_id, "The relay can't be used. Its port: nobody listens there."))
    sheet = stage.view.sheets[Sheet.MOVE]
    assert (sheet.problem, sheet.busy) == ("The relay can't be used. Its port: nobody listens there.", "")
    stage(events.ThemeToggled())
    assert stage.view.sheets[Sheet.MOVE].problem == sheet.problem
    stage(events.SheetClosed(Sheet.MOVE), news.MoveAnswered(stage.room_id, "late"))
    assert Sheet.MOVE not in stage.view.sheets


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", invites.NOT_A_RELAY),
        (an_invite().to_text(), invites.INVITE_INSTEAD),
        (an_invite().relay.to_text(), moving.SAME),
        (HERE.to_text(), moving.HERE_ONLY),
        ("parley:relay/127.0.0.1:7256/plain", moving.PLAIN),
        ("parley:relay/new.example.org:443/plain", invites.PLAIN_ELSEWHERE),
    ],
)
def test_what_cant_be_the_new_relay_is_said_at_once(line: str, problem: str) -> None:
    stage = Stage().talking()
    stage(events.OpenMove(), events.MoveRoom(line))
    assert stage.view.sheets[Sheet.MOVE].problem == problem
    assert not [asked for asked in stage.back.asked if asked[0] == "move"]


def test_nobody_else_is_shown_the_sheet() -> None:
    stage = Stage().talking(own=BOB, others=(ALICE,))
    stage(events.OpenMove(), events.MoveRoom(THERE.to_text()))
    assert Sheet.MOVE not in stage.view.sheets
    assert not [asked for asked in stage.back.asked if asked[0] == "move"]
    stage.core(RoomMoved(THERE, an_invite().relay))
    assert stage.log.lines[-1].startswith("Alice moved the room to another relay")


def test_what_was_said_at_an_earlier_visit_is_no_news() -> None:
    stage = Stage().start().open()
    stage.core(RoomMoved(THERE, an_invite().relay, earlier=True), stage.roster(ALICE, BOB))
    assert stage.log.lines == []
    stage(events.OpenInvite())
    assert Invite.parse(stage.view.sheets[Sheet.INVITE].text).relay == THERE


def test_a_very_long_name_is_cut() -> None:
    long = replace(THERE, host=".".join(["a" * 60] * 4))
    assert len(move.moved("Alice", long)) < 150
    assert move.place(long).startswith("…")
    assert move.place(THERE) == "new.example.org:443"
