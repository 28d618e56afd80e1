"""M1 to M9: members who don't do as they should, to the others and to the relay."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gallery
from attacker import Puppet, talk
from relay_help import BareClient, any_certificate, join_frame, send_frame
from world import World, fp, key

from chatcore.content import ContentKind
from chatcore.events import Gap, MessageReceived, OtherVersion
from chatcore.invite import Mode
from chatcore.members import StatementType, make_statement
from chatcore.wire import FRAME_SIZE
from relay.limits import Limits
from trials.hours import listed, people
from trials.sheet import Sheet, case
from trials.stage import Stage, judge, paced, put_first, real_room, rss_mib, seconds_between, share, wait

FLOOD_S = 8.0
UNSEEN_MS = 100  # nobody sees that a line took so long


def answer(world: World, name: str) -> None:
    """Have somebody answer what they were told last."""
    client = world.clients[name]
    last = cast(MessageReceived, client.of(MessageReceived)[-1])
    client.room.say("an answer", world.now, last.mid)
    world.advance(35)  # what it answers may be on its way still


def other_versions(world: World, name: str) -> int:
    return len(world.clients[name].of(OtherVersion))


@case("M1", "tells different people different things under one number")
def two_faces(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob")
    mallory = Puppet(world, "mallory")
    for name in ("alice", "bob"):
        mallory.become_member(name)
    world.advance(2)
    for name in ("alice", "bob"):
        mallory.send_message(name, 1, b"\x01only for " + name.encode())
    world.advance(2)
    mids = {cast(MessageReceived, world.clients[name].of(MessageReceived)[-1]).mid for name in ("alice", "bob")}
    sheet.must("ids of what is one message to its sender", len(mids), 2, 2)
    answer(world, "alice")
    sheet.must("answers until the other is told that there is another version", other_versions(world, "bob"), 1, 1)
    talk(world, "alice", "bob")


@case("M2", "leaves one member out")
def leaves_out(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob")
    mallory = Puppet(world, "mallory")
    for name in ("alice", "bob"):
        mallory.become_member(name)
    world.advance(2)
    mallory.send_message("alice", 1, b"\x01bob needn't know")
    mallory.send_message("alice", 2, b"\x01nor this")
    mallory.send_message("bob", 3, b"\x01but this he may")
    world.advance(30)
    sheet.none("shown out of its turn to the one", len(world.clients["bob"].texts()))
    sheet.note("gaps shown to him", len(world.clients["bob"].of(Gap)))
    answer(world, "alice")
    sheet.must("answers until he is told that something never came to him", other_versions(world, "bob"), 1, 1)
    talk(world, "alice", "bob")


@case("M3", "forges statements of others: who they are, that they left, who is let in")
def forges(sheet: Sheet, home: Path) -> None:
    dice = random.Random(3)
    world = World(mode=Mode.ASK)
    for name in ("alice", "bob"):
        world.client(name)
        world.advance(2)
    world.clients["alice"].room.let_in(fp("bob"), world.now)
    world.advance(5)
    mallory = Puppet(world, "mallory")
    mallory.meet("alice")
    world.clients["alice"].room.let_in(mallory.fp, world.now)
    world.advance(5)
    before = {name: listed(world.clients[name]) for name in ("alice", "bob")}
    evil, room_id, ms = key("identity mallory"), world.invite.room_id, world.now.ms
    forged = [
        make_statement(StatementType.ADMIT, room_id, evil, fp("nina"), ms, "").raw,
        make_statement(StatementType.JOIN, room_id, key("identity nina"), fp("nina"), ms, "nina").raw,
    ]
    for whose in ("alice", "bob"):
        for kind in (StatementType.LEAVE, StatementType.JOIN):
            own = make_statement(kind, room_id, evil, mallory.fp, ms, "me").raw
            signer, subject = own[:1] + fp(whose) + own[33:], own[:33] + fp(whose) + own[65:]
            forged += [signer, subject, own[:1] + fp(whose) * 2 + own[65:]]
    genuine = [*world.clients["bob"].room.statements()]
    for raw in genuine:
        for _ in range(20):
            at = dice.randrange(len(raw))
            forged.append(raw[:at] + bytes((raw[at] ^ (1 << dice.randrange(8)),)) + raw[at + 1 :])
    for raw in forged:
        mallory.send("alice", ContentKind.STMT, raw)
        world.advance(0.2)  # within what is taken from one member
    world.advance(5)
    changed = sum(len(before[name] ^ listed(world.clients[name])) for name in before)
    sheet.none("changes to anybody's list of members", changed, len(forged))
    talk(world, "alice", "bob")


@case("M4", "talks as fast as its computer can", slow=True)
def chatters(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob", "mallory") as (relay, stage):
        put_first(relay.process.pid, stage["alice"].pid, stage["bob"].pid)
        paced(stage, ("alice",), 10, FLOOD_S, "in quiet ")
        stage.until_settled()
        quiet = seconds_between(stage["alice"], stage["bob"])
        before_mib = rss_mib(stage["bob"].pid)
        count = len(quiet)
        stage["mallory"].say(*(f"{number} " + "x" * 1000 for number in range(900)))
        paced(stage, ("alice",), 10, FLOOD_S, "beside the flood ")
        stage.until_settled(300)
        loud = seconds_between(stage["alice"], stage["bob"])[count:]
        sheet.note("blocks to each", 900 * 7)
        for part in (0.5, 0.99):
            sheet.note(f"p{part * 100:.0f} of others in quiet, ms", share(quiet, part) * 1000)
            sheet.note("beside it", share(loud, part) * 1000)
        sheet.must("so p99 is longer by a factor of", share(loud, 0.99) / share(quiet, 0.99), 2)
        sheet.must("memory, MiB more", rss_mib(stage["bob"].pid, "VmHWM") - before_mib, 64)
        judge(sheet, stage)


@case("M5", "says 400 texts of the greatest length, 100,000 blocks to each", slow=True)
def rambles(sheet: Sheet, home: Path) -> None:
    texts, blocks = 400, 400 * 254
    at_best_s = blocks * FRAME_SIZE / Limits().max_bytes_per_second_per_reader  # seven minutes
    with real_room(home, "alice", "bob") as (relay, stage):
        before_mib = {name: rss_mib(stage[name].pid) for name in ("alice", "bob")}
        begun_s = time.monotonic()
        for number in range(texts):
            stage["bob"].say(f"{number} ".ljust(41_000, "x"))
        wait(lambda: len(stage["alice"].got()) == texts, "all has come", 2 * at_best_s)
        took_s = time.monotonic() - begun_s
        sheet.note("all had come after s", took_s)
        sheet.note("blocks a second", blocks / took_s)
        sheet.note("which the relay lets through for one reader", blocks / at_best_s)
        stage.until_settled()
        sheet.must("reader's memory, MiB more", rss_mib(stage["alice"].pid, "VmHWM") - before_mib["alice"], 128)
        sheet.must("sender's", rss_mib(stage["bob"].pid, "VmHWM") - before_mib["bob"], 160)
        sheet.must("relay had at most MiB", rss_mib(relay.process.pid, "VmHWM"), 128)
        sheet.must("reader's disk, MiB for 15.6 of text", disk_mib(stage, "alice"), 48)
        judge(sheet, stage)


def disk_mib(stage: Stage, name: str) -> float:
    """Return how much somebody's profile takes on the disk, in MiB."""
    return sum(path.stat().st_size for path in stage[name].directory.rglob("*") if path.is_file()) / 2**20


