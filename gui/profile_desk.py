"""Knows the profile of this window: found, opened, guarded, copied, erased.  A shell; called by the backroom's thread.

Beside it stand, in the same directory, what the window looks like, through which proxy relays are reached, and the keys
of this computer's relays.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from chatcore.engines import Engine
from chatcore.errors import ProfileError
from chatcore.lock import Guard
from chatcore.ownfile import NO_PROFILE, erase_directory
from chatcore.profile import Profile, RoomRecord, hold
from chatcore.seal import fingerprint
from gui import look
from gui.news import AppEvent, KeyringAsked, ProfileFound, ProfileKnown, Remembered
from gui.profile_words import CHANGED, COPIED, NO_FILE
from gui.proxy_desk import ProxyDesk

SLOW_S = 0.7  # a keyring that takes longer may be asking the person to unlock it
COPY_NAME = "parley-copy.parley"
RELAY_DIRECTORY = "relay"  # below the profile's: key and certificate of this computer's relays


class ProfileDesk:
    """Says what stands with the profile, by `put`, which queues an event for the window."""

    def __init__(self, directory: Path, engine: Engine, put: Callable[[AppEvent], None], proxies: ProxyDesk) -> None:
        self._directory, self._engine, self._put, self._proxies = directory, engine, put, proxies
        self._profile: Profile | None = None
        self._let_go: Callable[[], None] | None = None  # of the profile's directory
        self._visitor: Profile | None = None  # for one visit, beside the profile or without one
        self._dark: bool | None = None  # the look that was chosen in this run

    def close(self) -> None:
        """Give the profile free."""
        if self._profile is not None:
            self._profile.close()

    def let_go(self) -> None:
        """Give its directory free."""
        if self._let_go is not None:
            self._let_go()
            self._let_go = None

    def look(self) -> None:
        """Open the profile, if there is one that wants no passphrase, and say what there is."""
        if self._profile is None and Profile.exists(self._directory):
            self._hold()
            guard = Profile.guard_at(self._directory)
            if guard is Guard.PASSPHRASE:
                self._put(ProfileFound(locked=True, proxied=self._proxies.on))
                return
            with self._patience(guard):
                self.open(None)
            return
        self.say()

    @contextlib.contextmanager
    def _patience(self, guard: Guard) -> Iterator[None]:
        """Say what is waited for where a keyring takes its time; there is no window before the profile is open."""
        timer = threading.Timer(SLOW_S, lambda: self._put(KeyringAsked()))
        timer.daemon = True
        if guard is Guard.KEYRING:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hold(self) -> None:
        if self._let_go is None:
            self._let_go = hold(self._directory)

    def open(self, passphrase: str | None) -> None:
        """Open the profile.  Raises ProfileError."""
        self._profile = Profile.open(self._directory, passphrase, self._engine)
        self.say()

    def say(self) -> None:
        """Say what there is."""
        profile = self._profile
        if profile is None:
            self._put(ProfileFound(first_time=True, proxied=self._proxies.on))
            return
        own = fingerprint(profile.identity.modulus)
        rooms = tuple(
            Remembered(
                room.invite.room_id,
                room.invite.title,
                room.relay.place,
                room.last_visit_ms,
                room.relay.is_here,
                room.has(own),
            )
            for room in profile.rooms
        )
        self._put(
            ProfileFound(
                profile.nick,
                rooms,
                loss=profile.loss,
                guard=profile.guard,
                proxied=self._proxies.on,
                at_start=profile.at_start,
            )
        )
        profile.loss = None

    def forget(self, room_id: bytes) -> None:
        """Take a room off the profile.  Raises ProfileError."""
        if self._profile is not None:
            self._profile.erase(room_id)
        self.say()

    def who(self, name: str, anonymous: bool, passphrase: str) -> Profile:
        """Return the profile to be used, made if there is none; the name is kept in it."""
        if anonymous:
            if self._visitor is None:
                self._visitor = Profile.anonymous(self._engine, name)
            return self._visitor
        if self._profile is None:
            self._profile = Profile.create(self._directory, name, passphrase or None, self._engine)
            self._hold()
            self.keep_look(self._dark)
        elif self._profile.nick != name:
            self._profile.nick = name
            self._profile.save()
        return self._profile

    def record(self, room_id: bytes) -> RoomRecord | None:
        """Return what the profile knows of a room."""
        return self._profile.record(room_id) if self._profile is not None else None

    def keep_look(self, dark: bool | None) -> None:
        """Keep the look, beside the profile: where there is none, nothing is written before there is."""
        self._dark = dark
        if dark is not None and Profile.exists(self._directory):
            look.keep(self._directory, dark=dark)

    # -- who can open it, copies, the end

    def own(self) -> Profile:
        """Return the profile.  Raises ProfileError if there is none."""
        if self._profile is None:
            raise ProfileError(NO_PROFILE.format(self._directory))
        return self._profile

    def say_known(self, done: str) -> None:
        """Say who can open it, and what was done."""
        own = self.own()
        copy_path = os.path.join(os.path.expanduser("~"), COPY_NAME)
        self._put(ProfileKnown(own.guard, own.keyring_offered, copy_path, done, own.at_start))

    def protect(self, guard: Guard, passphrase: str, current: str) -> None:
        """Have it guarded otherwise.  Raises ProfileError."""
        own, before = self.own(), self.own().guard
        try:
            own.protect(guard, passphrase, current)
        except ProfileError:
            if own.guard is not before:  # it holds, but isn't all that was wanted: the page first, then why
                self.say_known("")
            raise
        self.say_known(CHANGED[guard])

    def open_at_start(self, on: bool) -> None:
        """Keep whether its rooms are opened when the program has begun.  Raises ProfileError."""
        own = self.own()
        own.at_start = on
        own.save()

    def export(self, path: str, passphrase: str) -> None:
        """Write a copy of it.  Raises ProfileError."""
        if not path.strip():
            raise ProfileError(NO_FILE)
        place = Path(os.path.expanduser(path.strip()))
        self.own().export(place, passphrase)
        self.say_known(COPIED.format(place))

    def bring(self, path: str, passphrase: str) -> None:
        """Make a copy the profile.  Raises ProfileError."""
        if not path.strip():
            raise ProfileError(NO_FILE)
        self._profile = Profile.bring(Path(os.path.expanduser(path.strip())), self._directory, passphrase, self._engine)
        self._hold()
        self.keep_look(self._dark)
        self.say()

    def erase(self) -> None:
        """Leave nothing of it, nor of what stands beside it; no room of it is open.  Raises ProfileError."""
        self.own().erase_all()
        self._profile = None
        self._proxies.erase()
        look.keep(self._directory, dark=False)
        erase_directory(self._directory, RELAY_DIRECTORY)
        self.let_go()
        self.say()
