"""The people of a room, in its list, in its lines and at its door, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gui_help import ALICE, BOB, CAROL, DAVE, NOON, WORDS, Stage, an_invite, heard, mid

from chatcore.events import (
    Alarm,
    AlarmKind,
    Connection,
    ConnectionChanged,
    Knocked,
    KnockEnded,
    LetIn,
    ListsAgree,
    ListsDiffer,
    Member,
    MemberJoined,
    MemberLeft,
    Presence,
    PresenceChanged,
    ReadersLearned,
    RosterChanged,
    Waiting,
)
from chatcore.invite import Mode
from gui import events, news, sentences, wording
from gui.events import Sheet
from gui.shown import Tone

# -- who they are ------------------------------------------------------------------------------------------------------


def test_who_comes_and_goes_is_said_in_lines() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.now += 60_000
    stage.core(PresenceChanged(CAROL, "Carol", Presence.AWAY, stage.now))
    stage.core(PresenceChanged(CAROL, "Carol", Presence.HERE, stage.now))
    stage.core(MemberLeft(CAROL, "Carol", stage.now), stage.roster(ALICE, BOB))
    stage.core(MemberJoined(DAVE, "Dave", stage.now), PresenceChanged(DAVE, "Dave", Presence.HERE, stage.now))
    assert stage.log.lines == ["Carol went away", "Carol is back", "Carol left the room", "Dave joined"]


def test_ones_own_connection_coming_and_going_makes_no_lines_about_others() -> None:
    stage = Stage().talking(others=(BOB,))
    stage.core(ConnectionChanged(Connection.RECONNECTING), PresenceChanged(BOB, "Bob", Presence.AWAY, NOON))
    stage.core(ConnectionChanged(Connection.CONNECTED), PresenceChanged(BOB, "Bob", Presence.HERE, NOON))
    assert stage.log.lines == []


@pytest.mark.parametrize("kind", list(AlarmKind))
def test_an_alarm_stands_above_the_log_and_takes_the_promise_back(kind: AlarmKind) -> None:
    stage = Stage().talking()
    assert stage.page.status.privacy == "Only the people in this room can read this"
    stage.core(Alarm(kind, BOB, "Bob"))
    assert [b.tone for b in stage.page.banners] == [Tone.BAD]
    assert not stage.page.banners[0].closable
    assert stage.page.status.privacy == "Check who is in this room"


def test_a_room_that_stopped_promises_nothing() -> None:
    stage = Stage().talking()
    stage.core(ConnectionChanged(Connection.RECONNECTING, "The connection broke.", 3))
    assert stage.page.status.privacy == "Only the people in this room can read this"
    stage.core(ConnectionChanged(Connection.STOPPED, "The relay has another key than the invite says."))
    assert (stage.page.status.privacy, stage.page.status.privacy_tone) == (
        "Nothing goes out from this window now",
        Tone.WARN,
    )
    stage.core(Alarm(AlarmKind.OWN_IDENTITY_ELSEWHERE, BOB, "Bob"))
    assert stage.page.status.privacy == "Check who is in this room"


def test_a_message_for_other_people_is_said_once() -> None:
    stage = Stage().talking()
    stage.core(heard(1, "hi", readers=None), heard(2, "there", readers=None))
    assert stage.log.lines == []  # Bob is asked first
    stage.core(ReadersLearned((mid(1),), BOB, None), ReadersLearned((mid(2),), BOB, None))
    assert stage.log.lines == [sentences.other_list("Bob", (), ())]
    assert stage.page.status.privacy == "Check who is in this room"
    stage.core(heard(3, "again"))
    assert stage.page.status.privacy == "Only the people in this room can read this"


def test_a_message_for_other_people_is_told_by_their_names() -> None:
    stage = Stage().talking(others=(BOB, DAVE))
    stage.core(heard(1, "hi", readers=None))
    stage(events.ShowReaders(mid(1)))
    assert stage.view.sheets[Sheet.READERS].heading == "Other people than you see here"
    stage.core(ReadersLearned((mid(1),), BOB, (ALICE, BOB, CAROL), ((CAROL, "Carol"),), ((DAVE, "who cares"),)))
    difference = "Bob's list has Carol, yours hasn't; yours has Dave, Bob's hasn't"
    assert stage.log.lines == [f"Bob wrote this for other people than you see here: {difference}"]
    sheet = stage.view.sheets[Sheet.READERS]
    assert [r.name for r in sheet.readers] == ["You", "Carol"]
    assert (sheet.note, sheet.note_tone) == (f"{difference}.", Tone.WARN)
    assert stage.page.status.privacy == "Check who is in this room"


def test_readers_that_are_learned_and_no_others_are_no_news() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(heard(1, "hi", readers=None), ReadersLearned((mid(1), mid(7)), BOB, (ALICE, BOB, CAROL)))
    assert stage.log.lines == []
    assert stage.page.status.privacy == "Only the people in this room can read this"
    stage(events.ShowReaders(mid(1)))
    assert stage.view.sheets[Sheet.READERS].heading == "By Bob's list these 2 people, and nobody else"


def test_lists_that_differ_are_said_by_name_until_they_agree() -> None:
    stage = Stage().talking()
    stage.core(ListsDiffer(BOB, ((CAROL, "Ca\u202erol"),), ()))
    assert stage.page.status.privacy == "Check who is in this room"
    stage.core(ListsDiffer(BOB, (), ((ALICE, "Alice"),)), ListsDiffer(BOB, (), ()))
    stage.core(ListsAgree(BOB))
    assert stage.log.lines == [
        "Bob's list has Carol, yours hasn't",
        "Your list has Alice, Bob's hasn't",
        "Bob has another list of people than you, and doesn't say which. Ask Bob who is on it",
        "Bob has the same list of people as you again",
    ]
    assert stage.page.status.privacy == "Only the people in this room can read this"


def test_people_of_the_same_name_are_told_apart_everywhere() -> None:
    stage = Stage().talking()
    stage.core(heard(1, "it is me"))
    assert stage.log.items[0].name == "Bob"  # type: ignore[union-attr]
    stage.core(MemberJoined(CAROL, " bOb\u200b", NOON))
    assert stage.log.items[0].name == "Bob (0202)"  # type: ignore[union-attr]
    assert stage.log.lines == ["bOb (0303) joined"]


def test_an_owner_who_was_never_heard_is_called_by_a_plain_word() -> None:
    stage = Stage().start().open(BOB, Mode.OPEN)
    own, owner = Member(BOB, "Bob", Presence.SELF), Member(ALICE, "", Presence.AWAY, is_owner=True)
    stage.core(RosterChanged((own, owner)))
    assert [person.name for person in stage.page.people] == ["Bob", "The owner"]
    stage.core(RosterChanged((own, replace(owner, nick="Alice"))))
    assert [person.name for person in stage.page.people] == ["Bob", "Alice"]
    stage.core(RosterChanged((own, owner)))
    assert [person.name for person in stage.page.people] == ["Bob", "Alice"], "a name that was heard stays"


@pytest.mark.parametrize("nick", ["", "\u200d", "\u3164", "\x00", "\ufffd\u202e"])
def test_a_name_that_cannot_be_seen_is_called_by_a_plain_word(nick: str) -> None:
    stage = Stage().talking()
    stage.core(MemberJoined(CAROL, nick, NOON), MemberJoined(DAVE, nick, NOON))
    assert stage.log.lines == ["Somebody joined", "Somebody (0404) joined"]


def test_long_names_are_told_apart_within_what_is_shown() -> None:
    shown = wording.told_apart({BOB: "W" * 64, CAROL: "W" * 40 + "x" * 24, DAVE: "Dave"})
    assert shown == {BOB: "W" * 31 + "… (0202)", CAROL: "W" * 31 + "… (0303)", DAVE: "Dave"}
    assert all(wording.MARK.search(shown[fp]) for fp in (BOB, CAROL))


def test_marks_cannot_be_imitated() -> None:
    shown = wording.told_apart({BOB: "Tom", CAROL: "Tom", DAVE: "Tom (0202)"})
    assert len({name.casefold() for name in shown.values()}) == 3


def test_names_of_strangers_are_made_safe() -> None:
    stage = Stage().talking()
    stage.core(MemberJoined(CAROL, "evil\u202e\nname" + "x" * 99, NOON))
    assert "\u202e" not in stage.log.lines[0]
    assert "\n" not in stage.log.lines[0]
    assert len(stage.log.lines[0]) < 80


def test_the_people_say_where_they_are() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.roster(ALICE, BOB, CAROL, away=(CAROL,)))
    assert [(p.name, p.detail.split(":")[0]) for p in stage.page.people] == [
        ("Alice", "You · owner"),
        ("Bob", "Here"),
        ("Carol", "Away since " + wording.clock(NOON - 60_000).split(":")[0]),
    ]
    stage(events.TogglePeople())
    assert not stage.page.people_shown


def test_the_page_knows_the_hues_of_those_who_come_later() -> None:
    stage = Stage().talking()
    hues = stage.page.state.hues
    assert hues.keys() == {ALICE, BOB}
    stage.core(stage.roster(ALICE, BOB, CAROL))
    assert hues.keys() == {ALICE, BOB, CAROL}
    stage(events.ThemeToggled())
    assert stage.page.state.hues is hues


# -- the door ----------------------------------------------------------------------------------------------------------


def test_a_knock_is_in_the_title_while_the_window_has_no_keyboard() -> None:
    stage = Stage().talking()
    stage(events.FocusChanged(False))
    stage.core(Knocked(CAROL, "Carol", NOON))
    assert stage.view.title == "Carol is at the door · Cabin weekend — Parley"
    stage(events.FocusChanged(True))
    assert stage.view.title == "Cabin weekend — Parley"


def test_a_knock_is_a_strip_first_then_a_sheet_with_words() -> None:
    stage = Stage().talking()
    stage.core(Knocked(CAROL, "Carol", NOON))
    assert [b.title for b in stage.page.banners] == ["Carol is at the door"]
    assert Sheet.KNOCK not in stage.view.sheets
    assert stage.back.asked[-1] == ("words", CAROL)
    label, action = stage.page.banners[0].action
    assert label == "See who it is"
    stage(action)
    assert stage.view.sheets[Sheet.KNOCK].words == ()
    stage(news.WordsReady(stage.room_id, CAROL, WORDS))
    sheet = stage.view.sheets[Sheet.KNOCK]
    assert sheet.words == WORDS
    assert sheet.promise == "Until you let Carol in, nothing that is written here is encrypted to Carol."
    assert not {"her", "him", "his", "she", "he"} & set(f"{sheet.ask} {sheet.promise} {sheet.title}".lower().split())


def test_letting_in_and_turning_away() -> None:
    stage = Stage().talking()
    stage.core(Knocked(CAROL, "Carol", NOON), Knocked(DAVE, "Dave", NOON))
    stage(events.ShowKnock(CAROL), events.LetIn(CAROL))
    assert stage.back.asked[-1] == ("let_in", CAROL)
    assert Sheet.KNOCK not in stage.view.sheets
    assert [b.title for b in stage.page.banners] == ["Dave is at the door"]
    stage.core(KnockEnded(CAROL), MemberJoined(CAROL, "Carol", NOON))
    stage(events.TurnAway(DAVE))
    assert stage.back.asked[-1] == ("turn_away", DAVE)
    assert stage.page.banners == []
    assert stage.log.lines == ["You let Carol in", "You turned Dave away"]
    stage(events.LetIn(DAVE))
    assert stage.back.asked[-1] == ("turn_away", DAVE), "who isn't at the door can't be let in"


def test_who_knocks_waits_at_the_door_until_let_in() -> None:
    stage = Stage().start().open(BOB)
    assert stage.view.page == "waiting"
    assert stage.page.state.connection
    stage.core(ConnectionChanged(Connection.CONNECTED), Waiting("", ALICE, False))
    assert "isn't here now" in stage.page.state.text
    assert stage.back.asked[-1] == ("words", ALICE)
    stage.core(Waiting("Alice", ALICE, True))
    stage(news.WordsReady(stage.room_id, ALICE, WORDS))
    assert stage.page.state.text == "Alice is here, and can let you in to “Cabin weekend”."
    assert stage.page.state.words == WORDS
    stage.core(LetIn(ALICE), stage.roster(BOB, ALICE))
    assert stage.view.page == "room"


def test_one_who_comes_back_never_sees_the_door() -> None:
    stage = Stage().start()
    invite = an_invite()
    opened = news.RoomOpened(invite.room_id, invite.to_text(), "Cabin", Mode.ASK, BOB, "Bob", ALICE, False)
    stage(opened, news.FromRoom(invite.room_id, LetIn(ALICE)))
    assert stage.view.page == "room"


def test_one_can_stop_waiting() -> None:
    stage = Stage().start().open(BOB)
    stage(events.StopWaiting())
    assert ("close_room", stage.room_id) in stage.back.asked
    assert stage.view.page == "start"


def test_why_the_relay_is_out_of_reach_is_said_at_the_door() -> None:
    stage = Stage().start().open(BOB)
    stage.core(ConnectionChanged(Connection.RECONNECTING, "The relay doesn't answer.", 2.0))
    assert stage.page.state.connection == "The relay doesn't answer."
