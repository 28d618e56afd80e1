"""Several rooms at once: one is shown, the others go on; what is said of each where rooms are listed.  No toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gui_help import ALICE, BOB, CAROL, NOON, Stage, an_invite, heard, mid

from chatcore.events import (
    Connection,
    ConnectionChanged,
    Knocked,
    KnockEnded,
    LetIn,
    Member,
    MessageReceived,
    NotSaid,
    Presence,
    RosterChanged,
    TakenBack,
    Waiting,
)
from chatcore.invite import Mode
from chatcore.lock import Guard
from chatcore.profile import Loss
from gui import events, news
from gui.events import Sheet
from gui.open_rooms import MAX_AT_START
from gui.shown import RoomRow, Tone

CABIN, CLUB = an_invite().room_id, an_invite(number=1).room_id
LIBRARY = news.Remembered(b"l" * 32, "Library", "relay.example.org:7256", NOON - 60_000)


def two_rooms() -> Stage:
    """Return a stage on which the club is shown, with the cabin open behind it; the library isn't open."""
    stage = Stage().start(LIBRARY, nick="Alice", first_time=False).open()
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE, BOB))
    stage(events.AnotherRoom()).open(title="Book club", number=1)
    return stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE, CAROL))


def cabin(*said: object) -> list[news.FromRoom]:
    return [news.FromRoom(CABIN, event) for event in said]  # type: ignore[arg-type]


def row(stage: Stage, room_id: bytes) -> RoomRow:
    rooms: Sequence[RoomRow] = stage.page.rooms
    return next(one for one in rooms if one.room_id == room_id)


def test_another_room_closes_none() -> None:
    stage = two_rooms()
    assert not [ask for ask in stage.back.asked if ask[0] == "close_room"]
    assert [(one.title, one.is_open) for one in stage.page.rooms] == [
        ("Cabin weekend", True), ("Book club", True), ("Library", False),
    ]  # fmt: skip
    assert stage.page.state.title == "Book club"


def test_what_comes_in_a_room_that_is_not_shown_is_there_counted_and_read_when_it_is() -> None:
    stage = two_rooms()
    stage(*cabin(heard(1, "are you\nthere?"), heard(2, "hello?")))
    assert stage.log.texts == []
    assert (row(stage, CABIN).detail, row(stage, CABIN).unread) == ("Bob: hello?", 2)
    assert stage.view.title == "(2) Book club — Parley"
    stage(events.OpenRecent(CABIN))
    assert stage.page.state.title == "Cabin weekend"
    assert stage.log.texts == ["are you\nthere?", "hello?"]
    assert row(stage, CABIN).unread == 0
    assert stage.view.title == "Cabin weekend — Parley"
    assert ("open_recent", CABIN, "Alice") not in stage.back.asked, "it is open"
    stage.core(MessageReceived(mid(3), CAROL, "Carol", "which book?", NOON, NOON, (ALICE, CAROL)))
    assert (row(stage, CLUB).detail, row(stage, CLUB).unread, row(stage, CLUB).when) == (
        "Carol: which book?", 1, row(stage, CABIN).when,
    )  # fmt: skip


def test_a_room_that_is_shown_while_another_window_has_the_keyboard_is_not_read() -> None:
    stage = two_rooms()
    stage(events.FocusChanged(False), events.OpenRecent(CABIN), *cabin(heard(1, "hi")))
    assert row(stage, CABIN).unread == 1
    stage(events.FocusChanged(True))
    assert row(stage, CABIN).unread == 0


def test_what_is_told_again_from_the_disk_is_nothing_unread() -> None:
    stage = two_rooms()
    stage(*cabin(heard(1, "yesterday", received_ms=NOON - 86_400_000)))
    assert row(stage, CABIN).unread == 0
    assert row(stage, CABIN).detail == "Bob: yesterday"


def test_what_one_was_writing_is_there_again() -> None:
    stage = two_rooms()
    stage.page.typed = "half a sent"
    stage(events.OpenInvite(), events.OpenRecent(CABIN))
    assert stage.view.sheets == {}
    assert stage.page.typed == ""
    assert row(stage, CLUB).detail == "Draft: half a sent"
    stage(events.OpenRecent(CLUB))
    assert row(stage, CLUB).detail == "2 people · 2 here"
    assert stage.page.typed == "half a sent"
    assert stage.view.sheets == {}


