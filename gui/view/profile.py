"""The page about one's profile, who can open it, copies of it, its end; and the page that makes a copy the profile."""

from __future__ import annotations

from tkinter import filedialog
from typing import Any

from chatcore.lock import Guard
from gui import art, theme
from gui.events import Emit, EraseProfile, ExportProfile, ImportProfile, OpenAtStart, Protect
from gui.profile_words import ONE_PLACE
from gui.psg import sg
from gui.shown import Check, ProfileState, Tone
from gui.view.choice import Choice
from gui.view.form import INNER, LEAST, SIZE, FormPage
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import Remark, press_on_return

CURRENT, NEW, NEW_AGAIN = "-CURRENT-", "-NEW-", "-NEW AGAIN-"
FILE, COPY, COPY_AGAIN = "-FILE-", "-COPY-", "-COPY AGAIN-"
NOT_THE_SAME = "These two passphrases aren't the same. Type it again, for it can't be reset."
TYPE_ONE = "Type a passphrase first: without one everybody could open it."
COPY_NOTE = "Everything in one file, sealed with a passphrase of its own."
BRING_NOTE = "The file that Parley wrote as a copy of your profile, and the passphrase that you gave it."
AT_START = "Connect to all rooms at start"
AT_START_NOTE = (
    "You are in all your rooms from the start, and the one you looked at last is shown. A relay with several of them "
    "then sees that they are one computer's; without this you choose each room by yourself."
)
ERASE_NOTE = "Your identity, your rooms and all that was said in them leave this disk. It can't be undone."


