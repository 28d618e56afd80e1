"""The log of a relay: one word for each event, on stderr, and nothing else.

A log is what is copied, kept and asked for.  So no address, room, seat, name, pass or byte of content goes into it, at
any level; and asyncio's own logger, which likes to print sockets with both their addresses, is reduced to a word, too.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

LOG = logging.getLogger("parley.relay")
LEVELS = {"off": logging.CRITICAL + 1, "info": logging.INFO, "debug": logging.DEBUG}
REPEAT_S = 10  # the same word comes once in this many seconds, and then with its count


class _OneWord(logging.Filter):
    """Keep that asyncio said something, and drop what it said."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = "loop", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


_ONE_WORD = _OneWord()


def quiet_asyncio() -> None:
    """Let no record of asyncio's logger carry more than one word.  Holds for the whole process; may be called again."""
    logging.getLogger("asyncio").addFilter(_ONE_WORD)


def to_stderr(level: str) -> None:
    """Send the words to stderr, from `level` on ("off", "info", "debug")."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("parley-relay: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])


class Journal:
    """Says words, but none so often that it could fill a disk."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._beats = 0

    def note(self, word: str, level: int = logging.INFO) -> None:
        """Log one word now, or count it when it was said a moment ago."""
        if word in self._counts:
            self._counts[word] += 1
        else:
            self._counts[word] = 0
            LOG.log(level, word)

    def say(self, sentence: str) -> None:
        """Log a sentence for the owner, about the owner's own files."""
        LOG.warning(sentence)

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
            counts, self._counts = self._counts, {}
            for word, more in counts.items():
                if more:
                    LOG.info("%s x%d", word, more)