def test_what_was_taken_or_refused_meanwhile_is_known_when_one_comes_back() -> None:
    stage = two_rooms()
    stage.page.typed = "first"
    stage(events.Send("first"), events.OpenRecent(CABIN))
    stage.core(stage.sent(1, "first", CAROL))
    stage(events.OpenRecent(CLUB))
    assert stage.page.typed == ""
    assert stage.log.texts == ["first"]
    stage.page.typed = "second"
    stage(events.Send("second"), events.OpenRecent(CABIN))
    stage.core(NotSaid("second", (BOB,)))
    stage(events.OpenRecent(CLUB))
    assert stage.page.typed == "second"
    assert stage.page.refusal.startswith("Not sent: ")


def test_what_was_typed_before_another_room_was_shown_is_not_said_there() -> None:
    """What is done comes through a queue: by the time that it is looked at, another room may have been opened."""
    stage = two_rooms()
    club = [events.InRoom(CLUB, act) for act in (events.Send("for the club"), events.LeaveRoom(sure=True))]
    stage(events.OpenRecent(CABIN), *club)
    assert not [ask for ask in stage.back.asked if ask[0] in ("say", "leave")]
    stage(events.OpenRecent(CLUB), club[0])
    assert [ask[1] for ask in stage.back.asked if ask[0] == "say"] == ["for the club"]


def test_the_start_page_lists_them_tells_what_is_new_and_leads_back() -> None:
    stage = two_rooms()
    stage(events.AnotherRoom())
    assert stage.view.page == "start"
    assert stage.page.state.back == "Book club"
    page = stage.page
    stage(*cabin(heard(1, "hi")))
    assert stage.page is page, "what is being typed there stays"
    assert [(one.title, one.detail, one.unread) for one in page.rooms] == [
        ("Cabin weekend", "Bob: hi", 1), ("Book club", "2 people · 2 here", 0),
        ("Library", "relay.example.org:7256", 0),
    ]  # fmt: skip
    assert stage.view.title == "(1) Parley"
    stage(events.Back())
    assert stage.page.state.title == "Book club"


def test_a_room_that_is_closed_leads_back_to_the_other() -> None:
    stage = two_rooms()
    stage(events.CloseRoom())
    assert ("close_room", CLUB) in stage.back.asked
    assert ("close_room", CABIN) not in stage.back.asked
    assert stage.page.state.back == "Cabin weekend"
    stage.core(heard(1, "late"))
    assert [one.title for one in stage.page.rooms] == ["Cabin weekend", "Library"]
    stage(events.Back(), events.LeaveRoom(sure=True))
    assert ("leave", CABIN) in stage.back.asked
    assert stage.page.state.back == ""
    stage(events.Back())
    assert stage.view.page == "start"


def test_a_room_of_the_profile_is_opened_by_its_name_and_once() -> None:
    """The name in the room that is shown may be that of an anonymous visit, which nobody must hear of elsewhere."""
    stage = Stage().start(LIBRARY, nick="Alice", first_time=False)
    stage(events.Join("Nobody", an_invite().to_text(), anonymous=True)).open(BOB, Mode.OPEN)
    stage(events.OpenRecent(LIBRARY.room_id), events.OpenRecent(LIBRARY.room_id))
    assert stage.back.asked.count(("open_recent", LIBRARY.room_id, "Alice")) == 1
    assert [ask[2] for ask in stage.back.asked if ask[0] == "open_recent"] == ["Alice"]
    stage(news.Failed("The profile is damaged."))
    assert stage.view.page == "room"
    assert [banner.text for banner in stage.page.banners] == ["The profile is damaged."]


def test_a_knock_elsewhere_is_seen_where_the_rooms_are_listed() -> None:
    stage = two_rooms()
    stage(*cabin(Knocked(CAROL, "Carol", NOON)))
    assert (row(stage, CABIN).detail, row(stage, CABIN).knock) == ("Carol is at the door", True)
    assert stage.view.sheets == {}
    stage(news.WordsReady(CABIN, CAROL, ("amber",) * 8))
    assert stage.view.sheets == {}
    stage(events.OpenRecent(CABIN), events.ShowKnock(CAROL))
    assert Sheet.KNOCK in stage.view.sheets
    stage(*cabin(KnockEnded(CAROL)))
    assert not row(stage, CABIN).knock


