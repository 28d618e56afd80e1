"""A room to look at: sample data for the tests of the view, and photographs of it.

`python tests/gallery.py DIR` builds the room page light and dark, wide and narrow, and photographs each into DIR (needs
a display and ImageMagick's `import`).  The pictures are for looking at, no test compares them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from chatcore.events import Presence
from gui import theme
from gui.events import ShowKnock, ViewEvent
from gui.shown import (
    Banner,
    Composer,
    DayItem,
    Delivery,
    Header,
    LineItem,
    MessageItem,
    Note,
    Person,
    Quiet,
    RoomRow,
    RoomState,
    Status,
    Tick,
    Tone,
)


def fp(name: str) -> bytes:
    """Return the fingerprint that stands for a name in the samples."""
    return hashlib.sha256(name.encode()).digest()


def said(number: int, name: str, text: str, **more: Any) -> MessageItem:
    """Return a sample message; its mid is made of the number."""
    return MessageItem(number.to_bytes(16, "big"), fp(name), name, text, more.pop("clock", "12:05"), **more)


PEOPLE = (
    Person(fp("carol"), "carol", Presence.SELF, "You · owner", is_self=True, is_owner=True),
    Person(fp("alice"), "alice", Presence.HERE, "Here"),
    Person(fp("bob"), "bob", Presence.HERE, "Here"),
    Person(fp("eve"), "eve", Presence.ARRIVING, "Arriving"),
    Person(fp("dave"), "dave", Presence.AWAY, "Away since 11:20"),
)
ITEMS = (
    DayItem("Friday 20 November"),
    said(1, "alice", "Good morning! Did everyone see the plan for the cabin?", clock="12:02"),
    said(2, "alice", "I put the packing list and the route into one file.", group=True, clock="12:02"),
    said(3, "carol", "Looks great. Who brings the stove?", own=True, tick=Tick.ALL),
    said(4, "bob", "I can! 🔥 Mine burns anything:\n  • wood\n  • gas\nand it's light.", clock="12:06"),
    LineItem("alice let eve in", Tone.ACCENT, "12:09"),
    said(5, "eve", "Hi all, thanks for having me! The map is at https://maps.example.org/lake (new).", clock="12:11"),
    said(6, "eve", "שלום לכולם · مرحبا", clock="12:11", group=True),
    LineItem("3 messages from 12:04 to 12:06 were missing; they have been fetched again.", Tone.WARN),
    said(7, "carol", "Welcome eve! A long line to see how it wraps: we leave on Friday at four, take the train to the "
         "end of the line, and walk the last hour along the lake; bring shoes that may get wet.", own=True,
         tick=Tick.ALL, clock="12:12"),
    said(8, "carol", "On the phone is fine", own=True, tick=Tick.SOME, clock="12:13", group=True),
)  # fmt: skip
ROOM = RoomState(
    room_id=fp("Cabin weekend"),
    title="Cabin weekend",
    own_fp=fp("carol"),
    own_name="carol",
    items=ITEMS,
    people=PEOPLE,
    header=Header("5 people · 3 here"),
    status=Status("Only the people in this room can read this", Tone.GOOD, "Connected · everything sent", Tone.GOOD),
    composer=Composer(True, "Message Cabin weekend"),
    delivery=Delivery((8).to_bytes(16, "big"), (fp("alice"), fp("bob"), fp("eve")),
                      "Arrived at 3 of 4 · waits on this computer for dave"),
    rooms=(
        RoomRow(fp("Cabin weekend"), "Cabin weekend", "You: On the phone is fine", "12:13", is_open=True),
        RoomRow(fp("Book club"), "Book club", "alice: Which chapter?", "11:52", is_open=True, unread=2),
        RoomRow(fp("Climbing"), "Climbing club with a long name", "relay.example.org", "Thu"),
    ),
)  # fmt: skip
KNOCK = Banner("knock", Tone.ACCENT, "frank is at the door", "Knocked at 12:07 with your invite",
               ("See who it is", ShowKnock(fp("frank"))), fp=fp("frank"))  # fmt: skip
AMBER = Banner("gap", Tone.WARN, "bob has a second computer in this room",
               "Both have the same identity. If that surprises bob, somebody copied it.", closable=True)  # fmt: skip
QUIET = Quiet(
    "It is still quiet in here",
    "Invite the people you want to talk to. Nobody gets in without you.",
    (("Send the link", "over a chat you trust"), ("They knock", "you see who it is"),
     ("You let them in", "after comparing words")),
    "parley:join/relay.example.org:7256/" + "A1b2C3d4" * 20,
)  # fmt: skip
ALONE = replace(
    ROOM, items=(), people=PEOPLE[:1], header=Header("Only you so far"), delivery=None, quiet=QUIET,
    rooms=(RoomRow(fp("Cabin weekend"), "Cabin weekend", "Only you so far", "", is_open=True),),
    composer=Composer(False, "You can write as soon as somebody is here",
                      "Everything you write here is for the people you let in."),
    status=replace(ROOM.status, connection="Connected"),
)  # fmt: skip
OFFLINE = replace(
    ROOM, status=Status("Check who is in this room", Tone.WARN, "Not connected · 2 messages wait", Tone.WARN),
    banners=(KNOCK, AMBER),
    rooms=(replace(ROOM.rooms[0], detail="frank is at the door", knock=True), *ROOM.rooms[1:]),
)  # fmt: skip


def open_room(state: RoomState, *, dark: bool = False, size: tuple[int, int] = (1280, 800), zoom: float = 1.0) -> Any:
    """Return a room page in a window of its own, and the list that takes what it emits."""
    from gui.view.kit import Kit
    from gui.view.page_window import make_window
    from gui.view.room import LEAST, RoomPage

    emitted: list[ViewEvent] = []
    kit = Kit(theme.DARK if dark else theme.LIGHT, zoom)
    page = RoomPage(kit, state, emitted.append)
    window = make_window(
        kit, f"{state.title} — Parley", page.layout(), size=size, least=LEAST, resizable=True, location=(20, 40)
    )
    page.attach(window)
    return page, window, emitted


def pump(window: Any, until: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Let the window work until a condition holds; fails when it doesn't in time."""
    end = time.monotonic() + limit_s
    while not until():
        assert time.monotonic() < end, "the window didn't get there in time"
        window.read(timeout=20)


