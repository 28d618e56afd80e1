"""Moves rooms to another relay without a window: for whoever runs the relay and owns rooms on it.  Shell.

`python gui_client.py move [--room TITLE | --from HOST:PORT] [--profile DIR] [--proxy HOST:PORT]
[--passphrase-file FILE] [--wait SECONDS]`, or `parley-move`; the line of the new relay is read from standard input.

It does what the window does, through a proxy where that would: asks the new relay whether it lets people in, goes into
the room where that is now, signs the owner's word, and tells those who are there.  Then it says who has heard.  Exit
status: 0 if the rooms are moved and everybody who was there has heard, 1 if not, 2 for what can't be asked for.
docs/PROTOCOL.md, "Moving to another relay".
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import io
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from chatcore import doctor, proxyfile
from chatcore.cable import Timing
from chatcore.client import Client
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import ParleyError, PassphraseError, ProfileError
from chatcore.events import Connection, ConnectionChanged, Presence, RoomEvent, RoomMoved, RosterChanged
from chatcore.invite import MAX_PASTE_CHARS, RelayAddress
from chatcore.moving import unfit
from chatcore.profile import Profile, RoomRecord, hold, usual_directory
from chatcore.proxy import Proxy
from chatcore.seal import fingerprint

CONNECT_S = 40.0  # to be let in where the room is now, or was before
GREET_S = 8.0  # for those who are there to be met
SIGN_S = 10.0
LOOK_S = 0.2  # between looks at who has heard

LINE_IN_ARGUMENTS = (
    "A relay's line doesn't belong on the command line, where other programs can read it. "
    "Hand it over on standard input: parley-move < file, or paste it when asked."
)
UNKNOWN_ARGUMENT = "There is an argument that parley-move doesn't know. What there is stands in --help."
ASK_FOR_LINE = "Paste the line that the new relay printed, and press Enter:"
PROMPT = "Passphrase of your profile: "
NO_TERMINAL = (
    "Your profile has a passphrase, and there is no terminal on which to ask for it. "
    "Put it into a file that only you can read, and name that with --passphrase-file."
)
NO_FILE = "The passphrase can't be read from that file. Name a text file that has it in its first line."
NOTHING_THERE = "There is no profile in {}. Name the directory of yours with --profile."
DAMAGED = "The profile was damaged; what could be read of it was kept."
NONE_IS_YOURS = "None of the rooms in this profile is yours. A room is moved by whoever made it."
NO_SUCH_ROOM = "You have no such room. Yours are: {}."
WHICH = "You have several rooms. Say which with --room TITLE, or --from HOST:PORT for all on one relay: {}."
SAME_TITLE = "More than one of your rooms is called that. Move all on one relay with --from, or this one in the window."
LATER = (
    "Whoever was away is shown the way at the old relay, as long as that is up and you or somebody else of the room "
    "has Parley open. So leave it on for two weeks if you can; later, a new invite helps."
)
UNTOLD = (
    "The relay where the room was can't be reached, so nobody could be told: open the room in Parley's window, copy "
    "its invite, and send that to everybody. It leads to the same room, with everything that is in it."
)
UNSURE = "Not everybody who was there has answered. Open Parley's window for a while, and it is told until it is heard."
UNMOVED = "{}: it was not moved. {}"
FAULT = "Something went wrong inside Parley. Try again; if it stays so, move the room in Parley's window."
STOPPED = "Stopped. What was signed before that stays signed; the window says where each room is."


class Ear:
    """Hears what one room has to tell; `until` waits for it."""

    def __init__(self) -> None:
        self.connected = self.stopped = False
        self.reason = ""
        self.moved: RoomMoved | None = None
        self.nicks: dict[bytes, str] = {}
        self.here: frozenset[bytes] = frozenset()
        self.heard: frozenset[bytes] = frozenset()  # who holds the same statements as we
        self._news = threading.Condition()

    def __call__(self, event: RoomEvent) -> None:
        """Take in an event.  Called by the worker."""
        with self._news:
            match event:
                case ConnectionChanged():
                    self.connected = event.state is Connection.CONNECTED
                    self.stopped, self.reason = event.state is Connection.STOPPED, event.reason
                case RoomMoved():
                    self.moved = event
                case RosterChanged():
                    others = [one for one in event.members if one.presence is not Presence.SELF]
                    self.nicks = {one.fp: one.nick for one in others}
                    self.here = frozenset(one.fp for one in others if one.presence is Presence.HERE)
            self._news.notify_all()

    def hear(self, fps: frozenset[bytes]) -> None:
        """Take in who agrees with us on where the room is.  Called by the worker."""
        with self._news:
            self.heard |= fps
            self._news.notify_all()

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something, so long at most."""
        with self._news:
            return self._news.wait_for(condition, seconds)

    def names(self, fps: frozenset[bytes]) -> str:
        """Return the names of these people, in order."""
        return ", ".join(sorted(_printable(self.nicks[fp]) for fp in fps))


