"""The people of a room: who is here, who is away, who made the room; names that look the same are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from chatcore.events import Presence
from gui import theme
from gui.art import Presence as Dot
from gui.psg import safe_name
from gui.shown import Person
from gui.theme import Palette
from gui.view.kit import Kit, Panel, Push
from gui.view.rows import Row, RowList

WIDTH = 248  # pixels at 96 per inch
DOTS: dict[Presence, Dot] = {
    Presence.SELF: "here",
    Presence.HERE: "here",
    Presence.ARRIVING: "away",
    Presence.AWAY: "away",
}


def short_fingerprint(fp: bytes) -> str:
    """Return what tells two people of one name apart at a glance: the first four hex digits, in pairs."""
    return fp[:2].hex(" ")


def rows_of(people: Sequence[Person], p: Palette) -> list[Row]:
    """Return the rows: Here with oneself first, then Away, each with a heading that counts.

    Two people whose names look the same both carry the start of their fingerprint, whatever else they are called.
    """
    names = Counter(safe_name(person.name).casefold() for person in people)
    here = [person for person in people if DOTS[person.presence] == "here"]
    away = [person for person in people if DOTS[person.presence] != "here"]
    rows: list[Row] = []
    for heading, group in (("Here", here), ("Away", away)):
        if group:
            rows.append(Row(heading, f"{heading} · {len(group)}", heading=True))
        for person in group:
            name, detail = safe_name(person.name), safe_name(person.detail)
            twin = names[name.casefold()] > 1 and short_fingerprint(person.fp) not in name
            if person.is_owner and not detail.endswith("owner"):
                detail += " · owner"
            if person.other_key:
                detail = f"Another key · {detail}"
            mark = ("warning", p.bad) if person.other_key else ("shield_check", p.good) if person.compared else ("", "")
            rows.append(
                Row(
                    person.fp,
                    name,
                    f"{short_fingerprint(person.fp)} · {detail}" if twin else detail,
                    fp=person.fp,
                    presence=DOTS[person.presence],
                    text_colour=p.bad if person.other_key else "",
                    mark=mark,
                )
            )
    return rows


class Roster(Panel):
    """The column of people, with a back arrow where it stands in place of the log.  `act` gets who is chosen."""

    def __init__(self, kit: Kit, back: Push, act: Callable[[Hashable], None]):
        self.title = kit.text("People", size=theme.TEXT, bold=True)
        self.list = RowList(kit, width=WIDTH, avatar=36, act=act)
        self.back = back
        super().__init__(
            kit,
            [
                [kit.gap(14, 62), back, kit.gap(6), self.title],
                [self.list],
            ],
            None,
            ground=kit.p.side,
            pad=(0, 0),
            expand_x=False,
            expand_y=True,
            justify="left",
            align="top",
        )

    def show_people(self, people: Sequence[Person]) -> None:
        """Show these people."""
        self.list.set_rows(rows_of(people, self.kit.p))
