"""Who could read a message: its readers, how far it has come, and on request the sealed blocks."""

from __future__ import annotations

from gui import art, theme
from gui.events import Emit, Sheet, SheetClosed, ShowSealed
from gui.psg import safe_text, sg
from gui.shown import Reader, ReadersState, Tone
from gui.view.fit import FitList, fit
from gui.view.kit import Kit, Rows, ThinBar, show
from gui.view.marks import tick_look
from gui.view.page_window import make_window

WIDTH = 460
LIST_ROWS = 5  # shown before the list scrolls; of the sealed blocks twice as many
LEAST_ROWS = 2  # shown of either on the lowest of screens
ROW, LINE = 52, 26  # pixels: a reader, a line of sealed blocks
LIST = "-LIST-"
SHOW, HIDE = "Show the sealed blocks", "Hide the sealed blocks"


class ReadersSheet:
    """Made anew for another message; told of what changes."""

    def __init__(self, kit: Kit, state: ReadersState, emit: Emit):
        self.kit, self.state, self.emit = kit, state, emit
        self.drawn: tuple[Reader, ...] = ()

    def layout(self) -> Rows:
        """Return the rows of the window."""
        kit, p, quote = self.kit, self.kit.p, self.state.quote
        text = " ".join(safe_text(quote.text[:600]).split())
        clipped = text if len(text) <= 160 else text[:159].rstrip() + "…"
        said = kit.panel(
            [
                [kit.text(quote.name, bold=True, colour=kit.person_colour(quote.fp), name=True), kit.gap(8),
                 kit.text(quote.clock, size=theme.SMALL, colour=p.soft)],
                [kit.text(clipped, size=theme.TEXT, wrap=WIDTH - 52, pad=(0, (4, 0)))],
            ]
        )  # fmt: skip
        mark = kit.panel([[kit.gap(4, 1)]], ground=kit.person_colour(quote.fp), expand_y=True)
        self.heading = kit.text("", size=theme.NOTE, bold=True, colour=p.soft, pad=(0, (22, 8)))
        self.list, self.bar = sg.Canvas(key=LIST, size=(kit.px(WIDTH), 1), pad=(0, 0)), ThinBar(kit)
        self.lock = kit.picture()
        self.note = kit.text("", wrap=WIDTH - 34, colour=p.soft)
        self.fold = kit.button(SHOW, kind="link", icon="chevron_right", command=self._fold)
        self.blocks = sg.Canvas(size=(kit.px(WIDTH - 32), 1), pad=(0, 0), expand_x=True)
        self.blocks_bar = ThinBar(kit)
        self.block_card = kit.card([[self.blocks, self.blocks_bar]], inset=(14, 9), expand_x=True, pad=(0, (6, 0)))
        self.done = kit.button("Done", command=lambda: self.emit(SheetClosed(Sheet.READERS)), height=40, width=110)
        return [
            [
                kit.panel(
                    [
                        [kit.text("Who could read this", size=theme.TITLE, bold=True, pad=(0, (0, 18)))],
                        [kit.card([[mark, kit.gap(11), said]], inset=(12, 12), expand_x=True)],
                        [self.heading],
                        [self.list, self.bar],
                        [kit.rule(pad=(0, (0, 14)))],
                        [self.lock, kit.gap(12), self.note],
                        [self.fold],
                        [self.block_card],
                        [kit.gap(WIDTH, 20)],
                        [kit.push(), self.done],
                    ],
                    pad=(29, (26, 24)),
                )
            ]
        ]

    def attach(self, window: sg.Window) -> None:
        """Bring the sheet to life; Return closes it."""
        self.window = window
        self.fold.Widget.master.pack_configure(pady=self.kit.px(8))
        for canvas, bar in ((self.list.Widget, self.bar), (self.blocks.Widget, self.blocks_bar)):
            p = self.kit.p
            canvas.configure(highlightthickness=1, highlightcolor=p.accent, highlightbackground=canvas.cget("bg"), bd=0)
            bar.attach(canvas)
            for keys, by in (("<Button-4>", -1), ("<Button-5>", 1), ("<Up>", -1), ("<Down>", 1)):
                canvas.bind(keys, lambda event, by=by: event.widget.yview_scroll(by, "units"))
            for keys, by in (("<Prior>", -1), ("<Next>", 1)):
                canvas.bind(keys, lambda event, by=by: event.widget.yview_scroll(by, "pages"))
            for keys, to in (("<Home>", 0.0), ("<End>", 1.0)):
                canvas.bind(keys, lambda event, to=to: event.widget.yview_moveto(to))
            canvas.bind("<MouseWheel>", lambda event: event.widget.yview_scroll(-1 if event.delta > 0 else 1, "units"))
        self.tell(self.state)
        window.TKroot.bind("<Return>", lambda event: self.done.press())
        window.first = self.done.Widget

    def tell(self, state: ReadersState) -> None:
        """Show this state of the same message."""
        self.state = state
        kit, p = self.kit, self.kit.p
        self.heading.update(state.heading)
        if state.readers != self.drawn:
            self.drawn = state.readers
            self._draw_readers()
        colour, icon = (p.good, "lock") if state.note_tone is Tone.GOOD else (p.warn, "warning")
        self.lock.set(art.icon(icon, kit.px(19), colour))
        self.note.update(state.note)
        unfolded = state.sealed is not None
        self.fold.icon = "chevron_down" if unfolded else "chevron_right"
        self.fold.set_words(HIDE if unfolded else SHOW)
        show(self.block_card, unfolded)
        if unfolded:
            self._draw_blocks()
        self._fit()

    def _fit(self) -> None:
        lines = max(len(self.state.sealed or ()), 1)
        lists = [
            FitList(self.blocks, self.blocks_bar, LINE, lines, 2 * LIST_ROWS, LEAST_ROWS),
            FitList(self.list, self.bar, ROW, len(self.drawn), LIST_ROWS, LEAST_ROWS),
        ]
        for one, scrolls in zip(lists, fit(self.kit, self.window, lists), strict=True):
            one.canvas.Widget.configure(takefocus=1 if scrolls else 0)

    def _draw_readers(self) -> None:
        kit, p, canvas = self.kit, self.kit.p, self.list.Widget
        canvas.delete("all")
        canvas.kept = []
        row, width = kit.px(ROW), kit.px(WIDTH - 8)
        for number, reader in enumerate(self.drawn):
            y = number * row + row // 2
            face = kit.avatar(reader.fp, 36, presence="away" if reader.away else "here")
            canvas.create_image(0, y, image=face, anchor="w")
            right = width
            if reader.tick is not None:
                right -= kit.px(28)
                icon, colour = tick_look(kit, reader.tick)
                canvas.create_image(width, y, image=kit.icon(icon, 17, colour), anchor="e")
            font = kit.font(theme.NOTE)
            canvas.create_text(right, y, text=reader.detail, font=font, fill=p.soft, anchor="e")
            room = right - kit.measure(reader.detail, font) - kit.px(48 + 16)
            bold = kit.font(theme.TEXT, bold=True)
            name = kit.line(kit.clip(reader.name, bold, room - (kit.px(24) if reader.compared else 0)))
            canvas.create_text(kit.px(48), y, text=name, font=bold, fill=p.text, anchor="w")
            if reader.compared:
                shield = kit.icon("shield_check", 16, p.good)
                canvas.create_image(kit.px(48 + 8) + kit.measure(name, bold), y, image=shield, anchor="w")
            if number:
                canvas.create_line(kit.px(48), number * row, width, number * row, fill=p.line)
        canvas.configure(scrollregion=(0, 0, 1, len(self.drawn) * row), yscrollincrement=row)

    def _draw_blocks(self) -> None:
        kit, p, canvas = self.kit, self.kit.p, self.blocks.Widget
        canvas.delete("all")
        line, width = kit.px(LINE), kit.px(WIDTH - 42)
        lines = self.state.sealed or ()
        small, mono = kit.font(theme.NOTE), kit.font(theme.SMALL, mono=True)
        for number, sealed in enumerate(lines):
            y = number * line + line // 2
            canvas.create_text(0, y, text=kit.clip(sealed.name, small, kit.px(58)), font=small, fill=p.soft, anchor="w")
            canvas.create_text(width, y, text=sealed.size, font=kit.font(theme.SMALL), fill=p.soft, anchor="e")
            room = width - kit.measure(sealed.size, kit.font(theme.SMALL)) - kit.px(64 + 8)
            canvas.create_text(kit.px(64), y, text=kit.clip(sealed.hex, mono, room), font=mono, fill=p.text, anchor="w")
        if not lines:
            canvas.create_text(0, line // 2, text=self.state.sealed_note, font=small, fill=p.soft, anchor="w")
        canvas.configure(scrollregion=(0, 0, 1, max(len(lines), 1) * line), yscrollincrement=line)
        canvas.yview_moveto(0)

    def _fold(self) -> None:
        self.emit(ShowSealed(self.state.mid, hide=self.state.sealed is not None))


def open_readers(kit: Kit, state: ReadersState, emit: Emit, parent: sg.Window) -> tuple[ReadersSheet, sg.Window]:
    """Make the sheet in a window of its own, over its parent."""
    sheet = ReadersSheet(kit, state, emit)
    window = make_window(kit, "Message — Parley", sheet.layout(), parent=parent)
    sheet.attach(window)
    return sheet, window