class ProfilePage(FormPage):
    """Implements `gui.pages.CreateView`."""

    def __init__(self, kit: Kit, state: ProfileState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, state = self.kit, self.state
        kind, icon = ("good", "shield_check") if state.tone is Tone.GOOD else ("warn", "warning")
        self.current = self.secret(CURRENT, "The passphrase that holds now")
        self.new, self.again = self.secret(NEW, "New passphrase"), self.secret(NEW_AGAIN, "The same again")
        self.set = kit.button(
            "Change the passphrase" if state.has_passphrase else "Set a passphrase", command=self._set, height=42,
            expand_x=True,
        )  # fmt: skip
        self.keyring = kit.button(
            "Use the keyring of this system", kind="outline", height=42, expand_x=True, pad=(0, (8, 0)),
            command=lambda: self._protect(Guard.KEYRING),
        )  # fmt: skip
        self.remove = kit.button(
            "Remove the protection", kind="link", size=theme.NOTE, pad=(0, (8, 0)),
            command=lambda: self._protect(Guard.NOBODY),
        )  # fmt: skip
        self.browse = kit.button("Choose…", kind="outline", command=self._browse, height=32, size=theme.NOTE)
        self.file = kit.field(
            FILE, value=state.copy_path, height=42, expand_x=True, pad=(0, (0, 6)), trailing=(kit.gap(8), self.browse)
        )
        self.copy, self.copy_again = self.secret(COPY, "Its passphrase"), self.secret(COPY_AGAIN, "The same again")
        self.save = kit.button("Save a copy", kind="outline", command=self._save, height=42, expand_x=True)
        self.erase = kit.button(
            "Erase everything", kind="danger", command=lambda: self._tell(EraseProfile()), height=42, expand_x=True
        )
        self.at_start = Choice(kit, AT_START, value=state.at_start, changed=self._open_at_start, pad=(0, (0, 6)))
        self.done = Remark(kit, wrap=INNER - 30)
        name = kit.clip(state.name, kit.font(theme.BIG, bold=True), kit.px(INNER))
        return self.frame(
            [
                [kit.text(name or "Your profile", size=theme.BIG, bold=True, name=True, pad=(0, (0, 14)))],
                [kit.notice(state.standing, state.detail, kind=kind, icon=icon, wrap=INNER - 74)],
                [self.done],
                *self.feet(),
                [self.label("Who can open it")],
                [self.current],
                [self.new, kit.gap(8), self.again],
                [self.set],
                [self.keyring],
                [self.remove],
                [self.label("When Parley starts")],
                [self.at_start],
                [self.note(AT_START_NOTE)],
                [self.label("A copy")],
                [self.note(COPY_NOTE)],
                [self.file],
                [self.copy, kit.gap(8), self.copy_again],
                [self.note(ONE_PLACE)],
                [self.save],
                [self.label("The end of it")],
                [self.note(ERASE_NOTE)],
                [self.erase],
                [kit.gap(INNER, 1)],
            ]
        )

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life."""
        self.start(window)
        state = self.state
        self.set_busy("")
        self.done.tell(Check(True, state.done) if state.done else Check())
        show(self.current, state.has_passphrase)
        show(self.keyring, state.may_use_keyring)
        show(self.remove, state.may_remove)
        for key in (CURRENT, NEW, NEW_AGAIN):
            press_on_return(window[key].Widget, self.set)
        for key in (COPY, COPY_AGAIN):
            press_on_return(window[key].Widget, self.save)
        window[FILE].Widget.xview_moveto(1.0)
        window[CURRENT if state.has_passphrase else NEW].Widget.focus_set()

    def set_problem(self, sentence: str) -> None:
        """As in `FormPage`; what was done before is no longer said."""
        self.done.tell(Check())
        super().set_problem(sentence)

    def buttons(self) -> tuple[Any, ...]:
        """Return what can be pressed."""
        return self.set, self.keyring, self.remove, self.browse, self.save, self.erase, self.back

    def _tell(self, event: Any) -> None:
        if not self.busy:
            self.set_problem("")
            self.emit(event)

    def _open_at_start(self) -> None:
        if self.busy:
            self.at_start.set(not self.at_start.value)
        self._tell(OpenAtStart(self.at_start.value))

    def _twice(self, first: str, second: str, again: Any) -> str:
        """Return a passphrase that was typed twice, or nothing after saying what is wrong."""
        one, two = self.text(first), self.text(second)
        wrong = not one or one != two
        again.fail(wrong)
        if wrong and not self.busy:
            self.set_problem(NOT_THE_SAME if one else TYPE_ONE)
            self.window[second if one else first].Widget.focus_set()
        return "" if wrong else one

    def _set(self) -> None:
        passphrase = self._twice(NEW, NEW_AGAIN, self.again)
        if passphrase:
            self._tell(Protect(Guard.PASSPHRASE, passphrase, self.text(CURRENT)))

    def _protect(self, guard: Guard) -> None:
        self._tell(Protect(guard, "", self.text(CURRENT)))

    def _save(self) -> None:
        passphrase = self._twice(COPY, COPY_AGAIN, self.copy_again)
        if passphrase:
            self._tell(ExportProfile(self.text(FILE), passphrase))

    def _browse(self) -> None:
        _ask("asksaveasfilename", self.window, FILE)


class ImportPage(FormPage):
    """Implements `gui.pages.CreateView`."""

    def __init__(self, kit: Kit, emit: Emit):
        self.kit, self.emit = kit, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.browse = kit.button("Choose…", kind="outline", command=self._browse, height=32, size=theme.NOTE)
        self.file = kit.field(
            FILE, placeholder="The file", height=44, expand_x=True, pad=(0, (0, 6)), trailing=(kit.gap(8), self.browse)
        )
        self.copy = self.secret(COPY, "Its passphrase", width=200)
        self.go = kit.button("Make it my profile", command=self._bring, height=44, size=theme.TEXT, expand_x=True)
        return self.frame(
            [
                [kit.picture(art.logo(kit.px(60), p))],
                [kit.text("Bring your profile", size=theme.BIG, bold=True, pad=(0, (12, 10)))],
                [kit.panel([
                    [self.note(BRING_NOTE, 12)],
                    [self.file],
                    [self.copy],
                    [self.note(ONE_PLACE)],
                    *self.feet(),
                    [kit.gap(INNER, 12)],
                    [self.go],
                ])],
            ],
            "center",
        )  # fmt: skip

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life."""
        self.start(window)
        self.set_busy("")
        for key in (FILE, COPY):
            press_on_return(window[key].Widget, self.go)
        window[FILE].Widget.focus_set()

    def buttons(self) -> tuple[Any, ...]:
        """Return what can be pressed."""
        return self.go, self.browse, self.back

    def _bring(self) -> None:
        if not self.busy:
            self.set_problem("")
            self.emit(ImportProfile(self.text(FILE), self.text(COPY)))

    def _browse(self) -> None:
        _ask("askopenfilename", self.window, FILE)


def _ask(dialog: str, window: sg.Window, key: str) -> None:
    """Have the system ask for a file, and put it into a field."""
    chosen = getattr(filedialog, dialog)(parent=window.TKroot)
    if chosen:
        window[key].update(str(chosen))
        window[key].Widget.xview_moveto(1.0)


def open_profile(kit: Kit, state: ProfileState, emit: Emit, **where: Any) -> tuple[ProfilePage, sg.Window]:
    """Make the page in a window of its own."""
    page = ProfilePage(kit, state, emit)
    window = make_window(
        kit, "Your profile — Parley", page.layout(), size=SIZE, least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window


def open_import(kit: Kit, emit: Emit, **where: Any) -> tuple[ImportPage, sg.Window]:
    """Make the page in a window of its own."""
    page = ImportPage(kit, emit)
    window = make_window(
        kit, "Parley", page.layout(), size=SIZE, least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window