@case("A31", "never comes back, while 1,500 texts of 20,000 letters are said to it", slow=True)
def never_back(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob") as (_, stage):
        alice, bob = stage["alice"], stage["bob"]
        bob.end()
        wait(lambda: alice.here == 0, "he has gone")
        before_mib = rss_mib(alice.pid)
        count = 1500
        alice.say(*(f"{number} ".ljust(20_000, "x") for number in range(count)))
        wait(lambda: len(alice.said) == count, "all is committed")
        wait(lambda: alice.owed <= 1000, "what is too much was given up")
        lost = sum(number for _, _, number in alice.of("undelivered"))
        sheet.must("waiting for it", alice.owed, 1000)
        sheet.must("shown as not delivered", lost, count, count - 1000)
        sheet.all("waiting or shown as not delivered", alice.owed + lost, count)
        sheet.must("sender's memory, MiB more", rss_mib(alice.pid, "VmHWM") - before_mib, 128)
        sheet.must("sender's disk, MiB for 28.6 of text", disk_mib(stage, "alice"), 64)
        bob.start()
        wait(lambda: bob.of("gap"), "he is told of what is gone")
        sheet.all("when it does come back: told of as gone", bob.of("gap")[0][2], lost)


@contextlib.contextmanager
def beside(sheet: Sheet, stage: Stage) -> Iterator[None]:
    """Measure how long messages take before and while something is done: twice as long at most, or too short to see."""
    paced(stage, ("alice",), 10, 5, "before ")
    stage.until_settled()
    count = len(seconds_between(stage["alice"], stage["bob"]))
    yield
    stage.until_settled()
    row = seconds_between(stage["alice"], stage["bob"])
    before_ms, meanwhile_ms = share(row[:count], 0.99) * 1000, share(row[count:], 0.99) * 1000
    sheet.note("p99 of others before, ms", before_ms)
    sheet.must("meanwhile", meanwhile_ms, max(2 * before_ms, UNSEEN_MS))


@case("M6", "never reads", slow=True)
def never_reads(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob") as (relay, stage), beside(sheet, stage):
        before_mib = rss_mib(relay.process.pid)
        with (
            BareClient(relay.port, tls=True, receive_bytes=4096).join() as deaf,
            BareClient(relay.port, tls=True).join() as pourer,
        ):
            begun_s, poured = time.monotonic(), 0
            piece = send_frame(deaf.seat) * 64
            pourer.sock.settimeout(60.0)
            gone = False
            while not gone and time.monotonic() < begun_s + 90:
                pourer.send(piece)
                poured += 64
                if poured % 6400 == 0:
                    stage["alice"].say(f"meanwhile {poured}")
                    pourer.sock.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        gone = pourer.frame().address == deaf.seat
                    pourer.sock.settimeout(60.0)
            sheet.must("put out after s", time.monotonic() - begun_s, 75)
            sheet.note("when so many MiB were sent to it", poured * FRAME_SIZE / 2**20)
            sheet.must("relay's memory, MiB more", rss_mib(relay.process.pid, "VmHWM") - before_mib, 24)


@case("M7", "comes and goes 100 times a second", slow=True)
def comes_and_goes(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob") as (relay, stage), beside(sheet, stage):
        before_mib = rss_mib(relay.process.pid)
        tried = joined = 0
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 10:
            time.sleep(max(0.0, begun_s + tried / 100 - time.monotonic()))
            tried += 1
            with contextlib.suppress(OSError, EOFError), socket.socket() as sock:
                sock.bind(("127.0.0.9", 0))
                sock.settimeout(2.0)
                sock.connect(("127.0.0.1", relay.port))
                with any_certificate().wrap_socket(sock) as tls:
                    tls.sendall(join_frame(stage.invite.room_id))
                    joined += tls.recv(FRAME_SIZE)[1:2] == b"\2"
            if tried % 10 == 0:
                stage["alice"].say(f"meanwhile {tried}")
        sheet.note("tried", tried)
        sheet.must("let in", joined, 120)
        sheet.must("relay's memory, MiB more", rss_mib(relay.process.pid, "VmHWM") - before_mib, 24)


HOSTILE: dict[str, str] = {
    "turned around": "\u202egnp.exe \u2067 \u2066 \u202d",
    "terminal": "\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b5n",
    "markup": "<b>bold</b> [red]x[/red] \\n {0} %s %n $(date) `x` {{7*7}}",
    "zero": "a\0b\ufffe\ufeff\u200b\U000e0041",
    "zalgo": "z" + "\u0301\u0489" * 5000,
    "one line": "x" * 41_000,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 2200,
    "line breaks": "\n" * 41_000,
    "another's line": "hi\n\nbob  12:06\nI agree with everything",
    "links": "http://a.example/?" + "x" * 20_000 + " file:///etc/passwd javascript:alert(1) http://x\u202e.example",
    "Arabic": "\u0645\u0631\u062d\u0628\u0627 " * 3000,
}


@case("M8", "says what might break a window", slow=True)
def ugly(sheet: Sheet, home: Path) -> None:
    from gui import theme
    from gui.view.kit import Kit
    from gui.view.log import RowLog
    from gui.view.page_window import make_window

    kit = Kit(theme.LIGHT)
    log: Any = RowLog(kit, lambda event: None, copy=lambda text: None)
    window: Any = make_window(kit, "A log", [[log]], size=(700, 400), resizable=True, location=(10, 10))
    window.TKroot.update()
    worst: tuple[float, str] = (0.0, "")
    try:
        for number, (name, text) in enumerate(HOSTILE.items()):
            begun_s = time.monotonic()
            log.extend([gallery.said(number, "bob", text)])
            window.TKroot.update()
            worst = max(worst, (time.monotonic() - begun_s, name))
            log.extend([gallery.said(100 + number, "alice", "still here")])
            window.TKroot.update()
        shown = log.shown_text()
    finally:
        window.close()
    bad = [char for char in shown if char in "\x00\x07\x1b\x9b\u202e\u202d\u2066\u2067\u200b\ufeff"]
    sheet.none("characters shown that turn, hide or command", len(bad), len(shown))
    sheet.all("texts after which the next line is shown", shown.count("still here"), len(HOSTILE))
    sheet.note("longest to show, ms", worst[0] * 1000)
    sheet.note("which was", worst[1])


@case("M9", "goes on reading after having left")
def lingers(sheet: Sheet, home: Path) -> None:
    world = people("alice", "bob")
    mallory = Puppet(world, "mallory")
    mallory.become_member("alice")
    world.advance(2)
    world.clients["alice"].say("she is a member")
    world.advance(2)
    assert ContentKind.MSG in mallory.kinds("alice")
    leave = make_statement(
        StatementType.LEAVE, world.invite.room_id, mallory.identity, mallory.fp, world.now.ms + 1, ""
    )
    mallory.send("alice", ContentKind.STMT, leave.raw)
    world.advance(2)
    before = mallory.kinds("alice").count(ContentKind.MSG)
    for number in range(20):
        world.clients["alice"].say(f"she isn't {number}")
        world.advance(1)
    sheet.none("messages to it", mallory.kinds("alice").count(ContentKind.MSG) - before, 20)
    sheet.none("on the list", int(mallory.fp in listed(world.clients["alice"])))
    sheet.note("removal against somebody's will", "isn't in this version")
    talk(world, "alice", "bob")
