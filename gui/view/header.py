"""The head of the room page: which room this is, how it stands, and the buttons for people."""

from __future__ import annotations

from collections.abc import Callable

from gui import art, theme
from gui.events import Emit, OpenInvite
from gui.psg import safe_name
from gui.shown import Header, RoomState, Tone
from gui.view.elements import Panel
from gui.view.kit import Kit

ICONS = {
    Tone.PLAIN: "people",
    Tone.GOOD: "shield_check",
    Tone.WARN: "warning",
    Tone.BAD: "warning",
    Tone.ACCENT: "info",
}


class HeaderBar(Panel):
    """Face and title of the room, a line about it, invite and people."""

    def __init__(self, kit: Kit, state: RoomState, emit: Emit, toggle_people: Callable[[], None]):
        self.kit, self.state, self.header, self.width = kit, state, state.header, 0
        self.face = kit.picture()
        self.title = kit.text("", size=theme.HEAD, bold=True, name=True)
        self.line = kit.text("", size=theme.NOTE - 0.5, colour=kit.p.soft, icon="people", pad=(0, (2, 0)))
        self.invite = kit.icon_button("invite", tooltip="Invite somebody (Ctrl+I)", command=lambda: emit(OpenInvite()))
        self.people = kit.icon_button("people", tooltip="Show or hide the people (Ctrl+P)", command=toggle_people)
        super().__init__(
            kit, [[kit.gap(24, 64), self.face, kit.gap(13), kit.panel([[self.title], [self.line]]), kit.push(),
                   self.invite, kit.gap(4), self.people, kit.gap(16)]],
            None, ground="", pad=(0, 0), expand_x=True, expand_y=False, justify="left", align="top",
        )  # fmt: skip

    def attach(self) -> None:
        """Draw the room's face."""
        self.face.set(art.avatar(self.kit.p, self.state.room_id, self.kit.px(40), square=True))

    def tell(self, header: Header) -> None:
        """Say this below the title."""
        self.header = header
        if self.width:
            self.fit(self.width)

    def fit(self, width: int) -> None:
        """Cut title and line to what `width` pixels leave them."""
        kit, self.width = self.kit, width
        room = width - kit.px(24 + 40 + 13 + 36 * 2 + 4 + 16 + 40)
        self.title.update(kit.clip(safe_name(self.state.title), kit.font(theme.HEAD, bold=True), room))
        line = kit.fitting(self.header.text, self.header.brief, kit.font(theme.NOTE - 0.5), room - kit.px(24))
        self.line.update(line, colour=kit.tones[self.header.tone], icon=ICONS[self.header.tone])

    def count_people(self, number: int, narrow: bool, shown: bool) -> None:
        """Say how many there are where they aren't seen beside the log, or that they are."""
        self.people.set_words(str(number) if narrow else "", fit=True)
        self.people.set_kind("outline" if narrow else "chosen" if shown else "plain")
