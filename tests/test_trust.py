"""Whom one knows, as the window says it: known names with other keys, compared people, the words page."""

from __future__ import annotations

from typing import Any

import pytest
from gui_help import ALICE, BOB, CAROL, DAVE, NOON, WORDS, Stage

from chatcore import events as core
from chatcore.pins import Compared, Page, People, Pin
from gui import events, news, trust
from gui.events import Sheet
from gui.news import OtherKey, PeopleKnown
from gui.shown import KnockState, Tone, WordsState

DAY = 86_400_000
OLD_BOB = b"\x3f\x2a" + bytes(30)
TICKED = Compared(NOON - 30 * DAY, Page.PAIR, bytes(32), ALICE)


def pin(fp: bytes, nick: str, compared: Compared | None = None) -> Pin:
    return Pin(fp, nick, NOON - 40 * DAY, NOON - DAY, NOON - 40 * DAY, (), True, compared)


def known(stage: Stage, *others: OtherKey, compared: tuple[bytes, ...] = ()) -> Stage:
    return stage(PeopleKnown(stage.room_id, tuple((fp, TICKED) for fp in compared), others))


def words(stage: Stage) -> WordsState:
    state = stage.view.sheets[Sheet.WORDS]
    assert isinstance(state, WordsState)
    return state


BOBS = OtherKey(BOB, "Bob", pin(OLD_BOB, "Bob", TICKED))


# -- a known name with another key -------------------------------------------------------------------------------------


def test_a_known_name_with_another_key_is_said_everywhere_until_it_is_settled() -> None:
    stage = known(Stage().talking(), BOBS)
    (banner,) = stage.page.banners
    assert (banner.tone, banner.closable, banner.title) == (Tone.BAD, False, "Bob has another key than before")
    assert banner.text == (
        "You know Bob by the key 3f2a, with words compared. This one has 0202: a new device, or somebody who took "
        "the name. Compare words before you tell Bob anything."
    )
    assert banner.action == ("Compare words", events.OpenWords(BOB))
    assert banner.second == ("I know: a new device", events.SettleKey(BOB))
    assert stage.log.lines[-1] == "Bob has another key than before: compare words before you tell Bob anything"
    assert stage.page.status.privacy == "Check who is in this room"
    assert stage.page.composer.hint == "Compare words with Bob before you tell Bob anything."
    assert [person.other_key for person in stage.page.people] == [False, True]
    stage(events.DismissBanner(banner.key))
    assert stage.page.banners == [banner]
    stage(events.SettleKey(BOB))
    assert stage.back.asked[-1] == ("settle", BOB)
    known(stage)
    assert stage.page.banners == []
    assert stage.page.status.privacy == "Only the people in this room can read this"
    assert "Compare" not in stage.page.composer.hint


def test_it_is_said_once_in_the_log_however_often_it_is_known() -> None:
    stage = Stage().talking()
    for _ in range(3):
        known(stage, BOBS)
        known(stage)
    assert sum("another key" in line for line in stage.log.lines) == 1


def test_many_at_once_are_counted_instead_of_filling_the_log() -> None:
    stage = Stage().talking(others=(BOB, CAROL, DAVE))
    crowd = [OtherKey(bytes((n,)) * 32, "Bob", pin(OLD_BOB, "Bob")) for n in range(20, 60)]
    known(stage, *crowd)
    lines = [line for line in stage.log.lines if "key" in line]
    assert lines == ["40 people go by names that you know, with keys that you don't. Compare words with them"]


def test_who_isnt_in_the_room_or_at_the_door_is_no_banner() -> None:
    stage = known(Stage().talking(), OtherKey(DAVE, "Bob", pin(OLD_BOB, "Bob")))
    assert stage.page.banners == []


def test_the_sheet_of_a_knock_says_it_before_letting_in() -> None:
    stage = Stage().talking(others=(CAROL,))
    stage.core(core.Knocked(BOB, "Bob", NOON))
    stage(events.ShowKnock(BOB))
    known(stage, BOBS)
    sheet = stage.view.sheets[Sheet.KNOCK]
    assert isinstance(sheet, KnockState)
    assert sheet.warning.startswith("You know Bob by the key 3f2a")
    assert stage.page.banners[0].action == ("See who it is", events.ShowKnock(BOB))
    stage(events.TurnAway(BOB))
    assert stage.page.banners == []


def test_keys_that_begin_alike_are_shown_as_far_as_it_takes() -> None:
    text = trust.other_key_text(OtherKey(b"\1" * 4 + bytes(28), "Tom", pin(b"\1" * 32, "tom")))
    assert "by the key 010101010101, with no words compared. This one has 010101010000:" in text


def test_hostile_names_are_safe_in_every_sentence() -> None:
    nick = "B\u202eo\nb" + "x" * 60
    text = trust.other_key_text(OtherKey(BOB, nick, pin(OLD_BOB, nick)))
    assert "\u202e" not in text
    assert "\n" not in text


