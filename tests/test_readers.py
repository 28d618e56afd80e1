"""Who could read a message: frozen when it was written, kept with it, shown with who has it, when, and who was away."""

from __future__ import annotations

import pytest
from gui_help import ALICE, BOB, CAROL, DAVE, NOON, Stage, mid
from hypothesis import given
from hypothesis import strategies as st
from screen import Screen
from test_view_pages import READERS, ROOM
from world import Memory, World, fp

from chatcore import events as core
from chatcore.events import MessageArrived, MessageSent
from chatcore.kept import Line
from chatcore.pins import Compared, Page
from chatcore.roomvault import _pack_line, _parse_line
from gui import events
from gui.events import Sheet
from gui.news import PeopleKnown
from gui.shown import Reader, ReadersState, Tick

HOUR, DAY = 3_600_000, 86_400_000


def shown(stage: Stage, number: int) -> ReadersState:
    stage(events.ShowReaders(mid(number)))
    state = stage.view.sheets[Sheet.READERS]
    assert isinstance(state, ReadersState)
    return state


def details(state: ReadersState) -> list[tuple[str, str, Tick | None]]:
    return [(reader.name, reader.detail, reader.tick) for reader in state.readers]


# -- kept with the message ---------------------------------------------------------------------------------------------


def test_who_was_away_is_frozen_when_it_is_written_and_told_again_after_a_restart() -> None:
    world = World()
    store = Memory()
    alice = world.client("alice", store=store)
    bob, carol = world.client("bob"), world.client("carol")
    world.advance(3)
    carol.disconnect()
    world.advance(2)
    number = alice.say("Is anybody here?")
    world.advance(2)
    carol.connect()
    world.advance(5)
    bob.disconnect()
    world.advance(2)
    alice.disconnect()
    again = world.client("alice", store=store, statements=alice.room.statements())
    world.advance(1)
    for client in (alice, again):
        (sent,) = client.of(MessageSent)
        assert isinstance(sent, MessageSent)
        assert (sent.mid, set(sent.readers), sent.away) == (number, {fp("bob"), fp("carol")}, (fp("carol"),))
    arrived = {e.by: e.at_ms for e in again.of(MessageArrived) if isinstance(e, MessageArrived)}
    assert arrived.keys() == {fp("bob"), fp("carol")}
    assert arrived == {e.by: e.at_ms for e in alice.of(MessageArrived) if isinstance(e, MessageArrived)}


FPS = st.lists(st.binary(min_size=32, max_size=32), max_size=20, unique=True)


@given(FPS, st.data(), st.booleans(), st.binary(max_size=40))
def test_a_line_comes_back_from_the_disk_with_who_was_away(
    readers: list[bytes], data: st.DataObject, owed: bool, rest: bytes
) -> None:
    away = data.draw(st.sets(st.sampled_from(readers))) if readers else set()
    line = Line(mid(1), ALICE, rest, NOON, tuple(readers), tuple(f for f in readers if f in away))
    numbers = {f: n for n, f in enumerate(readers, 1)} if owed else {}
    assert _parse_line(_pack_line(line, numbers)) == (line, numbers)


# -- shown -------------------------------------------------------------------------------------------------------------


def test_each_reader_has_a_state_with_its_time_and_those_who_were_away_are_marked() -> None:
    stage = Stage().talking(others=(BOB, CAROL, DAVE))
    stage.core(
        core.MessageSent(mid(1), "Hello", NOON, (BOB, CAROL, DAVE), None, (CAROL, DAVE)),
        stage.roster(ALICE, BOB, CAROL, DAVE, away=(DAVE,)),
        core.MessageArrived((mid(1),), BOB, NOON),
    )
    clock = shown(stage, 1).readers[0].detail.removeprefix("Arrived ")
    assert details(shown(stage, 1)) == [
        ("Bob", f"Arrived {clock}", Tick.ALL),
        ("Carol", "Was away, on its way now", Tick.WAITING),
        ("Dave", "Away: it waits on this computer", Tick.WAITING),
    ]
    assert [reader.away for reader in shown(stage, 1).readers] == [False, False, True]
    stage.core(core.MessageArrived((mid(1),), CAROL, NOON + 1))
    assert details(shown(stage, 1))[1] == ("Carol", f"Arrived {clock} · was away", Tick.ALL)


def test_of_an_earlier_day_the_day_is_said() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(
        core.MessageSent(mid(1), "Hello", NOON - 2 * DAY, (BOB, CAROL)),
        core.MessageArrived((mid(1),), CAROL, NOON - 2 * DAY),
        core.MessageArrived((mid(1),), BOB, NOON - 2 * DAY - HOUR),
    )
    state = shown(stage, 1)
    assert [reader.name for reader in state.readers] == ["Bob", "Carol"]  # in the order in which it arrived
    assert all(reader.detail.startswith("Arrived 18 November, ") for reader in state.readers)


