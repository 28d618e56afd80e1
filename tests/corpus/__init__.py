"""Inputs by name, with what they come to.  One file for each target of `tests/targets.py`, three lines for each input:

    # a name
    input: 0105*2 "text\\n" 00*256
    expect: what the target returns

An input is parts with blanks between them: hexadecimal digits, or a JSON string (as UTF-8), each perhaps `*` so often.
Whatever a fuzzer finds and whatever was once wrong is kept here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).parent
_HEX = re.compile(r"[0-9a-f]*")
_TIMES = re.compile(r"\*(\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One input and its verdict."""

    name: str
    data: bytes
    expect: str


def parse(line: str) -> bytes:
    """Return the bytes that a line of parts stands for.  Raises ValueError."""
    data, at = b"", 0
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        if line[at] == '"':
            text, at = json.JSONDecoder().raw_decode(line, at)
            part = text.encode()
        else:
            match = _HEX.match(line, at)
            assert match
            if not match[0]:
                raise ValueError(f"neither hexadecimal nor a string: {line[at : at + 20]!r}")
            part, at = bytes.fromhex(match[0]), match.end()
        if times := _TIMES.match(line, at):
            part, at = part * int(times[1]), times.end()
        data += part
    return data


def entries(target: str) -> list[Entry]:
    """Read the corpus of a target.  Raises ValueError when it isn't written as above."""
    found = []
    for record in (HOME / f"{target}.txt").read_text("utf-8").split("\n\n"):
        match = re.fullmatch(r"\s*# (.+)\ninput:(?: (.*))?\nexpect: (.+)\s*", record)
        if match is None:
            raise ValueError(f"no record: {record[:80]!r}")
        found.append(Entry(match[1], parse(match[2] or ""), match[3]))
    return found
