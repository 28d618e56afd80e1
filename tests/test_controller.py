"""What the window does next, without a window: the controller between a window and a backroom that only remember."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gui_help import ALICE, BOB, CAROL, DAVE, NICKS, NOON, Stage, an_invite, mid

from chatcore import names
from chatcore.errors import StateError, TextError
from chatcore.events import (
    Alarm,
    AlarmKind,
    Connection,
    ConnectionChanged,
    Damaged,
    Gap,
    Knocked,
    KnockEnded,
    LetIn,
    ListsAgree,
    ListsDiffer,
    Member,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    MessageReceived,
    NotDelivered,
    Presence,
    PresenceChanged,
    ReadersLearned,
    RosterChanged,
    SealedBlocks,
    SteadyChanged,
    TakenBack,
    Waiting,
)
from chatcore.invite import CUT_SHORT, NOT_A_RELAY, TITLE_TOO_LONG, Mode
from chatcore.lock import Guard
from chatcore.profile import Loss
from gui import checks, events, news, sentences, wording
from gui.events import Sheet
from gui.shown import Check, DayItem, MessageItem, Note, Tick, Tone

LINE = "parley:relay/relay.example.org:7256/" + "A" * 43
WORDS = tuple(["amber", "canoe", "violet", "orbit", "maple", "signal", "tundra", "pepper"])


def heard(number: int, text: str, sender: bytes = BOB, **more: object) -> MessageReceived:
    fields = {"time_ms": NOON, "received_ms": NOON, "readers": (ALICE, BOB)} | more
    return MessageReceived(mid(number), sender, NICKS[sender], text, **fields)  # type: ignore[arg-type]


def test_it_needs_no_toolkit_and_no_display() -> None:
    program = "import sys, gui.controller; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "gui.controller" in loaded
    assert not loaded & {"tkinter", "_tkinter", "PySimpleGUI", "PIL", "asyncio"}


# -- the start page ----------------------------------------------------------------------------------------------------


def test_the_first_start_asks_for_a_name() -> None:
    stage = Stage().start()
    assert stage.view.page == "start"
    assert stage.page.state.first_time
    assert stage.view.title == "Parley"


def test_the_profile_fills_the_page() -> None:
    room = news.Remembered(b"r" * 32, "Cabin weekend", "relay.example.org:7256", NOON - 60_000)
    stage = Stage().start(room, nick="Maya", first_time=False)
    assert stage.page.state.name == "Maya"
    assert [(r.title, r.detail) for r in stage.page.state.recent] == [("Cabin weekend", "relay.example.org:7256")]
    stage(events.OpenRecent(b"r" * 32, "Maya"))
    assert stage.back.asked[-1] == ("open_recent", b"r" * 32, "Maya")
    assert stage.page.busy


def test_only_the_newest_rooms_are_listed_newest_first() -> None:
    rooms = [news.Remembered(bytes((n,)) * 32, f"Room {n}", "x:1", NOON - n) for n in range(9)]
    stage = Stage().start(*rooms, first_time=False)
    assert [r.title for r in stage.page.state.recent] == ["Room 0", "Room 1", "Room 2"]


def test_a_name_given_at_the_start_goes_before_that_of_the_profile() -> None:
    assert Stage(name="Léa").start(nick="Maya", first_time=False).page.state.name == "Léa"


def test_an_invite_given_at_the_start_is_in_the_field_and_checked() -> None:
    stage = Stage(invite_text=an_invite().to_text()).start()
    assert stage.page.state.invite_text == an_invite().to_text()
    assert stage.page.state.invite_check.ok


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("\u202eevil", names.TURNED), ("   ", names.BLANK), ("a" * 65, names.TOO_LONG), ("a\x00b", names.UNSEEN)],
)
def test_a_name_that_cannot_be_used_is_said_while_it_is_typed(typed: str, sentence: str) -> None:
    stage = Stage().start()(events.NameEdited(typed))
    assert stage.page.name_check == Check(False, sentence)
    stage(events.NameEdited("Maya"))
    assert stage.page.name_check.ok


def test_an_invite_is_checked_while_it_is_pasted() -> None:
    stage = Stage().start()
    good = an_invite().to_text()
    stage(events.InviteEdited(good[:-9]))
    check = stage.page.invite_check
    assert check.ok is False
    assert f"{check.sentence} {check.cure}" == CUT_SHORT
    stage(events.InviteEdited("> " + good[:30] + "=\n> " + good[30:]))
    assert stage.page.invite_check.ok
    assert "Cabin weekend" in stage.page.invite_check.sentence
    stage(events.InviteEdited(""))
    assert stage.page.invite_check.ok is None


def test_joining_wants_a_name_and_an_invite() -> None:
    stage = Stage().start()(events.Join("", an_invite().to_text()))
    assert stage.page.name_check.sentence == names.EMPTY
    stage(events.Join("Maya", ""))
    assert stage.page.invite_check.sentence == sentences.NO_INVITE
    assert stage.back.asked == [("look",)]
    stage(events.Join("  Maya ", an_invite().to_text(), anonymous=True))
    assert stage.back.asked[-1] == ("join", "Maya", an_invite().to_text(), True, "")
    assert stage.page.busy == "Joining the room…"


def test_what_failed_is_said_and_nothing_typed_is_lost() -> None:
    stage = Stage().start()
    page = stage.page
    stage(events.Join("Maya", an_invite().to_text()), news.Failed("The disk is full."))
    assert stage.page is page
    assert (page.busy, page.problem) == ("", "The disk is full.")


def test_a_damaged_profile_still_allows_a_visit() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.Failed("The identity file is damaged."))
    assert stage.view.page == "start"
    assert stage.page.problem == "The identity file is damaged."
    assert stage.page.state.anonymous


def test_while_the_keyring_is_asked_there_is_a_window_that_says_so() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.KeyringAsked(), events.NameEdited("Al"), events.OpenProfile())
    assert (stage.view.page, stage.page.busy) == ("start", "Waiting for the keyring of this system…")
    assert stage.back.asked == [("look",)]
    stage(news.ProfileFound("Alice"), news.KeyringAsked())
    assert (stage.page.busy, stage.page.state.name, stage.page.state.has_profile) == ("", "Al", True)

    stage = Stage()
    stage.controller.begin()
    stage(news.KeyringAsked(), news.Failed("The keyring gave no answer."))
    assert (stage.page.busy, stage.page.problem, stage.page.state.anonymous) == (
        "",
        "The keyring gave no answer.",
        True,
    )


def test_a_locked_profile_asks_for_its_passphrase() -> None:
    stage = Stage().start(first_time=False, locked=True)
    assert stage.view.page == "unlock"
    stage(events.Unlock("wrong"))
    assert stage.page.busy
    stage(news.Failed("This passphrase doesn't open the profile."))
    assert stage.view.page == "unlock"
    assert stage.page.problem == "This passphrase doesn't open the profile."
    stage(events.Unlock("right"), news.ProfileFound("Maya"))
    assert stage.view.page == "start"
    assert stage.page.state.name == "Maya"
    assert [asked for asked in stage.back.asked if asked[0] == "unlock"] == [("unlock", "wrong"), ("unlock", "right")]


def test_one_can_visit_without_the_passphrase() -> None:
    stage = Stage().start(first_time=False, locked=True)(events.SkipUnlock())
    assert stage.view.page == "start"
    assert stage.page.state.anonymous


# -- making a room -----------------------------------------------------------------------------------------------------


def test_making_a_room_keeps_what_was_chosen_on_the_start_page() -> None:
    stage = Stage().start()(events.BeginCreate("Maya", host_here=True, passphrase="open sesame"))
    assert stage.view.page == "create"
    assert stage.page.state.host_here
    stage(events.Create("Cabin weekend", Mode.ASK, None))
    assert stage.back.asked[-1] == ("create", "Maya", "Cabin weekend", Mode.ASK, None, False, "open sesame")
    assert stage.page.busy


@pytest.mark.parametrize(
    ("title", "line", "sentence"),
    [
        ("", LINE, checks.ROOM_NAME_MISSING),
        ("  ", None, checks.ROOM_NAME_MISSING),
        ("x" * 65, None, TITLE_TOO_LONG),
        ("Cabin", "hello", NOT_A_RELAY),
        ("Cabin", "", NOT_A_RELAY),
    ],
)
def test_a_room_that_cannot_be_made_says_why(title: str, line: str | None, sentence: str) -> None:
    stage = Stage().start()(events.BeginCreate("Maya"), events.Create(title, Mode.OPEN, line))
    assert stage.page.problem == sentence
    assert stage.back.asked == [("look",)]


def test_one_can_go_back_but_not_while_something_is_under_way() -> None:
    stage = Stage().start()(events.BeginCreate("Maya"), events.Create("Cabin", Mode.OPEN, LINE), events.Back())
    assert stage.view.page == "create"
    stage(news.Failed("The relay can't be reached."), events.Back())
    assert stage.view.page == "start"
    assert stage.page.state.name == "Maya"


def test_no_room_without_a_name() -> None:
    stage = Stage().start()(events.BeginCreate(""))
    assert stage.view.page == "start"
    assert stage.page.name_check.sentence == names.EMPTY


# -- the room ----------------------------------------------------------------------------------------------------------


def test_the_owner_alone_is_told_to_invite_and_cannot_write_yet() -> None:
    stage = Stage().start().open()
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE))
    assert stage.view.page == "room"
    assert stage.page.header.text == "Only you so far"
    assert stage.page.quiet.can_invite
    assert not stage.page.composer.enabled
    stage.core(MemberJoined(BOB, "Bob", NOON), stage.roster(ALICE, BOB))
    assert stage.page.quiet is None
    assert stage.page.composer.enabled
    assert stage.page.header.text == "2 people · 2 here"
    assert stage.log.lines == ["Bob joined"]


def test_ones_message_is_shown_when_the_core_has_taken_it() -> None:
    stage = Stage().talking()
    stage.page.typed = "hello"
    stage(events.Send("hello"))
    assert stage.back.asked[-1] == ("say", "hello")
    assert stage.log.texts == []
    assert stage.page.typed == "hello"
    stage.core(stage.sent(1, "hello", BOB))
    assert stage.log.texts == ["hello"]
    assert stage.page.typed == ""


@pytest.mark.parametrize("refusal", [TextError("This message is too long."), StateError("Nobody is here.")])
def test_what_is_refused_stays_in_the_composer(refusal: TextError) -> None:
    stage = Stage().talking()
    stage.back.refuse = refusal
    stage.page.typed = "x" * 50_000
    stage(events.Send("x" * 50_000))
    assert stage.page.refusal == str(refusal)
    assert stage.page.typed == "x" * 50_000
    assert stage.log.texts == []


def test_ticks_go_from_a_clock_over_some_to_all() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "hello", BOB, CAROL))
    assert stage.log.ticks[mid(1)] is Tick.WAITING
    assert stage.page.status.connection == "Connected · sending 1 message"
    stage.core(MessageArrived((mid(1),), BOB, NOON))
    assert stage.log.ticks[mid(1)] is Tick.SOME
    assert stage.log.delivery is not None
    assert stage.log.delivery.text == "Arrived at 1 of 2", "Carol is here and gets it in a moment"
    assert stage.log.delivery.arrived == (BOB,)
    stage.core(MessageArrived((mid(1),), CAROL, NOON))
    assert stage.log.ticks[mid(1)] is Tick.ALL
    assert stage.log.delivery.text == "Arrived at everyone"
    assert stage.page.status.connection == "Connected · everything sent"


def test_a_message_and_its_arrival_in_one_batch_are_one_row_with_its_tick() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB), MessageArrived((mid(1),), BOB, NOON))
    assert stage.log.ticks[mid(1)] is Tick.ALL
    assert stage.log.extended == 1


def test_a_batch_of_messages_is_one_change_of_the_log() -> None:
    stage = Stage().talking()
    stage.core(*(heard(n, f"message {n}") for n in range(500)))
    assert stage.log.extended == 1
    assert stage.log.texts == [f"message {n}" for n in range(500)]


def test_what_waits_while_not_connected_is_counted() -> None:
    stage = Stage().talking()
    stage.core(ConnectionChanged(Connection.RECONNECTING, retry_s=2.0))
    assert stage.page.status.connection == "Not connected · trying again"
    stage.core(stage.sent(1, "one", BOB), stage.sent(2, "two", BOB))
    assert stage.page.status.connection == "Not connected · 2 messages wait · trying again"
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE, BOB, away=(BOB,)))
    assert stage.page.status.connection == "Connected · 2 messages wait for people who are away"


def test_what_waits_says_why_and_can_be_taken_back() -> None:
    def line() -> tuple[str, bool]:
        assert stage.log.delivery is not None
        return stage.log.delivery.text, stage.log.delivery.may_take_back

    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(ConnectionChanged(Connection.RECONNECTING), stage.sent(1, "from the train", BOB, CAROL))
    assert line() == ("Waits for the connection", True)
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE, BOB, CAROL, away=(BOB, CAROL)))
    assert line() == ("Bob and Carol are away and will get it later", True)
    stage.core(stage.roster(ALICE, BOB, CAROL, away=(CAROL,)))
    assert line() == ("On its way · Carol will get it later", False), "it is gone in a moment"
    stage.core(MessageArrived((mid(1),), BOB, NOON))
    assert line() == ("Arrived at 1 of 2 · Carol will get it later", False)
    stage.core(ConnectionChanged(Connection.RECONNECTING), stage.roster(ALICE, BOB, CAROL))
    assert line() == ("Arrived at 1 of 2 · Carol will get it later", False), "not before there is a connection"


def test_where_there_is_little_room_less_is_said() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.roster(ALICE, BOB, CAROL, away=(BOB, CAROL)), stage.sent(1, "hello", BOB, CAROL))
    assert stage.page.header.brief == "1 of 3 here"
    status = stage.page.status
    assert status.connection == "Connected · 1 message waits for people who are away"
    assert (status.privacy_brief, status.connection_brief) == (
        "Only this room can read this",
        "Connected · 1 message waits",
    )
    stage.core(SteadyChanged(5))
    assert stage.page.header.brief == "1 of 3 here · steady, 5 s"
    stage.core(ConnectionChanged(Connection.STOPPED))
    assert stage.page.status.privacy_brief == "Nothing goes out now"


def test_why_there_is_no_connection_is_said_unless_it_is_a_short_break() -> None:
    stage = Stage().talking()
    lost = ConnectionChanged(Connection.RECONNECTING, "The relay doesn't answer.", 2.0)
    stage.core(lost, ConnectionChanged(Connection.RECONNECTING, lost.reason))
    assert stage.page.banners == []
    stage.core(lost)
    assert [(b.tone, b.text) for b in stage.page.banners] == [(Tone.WARN, "The relay doesn't answer.")]
    stage.core(ConnectionChanged(Connection.CONNECTED))
    assert stage.page.banners == []
    stage.core(lost)
    assert stage.page.banners == []


def test_a_first_connection_that_fails_is_said_at_once() -> None:
    stage = Stage().start().open()
    stage.core(ConnectionChanged(Connection.RECONNECTING, "The relay doesn't answer.", 2.0))
    assert [b.text for b in stage.page.banners] == ["The relay doesn't answer."]


def test_a_knock_is_in_the_title_while_the_window_has_no_keyboard() -> None:
    stage = Stage().talking()
    stage(events.FocusChanged(False))
    stage.core(Knocked(CAROL, "Carol", NOON))
    assert stage.view.title == "Carol is at the door · Cabin weekend — Parley"
    stage(events.FocusChanged(True))
    assert stage.view.title == "Cabin weekend — Parley"


def test_why_it_stopped_is_said_and_writing_is_off() -> None:
    reason = "The relay has another key than the invite says; nothing was sent to it."
    stage = Stage().talking()
    stage.core(ConnectionChanged(Connection.STOPPED, reason))
    assert [(b.tone, b.text) for b in stage.page.banners] == [(Tone.BAD, reason)]
    assert not stage.page.composer.enabled
    assert stage.page.status.connection_tone is Tone.BAD


def test_nobody_is_invited_to_a_room_that_cannot_be_reached() -> None:
    stage = Stage().start().open()
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE))
    assert stage.page.quiet is not None
    stage.core(ConnectionChanged(Connection.STOPPED, "The relay has another key than the invite says."))
    assert stage.page.quiet is None


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


def test_somebody_who_left_for_good_is_waited_for_no_longer() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "hello", BOB, CAROL), MessageArrived((mid(1),), BOB, NOON))
    stage.core(MemberLeft(CAROL, "Carol", NOON), stage.roster(ALICE, BOB))
    assert stage.log.ticks[mid(1)] is Tick.FAILED
    assert stage.page.status.connection == "Connected · everything sent"


def test_gaps_and_lost_messages_are_said_in_plain_words() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB))
    stage.core(Gap(BOB, "Bob", 3, False), Gap(BOB, "Bob", 1, True), NotDelivered((mid(1),), BOB))
    stage.core(NotDelivered((mid(1), mid(2)), BOB), NotDelivered((mid(1),), BOB, left=True))
    assert stage.log.lines == [
        "3 messages from Bob went missing and can't be fetched again",
        "1 earlier message from Bob can't be shown: this computer doesn't keep them",
        "1 message will not reach Bob: it waited for two weeks, or too much was waiting",
        "2 messages will not reach Bob: they waited for two weeks, or too much was waiting",
        "1 message will not reach Bob, who left the room",
    ]
    assert stage.log.ticks[mid(1)] is Tick.FAILED


def test_what_never_gets_to_somebody_is_said_by_name_under_the_message() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "hello", BOB, CAROL), stage.sent(2, "again", BOB, CAROL))
    stage.core(NotDelivered((mid(1),), CAROL))
    assert stage.note(1) == Note("Not delivered to Carol", Tone.WARN)
    assert stage.log.ticks[mid(1)] is Tick.WAITING  # for Bob
    stage.core(NotDelivered((mid(1), mid(2)), BOB), NotDelivered((mid(2),), CAROL))
    assert [stage.note(1), stage.note(2)] == [Note("Not delivered to Bob and Carol", Tone.WARN)] * 2
    assert stage.log.ticks[mid(2)] is Tick.FAILED
    assert stage.log.delivery is None  # there is nothing to add


def test_what_was_told_of_an_earlier_run_makes_no_lines() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB), stage.sent(2, "again", BOB))
    stage.core(NotDelivered((mid(1),), BOB, earlier=True), TakenBack(mid(2), (BOB,), earlier=True))
    assert stage.log.lines == []
    assert [stage.note(1), stage.note(2)] == [Note("Not delivered to Bob", Tone.WARN), Note("Taken back")]


def test_taking_back_is_asked_for_and_answered() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(*(stage.sent(number, "hello", BOB, CAROL) for number in (1, 2, 3)))
    stage(events.TakeBack(mid(1)), events.TakeBack(mid(9)))
    assert [one for one in stage.back.asked if one[0] == "take_back"] == [("take_back", mid(1))]
    stage.core(TakenBack(mid(1), (BOB, CAROL)), TakenBack(mid(2), (CAROL,)), TakenBack(mid(3), ()))
    stage.core(TakenBack(mid(1), ()), MessageArrived((mid(2),), BOB, NOON))
    assert stage.log.lines == [
        "You took a message back before it went to anyone",
        "You took a message back from Carol; it has gone out to Bob",
        "It is too late to take this back: it has gone out to Bob and Carol",
        "This was taken back already",
    ]
    ticks = (Tick.TAKEN_BACK, Tick.TAKEN_BACK, Tick.WAITING)
    assert [stage.log.ticks[mid(number)] for number in (1, 2, 3)] == [*ticks]
    notes = (Note("Taken back"), Note("Taken back from Carol · it has gone to Bob"), None)
    assert [stage.note(number) for number in (1, 2, 3)] == [*notes]
    stage(events.ShowReaders(mid(2)))
    sheet = stage.view.sheets[Sheet.READERS]
    assert [(one.name, one.detail, one.tick) for one in sheet.readers] == [
        ("Bob", sheet.readers[0].detail, Tick.ALL),
        ("Carol", "Taken back before it went", Tick.TAKEN_BACK),
    ]


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
    assert stage.view.sheets[Sheet.READERS].heading == "These 2 people, and nobody else"


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


def test_messages_of_one_person_share_a_name_and_days_are_marked() -> None:
    stage = Stage().talking()
    day = 86_400_000
    stage.core(heard(1, "a"), heard(2, "b"), heard(3, "c", CAROL))
    stage.core(heard(4, "d", CAROL, time_ms=NOON + day, received_ms=NOON + day))
    kinds = [i.group if isinstance(i, MessageItem) else type(i) for i in stage.log.items]
    assert kinds == [False, True, False, DayItem, False]


def test_unread_messages_are_counted_in_the_title_while_the_window_has_no_keyboard() -> None:
    stage = Stage().talking()
    stage(events.FocusChanged(False))
    stage.core(heard(1, "a"), heard(2, "b"))
    assert stage.view.title == "(2) Cabin weekend — Parley"
    stage(events.FocusChanged(True))
    assert stage.view.title == "Cabin weekend — Parley"
    stage.core(heard(3, "c"))
    assert stage.view.title == "Cabin weekend — Parley"


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


# -- the door ----------------------------------------------------------------------------------------------------------


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
    assert sheet.promise == "Until you let Carol in, nothing is encrypted to Carol."
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


# -- sheets ------------------------------------------------------------------------------------------------------------


def test_the_invite_says_what_it_gives_away_and_no_more_than_is_true() -> None:
    stage = Stage().talking()
    stage(events.OpenInvite())
    sheet = stage.view.sheets[Sheet.INVITE]
    assert sheet.note == "Whoever has this link can knock. They can read nothing until you let them in."
    assert "hour" not in sheet.note
    stage(events.CopyInvite())
    assert stage.view.copied == (an_invite().to_text(), 60)
    assert stage.view.sheets[Sheet.INVITE].copied == sentences.COPIED_FOR_NOW


def test_who_could_read_a_message_of_ones_own() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "hello", BOB, CAROL), stage.roster(ALICE, BOB, CAROL, away=(CAROL,)))
    stage(events.ShowReaders(mid(1)))
    sheet = stage.view.sheets[Sheet.READERS]
    assert sheet.heading == "These 2 people, and nobody else"
    assert [(r.name, r.detail) for r in sheet.readers] == [("Bob", "On its way"), ("Carol", "Away, will get it later")]
    stage.core(MessageArrived((mid(1),), BOB, NOON))
    readers = stage.view.sheets[Sheet.READERS].readers
    assert (readers[0].detail, readers[0].tick) == (f"Arrived {wording.clock(NOON)}", Tick.ALL)


def test_the_sealed_blocks_are_shown_on_request() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB))
    stage(events.ShowReaders(mid(1)))
    assert stage.view.sheets[Sheet.READERS].sealed is None
    assert stage.back.asked[-1] != ("blocks", mid(1))
    stage(events.ShowSealed(mid(1)))
    assert stage.back.asked[-1] == ("blocks", mid(1))
    assert stage.view.sheets[Sheet.READERS].sealed_note == sentences.BLOCKS_COMING
    stage.core(SealedBlocks(mid(1), ((BOB, (bytes(range(256)), bytes(256))),)))
    line = stage.view.sheets[Sheet.READERS].sealed[0]
    assert (line.name, line.hex, line.size) == ("Bob", "00 01 02 03 04 05 06 …", "2 × 256 bytes")
    stage(events.ShowSealed(mid(1), hide=True))
    assert stage.view.sheets[Sheet.READERS].sealed is None
    stage.core(SealedBlocks(mid(1), ()))
    stage(events.ShowSealed(mid(1)))
    assert stage.view.sheets[Sheet.READERS].sealed_note == sentences.BLOCKS_GONE


def test_a_sheet_closes_when_it_is_done_with() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB), Knocked(CAROL, "Carol", NOON))
    stage(events.ShowReaders(mid(1)), events.SheetClosed(Sheet.READERS))
    assert stage.view.sheets == {}
    stage.core(MessageArrived((mid(1),), BOB, NOON))
    assert stage.view.sheets == {}, "it doesn't come back by itself"
    stage(events.ShowKnock(CAROL), events.SheetClosed(Sheet.KNOCK), news.WordsReady(stage.room_id, CAROL, WORDS))
    assert stage.view.sheets == {}
    stage(events.LeaveRoom(), events.SheetClosed(Sheet.CONFIRM))
    assert stage.view.sheets == {}
    assert stage.view.page == "room"


def test_who_could_read_a_message_of_somebody_else() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(heard(1, "hi", readers=(ALICE, BOB, CAROL)), heard(2, "ho", readers=None))
    stage(events.ShowReaders(mid(1)))
    assert [r.name for r in stage.view.sheets[Sheet.READERS].readers] == ["You", "Carol"]
    stage(events.ShowReaders(mid(2)))
    assert stage.view.sheets[Sheet.READERS].note_tone is Tone.WARN


def test_a_link_is_opened_only_after_a_question_and_only_on_the_web() -> None:
    stage = Stage().talking()
    stage(events.OpenLink("https://example.org/a"))
    assert stage.view.opened == []
    stage(stage.view.sheets[Sheet.CONFIRM].event)
    assert stage.view.opened == ["https://example.org/a"]
    for url in ("file:///etc/passwd", "javascript:alert(1)", "https://", "http://[", "parley:join/x"):
        stage(events.OpenLink(url), events.OpenLink(url, sure=True))
    assert stage.view.opened == ["https://example.org/a"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG:8443/a", "example.org"),
        ("https://example.org@evil.example/", "evil.example"),
        ("https://p\u0430ypal.com/login", "xn--pypal-4ve.com"),  # a Cyrillic a
        ("https://m\u00fcnchen.example/", "xn--mnchen-3ya.example"),
        ("https://" + "x" * 99 + ".example/", "x" * 99 + ".example"),  # no name by the rules, but shown
    ],
)
def test_the_question_names_the_place_that_a_link_leads_to(url: str, host: str) -> None:
    stage = Stage().talking()
    stage(events.OpenLink(url))
    assert f"The page is at {host}. It will see" in stage.view.sheets[Sheet.CONFIRM].text


def test_leaving_for_good_asks_first() -> None:
    stage = Stage().talking()
    stage(events.LeaveRoom())
    assert stage.view.sheets[Sheet.CONFIRM].text.endswith("The others see that you left.")
    assert ("leave", stage.room_id) not in stage.back.asked
    stage(stage.view.sheets[Sheet.CONFIRM].event)
    assert ("leave", stage.room_id) in stage.back.asked
    assert stage.view.page == "start"
    assert stage.view.sheets == {}


def test_who_leaves_without_a_connection_is_told_that_nobody_learns_of_it() -> None:
    """Of a room that stopped, because its disk is full say, nothing goes out any more."""
    stage = Stage().talking()
    stage.core(ConnectionChanged(Connection.STOPPED, "The disk is full."))
    stage(events.LeaveRoom())
    untold = "There is no connection, so the others can't be told: they see you as away"
    assert stage.view.sheets[Sheet.CONFIRM].text.endswith(f" {untold}.")
    opened = news.RoomOpened(stage.room_id, "", "Room", Mode.OPEN, ALICE, "Alice", BOB, False)
    assert sentences.leave_question("Room", opened, False).text.startswith(f"{untold}, and nothing more reaches you.")
    assert sentences.leave_question("Room", opened, True).text.startswith(
        "The others see that you left, and nothing more"
    )


def test_closing_a_room_keeps_the_membership_and_its_late_events_are_dropped() -> None:
    stage = Stage().talking()
    stage(events.OpenInvite(), events.CloseRoom())
    assert ("close_room", stage.room_id) in stage.back.asked
    assert stage.view.sheets == {}
    stage.core(heard(1, "late"))
    assert stage.view.page == "start"


def test_after_the_first_room_the_start_page_knows_of_the_profile_that_was_made() -> None:
    stage = Stage().start(first_time=True).open()
    stage(events.CloseRoom(), news.ProfileFound("Alice", guard=Guard.PASSPHRASE))
    shown = stage.page.state
    assert (shown.first_time, shown.has_profile, shown.unprotected) == (False, True, False)
    stage(news.ProfileFound("Alice", guard=Guard.PASSPHRASE))
    assert stage.page.state is shown, "without a change the page stays, with what is typed in it"


def test_one_goes_from_room_to_room() -> None:
    other = news.Remembered(b"o" * 32, "Book club", "relay.example.org:7256", NOON)
    stage = Stage().start(other, nick="Alice", first_time=False).open()
    assert [room.title for room in stage.page.state.rooms] == ["Book club"]
    first = stage.room_id
    stage(events.OpenRecent(b"o" * 32, "Alice"))
    assert stage.back.asked[-2:] == [("close_room", first), ("open_recent", b"o" * 32, "Alice")]
    stage(news.Failed("The profile is damaged."))
    assert stage.view.page == "start"
    assert stage.page.problem == "The profile is damaged."


def test_trouble_behind_a_room_is_said_above_its_log() -> None:
    stage = Stage().talking()
    stage(news.Failed("The disk is full."))
    assert [(b.text, b.closable) for b in stage.page.banners] == [("The disk is full.", True)]
    stage(events.DismissBanner("trouble"))
    assert stage.page.banners == []


# -- the look and the end ----------------------------------------------------------------------------------------------


def test_an_open_invite_is_shown_again_in_the_other_look_and_a_closed_one_is_not() -> None:
    stage = Stage().talking()
    stage(events.OpenInvite())
    stage.view.sheets.clear()  # a page takes its sheets with it
    stage(events.ThemeToggled())
    assert Sheet.INVITE in stage.view.sheets
    stage(events.SheetClosed(Sheet.INVITE), events.ThemeToggled())
    assert Sheet.INVITE not in stage.view.sheets


def test_another_look_shows_the_same_with_what_was_typed() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(heard(1, "hi"), stage.sent(2, "hello", BOB, CAROL), MessageArrived((mid(2),), BOB, NOON))
    stage.page.typed = "half a sent"
    before = stage.page
    stage(events.ShowReaders(mid(2)), events.ThemeToggled())
    assert stage.view.dark
    assert stage.page is not before
    assert stage.log.items[0] == before.log.items[0]
    assert stage.log.texts == before.log.texts
    assert stage.log.ticks == before.log.ticks == {mid(1): None, mid(2): Tick.SOME}
    assert stage.page.typed == "half a sent"
    stage.core(heard(3, "more"))
    assert stage.log.texts == ["hi", "hello", "more"]
    stage(events.ThemeToggled())
    assert stage.view.dark is False


def test_closing_ends_the_program() -> None:
    stage = Stage().start()
    assert stage.controller.handle(events.NameEdited("M"))
    assert not stage.controller.handle(events.Close())


def test_nothing_of_a_message_invite_or_passphrase_is_in_a_repr() -> None:
    secret = "sesame-7781"
    shown = repr(
        [
            events.Join("Maya", secret, passphrase=secret),
            events.InviteEdited(secret),
            events.BeginCreate("Maya", passphrase=secret),
            events.Unlock(secret),
            events.Send(secret),
            events.OpenLink(secret),
            news.RoomOpened(b"", secret, "", Mode.ASK, b"", "", b"", False),
            MessageItem(b"", b"", "", secret, ""),
        ]
    )
    assert secret not in shown


# -- one's profile -----------------------------------------------------------------------------------------------------


def test_the_page_about_ones_profile() -> None:
    stage = Stage().start(nick="Maya", first_time=False)
    assert (stage.page.state.has_profile, stage.page.state.unprotected) == (True, True)
    stage(events.OpenProfile(), news.ProfileKnown(Guard.NOBODY, True, "/copy"))
    assert stage.view.page == "profile"
    assert (stage.page.state.name, stage.page.state.may_use_keyring) == ("Maya", True)
    stage(events.Protect(Guard.PASSPHRASE, "sesame"))
    assert stage.page.busy == "Sealing everything anew…"
    stage(events.OpenProfile(), events.Back())  # it is busy
    assert stage.view.page == "profile"
    stage(news.Failed("The disk is full."))
    assert (stage.page.busy, stage.page.problem) == ("", "The disk is full.")
    stage(
        events.ExportProfile("/copy", "x"), news.ProfileKnown(Guard.PASSPHRASE, True, "/copy", "The copy is written.")
    )
    assert (stage.page.state.done, stage.page.state.has_passphrase) == ("The copy is written.", True)
    stage(events.ThemeToggled())
    assert stage.view.page == "profile"
    stage(events.Back())
    assert stage.view.page == "start"
    assert not stage.page.state.unprotected
    assert stage.back.asked[1:] == [("profile",), ("protect", Guard.PASSPHRASE, "sesame", ""), ("export", "/copy", "x")]


def test_erasing_a_room_is_asked_about() -> None:
    room = news.Remembered(b"r" * 32, "Cabin weekend", "relay.example.org:7256", NOON)
    stage = Stage().start(room, nick="Maya", first_time=False)
    stage(events.ForgetRecent(room.room_id))
    question = stage.view.sheets[Sheet.CONFIRM]
    assert question.title == "Erase “Cabin weekend”?"
    assert question.danger
    assert "nobody can bring it back" in question.text
    assert "you need its invite" in question.text
    assert ("forget", room.room_id) not in stage.back.asked
    stage(question.event)
    assert stage.back.asked[-1] == ("forget", room.room_id)
    assert Sheet.CONFIRM not in stage.view.sheets


def test_erasing_everything_is_asked_about_and_leaves_an_empty_start_page() -> None:
    stage = Stage().start(nick="Maya", first_time=False)
    stage(events.OpenProfile(), news.ProfileKnown(Guard.NOBODY, False), events.EraseProfile())
    assert stage.view.sheets[Sheet.CONFIRM].danger
    assert ("erase",) not in stage.back.asked
    stage(events.EraseProfile(sure=True))
    assert stage.back.asked[-1] == ("erase",)
    assert Sheet.CONFIRM not in stage.view.sheets
    stage(news.ProfileFound(first_time=True))
    assert stage.view.page == "start"
    assert (stage.page.state.name, stage.page.state.first_time, stage.page.state.has_profile) == ("", True, False)


def test_a_copy_is_brought_where_there_is_no_profile() -> None:
    stage = Stage().start()(events.BeginImport())
    assert stage.view.page == "import"
    stage(events.ThemeToggled(), events.ImportProfile("/copy", "wrong"), news.Failed("This passphrase isn't right."))
    assert (stage.view.page, stage.page.problem) == ("import", "This passphrase isn't right.")
    stage(events.ImportProfile("/copy", "right"), news.ProfileFound("Maya", guard=Guard.PASSPHRASE))
    assert stage.view.page == "start"
    assert (stage.page.state.name, stage.page.state.unprotected) == ("Maya", False)


def test_what_a_damaged_profile_lacks_is_said_on_the_start_page() -> None:
    stage = Stage()
    stage.controller.begin()
    stage(news.ProfileFound("Maya", loss=Loss((("Cabin weekend", 12), ("Book club", 1)), rooms=1, people=2)))
    assert stage.page.problem == (
        "The file of your profile was damaged. What can be read was kept; lost: 12 lines of “Cabin weekend”; 1 line of "
        "“Book club”; 1 room, to enter again with the invite; 2 people you knew."
    )
    assert sentences.loss(Loss(nick=True, newest=True)).endswith("lost: your name; perhaps what was written last.")
    assert sentences.loss(Loss()).endswith("lost: nothing that can be named.")
    stage.open().core(Damaged(3), Damaged(0))
    assert [line for line in stage.page.log.lines if "damaged" in line] == [
        "What was kept of this room was damaged: 3 lines can't be read any more.",
        "What was kept of this room was damaged: no line of it is lost.",
    ]


def test_the_page_knows_the_hues_of_those_who_come_later() -> None:
    stage = Stage().talking()
    hues = stage.page.state.hues
    assert hues.keys() == {ALICE, BOB}
    stage.core(stage.roster(ALICE, BOB, CAROL))
    assert hues.keys() == {ALICE, BOB, CAROL}
    stage(events.ThemeToggled())
    assert stage.page.state.hues is hues