def test_one_waits_at_a_door_and_goes_on_in_another_room() -> None:
    stage = Stage().start(nick="Alice", first_time=False).open()
    stage.core(ConnectionChanged(Connection.CONNECTED), stage.roster(ALICE, BOB))
    club = an_invite(title="Book club", owner=CAROL, number=1)
    opened = news.RoomOpened(CLUB, club.to_text(), "Book club", Mode.ASK, ALICE, "Alice", CAROL, False)
    stage(events.AnotherRoom(), opened, news.FromRoom(CLUB, Waiting("Carol", CAROL, True)))
    assert stage.view.page == "waiting"
    stage(events.AnotherRoom())
    assert [(one.title, one.detail) for one in stage.page.rooms] == [
        ("Cabin weekend", "2 people · 2 here"), ("Book club", "Waiting to be let in"),
    ]  # fmt: skip
    stage(events.OpenRecent(CABIN))
    members = (Member(ALICE, "Alice", Presence.SELF, False), Member(CAROL, "Carol", Presence.HERE, True))
    stage(news.FromRoom(CLUB, LetIn(CAROL)), news.FromRoom(CLUB, RosterChanged(members)))
    assert (row(stage, CLUB).detail, row(stage, CLUB).unread) == ("You have been let in", 1)
    stage(events.OpenRecent(CLUB), news.FromRoom(CLUB, ConnectionChanged(Connection.CONNECTED)))
    assert stage.view.page == "room"
    assert (row(stage, CLUB).detail, row(stage, CLUB).unread) == ("2 people · 2 here", 0)


def test_a_room_that_is_not_connected_says_so_in_its_row_and_nowhere_else() -> None:
    stage = two_rooms()
    club = (stage.page.banners, stage.page.status, stage.view.title)
    stage(*cabin(ConnectionChanged(Connection.RECONNECTING, "Nobody listens there.", 2.0)))
    assert (row(stage, CABIN).detail, row(stage, CABIN).tone) == ("2 people · 2 here", Tone.PLAIN), "a short break"
    stage(*cabin(*[ConnectionChanged(Connection.RECONNECTING, "Nobody listens there.", 4.0)] * 2))
    assert (row(stage, CABIN).detail, row(stage, CABIN).tone) == ("Not connected", Tone.WARN)
    stage(*cabin(ConnectionChanged(Connection.STOPPED, "Another key.")))
    assert (row(stage, CABIN).detail, row(stage, CABIN).tone) == ("Can't connect", Tone.BAD)
    assert (stage.page.banners, stage.page.status, stage.view.title) == club
    stage(events.OpenRecent(CABIN))
    assert [(banner.title, banner.text) for banner in stage.page.banners] == [
        ("Parley has stopped connecting", "Another key."),
    ]  # fmt: skip
    stage(*cabin(ConnectionChanged(Connection.CONNECTED)))
    assert (row(stage, CABIN).detail, row(stage, CABIN).tone) == ("2 people · 2 here", Tone.PLAIN)


def test_what_was_taken_back_is_not_told_where_rooms_are_listed() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "a secret", BOB, CAROL))
    assert stage.page.rooms[0].detail == "You: a secret"
    stage.core(TakenBack(mid(1), (BOB,)))
    assert stage.page.rooms[0].detail == "You: a secret", "Carol may have it"
    stage.core(TakenBack(mid(1), (CAROL,)))
    assert stage.page.rooms[0].detail == "You took your message back"
    stage.core(heard(2, "hm?"))
    assert stage.page.rooms[0].detail == "Bob: hm?"


def test_only_a_room_that_is_not_open_is_erased() -> None:
    stage = two_rooms()
    stage(events.ForgetRecent(CABIN, sure=True))
    assert ("forget", CABIN) not in stage.back.asked
    stage(events.ForgetRecent(LIBRARY.room_id, sure=True))
    assert ("forget", LIBRARY.room_id) in stage.back.asked


def test_another_look_leaves_the_others_as_they_are() -> None:
    stage = two_rooms()
    stage(*cabin(heard(1, "hi")), events.ThemeToggled())
    assert row(stage, CABIN).unread == 1
    assert stage.page.state.title == "Book club"


# -- all of them, when the program has begun ---------------------------------------------------------------------------


def kept(number: int, title: str, ago_s: int, *, member: bool = True) -> news.Remembered:
    place, seen_ms = "relay.example.org:7256", NOON - 1000 * ago_s
    return news.Remembered(an_invite(number=number).room_id, title, place, seen_ms, member=member)


CABIN_KEPT, CLUB_KEPT = kept(0, "Cabin weekend", 3600), kept(1, "Book club", 60)
DOOR = kept(2, "Allotment", 30, member=False)


def opened(room: news.Remembered, number: int, *, behind: bool = True) -> news.RoomOpened:
    text = an_invite(title=room.title, number=number).to_text()
    return news.RoomOpened(
        room.room_id, text, room.title, Mode.ASK, BOB, "Bob", ALICE, False, room.last_visit_ms, room.member, behind
    )


