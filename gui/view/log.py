"""The log of a room: rows in one text widget, which gives selection, copying and wrapping for nothing.

Handles are cheap ones, for thousands of messages: a mark at the start of each row, a named embedded picture for each
tick, one tag for each person.  Only the newest `MAX_SHOWN` messages stay.  A row's name and time stand in tags and
margins that no text of a message can take, so a text can't look like another row.
"""

from __future__ import annotations

import tkinter as tk
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gui import theme
from gui.events import Emit, TakeBack
from gui.links import split_links
from gui.psg import safe_name, safe_text, sg
from gui.shown import DayItem, Delivery, LineItem, LogItem, MessageItem, Note, Quoted, Tick, Tone
from gui.view import marks
from gui.view.kit import Kit, ThinBar
from gui.view.log_hand import NAME, LogHand

MAX_SHOWN = 2000  # messages; Tk's cost of an embedded picture grows with their number
SLACK = 100  # messages above it before the oldest are taken off, so that this is rare
FACES = 6  # small avatars in the delivery line
TAKE_BACK = "Take\N{NO-BREAK SPACE}back"
SIDE, AVATAR, INDENT = 24, 40, 52  # margin; picture; from the margin to the text
TONES = {Tone.PLAIN: "info", Tone.GOOD: "tick", Tone.WARN: "warning", Tone.BAD: "warning", Tone.ACCENT: "invite"}


def count_words(count: int) -> str:
    """Say how many messages came unseen."""
    return "1 new message" if count == 1 else f"{count} new messages"


