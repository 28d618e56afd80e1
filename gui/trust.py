"""Whom one knows in a room: marks for those with whom words were compared, warnings about known names, the words page.

Pure but for what it asks of the page and of what lies behind the window; no toolkit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatcore.events import Member, Presence
from chatcore.pins import Compared, Page
from gui import events, sentences, wording
from gui.events import Sheet
from gui.news import OtherKey, PeopleKnown, RoomOpened
from gui.pages import Behind, View
from gui.safetext import safe_name
from gui.shown import Banner, Tone, WordsPerson, WordsState

MAX_LINES = 4  # of warnings that come at once; more are counted in one
COMPUTING = "Working out the words…"

ROOM_TEXT = (
    "Everyone in this room should see the same eight words. Read them out on a call: if somebody has other words, "
    "somebody else may be reading along."
)
PAIR_TEXT = "{0} should see the same eight words. Read them to each other on a call, or when you meet."
ROOM_DIFFER = (
    "Then somebody sees other people in this room than you do. Write nothing that matters, and find out with whom "
    "the words differ: choose people one after the other and compare words with each alone."
)
PAIR_DIFFER = (
    "Then this is not the key of the {0} whom you called, or a mistake in reading. Read once more; if the words "
    "differ again, tell {0} nothing here, and make a new room with a new invite."
)


class Trust:
    """What one room's window knows of its people.  `name_of` gives the names as they are shown."""

    def __init__(
        self, view: View, behind: Behind, opened: RoomOpened, name_of: Callable[[bytes], str], now_ms: Callable[[], int]
    ) -> None:
        self._view, self._behind, self._opened, self._name_of, self._now_ms = view, behind, opened, name_of, now_ms
        self._compared: dict[bytes, Compared] = {}
        self._others: dict[bytes, OtherKey] = {}
        self._said: set[bytes] = set()  # a line was said of them
        self._members: tuple[Member, ...] = ()
        self._fps: frozenset[bytes] = frozenset((opened.own_fp,))
        self._words: dict[frozenset[bytes], tuple[str, ...]] = {}
        self._since = ""  # who came or left last, and when
        self._shown = False
        self._pair = b""  # with whom words are shown; empty for the room's
        self._ticked: set[bytes] = set()
        self._differ = False
        self._result = ""

    # -- what is known -------------------------------------------------------------------------------------------------

    def known(self, news: PeopleKnown) -> list[str]:
        """Take in what the profile knows of the people; returns lines for the log."""
        self._compared, self._others = dict(news.compared), {other.fp: other for other in news.others}
        fresh = [fp for fp in self._others if fp not in self._said]
        self._said.update(fresh)
        self._show()
        if len(fresh) > MAX_LINES:
            return [f"{len(fresh)} people go by names that you know, with keys that you don't. Compare words with them"]
        return [
            f"{other_key_title(name)}: compare words before you tell {name} anything"
            for fp, name in ((fp, self._name_of(fp)) for fp in fresh)
        ]

    def roster(self, members: tuple[Member, ...]) -> None:
        """Take in who belongs to the room; the room's words follow from that, and from nothing else."""
        self._members = members
        fps = frozenset(member.fp for member in members) | {self._opened.own_fp}
        if fps != self._fps:
            self._fps = fps
            self._ticked &= fps
            self._differ, self._result = False, ""
            if self._shown and self._pair and self._pair not in fps:
                self.close()
                self._view.close_sheet(Sheet.WORDS)
            self._ask()
        self._show()

    def came(self, fp: bytes, at_ms: int) -> None:
        """Somebody has become a member."""
        self._since = f"These words are new since {wording.clock(at_ms)}, when {self._name_of(fp)} came."

    def left(self, fp: bytes, at_ms: int) -> None:
        """Somebody is no member any more."""
        self._since = f"These words are new since {wording.clock(at_ms)}, when {self._name_of(fp)} left."

    def take_words(self, fps: frozenset[bytes], words: tuple[str, ...]) -> None:
        """Take in words that were worked out."""
        self._words[fps] = words
        self._show()

    def is_compared(self, fp: bytes) -> bool:
        """Whether words were compared with somebody."""
        return fp in self._compared

    def count_compared(self) -> int:
        """Return with how many of the room's people words were compared."""
        return sum(member.fp in self._compared for member in self._members)

    def is_other_key(self, fp: bytes) -> bool:
        """Whether somebody goes by a known name with another key, and it isn't settled."""
        return fp in self._others

    def warnings(self, present: Iterable[bytes]) -> list[OtherKey]:
        """Return what isn't settled about these people."""
        return [self._others[fp] for fp in present if fp in self._others]

    def warning(self, fp: bytes) -> str:
        """Return what isn't settled about somebody, or nothing."""
        other = self._others.get(fp)
        return other_key_text(other) if other is not None else ""

    def banners(self, members: Iterable[bytes], knockers: Iterable[bytes]) -> list[Banner]:
        """Return a strip for each known name with another key.  It can't be put away, only settled."""
        at_door = set(knockers)
        return [
            Banner(
                f"key {other.fp.hex()}",
                Tone.BAD,
                other_key_title(self._name_of(other.fp)),
                other_key_text(other),
                ("See who it is", events.ShowKnock(other.fp))
                if other.fp in at_door
                else ("Compare words", events.OpenWords(other.fp)),
                second=("I know: a new device", events.SettleKey(other.fp)),
            )
            for other in self.warnings(dict.fromkeys([*members, *at_door]))
        ]

    # -- the words page ------------------------------------------------------------------------------------------------

    def act(self, event: events.TrustAct) -> None:
        """Do what the person asks for on the words page or in a strip."""
        match event:
            case events.OpenWords(fp):
                self._open(fp)
            case events.TickWords(fp):
                self._tick(fp)
            case events.WordsSame():
                self._same()
            case events.WordsDiffer():
                self._other_words()
            case events.SettleKey(fp):
                self._behind.settle_key(self._opened.room_id, fp)

    def close(self) -> None:
        """The page is no longer shown."""
        self._shown = False

    def show_again(self) -> None:
        """Show the page anew if it was shown: the theme has changed."""
        self._show()

    def _open(self, fp: bytes) -> None:
        if fp == self._opened.own_fp:
            fp = b""
        if fp and fp not in self._fps:
            return
        self._shown, self._pair, self._differ, self._result = True, fp, False, ""
        self._ticked = {fp} if fp else set()
        self._ask()
        self._show()

    def _who(self) -> frozenset[bytes]:
        return frozenset((self._opened.own_fp, self._pair)) if self._pair else self._fps

    def _ask(self) -> None:
        if self._shown and len(self._who()) > 1 and self._who() not in self._words:
            self._behind.work_out_room_words(self._opened.room_id, self._who())

    def _tick(self, fp: bytes) -> None:
        if self._differ and not self._pair:
            self._open(fp)
        elif fp in self._fps:
            self._ticked ^= {fp}
            self._result = ""
            self._show()

    def _same(self) -> None:
        if not self._ticked or self._who() not in self._words:
            return
        page = Page.PAIR if self._pair else Page.ROOM
        self._behind.words_compared(self._opened.room_id, tuple(sorted(self._ticked)), page, True)
        self._result = f"Kept: you compared words with {wording.listed(sorted(map(self._name_of, self._ticked)))}."
        self._ticked, self._differ = set(), False
        self._show()

    def _other_words(self) -> None:
        self._differ, self._result = True, ""
        if self._pair:
            self._behind.words_compared(self._opened.room_id, (self._pair,), Page.PAIR, False)
        self._ticked = set()
        self._show()

    def _show(self) -> None:
        if self._shown:
            self._view.show_words(self._state())

    def _state(self) -> WordsState:
        pair = self._name_of(self._pair) if self._pair else ""
        title = sentences.room_title(self._opened.title)
        others = [m for m in self._members if m.presence is not Presence.SELF and (not pair or m.fp == self._pair)]
        alone = len(self._who()) < 2
        if alone:
            text = "Nobody else is in this room yet, so there are no words to compare."
        else:
            text = PAIR_TEXT.format(pair) if pair else ROOM_TEXT
        choosing = self._differ and not pair
        if not others:
            heading = ""
        elif choosing:
            heading = "With whom alone will you compare words?"
        else:
            heading = f"Did {pair} read them with you?" if pair else "Who read them with you?"
        return WordsState(
            f"Words with {pair}" if pair else "Room words",
            title if pair else f"{title} · {wording.count(len(self._fps), 'person', 'people')}",
            self._words.get(self._who(), ()),
            text,
            heading,
            tuple(self._person(m.fp) for m in others),
            computing="" if alone or self._who() in self._words else COMPUTING,
            since="" if pair or alone else self._since,
            advice=(PAIR_DIFFER.format(pair) if pair else ROOM_DIFFER) if self._differ else "",
            result=self._result
            or (f"{wording.count(len(self._ticked), 'person', 'people')} ticked" if self._ticked else ""),
            ready=bool(self._ticked) and self._who() in self._words,
            choosing=choosing,
            pair=self._pair,
        )

    def _person(self, fp: bytes) -> WordsPerson:
        compared = self._compared.get(fp)
        if fp in self._others:
            detail, tone = "Another key than before", Tone.BAD
        elif compared is not None:
            detail, tone = f"Compared {wording.on_day(compared.at_ms, self._now_ms())}", Tone.GOOD
        else:
            detail, tone = "Not compared yet", Tone.WARN
        return WordsPerson(fp, self._name_of(fp), detail, tone, fp in self._ticked)


def other_key_title(name: str) -> str:
    """Say that a known name has come with another key."""
    return f"{name} has another key than before"


def other_key_text(other: OtherKey) -> str:
    """Say which two keys those are, what it may mean, and what to do."""
    was, now = safe_name(other.known.nick, limit=wording.MAX_NAME), safe_name(other.nick, limit=wording.MAX_NAME)
    size = wording.MARK_SIZE
    while other.known.fp.hex()[:size] == other.fp.hex()[:size]:
        size += wording.MARK_SIZE
    words = "with words compared" if other.known.compared is not None else "with no words compared"
    return (
        f"You know {was} by the key {other.known.fp.hex()[:size]}, {words}. This one has {other.fp.hex()[:size]}: "
        f"a new device, or somebody who took the name. Compare words before you tell {now} anything."
    )