# -- who is compared ---------------------------------------------------------------------------------------------------


def test_the_roster_marks_who_is_compared() -> None:
    stage = known(Stage().talking(others=(BOB, CAROL)), compared=(CAROL,))
    assert [person.compared for person in stage.page.people] == [False, False, True]
    assert stage.page.header.text == "3 people · 3 here · 1 of 2 compared"


# -- the words page ----------------------------------------------------------------------------------------------------


def test_the_rooms_words_are_worked_out_behind_and_shown() -> None:
    stage = known(Stage().talking(others=(BOB, CAROL)), compared=(CAROL,))
    stage(events.OpenWords())
    state = words(stage)
    assert (state.title, state.detail, state.words) == ("Room words", "Cabin weekend · 3 people", ())
    assert state.computing == "Working out the words…"
    everybody = frozenset((ALICE, BOB, CAROL))
    assert stage.back.asked[-1] == ("room words", everybody)
    stage(news.RoomWordsReady(stage.room_id, everybody, WORDS))
    state = words(stage)
    assert (state.words, state.computing, state.text) == (WORDS, "", trust.ROOM_TEXT)
    assert [(p.name, p.detail, p.tone) for p in state.people] == [
        ("Bob", "Not compared yet", Tone.WARN),
        ("Carol", "Compared on 21 October", Tone.GOOD),
    ]
    assert (state.heading, state.ready) == ("Who read them with you?", False)


def opened(*others: bytes, pair: bytes = b"") -> Stage:
    stage = Stage().talking(others=others)
    stage(events.OpenWords(pair))
    fps = frozenset((ALICE, pair)) if pair else frozenset((ALICE, *others))
    return stage(news.RoomWordsReady(stage.room_id, fps, WORDS))


def test_who_was_on_the_call_is_ticked_and_kept() -> None:
    stage = opened(BOB, CAROL, DAVE)
    stage(events.WordsSame())
    assert stage.back.asked[-1][0] != "compared"  # nobody is ticked
    stage(events.TickWords(BOB), events.TickWords(DAVE), events.TickWords(CAROL), events.TickWords(CAROL))
    assert (words(stage).result, words(stage).ready) == ("2 people ticked", True)
    stage(events.WordsSame())
    assert stage.back.asked[-1] == ("compared", (BOB, DAVE), Page.ROOM, True)
    assert words(stage).result == "Kept: you compared words with Bob and Dave."
    assert not any(p.ticked for p in words(stage).people)


def test_the_words_of_two_come_with_one_tick_set() -> None:
    stage = opened(BOB, CAROL, pair=BOB)
    state = words(stage)
    assert (state.title, state.detail, state.pair) == ("Words with Bob", "Cabin weekend", BOB)
    assert [(p.fp, p.ticked) for p in state.people] == [(BOB, True)]
    assert state.text == "Bob should see the same eight words. Read them to each other on a call, or when you meet."
    stage(events.WordsSame())
    assert stage.back.asked[-1] == ("compared", (BOB,), Page.PAIR, True)


def test_words_are_not_the_same_before_they_are_there() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage(events.OpenWords(), events.TickWords(BOB), events.WordsSame())
    assert not words(stage).ready
    assert stage.back.asked[-1][0] == "room words"


def test_when_the_rooms_words_differ_one_looks_for_the_person() -> None:
    stage = opened(BOB, CAROL)
    stage(events.WordsDiffer())
    state = words(stage)
    assert (state.advice, state.choosing) == (trust.ROOM_DIFFER, True)
    assert state.heading == "With whom alone will you compare words?"
    stage(events.TickWords(CAROL))
    assert words(stage).pair == CAROL
    assert stage.back.asked[-1] == ("room words", frozenset((ALICE, CAROL)))


def test_when_the_words_of_two_differ_an_earlier_tick_is_taken_back() -> None:
    stage = opened(BOB, CAROL, pair=BOB)
    stage(events.WordsDiffer())
    assert stage.back.asked[-1] == ("compared", (BOB,), Page.PAIR, False)
    assert words(stage).advice == trust.PAIR_DIFFER.format("Bob")


def test_another_membership_gives_other_words_and_says_since_when_and_who() -> None:
    stage = opened(BOB)
    stage.core(core.MemberJoined(CAROL, "Carol", NOON), stage.roster(ALICE, BOB, CAROL))
    state = words(stage)
    assert state.words == ()
    assert state.computing
    assert state.since.endswith(", when Carol came.")
    assert stage.back.asked[-1] == ("room words", frozenset((ALICE, BOB, CAROL)))
    stage.core(core.MemberLeft(CAROL, "Carol", NOON), stage.roster(ALICE, BOB))
    assert words(stage).words == WORDS  # worked out before
    assert words(stage).since.endswith(", when Carol left.")