class RowLog(LogHand, sg.Column):
    """The log as an element; implements `gui.pages.LogView`."""

    def __init__(self, kit: Kit, emit: Emit, key: Any = "-LOG-", copy: Callable[[str], None] | None = None):
        self.kit, self.emit, self._copy = kit, emit, copy
        self._items: dict[str, LogItem] = {}  # by mark, oldest first
        self._order: deque[str] = deque()
        self._messages = self._serial = self._unseen = 0
        self._names: dict[bytes, str] = {}
        self._delivery: Delivery | None = None
        self._chosen = self._rested = ""
        self._pill: Any = None
        self.multiline = sg.Multiline(
            "", key=key, size=(20, 4), write_only=True, disabled=True, no_scrollbar=True, border_width=0, pad=(0, 0),
            font=kit.font(theme.TEXT), expand_x=True, expand_y=True, background_color=kit.p.ground,
            text_color=kit.p.text,
        )  # fmt: skip
        self.bar = ThinBar(kit)
        super().__init__([[self.multiline, self.bar]], pad=(0, 0), expand_x=True, expand_y=True,
                         background_color=kit.p.ground)  # fmt: skip

    # -- LogView -----------------------------------------------------------------------------------------------------

    def extend(self, items: Sequence[LogItem]) -> None:
        """Append rows; one scroll for all of them.  At the bottom it stays there, else a pill counts what is new."""
        if not items:
            return
        stay = self.at_bottom() or any(isinstance(i, MessageItem) and i.own for i in items)
        with self._open() as text:
            for item in items:
                self._serial += 1
                start = text.index("end-1c")
                if isinstance(item, MessageItem):
                    mark = f"m{item.mid.hex()}"
                    self._message(text, item)
                    self._messages += 1
                else:
                    mark = f"l{self._serial}"
                    self._line(text, item)
                text.mark_set(mark, start)
                self._items[mark] = item
                self._order.append(mark)
            if self._messages > MAX_SHOWN + SLACK:
                self._prune(text)
        if stay:
            self.to_bottom()
        else:
            self._unseen += sum(isinstance(i, MessageItem) for i in items)
            self._show_pill()

    def set_tick(self, mid: bytes, tick: Tick) -> None:
        """Change the tick of an own message; one that isn't shown is ignored."""
        mark = f"m{mid.hex()}"
        item = self._items.get(mark)
        if isinstance(item, MessageItem) and item.tick is not None:
            self._items[mark] = replace(item, tick=tick)
            self.text.image_configure(f"t{mid.hex()}", image=marks.tick_mark(self.kit, tick))

    def set_note(self, mid: bytes, note: Note | None) -> None:
        """Say what became of an own message, under it; one that isn't shown is ignored."""
        mark, tag = f"m{mid.hex()}", f"k{mid.hex()}"
        item = self._items.get(mark)
        if not isinstance(item, MessageItem) or item.note == note:
            return
        self._items[mark] = item = replace(item, note=note)
        stay = self.at_bottom()
        with self._open() as text:
            if text.tag_ranges(tag):
                text.delete(f"{tag}.first", f"{tag}.last")
            at = self._end_of(mark)
            if self._delivery is not None and self._delivery.mid == mid and text.tag_ranges("delivery"):
                at = text.index("delivery.first")
            self._insert_note(text, at, item)
        if stay:
            self.to_bottom()

    def set_delivery(self, delivery: Delivery | None) -> None:
        """Put the delivery line under that message, and take it away from the one that had it."""
        if delivery == self._delivery:
            return
        stay = self.at_bottom()
        with self._open() as text:
            old = text.tag_ranges("delivery")
            if old:
                text.delete(old[0], old[-1])
            self._delivery = delivery
            if delivery is not None and f"m{delivery.mid.hex()}" in self._items:
                self._insert_delivery(text, delivery)
        if stay:
            self.to_bottom()

    def rename(self, fp: bytes, name: str) -> None:
        """Show another name for somebody, in rows already shown too."""
        if self._names.get(fp) == name:
            return
        self._names[fp] = name
        with self._open() as text:
            for tag, line in ((f"n{fp.hex()}", ("head",)), (f"a{fp.hex()}", ("quote",))):
                ranges = [str(index) for index in text.tag_ranges(tag)]
                for start, end in reversed(list(zip(ranges[::2], ranges[1::2], strict=True))):
                    text.delete(start, end)
                    text.insert(start, self._name(name), (*line, tag))

    # -- what the page uses ------------------------------------------------------------------------------------------

    def at_bottom(self) -> bool:
        """Say whether the last line is in view."""
        return self.text.dlineinfo("end-1c") is not None

    def to_bottom(self) -> None:
        """Scroll to the newest row."""
        self.text.yview_moveto(1.0)
        self.text.see("end-1c")
        self._seen()

    def shown_text(self) -> str:
        """Return all that is shown, as text."""
        return self.text.get("1.0", "end-1c")

    def dress(self, ground: str) -> None:
        """Prepare the widget: tags, keys, the pill, the bar."""
        if self._pill is not None:
            return
        kit, p, text = self.kit, self.kit.p, self.text
        self.bar.dress(ground)
        self.bar.attach(text)
        text.configure(yscrollcommand=self._scrolled, padx=0, pady=0, spacing2=kit.px(3), cursor="arrow", bg=ground,
                       bd=0, highlightthickness=0, takefocus=1, insertwidth=0, inactiveselectbackground=p.tint_hover,
                       selectbackground=p.tint_hover, selectforeground=p.text)  # fmt: skip
        self._make_tags()
        # Tk's own pictures may differ in size from the kit's; the halves of an avatar meet between two lines.
        self.half = max(kit.px(AVATAR) // 2, kit.line_height(kit.font(theme.TEXT, bold=True)))
        self._pill = tk.Label(text, bd=0, padx=0, pady=0, highlightthickness=0, cursor="hand2", compound="center",
                              bg=ground, fg=p.on_accent, font=kit.font(theme.NOTE, bold=True))  # fmt: skip
        self._pill.bind("<Button-1>", lambda event: self.to_bottom())
        keys = {
            "<Configure>": self._resized, "<Button-1>": self._focus, "<Button-3>": self._menu_at, "<Up>": self._up,
            "<Down>": self._down, "<End>": lambda event: self.to_bottom(), "<Return>": self._menu_key,
            "<Shift-F10>": self._menu_key, "<Delete>": self._take_back, "<Control-c>": self._copy_key,
            "<Escape>": self._unchoose,
            "<FocusOut>": self._rest, "<FocusIn>": self._resume, "<<TraverseIn>>": self._arrive,
            "<Tab>": self._tab, "<Shift-Tab>": self._back_tab,
        }  # fmt: skip
        if kit.system == "aqua":
            keys |= {"<Button-2>": self._menu_at, "<Command-c>": self._copy_key}
        elif kit.system == "x11":
            keys |= {"<Menu>": self._menu_key, "<ISO_Left_Tab>": self._back_tab}
        for name, act in keys.items():
            text.bind(name, act)
        for tag, act in (("<Enter>", "hand2"), ("<Leave>", "arrow")):
            text.tag_bind("quote", tag, lambda event, act=act: text.configure(cursor=act))
        text.tag_bind("quote", "<ButtonRelease-1>", self._quote_clicked)
        for tag in ("link", "take back"):
            text.tag_bind(tag, "<Enter>", lambda event: text.configure(cursor="hand2"))
            text.tag_bind(tag, "<Leave>", lambda event: text.configure(cursor="arrow"))
        text.tag_bind("take back", "<ButtonRelease-1>", self._take_back_last)
        text.tag_bind("link", "<ButtonRelease-1>", self._link)

    def _make_tags(self) -> None:
        kit, p, text, px = self.kit, self.kit.p, self.text, self.kit.px
        left, indent, small = px(SIDE), px(SIDE + INDENT), kit.font(theme.SMALL)
        text.tag_configure("head", lmargin1=left, lmargin2=indent, rmargin=left, spacing1=px(14), spacing2=0)
        text.tag_configure("time", font=small, foreground=p.soft)
        text.tag_configure("first", lmargin1=left, lmargin2=indent, rmargin=left)
        text.tag_configure("body", lmargin1=indent, lmargin2=indent, rmargin=left, spacing1=px(3))
        text.tag_configure("next", lmargin1=indent, lmargin2=indent, rmargin=left, spacing1=px(6))
        text.tag_configure("delivery", lmargin1=indent, lmargin2=indent, rmargin=left, font=small, foreground=p.soft,
                           spacing1=px(4))  # fmt: skip
        text.tag_configure("day", justify="center", font=kit.font(theme.SMALL, bold=True), foreground=p.soft,
                           spacing1=px(20), spacing3=px(2))  # fmt: skip
        text.tag_configure("chosen", background=p.hover)
        for tone, colour in kit.tones.items():
            text.tag_configure(f"line-{tone.value}", justify="center", font=kit.font(theme.SMALL), foreground=colour,
                               spacing1=px(14), spacing3=px(2), lmargin1=left, lmargin2=left, rmargin=left)  # fmt: skip
        for tone, colour in kit.tones.items():
            text.tag_configure(f"note-{tone.value}", lmargin1=indent, lmargin2=indent, rmargin=left, font=small,
                               foreground=colour, spacing1=px(4))  # fmt: skip
        text.tag_configure("quote", font=kit.font(theme.NOTE), foreground=p.soft)
        text.tag_configure("link", foreground=p.accent_text, underline=True)
        text.tag_configure("take back", foreground=p.accent_text, font=kit.font(theme.SMALL, bold=True))
        text.tag_configure("tail", font=kit.font(8))
        text.tag_raise("sel")

    # -- rows --------------------------------------------------------------------------------------------------------

    def _message(self, text: tk.Text, item: MessageItem) -> None:
        width = text.winfo_width() - self.kit.px(2 * SIDE + INDENT + 24)
        body = self.kit.lines(safe_text(item.text), self.kit.font(theme.TEXT), max(width, self.kit.px(280)))
        if item.group:
            tags = ("next", "body")
        else:
            self._head(text, item)
            tags = ("first", "body")
        if item.quote is not None:
            self._quote(text, item.quote, tags[0])
            tags = ("body", "body")
        parts: list[Any] = []
        first, feed, rest = body.partition("\n")
        for chunk, tag in ((first, tags[0]), (feed + rest, tags[1])):
            for piece, is_link in split_links(chunk):
                # A link whose letters were put in another order to be drawn isn't the link any more: no click.
                whole = is_link and self.kit.line(piece) == piece
                parts += [piece, (tag, "link") if whole else (tag,)]
        if parts:
            text.insert("end-1c", *parts)
        if item.tick is not None:
            text.insert("end-1c", " ", ("body",))
            name, at = f"t{item.mid.hex()}", text.index("end-1c")
            text.image_create(at, name=name, image=marks.tick_mark(self.kit, item.tick), align="center")
            text.tag_add("body", at)  # on a line of its own, too, it stands below the text
        text.insert("end-1c", "\n", ("body",))
        self._insert_note(text, "end-1c", item)

    def _quote(self, text: tk.Text, quoted: Quoted, tag: str) -> None:
        """Insert the line above a reply: a bar, whose message it answers, and how that begins."""
        kit, whose = self.kit, f"a{quoted.fp.hex()}"
        small, colour = kit.font(theme.NOTE), kit.person_colour(quoted.fp)
        text.tag_configure(whose, foreground=colour, font=kit.font(theme.NOTE, bold=True))
        start = text.index("end-1c")
        text.image_create("end-1c", image=marks.bar(kit, colour), align="center")
        name = self._name(self._names.get(quoted.fp, quoted.name))
        room = text.winfo_width() - kit.px(2 * SIDE + INDENT + 40) - kit.measure(name, kit.font(theme.NOTE, bold=True))
        said = kit.line(kit.clip(safe_text(quoted.text[:600]), small, max(room, kit.px(120))))
        text.insert("end-1c", name, (tag, "quote", whose), f"  {said}\n", (tag, "quote"))
        text.tag_add(tag, start)
        text.tag_add("quote", start)

    def _insert_note(self, text: tk.Text, at: str, item: MessageItem) -> None:
        if item.note is not None:
            tags = (f"note-{item.note.tone.value}", f"k{item.mid.hex()}")
            text.insert(at, self.kit.line(safe_name(item.note.text, limit=300)) + "\n", tags)

    def _head(self, text: tk.Text, item: MessageItem) -> None:
        tag = f"n{item.fp.hex()}"
        colour = self.kit.person_colour(item.fp)
        text.tag_configure(tag, foreground=colour, font=self.kit.font(theme.TEXT, bold=True))
        start = text.index("end-1c")
        text.image_create("end-1c", image=self._half(item.fp, 0), align="bottom")
        text.tag_add("head", start)
        name = self._name(self._names.get(item.fp, item.name))
        text.insert("end-1c", name, ("head", tag), "  " + safe_name(item.clock), ("head", "time"), "\n", ("head",))
        start = text.index("end-1c")
        text.image_create("end-1c", image=self._half(item.fp, 1), align="top")
        text.tag_add("first", start)

    def _half(self, fp: bytes, which: int) -> tk.PhotoImage:
        return marks.half_face(self.kit, fp, which, self.kit.px(AVATAR), self.half, self.kit.px(INDENT))

    def _name(self, name: str) -> str:
        """Return a name as it stands beside the upper half of an avatar, on one line in the narrowest of windows."""
        font = self.kit.font(theme.TEXT, bold=True)
        return self.kit.line(self.kit.clip(safe_name(name), font, self.kit.px(NAME)))

    def _line(self, text: tk.Text, item: LineItem | DayItem) -> None:
        if isinstance(item, DayItem):
            text.insert("end-1c", safe_name(item.text) + "\n", ("day",))
            return
        tag = f"line-{item.tone.value}"
        start = text.index("end-1c")
        colour = str(text.tag_cget(tag, "foreground"))
        text.image_create("end-1c", image=self.kit.icon(TONES[item.tone], 15, colour, space=6), align="center")
        text.tag_add(tag, start)
        clock = f"  {item.clock}" if item.clock else ""
        text.insert("end-1c", self.kit.line(safe_name(item.text, limit=300)), (tag,), clock + "\n", (tag,))

    def _insert_delivery(self, text: tk.Text, delivery: Delivery) -> None:
        at = text.index(f"{self._end_of('m' + delivery.mid.hex())}")
        start = at
        if delivery.arrived:
            text.image_create(at, image=marks.faces(self.kit, delivery.arrived[:FACES]), align="center")
            text.tag_add("delivery", at)
            at = text.index(f"{at}+1c")
        said = self.kit.line(safe_name(delivery.text, limit=300))
        offer = (" · ", ("delivery",), TAKE_BACK, ("delivery", "take back")) if delivery.may_take_back else ()
        text.insert(at, said, ("delivery",), *offer, "\n", ("delivery",))
        text.tag_add("delivery", start)

    def _take_back_last(self, event: Any) -> None:
        if self._delivery is not None:
            self.emit(TakeBack(self._delivery.mid))

    def _end_of(self, mark: str) -> str:
        """Return the index behind the last character of a row: the start of the next, or the end."""
        name = self.text.mark_next(mark)
        while name is not None and (name == mark or name not in self._items):
            name = self.text.mark_next(name)
        return self.text.index(name) if name else self.text.index("end-1c")

    def _prune(self, text: tk.Text) -> None:
        """Take the oldest rows off, up to the start of a group, so that no message loses its name."""
        spare = 200  # of one group in a row: then its first message goes without
        while self._order and (self._messages > MAX_SHOWN or (spare and self._in_group(self._order[0]))):
            if self._messages <= MAX_SHOWN:
                spare -= 1
            mark = self._order.popleft()
            self._messages -= isinstance(self._items.pop(mark), MessageItem)
            text.mark_unset(mark)
            text.tag_delete(f"k{mark[1:]}")
        text.delete("1.0", self._order[0] if self._order else "end-1c")

    def _in_group(self, mark: str) -> bool:
        item = self._items[mark]
        return isinstance(item, MessageItem) and item.group

    # -- scrolling ---------------------------------------------------------------------------------------------------

    def _open(self) -> _Unlocked:
        return _Unlocked(self.text)

    def _scrolled(self, first: str, last: str) -> None:
        self.bar.set(first, last)
        if self._unseen and self.at_bottom():
            self._seen()

    def _resized(self, event: Any) -> None:
        if not self._unseen and self._was_bottom:
            self.to_bottom()
        self._show_pill()

    @property
    def _was_bottom(self) -> bool:
        return self.bar.span[1] > 0.995

    def _seen(self) -> None:
        self._unseen = 0
        self._show_pill()

    def _show_pill(self) -> None:
        if not self._unseen:
            self._pill.place_forget()
            return
        words = count_words(self._unseen)
        width = self.kit.measure(words, self.kit.font(theme.NOTE, bold=True)) + self.kit.px(36)
        self._pill.configure(text=words, image=self.kit.box(width, self.kit.px(34), 17, self.kit.p.accent))
        self._pill.place(relx=0.5, rely=1.0, y=-self.kit.px(10), anchor="s")


class _Unlocked:
    """Makes the text widget writable for a moment; to a person it is read-only."""

    def __init__(self, text: tk.Text):
        self.text = text

    def __enter__(self) -> tk.Text:
        self.text.configure(state="normal")
        return self.text

    def __exit__(self, *exc: object) -> None:
        self.text.configure(state="disabled")
