"""F1, F2, F6 and F7: the relay's end, a relay that hangs, a network that breaks, a disk that is full or damaged."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from proxy import Proxy
from relay_help import Process

from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import ParleyError
from chatcore.invite import RelayAddress
from chatcore.profile import FILE_NAME, Profile
from trials.sheet import Sheet, case
from trials.stage import Stage, judge, paced, real_room, seconds_between, share, texts, wait


@case("F1", "the relay is killed while 500 messages a second are said", slow=True)
def relay_killed(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob", "carol") as (relay, stage):
        names = ("alice", "bob", "carol")
        paced(stage, names, 500, 3, "before ")
        killed_s = time.monotonic()
        relay.process.kill()
        relay.process.communicate()
        with Process(home / "relay", "--port", str(relay.port)) as again:
            paced(stage, names, 500, 3, "after ")
            stage.until_settled(300)
            back = [
                min(
                    moment for moment, state, _ in member.of("connection") if state == "connected" and moment > killed_s
                )
                for member in stage.members.values()
            ]
            sheet.note("said", sum(len(member.said) for member in stage.members.values()))
            sheet.must("last of three connected again after s", max(back) - killed_s, 10)
            judge(sheet, stage)
            again.end()


@case("F2", "the relay hangs", slow=True)
def relay_hangs(sheet: Sheet, home: Path) -> None:
    with real_room(home, "alice", "bob") as (relay, stage):
        stopped_s = time.monotonic()
        relay.process.send_signal(signal.SIGSTOP)
        texts(stage, "alice", 20, "into the silence ")
        wait(lambda: all(len(m.of("connection")) > 2 for m in stage.members.values()), "both notice", 100)
        noticed = [m.of("connection")[2][0] - stopped_s for m in stage.members.values()]
        sheet.must("noticed after s, at the latest", max(noticed), 46)
        sheet.note("told", "“" + str(stage["alice"].of("connection")[2][2]) + "”")
        relay.process.send_signal(signal.SIGCONT)
        sheet.must("when it goes on all has arrived after s", stage.until_settled(), 60)
        judge(sheet, stage)


@case("F6", "connections are reset, closed in the middle of a frame, and cut into pieces of 7 bytes", slow=True)
def broken_network(sheet: Sheet, home: Path) -> None:
    with Process(home / "relay", "--port", "0") as relay, Proxy(relay.port) as proxy:
        address = replace(RelayAddress.parse(relay.line), port=proxy.port)
        with Stage(home, ("alice", "bob", "carol"), lambda name: address, timing={"stable_s": 3.0}) as stage:
            stage.start()
            proxy.piece_bytes = 7
            paced(stage, ("alice", "bob", "carol"), 20, 5, "in pieces ")
            stage.until_settled()
            pieces = seconds_between(stage["alice"], stage["bob"])
            sheet.note("in pieces: p50, p99, ms", f"{share(pieces, 0.5) * 1000:.0f}, {share(pieces, 0.99) * 1000:.0f}")
            proxy.piece_bytes = 0
            back, closed = [], 0
            for number in range(8):
                paced(stage, ("alice", "bob", "carol"), 40, 0.5, f"round {number}: ")
                for member in stage.members.values():
                    member.here = -1
                proxy.reset() if number % 2 else proxy.cut_after(1000 + number)
                begun_s = time.monotonic()
                paced(stage, ("alice", "bob", "carol"), 40, 0.5, f"round {number} after: ")
                if number % 2:
                    stage.until_whole()
                    back.append(time.monotonic() - begun_s)
                else:
                    wait(lambda: proxy.left_bytes is None, "one was closed")
                    closed += 1
                    time.sleep(1.0)
            sheet.note("resets of all", len(back))
            sheet.must("whole again after s, at worst", max(back), 60)
            sheet.all("closed in the middle of a frame", closed, 4)
            stage.until_settled(200)
            judge(sheet, stage)


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """Mount a disk of so many bytes; needs root."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@case("F7", "the disk is full, or can't be written", slow=True)
def full_disk(sheet: Sheet, home: Path) -> None:
    if os.geteuid():
        sheet.note("left out", "needs root, to mount a small disk")
        return
    with contextlib.ExitStack() as stack:
        for name in ("alice", "bob"):
            stack.enter_context(small_disk(home / name, "1m"))
        _, stage = stack.enter_context(real_room(home, "alice", "bob", "carol"))
        for number in range(400):
            stage["carol"].say(f"{number} " + "x" * 1500)
            stage["alice"].say(f"{number} " + "y" * 1500)
        wait(lambda: all(stage[n].of("failed") or stopped(stage, n) for n in ("alice", "bob")), "the disks are full")
        time.sleep(2)
        stopped_for = stopped(stage, "bob")
        sheet.note("full: told", "“" + (stopped_for or stage["bob"].of("failed")[-1][1]) + "”")
        for name in ("alice", "bob"):
            stage[name].kill()
            subprocess.run(["mount", "-o", "remount,size=64m", str(home / name)], check=True)
            stage[name].start()
        sheet.must("with room again, all has arrived after s", stage.until_settled(), 100)
        stage["bob"].kill()
        subprocess.run(["mount", "-o", "remount,ro", str(home / "bob")], check=True)
        begun = len(stage["bob"].told)
        stage["bob"].start()
        wait(lambda: [t for t in stage["bob"].told[begun:] if t[0] in ("failed", "connection")], "it says why")
        time.sleep(1)
        said = [t[-1] for t in stage["bob"].told[begun:] if t[0] == "failed" or t[2] == "stopped"]
        sheet.note("not to be written: told", "“" + str(said[-1] if said else "nothing") + "”")
        subprocess.run(["mount", "-o", "remount,rw", str(home / "bob")], check=True)
        stage["bob"].kill()
        stage["bob"].start()
        stage.until_settled()
        judge(sheet, stage)
        for member in stage.members.values():
            member.kill()


