"""The invite sheet: a code to scan, the link, and what it gives away."""

from __future__ import annotations

from PIL import Image

from gui import art, theme
from gui.events import CopyInvite, Emit
from gui.psg import sg
from gui.shown import InviteState
from gui.view.choice import Choice
from gui.view.kit import Kit, Rows, show
from gui.view.page_window import BARS, make_window

WIDTH = 452
CODE = 290  # pixels of the code, at most
REST = 372  # pixels of all that is above and below it
LINK = "-LINK-"


class InviteSheet:
    """Shows an invite, and copies it."""

    def __init__(self, kit: Kit, state: InviteState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p = self.kit, self.kit.p
        self.title = kit.text("", size=20, bold=True)
        self.note = kit.text("", size=theme.NOTE, colour=p.soft, wrap=WIDTH - 30)
        self.copied = kit.text("", size=theme.NOTE, colour=p.good, icon="tick", wrap=WIDTH - 30, pad=((2, 0), (10, 0)))
        self.code = kit.picture()
        self.small_copy = kit.icon_button("copy", tooltip="Copy link", command=self._copy, side=34, glyph=18)
        self.link = kit.field(
            LINK, value=self.state.text, mono=True, read_only=True, height=48, size=theme.BODY, expand_x=True,
            trailing=(kit.gap(8), self.small_copy),
        )  # fmt: skip
        self.clear = Choice(kit, "Take it off the clipboard after a minute", value=True, size=theme.NOTE)
        self.copy = kit.button("Copy link", command=self._copy, height=42, width=150)
        code_card = kit.card(
            [[kit.push(), self.code, kit.push()]], fill="#ffffff", border=p.line, inset=(8, 3), expand_x=True
        )
        return [
            [
                kit.panel(
                    [
                        [self.title],
                        [kit.text("Send the link over a chat you trust, or let a friend scan it.", colour=p.soft,
                                  pad=(0, (5, 18)))],
                        [code_card],
                        [kit.gap(1, 14)],
                        [self.link],
                        [kit.gap(1, 12)],
                        [kit.picture(art.icon("info", kit.px(17), p.soft)), kit.gap(8), self.note],
                        [self.copied],
                        [kit.gap(WIDTH, 18)],
                        [self.clear, kit.push(), self.copy],
                    ],
                    pad=(29, (26, 26)),
                )
            ]
        ]  # fmt: skip

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life; Return copies."""
        self.window = window
        self.code.set(self._code(self.state.text))
        self.tell(self.state)
        window.TKroot.bind("<Return>", lambda event: self._copy())
        window.first = self.copy.Widget

    def tell(self, state: InviteState) -> None:
        """Show this state."""
        if state.text != self.state.text:
            self.window[LINK].update(state.text)
            self.code.set(self._code(state.text))
        self.state = state
        kit = self.kit
        self.title.update(kit.clip(f"Invite to {state.room_title}", kit.font(20, bold=True), kit.px(WIDTH)))
        self.note.update(state.note)
        self.copied.update(state.copied)
        show(self.copied, bool(state.copied))

    def _code(self, text: str) -> Image.Image:
        """Draw the code, smaller on a low screen, where it would push the button off."""
        px = self.kit.px
        room = self.kit.root.winfo_screenheight() - px(BARS + REST)
        return art.qr(text, max(px(CODE // 2), min(px(CODE), room)))

    def _copy(self) -> None:
        self.emit(CopyInvite(clear=self.clear.value))


def open_invite(kit: Kit, state: InviteState, emit: Emit, parent: sg.Window) -> tuple[InviteSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = InviteSheet(kit, state, emit)
    window = make_window(kit, f"Invite to {state.room_title}", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
