"""The mouse and the keyboard in the log: choosing a message, its menu, copying, links."""

from __future__ import annotations

import tkinter as tk
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from gui import theme
from gui.events import Answer, Emit, OpenLink, ShowReaders, TakeBack
from gui.links import LINK, split_links
from gui.psg import safe_text
from gui.shown import LogItem, MessageItem, Tick
from gui.view.menu import popup

if TYPE_CHECKING:
    from gui.view.kit import Kit

MENU_LINKS = 3  # of a message, in its menu
NAME = 240  # pixels of a name; on a second line it would part the halves of the avatar


class LogHand:
    """What `RowLog` does when a person points, types or opens the menu; it keeps the rows."""

    kit: Kit
    emit: Emit
    multiline: Any
    _copy: Callable[[str], None] | None
    _items: dict[str, LogItem]
    _order: deque[str]
    _chosen: str
    _rested: str
    _end_of: Callable[[str], str]

    @property
    def text(self) -> tk.Text:
        """The Tk widget."""
        return self.multiline.Widget

    def chosen(self) -> MessageItem | None:
        """Return the message that the keyboard has chosen, or the newest one."""
        for mark in (self._chosen, *reversed(self._order)):
            item = self._items.get(mark)
            if isinstance(item, MessageItem):
                return item
        return None

    def message_at(self, index: str) -> MessageItem | None:
        """Return the message whose row holds a text index, if one does."""
        text = self.text
        name = text.mark_previous(f"{index}+1c")
        while name is not None and name not in self._items:
            name = text.mark_previous(name)
        item = self._items.get(name or "")
        return item if isinstance(item, MessageItem) else None

    def menu_for(self, item: MessageItem | None) -> list[tuple[str, Callable[[], None]]]:
        """Return the entries of the menu of a message: what they say, and what they do."""
        entries: list[tuple[str, Callable[[], None]]] = []
        if self.text.tag_ranges("sel"):
            entries.append(("Copy selection", lambda: self._to_clipboard(self.text.get("sel.first", "sel.last"))))
        if item is not None:
            entries.append(("Copy message", lambda: self._to_clipboard(safe_text(item.text, wide=True, whole=True))))
            entries.append(("Reply", lambda: self.emit(Answer(item.mid))))
            if item.quote is not None and f"m{item.quote.mid.hex()}" in self._items:
                entries.append(("Go to what this answers", partial(self.go_to, item.quote.mid)))
            entries.append(("Who could read this", lambda: self.emit(ShowReaders(item.mid))))
            if item.tick in (Tick.WAITING, Tick.SOME):
                entries.append(("Take back", lambda: self.emit(TakeBack(item.mid))))
            links = [piece for piece, is_link in split_links(item.text) if is_link and LINK.fullmatch(piece)]
            for link in dict.fromkeys(links[:MENU_LINKS]):  # without a mouse there is no other way to them
                shown = self.kit.clip(link, self.kit.font(theme.NOTE), self.kit.px(NAME))
                entries.append((f"Open {shown}", partial(self.emit, OpenLink(link))))
        return entries

    def _focus(self, event: Any) -> None:
        self.text.focus_set()
        self._unchoose()

    def _menu_at(self, event: Any) -> str:
        item = self.message_at(self.text.index(f"@{event.x},{event.y}"))
        self._choose(f"m{item.mid.hex()}" if item else "")
        self._popup(item, event.x_root, event.y_root)
        return "break"

    def _menu_key(self, event: Any) -> str:
        item = self.chosen()
        box = self.text.bbox(f"m{item.mid.hex()}") if item else None
        x, y = (box[0], box[1]) if box else (0, 0)
        self._popup(item, self.text.winfo_rootx() + x, self.text.winfo_rooty() + y)
        return "break"

    def _popup(self, item: MessageItem | None, x: int, y: int) -> None:
        entries = self.menu_for(item)
        if entries:
            popup(self.kit, self.text, entries, x, y)

    def _copy_key(self, event: Any) -> str:
        entries = self.menu_for(self.chosen() if self._chosen else None)
        if entries:
            entries[0][1]()
        return "break"

    def _take_back(self, event: Any) -> str:
        item = self._items.get(self._chosen)
        if isinstance(item, MessageItem) and item.tick in (Tick.WAITING, Tick.SOME):
            self.emit(TakeBack(item.mid))
        return "break"

    def _to_clipboard(self, text: str) -> None:
        if self._copy is not None:
            self._copy(text)
            return
        self.text.clipboard_clear()
        self.text.clipboard_append(text)

    def go_to(self, mid: bytes) -> None:
        """Show and choose a message; one that isn't in the log is nowhere to go."""
        if f"m{mid.hex()}" in self._items:
            self.text.focus_set()
            self._choose(f"m{mid.hex()}")

    def _quote_clicked(self, event: Any) -> None:
        item = self.message_at(self.text.index(f"@{event.x},{event.y}"))
        if item is not None and item.quote is not None and not self.text.tag_ranges("sel"):
            self.go_to(item.quote.mid)

    def _link(self, event: Any) -> None:
        if self.text.tag_ranges("sel"):
            return  # the end of a selection, not a click
        at = self.text.index(f"@{event.x},{event.y}")
        found = self.text.tag_prevrange("link", f"{at}+1c")
        if found:
            url = self.text.get(*found)
            if LINK.fullmatch(url):
                self.emit(OpenLink(url))

    def _up(self, event: Any) -> str:
        return self._step(-1)

    def _down(self, event: Any) -> str:
        return self._step(1)

    def _step(self, by: int) -> str:
        marks = [m for m in self._order if m.startswith("m")]
        if marks:
            at = marks.index(self._chosen) + by if self._chosen in marks else len(marks) - 1
            self._choose(marks[min(max(at, 0), len(marks) - 1)])
        return "break"

    def _choose(self, mark: str) -> None:
        self._unchoose()
        if mark in self._items:
            self._rested = mark
            self._resume()
            self.text.see(mark)

    def _arrive(self, event: Any) -> None:
        """Choose the newest message in view, so that it is seen where the keyboard has come to by Tab."""
        low = self.text.index(f"@0,{self.text.winfo_height()}")
        seen = (mark for mark in reversed(self._order) if mark.startswith("m") and self.text.compare(mark, "<=", low))
        self._rested = self._chosen or self._rested or next(seen, "")
        self._resume()

    def _rest(self, event: Any) -> None:
        rested = self._chosen
        self._unchoose()
        self._rested = rested

    def _resume(self, event: Any = None) -> None:
        """Show again what was chosen when the keyboard went, without scrolling there."""
        mark, self._rested = self._rested, ""
        if mark in self._items and not self._chosen:
            self._chosen = mark
            self.text.tag_add("chosen", mark, self._end_of(mark))

    def _unchoose(self, event: Any = None) -> None:
        self._chosen = self._rested = ""
        self.text.tag_remove("chosen", "1.0", "end")

    def _tab(self, event: Any) -> str:
        event.widget.tk_focusNext().focus_set()
        return "break"

    def _back_tab(self, event: Any) -> str:
        event.widget.tk_focusPrev().focus_set()
        return "break"
