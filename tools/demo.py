"""A relay and three people in one room.

With a display, alice, bob and carol join a room on a relay of this program's own, then their windows are yours; it ends
when they are closed.  Without one (or with `--hidden`) the same goes on out of sight: the three sit in front of their
windows as `person.py`, create, invite, knock, let in and talk; two windows are photographed into `demo.png`, and what
bob's window says in the end is printed and kept in `demo-transcript.txt`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
PERSON = Path(__file__).with_name("person.py")
TIME_S = 120
SCREEN = "4000x1000x24"
PICTURE, TRANSCRIPT = Path("demo.png"), Path("demo-transcript.txt")  # where the command is run
TITLE = "Cabin weekend"
NAMES = ("alice", "bob", "carol")
LOOKS = {"alice": "dark", "bob": "light", "carol": "light"}
ASIDE = (2680, 20)  # pixels: where no other window lies, for they open in the middle of the screen
WORD_COUNT = 8
GAP, BACKGROUND = 24, "#8a8f98"  # pixels around the pictures, and what shows there

sys.path.insert(0, str(ROOT))


class Unfinished(Exception):
    """The demo can't go on; the text says why."""


# -- processes ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process that is gone when the block ends, whatever happened in it."""
    process = subprocess.Popen(command, text=True, cwd=ROOT, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def hidden_display() -> Iterator[None]:
    """Start an Xvfb on a free number, and make it the display of what is started in the block."""
    if shutil.which("Xvfb") is None:
        raise Unfinished("There is no display, and no Xvfb to stand in for one (Debian: sudo apt-get install xvfb).")
    reads, writes = os.pipe()
    command = f"Xvfb -displayfd {writes} -screen 0 {SCREEN} -dpi 96 -terminate -nolisten tcp".split()
    with running(command, pass_fds=(writes,), stderr=subprocess.DEVNULL):
        os.close(writes)
        with os.fdopen(reads) as pipe:
            number = pipe.readline().strip()  # comes when the server is ready; empty when it couldn't start
        if not number:
            raise Unfinished("Xvfb doesn't start.")
        before = os.environ.get("DISPLAY")
        os.environ["DISPLAY"] = f":{number}"
        try:
            yield
        finally:
            if before is None:
                del os.environ["DISPLAY"]
            else:
                os.environ["DISPLAY"] = before


def has_display() -> bool:
    """Tell whether a window could be shown."""
    try:
        import tkinter
    except ImportError:
        raise Unfinished("This Python has no tkinter, so it can't show a window (Debian: python3-tk).") from None
    try:
        tkinter.Tk().destroy()
    except tkinter.TclError:
        return False
    return True


# -- the three ---------------------------------------------------------------------------------------------------------


class Puppet:
    """One of the three, in a process of their own: `alice("presses", "Join room")` is done when it has worked.

    Their window is told an `invite`, if there is one, on standard input.
    """

    def __init__(self, stack: contextlib.ExitStack, name: str, home: Path, invite: str = "") -> None:
        command = [sys.executable, str(PERSON), "--profile", str(home / name), "--theme", LOOKS[name]]
        if invite:
            command += ["--name", name, "--invite-stdin"]
        self.name = name
        self._log = log = stack.enter_context((home / f"{name}.log").open("w+", encoding="utf-8"))
        self._process = stack.enter_context(running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log))
        if invite:
            self._tell(invite)

    def __call__(self, word: str, *arguments: Any) -> Any:
        """Let them do it.  Raises Unfinished, with what they say instead, when it can't be done in time."""
        assert self._process.stdout is not None
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            self._tell(json.dumps([word, *arguments]))
            answer = self._process.stdout.readline()
        if not answer:
            raise Unfinished(f"{self.name}'s window ended with status {self.waits(15)} before {word}. {self.said()}")
        done, result = json.loads(answer)
        if not done:
            raise Unfinished(f"{self.name} {word}: {result} {self.said()}")
        return result

    def goes(self) -> None:
        """Close the window, and see that the program ends by itself, in peace."""
        self("closes")
        status = self.waits(15)
        if status or self.said():
            raise Unfinished(f"{self.name}'s window ended with status {status}. {self.said()}")

    def waits(self, time_s: float | None = None) -> int:
        """Return the exit status, once there is one."""
        return self._process.wait(time_s)

    def said(self) -> str:
        """Return what the program printed: nothing, when all is well."""
        self._log.seek(0)
        return self._log.read()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


# -- in sight ----------------------------------------------------------------------------------------------------------


def in_sight(home: Path) -> None:
    """Open three windows in one room, and return when they are closed."""
    from chatcore.engines.openssl import OpenSSLEngine
    from chatcore.invite import Mode, RelayAddress, new_invite
    from chatcore.profile import Profile
    from chatcore.seal import fingerprint
    from relay.embedded import EmbeddedRelay

    relay = EmbeddedRelay(home / "relay")
    relay.start()
    try:
        owner = Profile.create(home / "alice", "alice", None, OpenSSLEngine())
        address = RelayAddress.parse(relay.line)
        fp = fingerprint(owner.identity.modulus)
        invite = new_invite(fp, Mode.OPEN, address, TITLE, secret=secrets.token_bytes(32)).to_text()
        with contextlib.ExitStack() as stack:
            three = [Puppet(stack, name, home, invite) for name in NAMES]
            for person in three:
                person("presses", "Join room")
            for number, person in enumerate(three):
                person("sees", f"{len(three)} people · {len(three)} here")
                person("moves", 40 + 140 * number, 40 + 70 * number)
            print("The three are in one room, on a relay of their own; the windows are yours. Close them to end.")
            for person in three:
                person.waits()
    finally:
        relay.stop()


