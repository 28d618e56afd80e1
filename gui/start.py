"""What the start page shows: one's name, an invite, the rooms; and whether name and invite can be used.  No toolkit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chatcore.errors import TextError
from chatcore.names import clean_name
from gui import events, sentences
from gui.checks import check_invite, check_name
from gui.open_rooms import OpenRooms
from gui.pages import StartView, View
from gui.shown import Check, StartState


class Start:
    """The start page, whether it is shown or not."""

    def __init__(self, view: View, rooms: OpenRooms, state: StartState) -> None:
        self._view, self._rooms = view, rooms
        self.state = self._shown = state
        self.page: StartView | None = None  # that was shown last

    def change(self, **changes: Any) -> None:
        """Have it otherwise when it is shown again."""
        self.state = replace(self.state, **changes)

    def show(self) -> StartView:
        """Show it, with the rooms as they are now."""
        self._shown = self._now()
        self.page = self._view.show_start(self._shown)
        return self.page

    def _now(self) -> StartState:
        front = self._rooms.front
        return replace(self.state, rooms=self._rooms.rows(), back=front.title if front is not None else "")

    def list_rooms(self) -> bool:
        """Show what is new in the rooms; say whether anything is."""
        rooms = self._rooms.rows()
        if self.page is None or rooms == self._shown.rooms:
            return False
        self._shown = replace(self._shown, rooms=rooms)
        self.page.set_rooms(rooms)
        return True

    @property
    def has_place(self) -> bool:
        """Whether the page that was shown can take in what is so now; else it is to be shown anew."""
        shown, now = (
            (one.first_time, one.has_profile, one.unprotected, one.proxied, one.back)
            for one in (self._shown, self._now())
        )
        return self.page is not None and shown == now and len(self._rooms.rows()) <= len(self._shown.rooms)

    # -- what is typed there -------------------------------------------------------------------------------------------

    def edited(self, event: events.NameEdited | events.InviteEdited) -> None:
        """Say what is wrong with what is being typed."""
        if self.page is None:
            return
        if isinstance(event, events.NameEdited):
            self.change(name=event.name, name_check=check_name(event.name))
            self.page.set_name_check(self.state.name_check)
        else:
            self.change(invite_text=event.text, invite_check=check_invite(event.text))
            self.page.set_invite_check(self.state.invite_check)

    def check_name(self, text: str) -> str:
        """Return the name as it is used, or nothing after saying what is wrong with it."""
        try:
            return clean_name(text)
        except TextError as refusal:
            self.change(name=text, name_check=Check(False, str(refusal)))
            if self.page is not None:
                self.page.set_name_check(self.state.name_check)
            return ""

    def check_join(self, event: events.Join) -> str:
        """Return the name by which one may join, or nothing after saying what is wrong."""
        check = check_invite(event.invite_text)
        name = self.check_name(event.name)
        if check.ok:
            return name
        if self.page is not None:
            self.page.set_invite_check(check if check.sentence else Check(False, sentences.NO_INVITE))
        return ""
