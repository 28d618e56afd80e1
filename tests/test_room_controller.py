"""What a room's page says of messages and of the connection, and its sheets, without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gui_help import ALICE, BOB, CAROL, DAVE, NOON, WORDS, Stage, an_invite, heard, mid

from chatcore.errors import StateError, TextError
from chatcore.events import (
    Connection,
    ConnectionChanged,
    Gap,
    Knocked,
    MemberJoined,
    MemberLeft,
    MessageArrived,
    NotDelivered,
    NotSaid,
    SealedBlocks,
    SteadyChanged,
    TakenBack,
)
from chatcore.invite import Mode
from gui import events, news, sentences, wording
from gui.events import Sheet
from gui.shown import DayItem, MessageItem, Note, Tick, Tone

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


def test_in_a_room_on_this_computer_nobody_is_sent_a_link_that_leads_nowhere_without_a_word() -> None:
    opened = news.RoomOpened(bytes(32), "invite", "Room", Mode.ASK, ALICE, "Alice", ALICE, only_here=True)
    here, there = sentences.quiet(opened), sentences.quiet(replace(opened, only_here=False))
    assert here.text == f"{there.text} The relay of this room can be reached from this computer only."
    assert (here.qr, there.qr) == ("", "invite")


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


def test_what_would_go_to_one_who_has_just_come_stays_in_the_composer_and_says_who() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.page.typed = "between us"
    stage(events.Send("between us"))
    assert stage.back.listed == frozenset((ALICE, BOB, CAROL))
    stage.core(NotSaid("between us", (DAVE,)))
    again = "came in just now. Press Enter again to send it to them, too."
    assert stage.page.refusal == f"Not sent: {sentences.NOBODY} {again}"
    assert stage.page.typed == "between us"
    assert stage.log.texts == []
    stage.core(MemberJoined(DAVE, "Dave", NOON), NotSaid("between us", (BOB, DAVE)))
    assert stage.page.refusal == f"Not sent: Bob and Dave {again}"


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
    assert line() == ("Waits on this computer: Bob and Carol are away", True)
    stage.core(stage.roster(ALICE, BOB, CAROL, away=(CAROL,)))
    assert line() == ("On its way · waits on this computer for Carol", False), "it is gone in a moment"
    stage.core(MessageArrived((mid(1),), BOB, NOON))
    assert line() == ("Arrived at 1 of 2 · waits on this computer for Carol", False)
    stage.core(ConnectionChanged(Connection.RECONNECTING), stage.roster(ALICE, BOB, CAROL))
    assert line() == ("Arrived at 1 of 2 · waits on this computer for Carol", False), "not before there is a connection"


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


def test_somebody_who_left_for_good_is_waited_for_no_longer() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "hello", BOB, CAROL), MessageArrived((mid(1),), BOB, NOON))
    stage.core(MemberLeft(CAROL, "Carol", NOON), stage.roster(ALICE, BOB))
    assert stage.log.ticks[mid(1)] is Tick.FAILED
    assert stage.page.status.connection == "Connected", "not everything was"


def test_gaps_and_lost_messages_are_said_in_plain_words() -> None:
    stage = Stage().talking()
    stage.core(stage.sent(1, "hello", BOB))
    stage.core(Gap(BOB, "Bob", 3, False), Gap(BOB, "Bob", 1, True), NotDelivered((mid(1),), BOB))
    stage.core(NotDelivered((mid(1), mid(2)), BOB), NotDelivered((mid(1),), BOB, left=True))
    assert stage.log.lines == [
        "3 messages from Bob went missing and can't be fetched again",
        "1 earlier message from Bob can't be shown: this computer has nothing of what Bob wrote before",
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
    details = [("Bob", "On its way"), ("Carol", "Away: it waits on this computer")]
    assert [(r.name, r.detail) for r in sheet.readers] == details
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


def test_trouble_behind_a_room_is_said_above_its_log() -> None:
    stage = Stage().talking()
    stage(news.Failed("The disk is full."))
    assert [(b.text, b.closable) for b in stage.page.banners] == [("The disk is full.", True)]
    stage(events.DismissBanner("trouble"))
    assert stage.page.banners == []