def test_presence_changes_no_words() -> None:
    stage = opened(BOB, CAROL)
    asked = len(stage.back.asked)
    for away in ((BOB,), (), (BOB, CAROL), ()):
        stage.core(stage.roster(ALICE, BOB, CAROL, away=away))
        assert words(stage).words == WORDS
    assert len(stage.back.asked) == asked


def test_words_of_people_who_arent_here_any_more_are_not_taken_for_theirs() -> None:
    stage = Stage().talking(others=(BOB,))
    stage(events.OpenWords())
    stage.core(stage.roster(ALICE, BOB, CAROL))
    stage(news.RoomWordsReady(stage.room_id, frozenset((ALICE, BOB)), WORDS))
    assert words(stage).words == ()


def test_the_page_of_two_closes_when_one_leaves() -> None:
    stage = opened(BOB, CAROL, pair=BOB)
    stage.core(stage.roster(ALICE, CAROL))
    assert Sheet.WORDS not in stage.view.sheets
    stage(events.OpenWords(BOB))
    assert Sheet.WORDS not in stage.view.sheets


def test_alone_there_are_no_words() -> None:
    stage = Stage().start().open()
    stage.core(core.LetIn(ALICE), stage.roster(ALICE))
    stage(events.OpenWords())
    state = words(stage)
    assert (state.text, state.people, state.computing, state.heading) == (
        "Nobody else is in this room yet, so there are no words to compare.", (), "", "",
    )  # fmt: skip
    assert not any(asked[0] == "room words" for asked in stage.back.asked)


def test_ones_own_line_opens_the_rooms_words() -> None:
    stage = Stage().talking()
    stage(events.OpenWords(ALICE))
    assert words(stage).pair == b""


def test_the_page_comes_again_in_another_look_and_not_after_it_was_closed() -> None:
    stage = opened(BOB)
    stage.view.sheets.clear()
    stage(events.ThemeToggled())
    assert words(stage).words == WORDS
    stage(events.SheetClosed(Sheet.WORDS))
    stage.core(stage.roster(ALICE, BOB, CAROL))
    assert Sheet.WORDS not in stage.view.sheets


@pytest.mark.parametrize("event", [events.TickWords(DAVE), events.TickWords(b"")])
def test_a_tick_for_nobody_is_nothing(event: Any) -> None:
    stage = opened(BOB)
    stage(event)
    assert words(stage).result == ""


def test_the_whole_way_from_pins_to_a_warning() -> None:
    book = People()
    book.meet({OLD_BOB: "Bob"}, bytes(32), NOON - DAY)
    book.meet({BOB: "Bob"}, bytes(32), NOON)
    (known_bob,) = book.namesakes(BOB)
    stage = known(Stage().talking(), OtherKey(BOB, "Bob", known_bob))
    assert "You know Bob by the key 3f2a" in stage.page.banners[0].text


# -- a knocker who goes ------------------------------------------------------------------------------------------------


def knock_sheet(stage: Stage) -> KnockState:
    sheet = stage.view.sheets[Sheet.KNOCK]
    assert isinstance(sheet, KnockState)
    return sheet


def test_an_open_sheet_isnt_shut_by_a_knocker_who_comes_and_goes() -> None:
    stage = Stage().talking(others=(CAROL,))
    stage.core(core.Knocked(BOB, "Bob", NOON))
    stage(events.ShowKnock(BOB))
    stage.core(core.KnockEnded(BOB))
    assert (knock_sheet(stage).ask, knock_sheet(stage).gone) == ("Bob isn't at the door any more.", True)
    assert knock_sheet(stage).promise == "If Bob knocks again, you can answer here."
    assert stage.page.banners == []
    stage(events.LetIn(BOB))
    assert stage.back.asked[-1][0] != "let_in"
    stage.core(core.Knocked(BOB, "Bob", NOON))
    assert not knock_sheet(stage).gone
    stage(events.LetIn(BOB))
    assert stage.back.asked[-1] == ("let_in", BOB)
    assert Sheet.KNOCK not in stage.view.sheets


def test_the_sheet_of_one_who_has_gone_is_closed_by_hand_and_stays_closed() -> None:
    stage = Stage().talking(others=(CAROL,))
    stage.core(core.Knocked(BOB, "Bob", NOON))
    stage(events.ShowKnock(BOB))
    stage.core(core.KnockEnded(BOB))
    stage(events.SheetClosed(Sheet.KNOCK))
    stage.core(core.Knocked(BOB, "Bob", NOON))
    assert Sheet.KNOCK not in stage.view.sheets


def test_one_who_is_let_in_from_elsewhere_leaves_no_sheet() -> None:
    stage = Stage().talking(others=(CAROL,))
    stage.core(core.Knocked(BOB, "Bob", NOON))
    stage(events.ShowKnock(BOB))
    stage.core(core.KnockEnded(BOB), core.MemberJoined(BOB, "Bob", NOON))
    assert Sheet.KNOCK not in stage.view.sheets
