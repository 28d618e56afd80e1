"""The log of a relay: one word for each event, on stderr, and nothing else.

A log is what is copied, kept and asked for.  So no address, room, seat, name, pass or byte of content goes into it, at
any level; and asyncio's own logger, which likes to print sockets with both their addresses, is reduced to a word, too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections import Counter
from pathlib import Path

LOG = logging.getLogger("parley.relay")
LEVELS = {"off": logging.CRITICAL + 1, "info": logging.INFO, "debug": logging.DEBUG}
REPEAT_S = 10  # the same word comes once in this many seconds, and then with its count

# Each word has a mood: "calm" is the relay's own life, "busy" somebody who met a limit or spoke something else, "hurt"
# what its owner should look at.
_CALM = ("listening", "reloaded", "renewed", "stopping", "stopped", "engine_up")
_BUSY = (
    "deadline", "version", "malformed", "tls", "proxy", "relay_pass", "room_full", "relay_full", "too_fast", "crowd",
    "overflow", "laggard", "silent", "shutting_down",
)  # fmt: skip
_HURT = (
    "reload_refused", "renewal", "exhausted", "files", "fault", "loop",
    "engine_away", "engine_denied", "engine_lost", "engine_silent", "engine_slow",
)  # fmt: skip
MOODS = dict.fromkeys(_CALM, "calm") | dict.fromkeys(_BUSY, "busy") | dict.fromkeys(_HURT, "hurt")
_PRIORITIES = {"calm": 6, "busy": 5, "hurt": 3}  # informational, notice, error: sd-daemon(3)


class _OneWord(logging.Filter):
    """Keep that asyncio said something, and how often, and drop what it said."""

    times = 0

    def filter(self, record: logging.LogRecord) -> bool:
        self.times += 1
        record.msg, record.args = "loop", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


_ONE_WORD = _OneWord()


def quiet_asyncio() -> None:
    """Let no record of asyncio's logger carry more than one word.  Holds for the whole process; may be called again."""
    logging.getLogger("asyncio").addFilter(_ONE_WORD)


def mood_of(message: str) -> str:
    """Return the mood of what is logged: of its first word, or "calm" for a sentence about the owner's own files."""
    return MOODS.get(message.split(" ", 1)[0], "calm")


class _Lines(logging.Formatter):
    """One line for each record: for people, or one JSON object with the same in it."""

    def __init__(self, form: str, *, priority: bool) -> None:
        super().__init__()
        self._form = form
        self._priority = priority

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        mood = getattr(record, "mood", None) or mood_of(message)
        head = f"<{_PRIORITIES[mood]}>" if self._priority else ""
        if self._form == "text":
            return f"{head}parley-relay: {message}"
        said = {"program": "parley-relay", "mood": mood, "said": message}
        if count := getattr(record, "count", 0):
            said |= {"said": message.rpartition(" x")[0], "count": count}
        return head + json.dumps(said)


def to_stderr(level: str, form: str = "text") -> None:
    """Send the words to stderr, from `level` on ("off", "info", "debug"), as "text" or as "json".

    The system's journal gets the mood as a priority, so that `journalctl -p err` shows what needs a look.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(form, priority=_is_journal()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])


def _is_journal() -> bool:
    """Tell whether stderr leads to journald, by the device and inode that systemd names (systemd.exec(5))."""
    try:
        place = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or none
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{place.st_dev}:{place.st_ino}"


class Journal:
    """Says words, but none so often that it could fill a disk; and counts all of them."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()  # first word -> how often it was said, or would have been
        self._counts: dict[str, int] = {}
        self._beats = 0

    def note(self, word: str, level: int = logging.INFO) -> None:
        """Log one word now, or count it when it was said a moment ago."""
        self.totals[word.split(" ", 1)[0]] += 1
        if word in self._counts:
            self._counts[word] += 1
        else:
            self._counts[word] = 0
            LOG.log(level, word)

    def total(self, word: str) -> int:
        """Return how often this word was said, or would have been."""
        return self.totals[word] + (_ONE_WORD.times if word == "loop" else 0)

    def say(self, sentence: str, word: str = "") -> None:
        """Log a sentence for the owner, about the owner's own files; count it under a word."""
        if word:
            self.totals[word] += 1
        LOG.warning(sentence, extra={"mood": MOODS.get(word, "calm")})

    def fault(self, exc: BaseException | None) -> None:
        """Log a mistake of our own by its kind and place.  Its message may hold data, so that is not logged."""
        if exc is None:
            self.note("fault")
            return
        last = traceback.extract_tb(exc.__traceback__)[-1:]
        place = f" {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
        self.note(f"fault {type(exc).__name__}{place}", logging.ERROR)

    def beat(self) -> None:
        """Let a second pass; now and then tell what was only counted."""
        self._beats += 1
        if self._beats % REPEAT_S == 0:
            self.tell()

    def tell(self) -> None:
        """Tell what was only counted."""
        counts, self._counts = self._counts, {}
        for word, more in counts.items():
            if more:
                LOG.info("%s x%d", word, more, extra={"count": more})
