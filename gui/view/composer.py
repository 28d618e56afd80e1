"""The field in which one writes: one line to six, Return sends, the text stays until the core has taken it."""

from __future__ import annotations

import tkinter as tk
from typing import Any

from gui import theme
from gui.events import Emit, Send
from gui.psg import safe_text, sg, wide_glyphs_are_safe
from gui.shown import Composer
from gui.view.boxes import Card
from gui.view.dressing import has_focus
from gui.view.elements import Panel
from gui.view.kit import Kit

MAX_LINES = 6
KEY = "-COMPOSER-"


class ComposerBox(Panel):
    """The composer with the line under it."""

    def __init__(self, kit: Kit, emit: Emit):
        self.kit, self.emit = kit, emit
        self.state = Composer(True, "", "")
        self._pending: str | None = None  # sent, and not yet taken or refused
        self._refused = ""
        self._hint: Any = None
        p = kit.p
        self.multiline = sg.Multiline(
            "", key=KEY, size=(10, 1), write_only=True, no_scrollbar=True, border_width=0, pad=(0, 0), expand_x=True,
            font=kit.font(theme.TEXT), background_color=p.field, text_color=p.text,
        )  # fmt: skip
        self.send = kit.icon_button("send", tooltip="Send (Enter)", kind="main", command=self.submit, glyph=18)
        self.card = Card(
            kit, [[kit.gap(4), self.multiline, kit.gap(12), self.send]], fill=p.field, border=p.edge,
            radius=theme.RADIUS_CARD, inset=(12, 10), expand_x=True,
        )  # fmt: skip
        self.note = kit.text("", size=theme.SMALL, colour=p.soft)
        super().__init__(
            kit, [[self.card], [kit.gap(6, 22), self.note]], None, ground="", pad=(20, (8, 6)), expand_x=True,
            expand_y=False, justify="left", align="top",
        )  # fmt: skip

    @property
    def text(self) -> tk.Text:
        """The Tk widget."""
        return self.multiline.Widget

    def dress(self, ground: str) -> None:
        """Prepare the widget: keys, placeholder."""
        if self._hint is not None:
            return
        kit, p, text = self.kit, self.kit.p, self.text
        text.configure(undo=True, maxundo=200, autoseparators=True, highlightthickness=0, bd=0, padx=0, pady=kit.px(4),
                       wrap="word", insertbackground=p.text, insertwidth=max(1, kit.px(1.5)), height=1,
                       spacing3=kit.px(3), selectbackground=p.tint_hover, selectforeground=p.text)  # fmt: skip
        self._hint = tk.Label(
            text, bd=0, padx=0, pady=0, fg=p.faint, anchor="w", font=kit.font(theme.TEXT), cursor="xterm"
        )
        self._hint.bind("<Button-1>", lambda event: text.focus_set())
        self.card.back.bind("<Button-1>", lambda event: text.focus_set())
        keys = {
            "<Return>": self._return, "<KP_Enter>": self._return, "<Tab>": self._tab, "<<Paste>>": self._paste,
            "<Control-a>": self._select_all, "<Control-z>": self._undo, "<Control-y>": self._redo,
            "<<SelectAll>>": self._select_all, "<<Undo>>": self._undo, "<<Redo>>": self._redo,
            "<FocusIn>": self._look, "<FocusOut>": self._look, "<<Modified>>": self._modified,
            "<Configure>": self._grow,
        }  # fmt: skip
        for name, act in keys.items():
            text.bind(name, act)
        self.note.Widget.configure(justify="left")
        self.Widget.bind("<Configure>", self._fit_note, add="+")
        self._look()

    # -- what the page uses ------------------------------------------------------------------------------------------

    def set_state(self, state: Composer) -> None:
        """Switch on or off, with the reason in the empty field; what was typed is kept."""
        self.state = state
        self.text.configure(state="normal" if state.enabled else "disabled", takefocus=1 if state.enabled else 0)
        self.send.set_on(state.enabled)
        self._look()

    def draft(self) -> str:
        """Return what stands in the field."""
        return self.text.get("1.0", "end-1c")

    def put(self, text: str) -> None:
        """Fill the field (a draft that was kept)."""
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        self.text.insert("1.0", text)
        self.set_state(self.state)

    def taken(self, text: str) -> None:
        """Clear the field of a text that the core has taken; what was typed behind it stays."""
        if self._pending == text:
            self._pending = None
        if self.draft().startswith(text):
            self.text.configure(state="normal")
            self.text.delete("1.0", f"1.0+{len(text)}c")
            self.text.edit_reset()
            self.set_state(self.state)

    def refused(self, text: str, sentence: str) -> None:
        """Keep the text and say why it wasn't sent, until it is changed."""
        if self._pending == text:
            self._pending = None
        self._refused = sentence
        self._look()

    def submit(self) -> None:
        """Send what stands in the field, once."""
        text = self.draft()
        if self.state.enabled and text.strip() and self._pending is None:
            self._pending = text
            self.emit(Send(text))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _return(self, event: Any) -> str | None:
        if event.state & 0x1:  # Shift
            return None
        self.submit()
        return "break"

    def _modified(self, event: Any) -> None:
        if self.text.edit_modified():
            self.text.edit_modified(False)
            self._refused = ""
            self._look()
            self._grow()

    def _look(self, event: Any = None) -> None:
        p, text = self.kit.p, self.text
        if self._hint is None:
            return
        fill = p.field if self.state.enabled else p.side
        inside = self.state.enabled and has_focus(text)
        border = p.bad if self._refused else p.accent if inside else p.edge
        self.card.paint(fill=fill, border=border)
        text.configure(bg=fill, fg=p.text if self.state.enabled else p.faint)
        self._hint.configure(text=self.kit.line(safe_text(self.state.placeholder)), bg=fill)
        if text.compare("end-1c", "==", "1.0"):
            place = text.bbox("1.0") or (0, self.kit.px(4))
            self._hint.place(x=place[0] + 1, y=place[1], bordermode="outside")
        else:
            self._hint.place_forget()
        if self._refused:
            self.note.update(self._refused, colour=p.bad, icon="warning")
        else:
            self.note.update(self.state.hint, colour=p.soft, icon="")

    def _fit_note(self, event: Any) -> None:
        """Break the line under the field where the field ends."""
        self.note.Widget.configure(wraplength=max(event.width - self.kit.px(44), self.kit.px(120)))

    def _grow(self, event: Any = None) -> None:
        counted = self.text.count("1.0", "end", "displaylines")
        lines = counted[0] if isinstance(counted, tuple) else counted or 1
        lines = min(max(int(lines), 1), MAX_LINES)
        if lines != int(self.text.cget("height")):
            self.text.configure(height=lines)
            self.text.see("insert")

    def _select_all(self, event: Any) -> str:
        self.text.tag_add("sel", "1.0", "end-1c")
        return "break"

    def _paste(self, event: Any) -> str:
        try:
            clip = self.text.clipboard_get()
        except tk.TclError:
            return "break"  # nothing there, or not text
        if self.text.tag_ranges("sel"):
            self.text.delete("sel.first", "sel.last")  # on X11 Tk would keep the selection
        self.text.insert("insert", clip if wide_glyphs_are_safe() else safe_text(clip, whole=True))
        self.text.see("insert")
        return "break"

    def _undo(self, event: Any) -> str:
        return self._edit(self.text.edit_undo)

    def _redo(self, event: Any) -> str:
        return self._edit(self.text.edit_redo)

    def _edit(self, act: Any) -> str:
        try:
            act()
        except tk.TclError:
            self.text.bell()  # nothing left to undo
        return "break"

    def _tab(self, event: Any) -> str:
        event.widget.tk_focusNext().focus_set()
        return "break"
