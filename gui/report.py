"""The connection report of a room: what its page shows, and the file to keep.  Pure, but for writing the file.

Numbers and times.  Names stand in it only if the person wants them there; words, keys and invites never do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chatcore.events import ConnectionReport, Counted, Oddity
from gui import wording
from gui.shown import ReportMark, ReportRow, ReportState, Tone

NameOf = Callable[[bytes], str]

FOOT = "The report holds numbers and times: no messages, no keys, no invite."
FOOT_NAMED = "The report holds numbers, times and these names: no messages, no keys, no invite."
NO_WAY_YET = "no answer timed yet"
EXISTS = "There is a file of this name already. Choose another name."
UNWRITABLE = "The report can't be written there ({}). Choose another place."
SAVED = "Saved. On most disks only your account may read the file."

_LABELS = {
    Oddity.MISSING: ("offline", "Missing", "Blocks left out; what was in them is sent again"),
    Oddity.LATE: ("back", "Out of order", "Blocks that came after later ones"),
    Oddity.REPEATED: ("copy", "Doubles refused", "Blocks that came a second time"),
    Oddity.FORGED: ("shield", "Forged refused", "Altered, made up, or meant for somebody else"),
    Oddity.HELD: ("clock", "Held off", "Messages that somebody here didn't get"),
    Oddity.SILENT: ("person", "Silences", "Somebody was said to be here, and nothing came"),
    Oddity.HIDDEN: ("eye", "Hidden", "Somebody spoke who hadn't been announced"),
}


def _span(ms: int) -> str:
    """Return "34 ms", "1.2 s", "41 seconds", "3 minutes", "2 hours"."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    for size, one in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return wording.count(seconds // size, one)
    return wording.count(seconds, "second")


def _stamp(ms: int) -> str:
    return f"{wording.local(ms):%Y-%m-%d %H:%M:%S}"


def report_state(report: ConnectionReport, title: str, place: str, names: bool, said: str, bad: bool) -> ReportState:
    """Say what the page shows; `said` is what became of saving it."""
    total = report.total
    odd = sum(count for _, count in total.odd)
    parts = [
        wording.count(odd, "irregularity", "irregularities") if odd else "nothing out of order",
        wording.count(report.reconnects, "reconnect") if report.reconnects else "",
        f"{wording.count(total.mended, 'message')} sent again" if total.mended else "",
    ]
    since = wording.when(report.since_ms, report.at_ms) or wording.clock(report.since_ms)
    calm = f"Since {since}: {', '.join(filter(None, parts))}"
    rows = [ReportRow(icon, label, text, str(total.of(what))) for what, (icon, label, text) in _LABELS.items()]
    again = f"For want of an answer; {total.mended} of them have arrived"
    there = _slowest("To the relay and back", report.slowest_ms)
    tick = _slowest("From sending to the tick", total.slowest_answer_ms)
    rows += [
        ReportRow("send", "Sent again", again, str(total.resent)),
        ReportRow("link", "Reconnects", _break(report), str(report.reconnects)),
        ReportRow("computer", "Round trip", there, _time(report.round_trip_ms)),
        ReportRow("ticks", "Until confirmed", tick, _time(total.answer_ms)),
    ]
    begin = report.times[0][0] if report.times else report.since_ms
    width = max(1, report.at_ms - begin)
    return ReportState(
        "Connection report",
        f"{title} · since {wording.day(report.since_ms)}, {wording.clock(report.since_ms)}",
        calm,
        Tone.WARN if odd else Tone.GOOD,
        tuple(((at - begin) / width, ms) for at, ms in report.times),
        tuple(
            ReportMark((visit.begun_ms - begin) / width, f"Reconnect · {wording.clock(visit.begun_ms)}")
            for visit in report.visits[1:]
            if visit.begun_ms >= begin
        ),
        (wording.clock(begin), wording.clock(report.at_ms)),
        tuple(rows),
        FOOT_NAMED if names else FOOT,
        place,
        names,
        said,
        bad,
    )


def _time(ms: int) -> str:
    return _span(ms) if ms else "—"


def _slowest(what: str, ms: int) -> str:
    return f"{what}; the slowest took {_span(ms)}" if ms else f"{what}; {NO_WAY_YET}"


def _break(report: ConnectionReport) -> str:
    return f"Longest break {_span(report.longest_break_ms)}" if report.reconnects else "The connection never broke"


# -- the file ----------------------------------------------------------------------------------------------------------


def as_text(report: ConnectionReport, title: str, name_of: NameOf | None) -> str:
    """Return the file, as plain text; without `name_of` nobody and no room is named in it."""
    lines = ["Parley: what was counted of one relay", ""]
    lines += [f"room        {title}"] if name_of is not None else []
    lines += [f"from        {_stamp(report.since_ms)}", f"to          {_stamp(report.at_ms)}", "(local time)", ""]
    lines += ["All", *_counted(report.total), f"  reconnects                 {report.reconnects}"]
    lines += [f"  longest break              {report.longest_break_ms} ms"]
    lines += [f"  round trip, median         {report.round_trip_ms} ms ({len(report.times)} measured)"]
    lines += [f"  round trip, slowest        {report.slowest_ms} ms", ""]
    for number, visit in enumerate(report.visits, 1):
        end = _stamp(visit.ended_ms) if visit.ended_ms else "now"
        lines += [f"Connection {number}: {_stamp(visit.begun_ms)} to {end}", *_counted(visit), ""]
    for number, peer in enumerate(report.peers, 1):
        name = f": {name_of(peer.fp)}" if name_of is not None else ""
        lines += [f"Member {number}{name}", *_counted(peer), ""]
    lines += ["Round trips to the relay", *(f"  {_stamp(at)}  {ms} ms" for at, ms in report.times), ""]
    return "\n".join(lines)


def _counted(tally: Counted) -> list[str]:
    rows = [(what.value, tally.of(what)) for what in Oddity]
    rows += [("sent again", tally.resent), ("of them arrived", tally.mended)]
    rows += [("until confirmed, median ms", tally.answer_ms), ("until confirmed, slowest ms", tally.slowest_answer_ms)]
    return [f"  {what:<26} {count}" for what, count in rows]


def default_place(at_ms: int) -> str:
    """Return where a report is offered to be written: the home directory, and a name with the time."""
    return str(Path.home() / f"parley-report-{wording.local(at_ms):%Y-%m-%d-%H%M}.txt")


def write(place: str, text: str) -> str:
    """Make the file, readable by its owner alone; returns why that can't be, or an empty text.

    Nothing is written over, and no link followed: the name may be in a directory that others write to.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(os.path.expanduser(place), flags, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return EXISTS
    except (OSError, ValueError) as error:
        return UNWRITABLE.format(getattr(error, "strerror", None) or "not a file name")
    return ""