def begun(*rooms: news.Remembered) -> Stage:
    """Return a stage on which the club is shown, as it was looked at last, and the others are still coming."""
    stage = Stage().start(*(rooms or (CABIN_KEPT, DOOR, CLUB_KEPT)), nick="Bob", first_time=False, at_start=True)
    stage.room_id = CLUB
    return stage(opened(CLUB_KEPT, 1, behind=False))


def listed(stage: Stage) -> list[tuple[str, str, bool]]:
    return [(one.title, one.detail, one.is_open) for one in stage.page.rooms]


def test_at_the_start_the_room_looked_at_last_is_shown_and_the_others_come_behind_it() -> None:
    stage = Stage().start(CABIN_KEPT, DOOR, CLUB_KEPT, nick="Bob", first_time=False, at_start=True)
    assert stage.view.page == "", "no page is shown only to be taken away again"
    assert stage.back.asked == [("look",), ("open_recent", CLUB, "Bob"), ("open_behind", (CABIN,), "Bob")]
    stage(opened(CLUB_KEPT, 1, behind=False))
    assert (stage.view.page, stage.page.state.title) == ("room", "Book club"), "a member has no door to stand at"
    assert listed(stage) == [
        ("Book club", "Connecting…", True), ("Cabin weekend", "Connecting…", True),
        ("Allotment", "relay.example.org:7256", False),
    ]  # fmt: skip
    page = stage.page
    stage(opened(CABIN_KEPT, 0), *cabin(ConnectionChanged(Connection.CONNECTED), stage.roster(BOB, ALICE)))
    assert stage.page is page
    assert listed(stage)[1] == ("Cabin weekend", "2 people · 2 here", True)
    assert stage.back.looked_at == [CLUB]


def test_what_came_since_one_looked_is_unread_and_what_came_before_isnt() -> None:
    stage = begun()(opened(CABIN_KEPT, 0))
    hour_ms = 3_600_000
    stage(*cabin(
        heard(1, "read", received_ms=NOON - hour_ms - 1), heard(2, "missed", received_ms=NOON - hour_ms + 1),
        heard(3, "new", received_ms=NOON),
    ))  # fmt: skip
    assert (row(stage, CABIN).detail, row(stage, CABIN).unread) == ("Bob: new", 2)
    assert stage.view.title == "(2) Book club — Parley"
    stage.core(heard(4, "told again", received_ms=NOON - 61_000), heard(5, "missed", received_ms=NOON - 59_000))
    assert row(stage, CLUB).unread == 0, "it is before one's eyes"
    stage(events.OpenRecent(CABIN))
    assert (row(stage, CABIN).unread, stage.view.title) == (0, "Cabin weekend — Parley")
    assert stage.back.looked_at == [CLUB, b"", CABIN]


def test_a_clock_that_was_ahead_hides_nothing() -> None:
    ahead = kept(0, "Cabin weekend", -86_400)
    stage = begun(CLUB_KEPT)(opened(ahead, 0), *cabin(heard(1, "hi")))
    assert row(stage, CABIN).unread == 1


def test_the_room_in_which_something_came_last_stands_in_front() -> None:
    stage = begun()(opened(CABIN_KEPT, 0))
    stage.core(heard(1, "first", received_ms=NOON - 10))
    assert [one.title for one in stage.page.rooms] == ["Book club", "Cabin weekend", "Allotment"]
    stage(*cabin(heard(2, "second")))
    assert [one.title for one in stage.page.rooms] == ["Cabin weekend", "Book club", "Allotment"]


def test_a_room_that_cannot_be_opened_says_so_in_its_row_and_why_when_it_is_chosen() -> None:
    stage = begun()(news.NotOpened(CABIN))
    assert stage.page.banners == []
    assert (row(stage, CABIN).detail, row(stage, CABIN).tone, row(stage, CABIN).is_open) == (
        "Can't be opened", Tone.BAD, False,
    )  # fmt: skip
    stage(events.OpenRecent(CABIN))
    assert stage.back.asked[-1] == ("open_recent", CABIN, "Bob")
    stage(news.Failed("The relay of this computer can't start."))
    assert [banner.text for banner in stage.page.banners] == ["The relay of this computer can't start."]
    stage(opened(CABIN_KEPT, 0))
    assert row(stage, CABIN).detail == "Connecting…"
    stage(news.NotOpened(CABIN))
    assert row(stage, CABIN).detail == "Can't be opened", "nothing is left of what was begun"


