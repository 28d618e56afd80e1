"""The bar at the foot of the room page: who can read what is written here, and how the connection stands."""

from __future__ import annotations

from gui import theme
from gui.shown import Status, Tone
from gui.view.elements import Panel
from gui.view.kit import Kit


class StatusBar(Panel):
    """Two sentences, which become brief where there isn't the room for both."""

    def __init__(self, kit: Kit):
        p = kit.p
        self.kit, self.width, self.status = kit, 0, Status("", Tone.PLAIN, "", Tone.PLAIN)
        self.privacy = kit.text("", size=theme.SMALL, colour=p.soft, icon="lock")
        self.connection = kit.text("", size=theme.SMALL, colour=p.soft, icon="dot")
        super().__init__(
            kit, [[kit.gap(18, 25), self.privacy, kit.push(), self.connection, kit.gap(18)]], None, ground=p.well,
            pad=(0, 0), expand_x=True, expand_y=False, justify="left", align="top",
        )  # fmt: skip

    def tell(self, status: Status) -> None:
        """Say this."""
        p = self.kit.p
        for words, text, tone, icons in (
            (self.privacy, status.privacy, status.privacy_tone, {Tone.PLAIN: "lock", Tone.GOOD: "lock"}),
            (self.connection, status.connection, status.connection_tone,
             {Tone.PLAIN: "clock", Tone.GOOD: "dot", Tone.WARN: "offline", Tone.BAD: "offline"}),
        ):  # fmt: skip
            loud = tone in (Tone.WARN, Tone.BAD)
            words.icon_colour = p.soft if words is self.privacy and not loud else self.kit.tones[tone]
            words.update(text, colour=self.kit.tones[tone] if loud else p.soft, icon=icons.get(tone, "warning"))
        self.status = status
        if self.width:
            self.fit(self.width)

    def fit(self, width: int) -> None:
        """Be brief where there isn't the room for both; `width` is the window's, in pixels."""
        self.width, kit, status = width, self.kit, self.status
        font = kit.font(theme.SMALL)
        room = width - kit.px(18 + 22 + 22 + 24)
        least = kit.measure(status.privacy_brief or status.privacy, font)
        connection = kit.fitting(status.connection, status.connection_brief, font, room - least)
        self.connection.update(connection)
        room -= kit.measure(connection, font)
        self.privacy.update(kit.fitting(status.privacy, status.privacy_brief, font, room))
