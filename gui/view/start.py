"""The start page: one's name, an invite to paste, or a room to make; below, the rooms visited last."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from functools import partial
from typing import Any

from gui import art, theme
from gui.events import (
    Back,
    BeginCreate,
    BeginImport,
    Emit,
    ForgetRecent,
    InviteEdited,
    Join,
    NameEdited,
    OpenProfile,
    OpenRecent,
    ThemeToggled,
)
from gui.proxy import LINK_DIRECT, LINK_PROXIED, OpenProxy
from gui.proxy import TITLE as PROXY_TITLE
from gui.psg import safe_name, sg
from gui.shown import Check, RoomRow, StartState
from gui.view.choice import Choice
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import Remark, centred, on_text, press_on_return
from gui.view.rooms import mark
from gui.view.scroller import INSET, Scroller

SIZE, LEAST = (600, 812), (480, 420)
INNER = 424  # pixels across what lies in the card
NAME, INVITE, PASSPHRASE, AGAIN = "-NAME-", "-INVITE-", "-PASSPHRASE-", "-AGAIN-"
LEAST_ROWS = 3  # of rooms, some of them hidden
WELCOME, MOTTO = "Welcome to Parley", "Private rooms for friends. No account, no phone number."
ANOTHER, STAYS = "Another room", "You stay in the rooms that are open. The arrow leads back."
ANONYMOUS = "Just this visit: a new identity, and nothing is kept"
PROTECT = "Protect my identity with a passphrase"
NOTHING_TYPED = "Type a passphrase, or take the tick away. Without one your identity isn't protected."
NOT_THE_SAME = "These two passphrases aren't the same. Type it again, for it can't be reset."
IN_THE_CLEAR = "Without one, whoever has this disk reads all and can speak as you."
UNPROTECTED = "Your profile isn't protected: whoever has this disk reads all and can speak as you."
NO_RESET = "Without it nobody can use this identity, you included: it can't be reset. A short one can be guessed."


class StartPage:
    """Implements `gui.pages.StartView`."""

    def __init__(self, kit: Kit, state: StartState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit
        self.shown: Sequence[RoomRow] = ()
        self.busy = False
        self.check = state.invite_check

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        label = partial(kit.text, size=theme.NOTE, bold=True, pad=((3, 0), (0, 7)))
        self.again = kit.button("Paste again", kind="outline", command=self._paste, height=32, size=theme.NOTE)
        self.paste_gap = kit.gap(8)
        self.name = kit.field(NAME, value=self.state.name, placeholder="What the others will see", expand_x=True)
        self.invite = kit.field(
            INVITE,
            value=self.state.invite_text,
            placeholder="Paste the link that you were sent",
            expand_x=True,
            trailing=(kit.gap(1, 32), self.paste_gap, self.again),
        )
        self.name_remark, self.invite_remark = Remark(kit, wrap=INNER - 30), Remark(kit, wrap=INNER - 30)
        self.problem = Remark(kit, wrap=INNER - 30)
        self.join = kit.button("Join room", command=self._join, height=44, size=theme.TEXT, expand_x=True)
        self.create = kit.button(
            "Create a room", kind="outline", command=partial(self._begin, False), height=42, width=204
        )
        self.host = kit.button(
            "Host on this computer", kind="outline", command=partial(self._begin, True), height=42, width=204
        )
        self.anonymous = Choice(kit, ANONYMOUS, value=self.state.anonymous, changed=self._arrange, size=theme.NOTE)
        self.protect = Choice(kit, PROTECT, changed=self._arrange, size=theme.NOTE)
        self.passphrase = kit.field(
            PASSPHRASE, placeholder="Passphrase", password=True, height=42, width=120, expand_x=True, pad=(0, (6, 0))
        )
        self.passphrase_gap = kit.gap(8)
        self.again_field = kit.field(
            AGAIN, placeholder="The same again", password=True, height=42, width=120, expand_x=True, pad=(0, (6, 0))
        )
        self.passphrase_note = kit.text(NO_RESET, size=theme.SMALL, colour=p.soft, wrap=INNER - 8, pad=((2, 0), (6, 0)))
        self.clear_note = kit.text(IN_THE_CLEAR, size=theme.SMALL, colour=p.soft, wrap=INNER - 8, pad=((2, 0), (6, 0)))
        self.logo = kit.panel([[kit.picture(art.logo(kit.px(60), p))], [kit.gap(1, 12)]])
        head, line = (ANOTHER, STAYS) if self.state.back else (WELCOME, MOTTO)
        self.welcome = kit.text(head, size=theme.BIG, bold=True, pad=(0, (0, 3)))
        card = kit.card(
            [
                # In one row: what stands at the edge of a card keeps its distance only as long as it is shown.
                [kit.panel([[self.logo], [self.welcome]], justify="center")],
                [kit.text(line, size=theme.BODY, colour=p.soft)],
                [kit.panel([
                    [kit.gap(1, 18)],
                    [label("Your name")],
                    [self.name],
                    [self.name_remark],
                    [kit.gap(1, 14)],
                    [label("Invite link")],
                    [self.invite],
                    [self.invite_remark],
                    [kit.gap(1, 14)],
                    [self.anonymous],
                    [self.protect],
                    [self.passphrase, self.passphrase_gap, self.again_field],
                    [self.passphrase_note],
                    [self.clear_note],
                    [self.problem],
                    [kit.gap(1, 12)],
                    [self.join],
                    [kit.rule(pad=(0, (18, 18))), kit.text("or", size=theme.SMALL, colour=p.soft, pad=(10, 0)),
                     kit.rule(pad=(0, (18, 18)))],
                    [self.create, kit.push(), self.host],
                    [kit.gap(INNER, 1)],
                ])],
            ],
            fill=p.ground, radius=theme.RADIUS_PAGE, inset=(INSET, 32), justify="center",
        )  # fmt: skip
        self.rooms_title = kit.text("Your rooms", size=theme.NOTE, bold=True, colour=p.soft, pad=(0, (0, 6)))
        self.rows = [_RoomRow(kit, self.emit, self._open) for _ in range(max(LEAST_ROWS, len(self.state.rooms)))]
        rooms = kit.panel([[self.rooms_title], *([row.panel] for row in self.rows)], pad=(5, (16, 0)), ground=p.well,
                          expand_x=True)  # fmt: skip
        self.look = kit.icon_button(
            "eye",
            tooltip="Light look" if p.dark else "Dark look",
            command=lambda: self.emit(ThemeToggled()),
            side=32,
            glyph=18,
        )
        self.about = kit.button(
            "Your profile", kind="link", command=lambda: self._ask(OpenProfile()), size=theme.NOTE, pad=((0, 8), 0)
        )
        self.bring = kit.button(
            "Bring a profile from a copy", kind="link", command=lambda: self._ask(BeginImport()), size=theme.NOTE,
            pad=((0, 8), 0),
        )  # fmt: skip
        self.proxy = kit.button(
            LINK_PROXIED if self.state.proxied else LINK_DIRECT, kind="link", command=lambda: self._ask(OpenProxy()),
            size=theme.NOTE, pad=((0, 8), 0), tooltip=PROXY_TITLE,
        )  # fmt: skip
        page = centred(kit.panel([[card], [rooms], [kit.gap(1, 30)]], ground=p.well), kit=kit)
        self.scroller = Scroller(kit, [page], ground=p.well, card=card)
        self.back = kit.icon_button(
            "back", tooltip=f"Back to {safe_name(self.state.back)} (Esc)", command=lambda: self.emit(Back()), side=36
        )
        links = [self.about, self.bring, self.proxy, self.look]
        return [[kit.gap(10, 40), self.back, kit.push(), *links, kit.gap(10, 40)], [self.scroller]]

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life, and fill it from the state."""
        self.window, state = window, self.state
        for remark in (self.name_remark, self.invite_remark, self.problem):
            remark.tell(Check())
        self.set_name_check(state.name_check)
        self.set_invite_check(state.invite_check)
        self.set_rooms(state.rooms)
        show(self.back, bool(state.back))
        window.TKroot.bind("<Escape>", lambda event: self.emit(Back()))
        self.set_problem(state.problem)
        on_text(window[NAME], lambda text: self.emit(NameEdited(text)))
        on_text(window[INVITE], lambda text: self.emit(InviteEdited(text)))
        for key in (NAME, INVITE, PASSPHRASE, AGAIN):
            press_on_return(window[key].Widget, self.join)
        self._arrange()
        window.TKroot.bind("<Configure>", self._fit, add="+")
        (window[INVITE] if state.name else window[NAME]).Widget.focus_set()

    # -- StartView -----------------------------------------------------------------------------------------------------

    def set_name_check(self, check: Check) -> None:
        """Say what is wrong with the name, or nothing."""
        bad = check.ok is False
        self.name.fail(bad)
        self.name_remark.tell(check if bad else Check())
        if bad:
            self.scroller.see(self.name_remark)

    def set_invite_check(self, check: Check) -> None:
        """Green line, or red border with sentence, cure and "Paste again"; Join is on only when `check.ok`."""
        self.check = check
        bad = check.ok is False
        self.invite.fail(bad)
        self.invite_remark.tell(check)
        show(self.again, bad)
        show(self.paste_gap, bad)
        if bad:
            self.window[INVITE].Widget.xview_moveto(1.0)  # a link is mostly cut off at its end
            self.scroller.see(self.invite_remark)
        self._switch()

    def set_rooms(self, rooms: Sequence[RoomRow]) -> None:
        """Show these rooms."""
        self.shown = rooms
        show(self.rooms_title, bool(rooms))
        for number, row in enumerate(self.rows):
            row.tell(rooms[number] if number < len(rooms) else None)

    def set_busy(self, sentence: str) -> None:
        """Switch the page off and say what it waits for; an empty sentence switches it on."""
        self.busy = bool(sentence)
        self.join.set_words(sentence or "Join room")
        self._switch()

    def set_problem(self, sentence: str) -> None:
        """Say why it didn't work, in red above the button; empty takes it away."""
        self.problem.tell(Check(False, sentence) if sentence else Check())
        if sentence:
            self.scroller.see(self.problem)

    # -- what the person does ------------------------------------------------------------------------------------------

    def _text(self, key: str) -> str:
        return str(self.window[key].get())

    def _choices(self) -> dict[str, Any]:
        passphrase = self._text(PASSPHRASE) if self._protected() else ""
        return {"anonymous": self.anonymous.value, "passphrase": passphrase}

    def _protected(self) -> bool:
        return self.state.first_time and self.protect.value and not self.anonymous.value

    def _is_ready(self) -> bool:
        """Say whether what was asked may be done now; a passphrase is typed twice, for it can't be reset."""
        if self.busy:
            return False
        passphrase = self._text(PASSPHRASE)
        wrong = self._protected() and (not passphrase or passphrase != self._text(AGAIN))
        self.again_field.fail(wrong)
        self.set_problem((NOT_THE_SAME if passphrase else NOTHING_TYPED) if wrong else "")
        if wrong:
            self.window[AGAIN if passphrase else PASSPHRASE].Widget.focus_set()
        return not wrong

    def _join(self) -> None:
        if self._is_ready():
            self.emit(Join(self._text(NAME), self._text(INVITE), **self._choices()))

    def _begin(self, host_here: bool) -> None:
        if self._is_ready():
            self.emit(BeginCreate(self._text(NAME), host_here, **self._choices()))

    def _open(self, room_id: bytes) -> None:
        if not self.busy:
            self.emit(OpenRecent(room_id, self._text(NAME)))

    def _ask(self, event: OpenProfile | BeginImport | OpenProxy) -> None:
        if not self.busy:
            self.emit(event)

    def _paste(self) -> None:
        try:
            text = self.window.TKroot.clipboard_get()
        except tk.TclError:  # empty, or no text
            text = ""
        self.window[INVITE].update(text)
        self.window[INVITE].Widget.focus_set()

    def _arrange(self) -> None:
        offer = self.state.first_time and not self.anonymous.value
        show(self.protect, offer)
        for element in (self.passphrase, self.passphrase_gap, self.again_field):
            show(element, offer and self.protect.value)
        show(self.passphrase_note, offer and self.protect.value)
        unprotected = self.state.unprotected and not self.anonymous.value
        self.clear_note.update(UNPROTECTED if unprotected else IN_THE_CLEAR)
        show(self.clear_note, unprotected or (offer and not self.protect.value))
        show(self.about, self.state.has_profile)
        show(self.bring, self.state.first_time)

    def _fit(self, event: Any) -> None:
        """Leave the picture out where the window is low."""
        if event.widget is self.window.TKroot:
            show(self.logo, event.height >= self.kit.px(760))

    def _switch(self) -> None:
        self.join.set_on(bool(self.check.ok) and not self.busy)
        for button in (self.create, self.host):
            button.set_on(not self.busy)
        for row in self.rows:
            row.open.set_on(not self.busy)


