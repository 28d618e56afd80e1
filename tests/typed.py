"""What a reader types, read out of the pages for those who run a relay; and where the links of a page lead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SELF_HOSTING, OTHER_WAYS = ROOT / "docs" / "SELF_HOSTING.md", ROOT / "deploy" / "README.md"
PROGRAMS = (
    "parley-relay", "parley-doctor", "parley-move", ".venv/bin/python", "make", "scp", "ssh", "apt-get", "systemctl",
    "systemd-analyze", "journalctl", "ufw", "timedatectl", "install", "rm", "tar", "chmod", "man", "openssl",
    "nats-server", "podman", "docker", "sudo", "pipx", "uv", "tor", "curl", "certbot",
)  # fmt: skip
_ENDS = {"&&", "||", "|", ";", "(", ")"}
_STARTS = re.compile(rf"\(?(?:{'|'.join(map(re.escape, PROGRAMS))})(?: |$)")


def blocks(page: str) -> list[str]:
    """Return what is set apart: fenced, or further to the right; each without its indent."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    shifted = re.findall(r"(?:^(?: {4}| {8})\S.*\n)+(?:^ {4,}.*\n)*", page, re.MULTILINE)
    return fenced + [re.sub(r"^ {4}(?: {4})?", "", block, flags=re.MULTILINE) for block in shifted]


def is_typed(block: str) -> bool:
    """Tell whether somebody types this, and not into a file."""
    return bool(_STARTS.match(block))


def lines_of(block: str) -> list[str]:
    """Return the lines of a block; what goes on in the next is one."""
    return re.sub(r"\\\n\s*", "", block).splitlines()


def commands(page: str) -> list[str]:
    """Return every command line of a page, as it is typed."""
    apart = [line for block in blocks(page) if is_typed(block) for line in lines_of(block)]
    prose = re.sub(r"^```(?:.*\n)*?```|^ {4}.*$", "", page, flags=re.MULTILINE)
    within = [span for span in re.findall(r"`([^`\n]+)`", prose) if " " in span and _STARTS.match(span)]
    return list(dict.fromkeys(apart + within))


def words_of(line: str) -> Iterator[list[str]]:
    """Cut a command line into commands, those among them that another computer runs."""
    cut = shlex.shlex(line, posix=True, punctuation_chars=True)
    cut.whitespace_split = True
    found: list[str] = []
    into_a_file = False
    for word in (*cut, ";"):
        if word in _ENDS:
            if found:
                yield from _unwrapped(found)
            found = []
        elif into_a_file or word in ("<", ">"):
            into_a_file = not into_a_file
        else:
            found.append(word)


def _unwrapped(words: list[str]) -> Iterator[list[str]]:
    """Leave out what only says where, or as whom."""
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    if words[0] == "ssh" and len(words) > 2:
        yield words[:2]
        yield from words_of(" ".join(words[2:]))
    elif words[:3] == ["podman", "exec", "parley"]:
        yield words[:3]
        yield from _unwrapped(words[3:])
    else:
        yield words


def _anchors(page: Path) -> set[str]:
    """The names that a heading can be linked by, made as the usual Markdown sites make them."""
    headings = re.findall(r"^#+ +(.+?) *$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Return the links of a page that lead to no file beside it, or to no heading there."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in _anchors(there)):
            dead.append(target)
    return dead
