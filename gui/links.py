"""Finds the links in a text: http and https, nothing else.  Pure."""

from __future__ import annotations

import re

LINK = re.compile(r"https?://[^\s<>\"“”]+", re.IGNORECASE)


def split_links(text: str) -> list[tuple[str, bool]]:
    """Cut a text into pieces, each with whether it is an http or https link; joined they are the text again."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for found in LINK.finditer(text):
        link = found[0].rstrip(".,;:!?'*_»’")
        while link.endswith((")", "]")) and link.count(link[-1]) > link.count({")": "(", "]": "["}[link[-1]]):
            link = link[:-1].rstrip(".,;:!?'*_»’")
        if len(link) <= len("https://"):
            continue
        pieces.append((text[at : found.start()], False))
        pieces.append((link, True))
        at = found.start() + len(link)
    pieces.append((text[at:], False))
    return [piece for piece in pieces if piece[0]]