def test_of_what_others_wrote_only_ones_own_arrival_is_known() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(
        stage.roster(ALICE, BOB, CAROL, away=(CAROL,)),
        core.MessageReceived(mid(2), BOB, "Bob", "Hi", NOON, NOON, (ALICE, BOB, CAROL)),
    )
    state = shown(stage, 2)
    came = state.readers[0].detail
    assert came.startswith("Came ")
    assert details(state) == [("You", came, Tick.ALL), ("Carol", "Away now", None)]
    assert state.note.endswith("When it reached the others, only Bob knows.")


def test_for_whom_others_wrote_is_their_word() -> None:
    """Whoever seals a message can seal it for others, too: nobody else can say that they didn't."""
    stage = Stage().talking(others=(BOB, CAROL))
    for number, people, heading in (
        (1, (ALICE, BOB, CAROL), "By Bob's list these 2 people, and nobody else"),
        (2, (ALICE, BOB), "By Bob's list you, and nobody else"),
    ):
        stage.core(core.MessageReceived(mid(number), BOB, "Bob", "Hi", NOON, NOON, people))
        assert shown(stage, number).heading == heading
    stage.core(stage.sent(3, "Hello", BOB))
    assert shown(stage, 3).heading == "Bob, and nobody else"


def test_who_is_compared_is_marked_there_too() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage(PeopleKnown(stage.room_id, ((CAROL, Compared(NOON, Page.ROOM, bytes(32), ALICE)),)))
    stage.core(stage.sent(1, "Hello", BOB, CAROL))
    assert [(reader.name, reader.compared) for reader in shown(stage, 1).readers] == [("Bob", False), ("Carol", True)]


def test_who_left_or_came_since_changes_nothing_about_who_could_read_it() -> None:
    stage = Stage().talking(others=(BOB, CAROL))
    stage.core(stage.sent(1, "Hello", BOB, CAROL))
    stage.core(
        core.MemberLeft(CAROL, "Carol", NOON), core.MemberJoined(DAVE, "Dave", NOON), stage.roster(ALICE, BOB, DAVE)
    )
    state = shown(stage, 1)
    assert [reader.name for reader in state.readers] == ["Bob", "Carol"]
    assert state.heading == "These 2 people, and nobody else"


# -- the sheet ---------------------------------------------------------------------------------------------------------


CROWD = tuple(Reader(bytes([n]) * 32, f"person {n}", "On its way", tick=Tick.WAITING) for n in range(100))


def crowd(**changes: object) -> ReadersState:
    return ReadersState(READERS.mid, READERS.quote, "These 100 people, and nobody else", CROWD, "Encrypted.")


@pytest.mark.parametrize(("key", "first"), [("End", 0.95), ("Next", 0.05), ("Down", 0.01)])
def test_a_hundred_readers_are_reached_by_keyboard(screen: Screen, key: str, first: float) -> None:
    screen.windows.show_room(ROOM)
    screen.windows.show_readers(crowd())
    sheet, window = screen.windows.sheets[Sheet.READERS]
    canvas = sheet.list.Widget
    screen.key(key, canvas)
    assert canvas.yview()[0] == pytest.approx(first, abs=0.02)
    screen.key("Home", canvas)
    assert canvas.yview()[0] == 0
    assert window.TKroot.winfo_reqheight() <= window.TKroot.winfo_screenheight()


def test_what_arrives_while_one_looks_doesnt_scroll_the_list(screen: Screen) -> None:
    screen.windows.show_room(ROOM)
    state = crowd()
    screen.windows.show_readers(state)
    sheet, _ = screen.windows.sheets[Sheet.READERS]
    canvas = sheet.list.Widget
    screen.key("End", canvas)
    before = canvas.yview()
    arrived = (Reader(CROWD[0].fp, "person 0", "Arrived 12:13", tick=Tick.ALL), *CROWD[1:])
    screen.windows.show_readers(ReadersState(state.mid, state.quote, state.heading, arrived, state.note))
    screen.update()
    assert canvas.yview() == before


def test_a_long_name_gives_way_to_state_and_mark(screen: Screen) -> None:
    screen.windows.show_room(ROOM)
    long = Reader(CAROL, "a very long name " * 4, "Arrived 3 November, 12:14 · was away", tick=Tick.ALL, compared=True)
    screen.windows.show_readers(ReadersState(READERS.mid, READERS.quote, "x", (long,), "y"))
    sheet, _ = screen.windows.sheets[Sheet.READERS]
    canvas = sheet.list.Widget
    boxes = [
        (canvas.itemcget(item, "text"), canvas.bbox(item)) for item in canvas.find_all() if canvas.type(item) == "text"
    ]
    name = next(box for text, box in boxes if text.startswith("a"))
    detail = next(box for text, box in boxes if text.startswith("Arrived"))
    assert name[2] < detail[0]