def test_one_that_is_chosen_while_it_is_coming_is_shown_whichever_was_faster() -> None:
    stage = begun()(events.OpenRecent(CABIN))
    assert stage.back.asked[-1] == ("open_recent", CABIN, "Bob")
    stage(opened(CABIN_KEPT, 0))  # it was opened behind the window already, so nothing else will come
    assert stage.page.state.title == "Cabin weekend"


def test_if_the_room_looked_at_last_cannot_be_opened_there_is_the_start_page() -> None:
    stage = Stage().start(CLUB_KEPT, CABIN_KEPT, nick="Bob", first_time=False, at_start=True)
    stage(news.Failed("The relay of this computer can't start."))
    assert (stage.view.page, stage.page.problem) == ("start", "The relay of this computer can't start.")
    assert not stage.page.state.anonymous
    assert [one.detail for one in stage.page.rooms] == ["Connecting…", "Can't be opened"]
    stage(opened(CABIN_KEPT, 0))
    assert stage.view.page == "start"
    assert stage.page.state.back == ""


def test_what_is_unlocked_is_opened_too_and_a_visit_without_it_opens_nothing() -> None:
    stage = Stage().start(first_time=False, locked=True)
    stage(events.Unlock("open sesame"), news.ProfileFound("Bob", (CLUB_KEPT,), at_start=True))
    assert (stage.view.page, stage.page.busy) == ("unlock", "Opening your profile…")
    stage(opened(CLUB_KEPT, 1, behind=False))
    assert stage.view.page == "room"
    stage = Stage().start(first_time=False, locked=True)(events.SkipUnlock())
    assert [ask[0] for ask in stage.back.asked] == ["look"]


def test_with_an_invite_in_hand_the_start_page_comes_first() -> None:
    stage = Stage(invite_text=an_invite(number=7).to_text())
    stage.start(CLUB_KEPT, CABIN_KEPT, nick="Bob", first_time=False, at_start=True)
    assert stage.view.page == "start"
    assert stage.back.asked[1:] == [("open_behind", (CLUB, CABIN), "Bob")]
    assert [one.detail for one in stage.page.rooms] == ["Connecting…"] * 2


def test_nothing_is_opened_that_was_not_to_be() -> None:
    damaged = news.ProfileFound("Bob", (CLUB_KEPT,), loss=Loss(), at_start=True)
    nameless = news.ProfileFound("", (CLUB_KEPT,), at_start=True)
    for found in (
        damaged,
        nameless,
        news.ProfileFound("Bob", (CLUB_KEPT,)),
        news.ProfileFound("Bob", (DOOR,), at_start=True),
    ):
        stage = Stage()
        stage.controller.begin()
        stage(found)
        assert (stage.view.page, stage.back.asked) == ("start", [("look",)])
        stage(replace(found, nick="Bob", loss=None, at_start=True))
        assert stage.back.asked == [("look",)], "only at the start"


def test_a_relay_is_not_stormed() -> None:
    rooms = [kept(number, f"Room {number}", number) for number in range(MAX_AT_START + 9)]
    stage = Stage().start(*rooms, nick="Bob", first_time=False, at_start=True)
    (_, behind, _) = stage.back.asked[-1]
    assert behind == tuple(room.room_id for room in rooms[1:MAX_AT_START])


def test_back_leads_to_a_room_that_was_shown_and_not_to_one_behind() -> None:
    stage = begun()(opened(CABIN_KEPT, 0), events.CloseRoom())
    assert (stage.view.page, stage.page.state.back) == ("start", "")
    assert [one.title for one in stage.page.rooms] == ["Cabin weekend", "Allotment", "Book club"]


def test_a_profile_that_is_erased_takes_its_rooms_along() -> None:
    stage = begun()(opened(CABIN_KEPT, 0), events.AnotherRoom(), events.OpenProfile())
    stage(news.ProfileKnown(Guard.NOBODY, False, at_start=True), events.EraseProfile(sure=True))
    stage(news.RoomClosed(CLUB), news.RoomClosed(CABIN), news.ProfileFound(first_time=True))
    assert (stage.view.page, stage.page.rooms, stage.page.state.back) == ("start", (), "")


def test_whether_they_are_opened_is_chosen_on_the_page_of_ones_profile() -> None:
    stage = Stage().start(CLUB_KEPT, nick="Bob", first_time=False)(events.OpenProfile())
    stage(news.ProfileKnown(Guard.NOBODY, False))
    assert not stage.page.state.at_start
    stage(events.OpenAtStart(True), events.ThemeToggled())
    assert ("at start", True) in stage.back.asked
    assert stage.page.state.at_start