def stopped(stage: Stage, name: str) -> str:
    """Return why somebody's room was stopped, or nothing."""
    return next((reason for _, state, reason in stage[name].of("connection") if state == "stopped"), "")


@case("F7b", "the file of the vault is cut short, or a byte of it is flipped", slow=True)
def damaged(sheet: Sheet, home: Path) -> None:
    dice = random.Random(7)
    with real_room(home, "alice", "bob") as (_, stage):
        texts(stage, "alice", 100)
        texts(stage, "bob", 100)
        stage.until_settled()
        judge(sheet, stage)
        room_id = stage.invite.room_id
    whole = (home / "bob" / FILE_NAME).read_bytes()
    profile = Profile.open(home / "bob", None, OpenSSLEngine())
    right = profile.room(room_id).load()
    profile.close()
    outcomes = dict.fromkeys(("refused in a sentence", "as before", "less, and told", "less", "wrong", "crashed"), 0)
    place = home / "damaged"
    for number in range(600):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        at = dice.randrange(len(whole))
        flipped = whole[:at] + bytes((whole[at] ^ (1 << dice.randrange(8)),)) + whole[at + 1 :]
        (place / FILE_NAME).write_bytes(whole[:at] if number % 3 == 0 else flipped)
        (place / FILE_NAME).chmod(0o600)
        try:
            profile = Profile.open(place, None, OpenSSLEngine())
            found = profile.room(room_id).load()
            profile.close()
        except ParleyError:
            outcomes["refused in a sentence"] += 1
        except Exception as error:
            outcomes["crashed"] += 1
            print(f"{at} of {len(whole)} bytes, {number % 3 == 0}: {error!r}", file=sys.stderr)
        else:
            true = all(right.lines.get(mid) == line for mid, line in found.lines.items())
            told = profile.loss is not None or found.lost_lines is not None
            less = "less, and told" if told else "less"
            outcomes["wrong" if not true else "as before" if found == right else less] += 1
    for name in ("as before", "less, and told", "refused in a sentence"):
        sheet.note(name, outcomes[name])
    sheet.none("less, and not told", outcomes["less"], 600)
    sheet.none("shown wrong", outcomes["wrong"], 600)
    sheet.none("crashed", outcomes["crashed"], 600)