class _RoomRow:
    """One room: its picture and title, what is new there or where it is; shown or opened by a click.

    The cross erases it; one that is open has none.
    """

    def __init__(self, kit: Kit, emit: Emit, act: Any):
        p = kit.p
        self.kit, self.room_id = kit, b""
        self.face = kit.picture()
        self.title = kit.text("", bold=True, name=True)
        self.detail = kit.text("", size=theme.SMALL, colour=p.soft)
        self.when = kit.text("", size=theme.SMALL, colour=p.soft)
        self.open = kit.button("Open", kind="link", command=lambda: act(self.room_id), size=theme.NOTE)
        self.forget = kit.icon_button(
            "close", tooltip="Erase this room from this computer…", side=28, glyph=14,
            command=lambda: emit(ForgetRecent(self.room_id)),
        )  # fmt: skip
        self.no_forget = kit.gap(28, 28)
        words = kit.panel([[self.title], [self.detail]], ground=p.well)
        self.panel = kit.panel(
            [[self.face, kit.gap(13), words, kit.push(), self.when, kit.gap(10), self.open, kit.gap(4), self.forget,
              self.no_forget],
             [kit.gap(1, 8)]],
            ground=p.well, expand_x=True,
        )  # fmt: skip
        self.act = act

    def tell(self, room: RoomRow | None) -> None:
        """Show this room, or nothing."""
        show(self.panel, room is not None)
        if room is None:
            return
        kit = self.kit
        self.room_id = room.room_id
        self.face.set(art.avatar(kit.p, room.room_id, kit.px(36), square=True))
        self.title.update(kit.clip(room.title, kit.font(theme.BODY, bold=True), kit.px(230)))
        detail = kit.clip(safe_name(room.detail), kit.font(theme.SMALL), kit.px(230))
        plain, marked = kit.p.soft, kit.p.accent_text
        colour, icon = mark(kit, room)
        self.detail.update(detail, colour=colour or plain, icon=icon)
        self.when.update(f"{room.unread} new" if room.unread else room.when, colour=marked if room.unread else plain)
        self.open.set_words("Show" if room.is_open else "Open", fit=True)
        show(self.forget, not room.is_open)
        show(self.no_forget, room.is_open)
        for element in (self.face, self.title, self.detail):
            element.Widget.configure(cursor="hand2")
            element.Widget.bind("<ButtonRelease-1>", lambda event: self.open.press())


def open_start(kit: Kit, state: StartState, emit: Emit, **where: Any) -> tuple[StartPage, sg.Window]:
    """Make the page in a window of its own."""
    page = StartPage(kit, state, emit)
    window = make_window(
        kit, "Parley", page.layout(), size=SIZE, least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window