class Mover:
    """Moves the rooms of one profile, one after the other."""

    def __init__(
        self, profile: Profile, wait_s: float, timing: Timing | None = None, proxy: Proxy | None = None
    ) -> None:
        self._profile, self._wait_s = profile, wait_s
        self._ears: dict[bytes, Ear] = {}
        self._client = Client(lambda room_id, event: self._ears[room_id](event), timing=timing, proxy=proxy)

    def __enter__(self) -> Mover:
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def move(self, record: RoomRecord, relay: RelayAddress) -> bool:
        """Move a room and say what came of it; whether everybody who was there has heard."""
        title = _printable(record.invite.title)
        if relay == record.relay:
            print(f"{title}: it is on {relay.place} already.")
            return True
        if sentence := unfit(relay, record.relay):
            print(UNMOVED.format(title, sentence))
            return False
        who, room_id = self._profile, record.invite.room_id
        self._ears[room_id] = ear = Ear()
        self._client.open_room(record.invite, who.identity, who.nick, record.statements, who.room(room_id))
        try:
            ear.until(lambda: ear.connected or ear.stopped, CONNECT_S)
            reached = ear.connected
            if reached:
                ear.until(lambda: bool(ear.nicks) and ear.here == ear.nicks.keys(), GREET_S)
            self._client.move(room_id, relay)
            if not ear.until(lambda: ear.moved is not None and ear.moved.relay == relay, SIGN_S):
                print(UNMOVED.format(title, ear.reason or FAULT))
                return False
            self._keep(record, ear)
            print(f"{title}: it is on {relay.place} now.", flush=True)
            return self._wait(room_id, ear) if reached else _untold()
        finally:
            self._keep(record, ear)
            self._client.close_room(room_id)

    def _keep(self, record: RoomRecord, ear: Ear) -> None:
        """Write down where the room was, and the statements, one of which says where it is."""
        statements = self._client.statements(record.invite.room_id)
        if statements:
            invite = record.invite.at(ear.moved.before) if ear.moved is not None else record.invite
            self._profile.remember(invite, time.time_ns() // 1_000_000, statements)
            self._profile.save()

    def _wait(self, room_id: bytes, ear: Ear) -> bool:
        end_s = time.monotonic() + self._wait_s
        while not ear.here <= ear.heard and time.monotonic() < end_s:
            self._client.ask_agreed(room_id, ear.hear)
            ear.until(lambda: ear.here <= ear.heard, LOOK_S)
        heard = ear.heard & ear.nicks.keys()
        later = frozenset(ear.nicks) - heard
        if heard:
            print(f"  Have heard: {ear.names(heard)}.")
        if later:
            print(f"  Will hear later: {ear.names(later)}.\n{LATER}")
        if unsure := not ear.here <= heard:
            print(UNSURE)
        return not unsure


def _untold() -> bool:
    print(UNTOLD)
    return False


def main(arguments: Sequence[str] | None = None, timing: Timing | None = None) -> int:
    """Run the command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if any("parley:" in unquote(word).lower() for word in words):  # before argparse, whose message would repeat it
        return _refuse(LINE_IN_ARGUMENTS, 2)
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        return _refuse(UNKNOWN_ARGUMENT, 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal can't show
    try:
        directory = Path(os.path.expanduser(options.profile or usual_directory()))  # never fails
        proxy = proxyfile.wanted(options.proxy, directory)
        with _opened(directory, options.passphrase_file) as profile:
            rooms, refusal = _chosen(profile, options.room, options.place)
            if refusal:
                return _refuse(refusal, 2)
            relay = RelayAddress.parse(_line())
            if failure := doctor.first_trouble(relay, proxy) if relay.pins else "":
                return _refuse(failure, 1)
            with Mover(profile, options.wait, timing, proxy) as mover:
                return 0 if all([mover.move(record, relay) for record in rooms]) else 1
    except ParleyError as error:
        return _refuse(str(error), 1)
    except KeyboardInterrupt:
        return _refuse(STOPPED, 1)
    except Exception:  # a mistake of ours: nobody is helped by where it is, and its text may quote anything
        return _refuse(FAULT, 1)


@contextlib.contextmanager
def _opened(directory: Path, passphrase_file: Path | None) -> Iterator[Profile]:
    """Open the profile, for this program alone.  Raises ProfileError, PassphraseError."""
    if not Profile.exists(directory):
        raise ProfileError(NOTHING_THERE.format(directory))
    let_go = hold(directory)
    try:
        passphrase = _passphrase(passphrase_file) if Profile.needs_passphrase(directory) else None
        with contextlib.closing(Profile.open(directory, passphrase, OpenSSLEngine())) as profile:
            if profile.loss is not None:
                print(DAMAGED, file=sys.stderr)
            yield profile
    finally:
        let_go()


def _passphrase(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text("utf-8").partition("\n")[0].removesuffix("\r")
        except (OSError, ValueError):
            raise PassphraseError(NO_FILE) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # else it would be shown, and read from the line's
            return getpass.getpass(PROMPT)
    except (getpass.GetPassWarning, EOFError, OSError):
        raise PassphraseError(NO_TERMINAL) from None


def _chosen(profile: Profile, title: str | None, place: str | None) -> tuple[list[RoomRecord], str]:
    """Return the rooms that are to be moved, or why there are none."""
    own = fingerprint(profile.identity.modulus)
    yours = [room for room in profile.rooms if room.invite.owner_fp == own]
    if not yours:
        return [], NONE_IS_YOURS
    rooms = [
        room
        for room in yours
        if (title is None or room.invite.title.casefold() == title.casefold())
        and (place is None or room.relay.place.casefold() == place.casefold())
    ]
    names = "; ".join(f"{_printable(room.invite.title)} ({room.relay.place})" for room in yours)
    if not rooms:
        return [], NO_SUCH_ROOM.format(names)
    if len(rooms) > 1 and place is None:
        return [], SAME_TITLE if title is not None else WHICH.format(names)
    return rooms, ""


def _line() -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        print(ASK_FOR_LINE, file=sys.stderr)
        return sys.stdin.readline(MAX_PASTE_CHARS)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return sys.stdin.read(MAX_PASTE_CHARS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parley-move",
        description="Move rooms of yours to another relay. Its line is read from standard input.",
        epilog="Exit status: 0 if they are moved and whoever was there has heard, 1 if not, 2 for wrong arguments.",
        allow_abbrev=False,
    )
    parser.add_argument("--room", metavar="TITLE", help="the room that is moved, if you have several")
    parser.add_argument("--from", dest="place", metavar="HOST:PORT", help="all of your rooms that are on this relay")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="where your identity and rooms are kept")
    parser.add_argument("--proxy", metavar="HOST:PORT", help="go through this SOCKS5 proxy, such as Tor's")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="has the passphrase in its first line")
    parser.add_argument(
        "--wait", type=_seconds, default=120.0, metavar="SECONDS", help="how long to wait for answers (120)"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:
        raise ValueError
    return seconds


def _printable(text: str) -> str:
    """Return a text that others wrote as a terminal may have it: nothing in it is a command."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _refuse(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status
