"""What lies behind the window: client, profile, rooms, relays of this computer, words.  A shell; no toolkit.

What takes time (making a key, opening a locked profile, starting a relay, working out words) is done by one thread, in
order; the answers go into the window's queue.  What the core says goes there straight from the client's thread.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from chatcore import doctor
from chatcore.cable import Timing
from chatcore.client import Client
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import ParleyError, ProfileError
from chatcore.events import Knocked, RoomEvent, RoomMoved, RosterChanged, StatementsChanged
from chatcore.invite import Invite, Mode, RelayAddress, new_invite
from chatcore.lock import Guard
from chatcore.pins import Page
from chatcore.proxy import Proxy
from chatcore.seal import fingerprint
from gui import report
from gui.news import (
    AppEvent,
    Failed,
    FromRoom,
    MoveAnswered,
    NotOpened,
    ReportWritten,
    RoomClosed,
    RoomWordsReady,
    WordsReady,
)
from gui.opening import Opening
from gui.own_relay import OwnRelay
from gui.profile_desk import RELAY_DIRECTORY, ProfileDesk
from gui.proxy_desk import ProxyDesk
from gui.room_desk import RoomDesk
from gui.words_desk import WordsDesk

log = logging.getLogger("parley.gui")

UNEXPECTED = (
    "Something went wrong inside Parley, and what you asked for may be half done. "
    "Try again; if it stays so, start Parley anew."
)
NOT_REMEMBERED = "This room is no longer in your profile. Ask for its invite again."


class Backroom:
    """Implements `gui.pages.Behind`.  `put` queues an event for the window and returns at once."""

    def __init__(
        self,
        directory: Path,
        put: Callable[[AppEvent], None],
        proxy: Proxy | None = None,
        timing: Timing | None = None,
    ) -> None:
        """`proxy` holds for this run, whatever is kept; `timing` is the client's patience."""
        self._put = put
        self._engine = OpenSSLEngine()
        self._client = Client(self._from_core, engine=self._engine, timing=timing)
        self._desk = WordsDesk()
        self._proxies = ProxyDesk(directory, proxy)
        self._profiles = ProfileDesk(directory, self._engine, put, self._proxies)
        self._unkept: set[bytes] = set()  # rooms with news of their members that wait to be written down
        self._relay = OwnRelay(directory / RELAY_DIRECTORY)
        self._rooms = RoomDesk(self._client, self._relay, self._proxies, put)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._opening = Opening(self._jobs.put)
        self._thread = threading.Thread(target=self._work, name="parley-backroom", daemon=True)

    def start(self) -> None:
        """Start the client and the thread for what takes time."""
        self._client.start()
        self._desk.start()
        self._thread.start()

    def stop(self) -> None:
        """Keep what is to be kept, end the client, the thread and the relay of this computer."""
        self._opening.stop()
        self._jobs.put(self._rooms.keep_all)
        self._jobs.put(None)
        self._thread.join(5.0)
        self._client.stop()
        self._desk.stop()
        self._profiles.close()
        self._relay.stop()
        self._profiles.let_go()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except ParleyError as error:
                self._put(Failed(_as_sentence(str(error))))
            except Exception as error:  # a fault of ours: said, and logged without its text, which may quote anything
                log.error("the backroom failed: %s", type(error).__name__)
                self._put(Failed(UNEXPECTED))

    def _from_core(self, room_id: bytes, event: RoomEvent) -> None:
        self._put(FromRoom(room_id, event))
        if isinstance(event, RoomMoved):
            self._jobs.put(lambda: self._rooms.moved(room_id, event))
        if isinstance(event, StatementsChanged) and room_id not in self._unkept:
            self._unkept.add(room_id)  # a program that is killed must not forget who belongs to the room
            self._jobs.put(lambda: self._keep(room_id))
        if isinstance(event, (RosterChanged, Knocked)):
            self._jobs.put(lambda: self._rooms.meet(room_id, lambda people: people.take(event)))

    def _keep(self, room_id: bytes) -> None:
        self._unkept.discard(room_id)
        self._rooms.keep(room_id)

    # -- the profile ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look for the profile."""
        self._jobs.put(self._profiles.look)

    def unlock(self, passphrase: str) -> None:
        """Open the profile."""
        self._jobs.put(lambda: self._profiles.open(passphrase))

    def forget(self, room_id: bytes) -> None:
        """Take a room off the profile."""
        self._jobs.put(lambda: self._profiles.forget(room_id))

    def keep_look(self, dark: bool) -> None:
        """Keep the look, beside the profile: where there is none, nothing is written before there is."""
        self._jobs.put(lambda: self._profiles.keep_look(dark))

    # -- who can open it, copies, the end

    def ask_profile(self) -> None:
        """Say who can open the profile."""
        self._jobs.put(lambda: self._profiles.say_known(""))

    def protect(self, guard: Guard, passphrase: str, current: str) -> None:
        """Have the profile guarded otherwise."""
        self._jobs.put(lambda: self._profiles.protect(guard, passphrase, current))

    def open_at_start(self, on: bool) -> None:
        """Keep whether rooms are opened when the program has begun."""
        self._jobs.put(lambda: self._profiles.open_at_start(on))

    def export_profile(self, path: str, passphrase: str) -> None:
        """Write a copy of the profile."""
        self._jobs.put(lambda: self._profiles.export(path, passphrase))

    def import_profile(self, path: str, passphrase: str) -> None:
        """Make a copy the profile."""
        self._jobs.put(lambda: self._profiles.bring(path, passphrase))

    def erase_profile(self) -> None:
        """Leave nothing of the profile."""
        self._jobs.put(self._erase_profile)

    def _erase_profile(self) -> None:
        """Take the relays' key along: it stands in the same directory."""
        own = self._profiles.own()
        self._opening.forget()
        for room_id in [room.invite.room_id for room in self._rooms if room.who is own]:
            self._rooms.close(room_id)
            self._put(RoomClosed(room_id))
        self._client.settle()
        self._relay.give_up()
        self._profiles.erase()

    # -- the way to relays ---------------------------------------------------------------------------------------------

    @property
    def proxied(self) -> bool:
        """Whether relays are not reached directly."""
        return self._proxies.on

    def ask_proxy(self) -> None:
        """Say through which proxy relays are reached."""
        self._jobs.put(lambda: self._put(self._proxies.known()))

    def set_proxy(self, address: str) -> None:
        """Reach relays through another proxy, or through none."""
        self._jobs.put(lambda: self._set_proxy(address))

    def _set_proxy(self, address: str) -> None:
        known = self._proxies.set(address)
        self._client.go_through(self._proxies.now())
        self._put(known)

    # -- rooms ---------------------------------------------------------------------------------------------------------

    def join(self, name: str, invite_text: str, anonymous: bool, passphrase: str) -> None:
        """Open the room of an invite."""
        self._jobs.put(
            lambda: self._rooms.open(name, Invite.parse(invite_text), self._profiles.who(name, anonymous, passphrase))
        )

    def create(
        self, name: str, title: str, mode: Mode, relay_line: str | None, anonymous: bool, passphrase: str
    ) -> None:
        """Make a room."""
        self._jobs.put(lambda: self._create(name, title, mode, relay_line, anonymous, passphrase))

    def open_recent(self, room_id: bytes, name: str) -> None:
        """Open a room of the profile."""
        self._jobs.put(lambda: self._open_recent(room_id, name))

    def open_behind(self, room_ids: Sequence[bytes], name: str) -> None:
        """Open rooms of the profile, one after the other."""
        openings = [partial(self._open_behind, room_id, name) for room_id in room_ids]
        self._jobs.put(lambda: self._opening.begin(openings))

    def look_at(self, room_id: bytes) -> None:
        """Keep which room is before the person's eyes."""
        self._jobs.put(lambda: self._rooms.look_at(room_id))

    def _create(
        self, name: str, title: str, mode: Mode, relay_line: str | None, anonymous: bool, passphrase: str
    ) -> None:
        who = self._profiles.who(name, anonymous, passphrase)
        line = self._relay.start(0, kept=not who.is_anonymous) if relay_line is None else relay_line
        owner = fingerprint(who.identity.modulus)
        invite = new_invite(owner, mode, RelayAddress.parse(line), title, secret=secrets.token_bytes(32))
        self._rooms.open(name, invite, who)

    def _open_recent(self, room_id: bytes, name: str) -> None:
        if self._rooms[room_id] is not None:
            return  # it was opened behind the window in this very moment
        record = self._profiles.record(room_id)
        if record is None:
            raise ProfileError(NOT_REMEMBERED)
        self._rooms.open(name, record.invite, self._profiles.who(name, False, ""))

    def _open_behind(self, room_id: bytes, name: str) -> None:
        """Open a room that nobody waits for; whatever is wrong with it stays its own affair."""
        record = self._profiles.record(room_id)
        if self._rooms[room_id] is not None or record is None:
            return  # it was chosen meanwhile, or erased
        try:
            self._rooms.open(name, record.invite, self._profiles.who(name, False, ""), behind=True)
        except Exception as error:
            if not isinstance(error, ParleyError):
                log.error("the backroom failed: %s", type(error).__name__)
            self._put(NotOpened(room_id))

    # -- in a room -----------------------------------------------------------------------------------------------------

    def work_out_words(self, room_id: bytes, fp: bytes) -> None:
        """Work out the words of oneself and `fp`."""
        self._jobs.put(lambda: self._words(room_id, fp))

    def _words(self, room_id: bytes, fp: bytes) -> None:
        room = self._rooms[room_id]
        if room is not None:
            own = fingerprint(room.who.identity.modulus)
            self._desk.ask(room.invite, frozenset((own, fp)), lambda words: self._put(WordsReady(room_id, fp, words)))

    def work_out_room_words(self, room_id: bytes, fps: frozenset[bytes]) -> None:
        """Work out the words of these people."""
        room = self._rooms[room_id]
        if room is not None:
            self._desk.ask(
                room.invite, fps, lambda words: self._put(RoomWordsReady(room_id, fps, words)), instead=room_id
            )

    def words_compared(self, room_id: bytes, fps: Sequence[bytes], page: Page, same: bool) -> None:
        """Keep that words were compared with these people."""
        self._jobs.put(lambda: self._rooms.know(room_id, lambda people: people.compared(fps, page, same)))

    def settle_key(self, room_id: bytes, fp: bytes) -> None:
        """Keep that the other key of a known name is right."""
        self._jobs.put(lambda: self._rooms.know(room_id, lambda people: people.settle(fp)))

    def say(self, room_id: bytes, text: str, answers: bytes = b"", listed: frozenset[bytes] | None = None) -> None:
        """Say something to those who are listed; raises TextError or StateError at once."""
        self._client.say(room_id, text, answers, listed)

    def take_back(self, room_id: bytes, mid: bytes) -> None:
        """Take back one's own message from those to whom it hasn't gone."""
        self._client.take_back(room_id, mid)

    def let_in(self, room_id: bytes, fp: bytes) -> None:
        """Let a knocker in."""
        self._client.let_in(room_id, fp)

    def turn_away(self, room_id: bytes, fp: bytes) -> None:
        """Turn a knocker away."""
        self._client.turn_away(room_id, fp)

    def ask_sealed_blocks(self, room_id: bytes, mid: bytes) -> None:
        """Ask for the blocks of a message."""
        self._client.ask_sealed_blocks(room_id, mid)

    def ask_report(self, room_id: bytes) -> None:
        """Ask what was counted of the relay."""
        self._client.ask_report(room_id)

    def write_report(self, room_id: bytes, place: str, text: str) -> None:
        """Write a report to a file."""
        self._jobs.put(lambda: self._put(ReportWritten(room_id, report.write(place, text))))

    def keep_steady(self, room_id: bytes, period_s: int) -> None:
        """Set the rhythm of the room."""
        self._client.keep_steady(room_id, period_s)

    def move(self, room_id: bytes, line: str) -> None:
        """Move a room, if the relay of this line lets people in: that is seen on a thread of its own."""
        relay = RelayAddress.parse(line)

        def ask() -> None:
            proxy = None
            try:
                proxy = self._proxies.now()
                failure = doctor.first_trouble(relay, proxy)
            except ProfileError as error:  # nobody can know through which proxy: nothing is dialled
                failure = str(error)
            self._jobs.put(lambda: self._move(room_id, relay, failure, proxy))

        threading.Thread(target=ask, name="parley-look", daemon=True).start()

    def _move(self, room_id: bytes, relay: RelayAddress, failure: str, proxy: Proxy | None) -> None:
        if not failure and self._rooms[room_id] is not None:
            self._client.go_through(proxy)
            self._client.move(room_id, relay)
        self._put(MoveAnswered(room_id, failure))

    def leave(self, room_id: bytes) -> None:
        """Leave a room for good; it leaves the list of recent rooms too."""
        self._jobs.put(lambda: self._rooms.leave(room_id))

    def close_room(self, room_id: bytes) -> None:
        """Give up one's seat and stay a member."""
        self._jobs.put(lambda: self._rooms.close(room_id))


def _as_sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop, whoever wrote it."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