# -- out of sight ------------------------------------------------------------------------------------------------------


LONG = (
    "The long version: take the bus from the station to the last stop, walk up past the chapel, and where the "
    "path forks at the big larch keep left along the stream. The hut is the third one, with the blue door. The "
    "key hangs behind the woodpile, the stove wants a little patience, and there is soup for three in the cellar. "
    "If the snow is deep, wait for us at the inn; they know we are coming and have tea. And bring a torch, it is "
    "dark by five."
)
SAID = (
    ("alice", "Hello both! Here we are, and nobody else can read this."),
    ("bob", "Hi alice 👋 hi carol! Did the train leave on time? 🚆❄️"),
    ("carol", "שלום לכולם, הגעתי הביתה"),
    ("alice", "The map of the lake is at https://maps.example.org/lake?from=station"),
    ("bob", LONG),
    ("carol", "Tea sounds right."),
)


def out_of_sight(home: Path) -> None:
    """Let the three do it all by themselves, then show what came of it."""
    from gui.bidi import visual  # the screen shows right-to-left text as it is drawn

    with contextlib.ExitStack() as stack:
        stack.enter_context(hidden_display())
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(TIME_S)
        alice, bob, carol = three = [Puppet(stack, name, home) for name in NAMES]
        for person in three:
            person("types", "What the others will see", person.name)

        alice("presses", "Host on this computer")
        alice("types", "Cabin weekend", TITLE)  # the hint of the field is an example, and a good one
        alice("presses", "Create room")
        alice("presses", "Invite friends")
        alice("presses", "Copy link")
        alice("sees", "Copied.")
        alice("moves", *ASIDE, "Invite to")
        invite_page = Path(alice("photographs", str(home / "invite.png"), "Invite to"))

        for guest in (bob, carol):
            guest("pastes", "Paste the link that you were sent")  # from the clipboard, where alice's window put it
        alice("closes", "Invite to")
        for guest in (bob, carol):
            guest("presses", "Join room")
            alice("presses", "See who it is")
            alice("sees", f"{guest.name} would like to come in")
            if compare_words(alice) != compare_words(guest):
                raise Unfinished(f"alice and {guest.name} don't see the same words.")
            alice("presses", "Let in")
            guest("sees", f"Message {TITLE}")
        for person in three:
            person("sees", f"{len(three)} people · {len(three)} here")

        for name, text in SAID:
            speaker = three[NAMES.index(name)]
            speaker("pastes", f"Message {TITLE}", text, "Return")
            for person in three:
                person("sees", visual(_plain_part(text)))
        for person in three:
            person("sees", "everything sent")
        bob("moves", *ASIDE)
        room_page = Path(bob("photographs", str(home / "room.png")))

        carol.goes()
        bob("sees", "carol went away")
        keep_picture(invite_page, room_page)
        keep_transcript(next(text for text in bob("reads") if SAID[0][1] in text and "\n" in text))
        alice.goes()  # and with her the relay
        bob("sees", "Not connected")
        bob.goes()


def compare_words(person: Puppet) -> list[str]:
    """Return the eight words that they would read aloud."""
    from chatcore.wordlist import english

    every = set(english())
    for _ in range(300):
        words = [text for text in person("reads") if text in every]
        if len(words) == WORD_COUNT:
            return words
        time.sleep(0.1)  # the words take a moment to work out
    raise Unfinished(f"{person.name} sees no words to compare.")


def _plain_part(text: str) -> str:
    """Return the longest part without emoji: a system with an old font library shows another sign for them."""
    return max(re.split("[^\0-\uffff]", text), key=len).strip()


def keep_picture(*parts: Path) -> None:
    """Put the pictures side by side."""
    from PIL import Image

    pictures = [Image.open(part).convert("RGB") for part in parts]
    width, height = sum(p.width + GAP for p in pictures) + GAP, max(p.height for p in pictures) + 2 * GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    x = GAP
    for picture in pictures:
        sheet.paste(picture, (x, (height - picture.height) // 2))
        x += picture.width + GAP
    sheet.save(PICTURE, optimize=True)


def keep_transcript(shown: str) -> None:
    """Print what was said, and keep it, in the order in which it is read rather than drawn."""
    from gui.bidi import visual

    for _, text in SAID:
        shown = shown.replace(visual(text), text)
    print(shown.strip())
    TRANSCRIPT.write_text(shown.strip() + "\n", "utf-8")


# -- all together ------------------------------------------------------------------------------------------------------


def main() -> int:
    """Run the demo.  Returns 0 when all went as it should."""
    parser = argparse.ArgumentParser(description="A relay and three people in one room.")
    parser.add_argument("--hidden", action="store_true", help="out of sight, even if there is a display")
    hidden = parser.parse_args().hidden
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without emoji still gets the rest
    signal.signal(signal.SIGTERM, _stop)
    try:
        hidden = hidden or not has_display()
        with tempfile.TemporaryDirectory(prefix="parley-demo-") as home:
            if hidden:
                out_of_sight(Path(home))
                print(f"\nThe pictures are in {PICTURE.name}, the transcript in {TRANSCRIPT.name}.")
            else:
                in_sight(Path(home))
    except Unfinished as why:
        print(f"demo: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt  # so that everything that was started is stopped


def _too_long(number: int, frame: FrameType | None) -> NoReturn:
    raise Unfinished(f"It took longer than {TIME_S} seconds.")


if __name__ == "__main__":
    sys.exit(main())
