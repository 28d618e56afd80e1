"""How things are said: times, names told apart, counts.  Pure; every sentence of the room page is made here or beside.

Times are shown in the computer's time zone, days and months in English like the rest of the window.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from chatcore.events import Member, Presence
from chatcore.names import looks
from gui.safetext import safe_name

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
MARK_SIZE = 4  # hex digits that tell people of the same name apart
MARK = re.compile(r" \([0-9a-f]{4,64}\)$")
MAX_NAME = 32  # characters of a name that are shown, its mark not counted
LATE_MS = 5 * 60_000  # a message that took longer says when it came
DAY_MS = 86_400_000


def local(at_ms: int) -> datetime:
    """Return a time of this computer's zone; times that no calendar has come out as 1970."""
    try:
        return datetime.fromtimestamp(at_ms / 1000)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0)


def clock(at_ms: int) -> str:
    """Return "12:05"."""
    return f"{local(at_ms):%H:%M}"


def day(at_ms: int) -> str:
    """Return "Friday 20 November"."""
    when = local(at_ms)
    return f"{DAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]}"


def when(at_ms: int, now_ms: int) -> str:
    """Return "12:05" for today, "Tue" within the last six days, "3 November" before, "" for never."""
    if at_ms <= 0:
        return ""
    then, now = local(at_ms), local(now_ms)
    if then.date() == now.date():
        return clock(at_ms)
    if 0 < now_ms - at_ms < 6 * DAY_MS:
        return DAYS[then.weekday()][:3]
    return f"{then.day} {MONTHS[then.month - 1]}" + (f" {then.year}" if then.year != now.year else "")


def moment(at_ms: int, now_ms: int) -> str:
    """Return "12:05" for today, "3 November, 12:05" for this year, and "3 November 2025" before."""
    then, now = local(at_ms), local(now_ms)
    if then.date() == now.date():
        return clock(at_ms)
    date = f"{then.day} {MONTHS[then.month - 1]}"
    return f"{date}, {clock(at_ms)}" if then.year == now.year else f"{date} {then.year}"


def on_day(at_ms: int, now_ms: int) -> str:
    """Return "today at 12:05", "on 3 November", or with another year "on 3 November 2025"."""
    then, now = local(at_ms), local(now_ms)
    if then.date() == now.date():
        return f"today at {clock(at_ms)}"
    return f"on {then.day} {MONTHS[then.month - 1]}" + (f" {then.year}" if then.year != now.year else "")


def message_clock(sent_ms: int, received_ms: int) -> str:
    """Return when a message was written, and when it came if that was much later.

    The time is what its sender's clock says: one that is ahead of ours isn't believed.
    """
    sent = min(sent_ms, received_ms)
    if received_ms - sent <= LATE_MS:
        return clock(sent)
    written = clock(sent) if local(sent).date() == local(received_ms).date() else f"{day(sent)}, {clock(sent)}"
    return f"{written} · came {clock(received_ms)}"


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 message", "2 messages"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """Return "12 s", "2 min"."""
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


def listed(names: Iterable[str]) -> str:
    """Return "Tom", "Tom and Léa", "Tom, Léa and Jonas"; more than four are cut: "Tom, Léa, Jonas and 7 others"."""
    every = list(names)
    if len(every) > 4:
        every = [*every[:3], f"{len(every) - 3} others"]
    return joined(every)


def joined(parts: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def told_apart(nicks: Mapping[bytes, str]) -> dict[bytes, str]:
    """Return a safe name for each fingerprint, no two of which look alike: "Tom (3f2a)" and "Tom (91bc)".

    Everybody who shares a name is marked, whoever came first: the later one may be the real one.
    """
    names = {fp: safe_name(nick, limit=MAX_NAME) for fp, nick in nicks.items()}
    shown = dict(names)
    for size in range(0, 65, MARK_SIZE):
        alike: dict[str, list[bytes]] = {}
        for fp, name in shown.items():
            alike.setdefault(looks(name), []).append(fp)
        twins = [fp for fps in alike.values() if len(fps) > 1 for fp in fps]
        if not twins:
            break
        for fp in twins:
            shown[fp] = f"{names[fp]} ({fp.hex()[: size + MARK_SIZE]})"
    return shown


def presence(member: Member, now_ms: int) -> str:
    """Return the second line of a person."""
    match member.presence:
        case Presence.SELF:
            return "You · owner" if member.is_owner else "You"
        case Presence.HERE:
            return "Here · owner" if member.is_owner else "Here"
        case Presence.ARRIVING:
            return "Arriving…"
        case Presence.AWAY:
            since = when(member.since_ms, now_ms)
            return f"Away since {since}" if since else "Away"


def difference(name: str, theirs: Iterable[str], ours: Iterable[str], *, begins: bool = False) -> str:
    """Return in whom the list of `name` differs from ours: "Bob's list has Carol, yours hasn't"; or nothing.

    `begins`: a sentence begins with it.
    """
    more, fewer = listed(theirs), listed(ours)
    yours = "yours" if more else "Your list" if begins else "your list"
    parts = (
        f"{name}'s list has {more}, yours hasn't" if more else "",
        f"{yours} has {fewer}, {name}'s hasn't" if fewer else "",
    )
    return "; ".join(filter(None, parts))


def became(spared: Iterable[str], gone: Iterable[str], failed: Iterable[str]) -> str:
    """Return what is said under a message that never gets to somebody, or nothing; all are names."""
    kept_from, reached, lost = list(spared), list(gone), list(failed)
    text = ""
    if kept_from:
        text = f"Taken back from {listed(kept_from)} · it has gone to {listed(reached)}" if reached else "Taken back"
    return " · ".join(filter(None, (text, f"Not delivered to {listed(lost)}" if lost else "")))


def delivery(arrived: int, late: Sequence[str], away: Sequence[str], never: int, connected: bool) -> str:
    """Return the line under one's last message.

    `late` are the names of those who may still get it, `away` those of them who aren't here; `never` is how many will
    not get it.
    """
    total = arrived + len(late) + never
    if arrived == total:
        return "Arrived at everyone" if total > 1 else "Arrived"
    if not arrived and not connected:
        return "Waits for the connection"
    if not arrived and len(away) == len(late):
        return f"Waits on this computer: {listed(away)} {'is' if len(away) == 1 else 'are'} away"
    later = away if connected else late  # who is here gets it in a moment
    text = f"Arrived at {arrived} of {total}" if arrived else "On its way"
    return text + (f" · waits on this computer for {listed(later)}" if later else "")
