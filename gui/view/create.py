"""The page that makes a room, and the page that opens a locked profile."""

from __future__ import annotations

from typing import Any

from chatcore.invite import Mode
from gui import art, theme
from gui.events import Back, Create, Emit, SkipUnlock, Unlock
from gui.psg import sg
from gui.shown import Check, CreateState
from gui.view.choice import Choice, group
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import make_window
from gui.view.parts import Remark, centred, press_on_return
from gui.view.scroller import INSET, Scroller

SIZE, LEAST = (600, 812), (480, 420)
INNER = 424
TITLE, RELAY, PASSPHRASE = "-TITLE-", "-RELAY-", "-PASSPHRASE-"
HERE_NOTE = (
    "The relay runs inside this window, for as long as it is open, and only programs on this computer can reach it. "
    "For friends elsewhere, use a relay that the internet can reach."
)
LINE_NOTE = (
    "Ask whoever runs the relay for its line: it was printed at the installation, and “parley-relay line” prints it "
    "again. docs/SELF_HOSTING.md says how to run a relay of your own. Whoever runs one can't read what goes over it."
)


class CreatePage:
    """Implements `gui.pages.CreateView`."""

    def __init__(self, kit: Kit, state: CreateState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit
        self.busy = False

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, state = self.kit, self.kit.p, self.state

        def label(text: str, top: float) -> sg.Element:
            return kit.text(text, size=theme.NOTE, bold=True, pad=((3, 0), (top, 7)))

        def note(text: str) -> sg.Element:
            return kit.text(text, size=theme.SMALL, colour=p.soft, wrap=INNER - 31, pad=((31, 0), (0, 4)))

        self.ask = Choice(kit, "They knock, and I let them in", value=state.ask, round_mark=True)
        self.open = Choice(kit, "Whoever has the invite comes in", value=not state.ask, round_mark=True)
        group(self.ask, self.open)
        self.there = Choice(
            kit, "A relay on the internet", value=not state.host_here, round_mark=True, changed=self._arrange
        )
        self.here = Choice(kit, "This computer", value=state.host_here, round_mark=True, changed=self._arrange)
        group(self.there, self.here)
        self.title = kit.field(TITLE, value=state.title, placeholder="Cabin weekend", expand_x=True)
        self.relay = kit.field(
            RELAY, value=state.relay_line, placeholder="parley:relay/…", expand_x=True, height=44, pad=((31, 0), (4, 2))
        )
        self.line_note, self.here_note = note(LINE_NOTE), note(HERE_NOTE)
        self.problem = Remark(kit, wrap=INNER - 30)
        self.go = kit.button("Create room", command=self._create, height=44, size=theme.TEXT, expand_x=True)
        self.back = kit.icon_button("back", tooltip="Back (Esc)", command=lambda: self.emit(Back()), side=36)
        card = kit.card(
            [
                [kit.text("A new room", size=theme.BIG, bold=True)],
                [kit.text("Give it a name that your friends will know.", colour=p.soft, pad=(0, (3, 0)))],
                [label("Name of the room", 18)],
                [self.title],
                [label("Who may come in", 18)],
                [self.ask],
                [note("You see who it is, and compare words before they come in.")],
                [self.open],
                [note("Handy where everybody may bring somebody along.")],
                [label("Which relay carries it", 14)],
                [self.there],
                [self.relay],
                [self.line_note],
                [self.here],
                [self.here_note],
                [self.problem],
                [kit.gap(INNER, 16)],
                [self.go],
            ],
            fill=p.ground, radius=theme.RADIUS_PAGE, inset=(INSET, 32),
        )  # fmt: skip
        self.scroller = Scroller(kit, [centred(card, kit=kit), [kit.gap(1, 44)]], ground=p.well, card=card)
        return [[kit.gap(10, 48), self.back], [self.scroller]]

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life."""
        self.window = window
        self.set_problem(self.state.problem)
        self._arrange()
        for key in (TITLE, RELAY):
            press_on_return(window[key].Widget, self.go)
        window.TKroot.bind("<Escape>", lambda event: self.emit(Back()))
        window[TITLE].Widget.icursor("end")
        window[TITLE].Widget.focus_set()

    def set_busy(self, sentence: str) -> None:
        """Switch the page off and say what it waits for; an empty sentence switches it on."""
        self.busy = bool(sentence)
        self.go.set_words(sentence or "Create room")
        self.go.set_on(not self.busy)
        self.back.set_on(not self.busy)

    def set_problem(self, sentence: str) -> None:
        """Say why it didn't work; empty takes it away."""
        self.problem.tell(Check(False, sentence) if sentence else Check())
        if sentence:
            self.scroller.see(self.problem)

    def _create(self) -> None:
        if not self.busy:
            mode = Mode.ASK if self.ask.value else Mode.OPEN
            line = None if self.here.value else str(self.window[RELAY].get())
            self.emit(Create(str(self.window[TITLE].get()), mode, line))

    def _arrange(self) -> None:
        for element in (self.relay, self.line_note):
            show(element, self.there.value)
        show(self.here_note, self.here.value)


class UnlockPage:
    """Asks for the passphrase of the profile; driven like `CreatePage`."""

    def __init__(self, kit: Kit, name: str, emit: Emit):
        self.kit, self.name, self.emit = kit, name, emit
        self.busy = False

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.field = kit.field(PASSPHRASE, placeholder="Passphrase", password=True, expand_x=True)
        self.problem = Remark(kit, wrap=INNER - 30)
        self.go = kit.button("Open", command=self._open, height=44, size=theme.TEXT, expand_x=True)
        self.skip = kit.button(
            "Go on without it, just this visit", kind="link", command=lambda: self.emit(SkipUnlock()), size=theme.NOTE
        )
        heading = f"Welcome back, {self.name}" if self.name else "Welcome back"
        card = kit.card(
            [
                [kit.picture(art.logo(kit.px(60), p))],
                [kit.text(heading, size=theme.BIG, bold=True, pad=(0, (12, 3)))],
                [kit.text("Your profile is locked. Type its passphrase to open it.", colour=p.soft)],
                [kit.gap(1, 20)],
                [self.field],
                [self.problem],
                [kit.gap(INNER, 16)],
                [self.go],
                [kit.gap(1, 12)],
                [self.skip],
            ],
            fill=p.ground, radius=theme.RADIUS_PAGE, inset=(INSET, 36), justify="center",
        )  # fmt: skip
        self.scroller = Scroller(kit, [centred(card, kit=kit), [kit.gap(1, 24)]], ground=p.well, card=card)
        return [[self.scroller]]

    def attach(self, window: sg.Window) -> None:
        """Bring the page to life."""
        self.window = window
        self.set_problem("")
        press_on_return(window[PASSPHRASE].Widget, self.go)
        window[PASSPHRASE].Widget.focus_set()

    def set_busy(self, sentence: str) -> None:
        """Switch the page off and say what it waits for; an empty sentence switches it on."""
        self.busy = bool(sentence)
        self.go.set_words(sentence or "Open")
        self.go.set_on(not self.busy)
        self.skip.set_on(not self.busy)

    def set_problem(self, sentence: str) -> None:
        """Say why it didn't open, with the passphrase marked so that typing replaces it; empty takes it away."""
        self.problem.tell(Check(False, sentence) if sentence else Check())
        self.field.fail(bool(sentence))
        if sentence:
            self.window[PASSPHRASE].Widget.select_range(0, "end")
            self.window[PASSPHRASE].Widget.focus_set()

    def _open(self) -> None:
        if not self.busy:
            self.emit(Unlock(str(self.window[PASSPHRASE].get())))


def open_create(kit: Kit, state: CreateState, emit: Emit, **where: Any) -> tuple[CreatePage, sg.Window]:
    """Make the page in a window of its own."""
    page = CreatePage(kit, state, emit)
    window = make_window(
        kit, "New room — Parley", page.layout(), size=SIZE, least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window


def open_unlock(kit: Kit, name: str, emit: Emit, **where: Any) -> tuple[UnlockPage, sg.Window]:
    """Make the page in a window of its own."""
    page = UnlockPage(kit, name, emit)
    window = make_window(
        kit, "Parley", page.layout(), size=(600, 620), least=LEAST, ground=kit.p.well, resizable=True, **where
    )
    page.attach(window)
    return page, window