def settle(window: Any, for_s: float) -> None:
    """Let the window work for a while: for photographs only, a test waits for a condition."""
    end = time.monotonic() + for_s
    pump(window, lambda: time.monotonic() > end)


def photograph(window: Any, path: Path) -> None:
    """Write what the window shows to a file."""
    top = window.TKroot
    top.update()
    crop = f"{top.winfo_width()}x{top.winfo_height()}+{top.winfo_rootx()}+{top.winfo_rooty()}"
    subprocess.run(["import", "-window", "root", "-crop", crop, "+repage", str(path)], check=True, timeout=30)


SCENES: dict[str, tuple[RoomState, dict[str, Any]]] = {
    "room_light": (ROOM, {}),
    "room_dark": (ROOM, {"dark": True}),
    "narrow_light": (ROOM, {"size": (760, 620)}),
    "narrow_dark": (ROOM, {"size": (760, 620), "dark": True}),
    "banners_light": (OFFLINE, {}),
    "banners_dark": (OFFLINE, {"dark": True, "size": (760, 620)}),
    "empty_light": (ALONE, {"size": (1100, 760)}),
    "empty_dark": (ALONE, {"dark": True, "size": (1280, 800)}),
    "empty_narrow": (ALONE, {"size": (760, 620)}),
    "zoom_dark": (ROOM, {"dark": True, "zoom": 1.4, "size": (900, 640)}),
}


def scrolled(page: Any) -> None:
    """Scroll up, let messages come, and choose one by the keyboard."""
    page.log.extend([said(100 + n, "alice", f"Something to fill the log, part {n}.") for n in range(12)])
    page._log.text.focus_force()
    page._log.text.event_generate("<Up>")
    page._log.text.event_generate("<Up>")
    page._log.text.yview_scroll(-9, "units")
    page.window.TKroot.update()
    page.log.extend([said(200 + n, "bob", f"Came while you were reading, {n}.") for n in range(3)])


def written(page: Any) -> None:
    """Write some lines, and have them refused."""
    page.composer.put("A first line,\nand a second,\nand a third 😀 that is long enough to reach the end, and on. " * 2)
    page.window.TKroot.update()
    page.composer_refused("x", "This message is too long: at most 41,000 bytes.")


def people(page: Any) -> None:
    """Show the people in place of the log."""
    page.show_people(True)


def became(page: Any) -> None:
    """Show what never got to somebody, and ask to take something back."""
    mine = [said(300 + n, "carol", f"What I wrote on the train, {n}.", own=True, tick=Tick.WAITING) for n in range(4)]
    page.log.extend(mine)
    for item, text, tone, tick in (
        (mine[0], "Taken back", Tone.PLAIN, Tick.TAKEN_BACK),
        (mine[1], "Taken back from Tom · it has gone to Alice and Bob", Tone.PLAIN, Tick.TAKEN_BACK),
        (mine[2], "Not delivered to Tom, Léa, Jonas and 7 others", Tone.WARN, Tick.FAILED),
    ):
        page.log.set_note(item.mid, Note(text, tone))
        page.log.set_tick(item.mid, tick)
    page.log.set_delivery(Delivery(mine[3].mid, (), "Waits on this computer: Tom is away", may_take_back=True))
    page.log.extend([LineItem("You took a message back from Tom; it has gone out to Alice and Bob", clock="12:20")])


ACTS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "scrolled_light": ("room_light", scrolled),
    "written_dark": ("room_dark", written),
    "people_narrow": ("narrow_light", people),
    "became_light": ("room_light", became),
    "became_dark": ("narrow_dark", became),
}


def main() -> None:
    """Photograph every scene, or those named after the directory."""
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    for name in (*SCENES, *ACTS):
        if wanted and name not in wanted:
            continue
        scene, act = ACTS.get(name, (name, lambda page: page.focus()))
        state, how = SCENES[scene]
        page, window, _ = open_room(state, **how)
        window.TKroot.focus_force()
        act(page)
        settle(window, 0.6)  # the window manager and the last redraw
        photograph(window, folder / f"{name}.png")
        window.close()


if __name__ == "__main__":
    main()
