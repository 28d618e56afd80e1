"""What stands in place of an empty log: one is alone in the room and is shown how to invite."""

from __future__ import annotations

from PIL import Image

from gui import art, theme
from gui.events import CopyInvite, Emit, OpenInvite
from gui.shown import Quiet
from gui.view.elements import Panel
from gui.view.kit import Kit, show

STEPS = 3


class QuietPanel(Panel):
    """The panel, made once and told what to show."""

    def __init__(self, kit: Kit, emit: Emit, own_fp: bytes):
        p = kit.p
        self.kit, self.own_fp, self.quiet, self._drawn = kit, own_fp, Quiet("", "", (), ""), False
        self.title = kit.text("", size=theme.BIG, bold=True)
        self.words = kit.text("", size=theme.TEXT, colour=p.soft, pad=(0, (6, 0)), justify="center", wrap=480)
        self.scene = kit.picture()
        self.code = kit.picture()
        self.invite = kit.button(
            "Invite friends", command=lambda: emit(OpenInvite()), height=52, width=280, size=theme.HEAD
        )
        self.copy = kit.button("Copy link", kind="outline", command=lambda: emit(CopyInvite()), height=44, width=280,
                               size=theme.TEXT, pad=(0, (14, 0)))  # fmt: skip
        self.code_words = kit.text("Or let a friend scan the code.", size=theme.NOTE, colour=p.soft, pad=(0, (16, 0)))
        self.code_gap = kit.gap(33)
        self.code_card = kit.card([[self.code]], fill="#ffffff", border=p.line, inset=(10, 10))
        self.buttons = kit.panel([[kit.panel([[self.invite], [self.copy], [self.code_words]], align="center"),
                                   self.code_gap, self.code_card]], pad=(0, (26, 0)))  # fmt: skip
        self.steps = [
            (
                kit.picture(),
                kit.text("", bold=True, size=theme.NOTE + 0.5),
                kit.text("", size=theme.SMALL + 0.5, colour=p.soft, pad=(0, (2, 0))),
            )
            for _ in range(STEPS)
        ]
        row = []
        for number, (circle, first, second) in enumerate(self.steps):
            row += [circle, kit.gap(12), kit.panel([[first], [second]])] + ([kit.gap(28)] if number < STEPS - 1 else [])
        self.ladder = kit.panel([row], pad=(0, (30, 0)))
        super().__init__(
            kit,
            [[kit.fill()], [self.scene], [self.title], [self.words], [self.buttons], [self.ladder], [kit.fill()]],
            None, ground="", pad=(0, 0), expand_x=True, expand_y=True, justify="center", align="top",
        )  # fmt: skip

    def tell(self, quiet: Quiet) -> None:
        """Show this.  Its pictures are drawn when it is first shown: most rooms that are opened have people in them."""
        if not self._drawn:
            self._drawn = True
            self.scene.set(_scene(self.kit, self.own_fp))
            for number, (circle, _, _) in enumerate(self.steps):
                circle.set(_number(self.kit, number + 1))
        self.quiet = quiet
        self.title.update(quiet.title)
        self.words.update(quiet.text)
        for (_, first, second), step in zip(self.steps, quiet.steps, strict=False):
            first.update(step[0])
            second.update(step[1])
        for number, (circle, first, second) in enumerate(self.steps):
            for element in (circle, first, second):
                show(element, number < len(quiet.steps))
        if quiet.qr:
            self.code.set(art.qr(quiet.qr, self.kit.px(210)))
        show(self.buttons, quiet.can_invite)

    def fit(self, width: int, height: int) -> None:
        """Leave out what has no room in so many pixels: first the picture, then the steps, last the code."""
        px = self.kit.px
        self.words.Widget.configure(wraplength=max(px(200), min(px(480), width - px(48))))
        for element in (self.code_words, self.code_gap, self.code_card):
            show(element, bool(self.quiet.qr))
        self.Widget.configure(width=1, height=1)  # it takes what is left, and is cut off before the composer below is
        self.Widget.pack_propagate(False)
        self.Widget.update_idletasks()
        high = sum(e.Widget.winfo_reqheight() for e in (self.title, self.words, self.buttons)) + px(40)
        if self.buttons.Widget.winfo_reqwidth() > width - px(24) or high > height:
            for element in (self.code_words, self.code_gap, self.code_card):
                show(element, False)
            self.Widget.update_idletasks()
        left = height - sum(e.Widget.winfo_reqheight() for e in (self.title, self.words, self.buttons)) - px(40)
        ladder = self.ladder.Widget
        steps = bool(self.quiet.steps) and ladder.winfo_reqwidth() <= width - px(24)
        steps = steps and ladder.winfo_reqheight() + px(30) <= left
        show(self.ladder, steps)
        if steps:
            left -= ladder.winfo_reqheight() + px(30)
        show(self.scene, self.scene.Widget.winfo_reqheight() <= left)


def _scene(kit: Kit, fp: bytes) -> Image.Image:
    """Return a table with oneself at it, and four empty seats."""
    px, p = kit.px, kit.p
    image = Image.new("RGBA", (px(268), px(136)), p.ground + "00")
    over = 4
    table = Image.new("RGBA", (px(220) * over, px(86) * over), p.tint + "00")
    art.ImageDraw.Draw(table).ellipse((0, 0, table.width - 1, table.height - 1), p.tint)
    image.alpha_composite(table.resize((px(220), px(86)), Image.Resampling.LANCZOS), (px(24), px(42)))
    for x, y, side in ((4, 58, 44), (48, 18, 40), (180, 18, 40), (220, 58, 44)):
        s = px(side)
        image.alpha_composite(art.box(s, s, s // 2, p.ground), (px(x), px(y)))
        image.alpha_composite(art.box(s, s, 0, "", p.accent, max(1, px(1.6)), dashed=True), (px(x), px(y)))
        image.alpha_composite(
            art.icon("plus", px(18), p.accent_text), (px(x) + (s - px(18)) // 2, px(y) + (s - px(18)) // 2)
        )
    image.alpha_composite(art.box(px(72), px(72), px(36), p.ground), (px(98), px(0)))
    image.alpha_composite(kit.face(fp, px(60)), (px(104), px(6)))
    return image


def _number(kit: Kit, number: int) -> Image.Image:
    """Return a step's number in a circle, drawn as strokes: Pillow would need a font of its own."""
    side = kit.px(30)
    image = art.box(side, side, side // 2, kit.p.tint)
    pen = art.Pen(kit.px(18), kit.p.accent_text)
    pen.stroke = 2.6
    if number == 1:
        pen.line((8.6, 7.4), (12.6, 4.6), (12.6, 19.4))
    elif number == 2:
        pen.arc(12, 9, 4.4, 190, 395)
        pen.line((15.6, 11.5), (7.6, 19.2), (17, 19.2))
    else:
        pen.arc(11.6, 8.4, 3.9, 200, 440)
        pen.arc(11.6, 15.6, 4.4, 275, 520)
    image.alpha_composite(pen.done(), ((side - kit.px(18)) // 2,) * 2)
    return image
