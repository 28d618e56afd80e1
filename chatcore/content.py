"""What is said on a link: its kinds, and how it is joined again from the parts it came in.  Pure.

`seal.split` cuts it.  docs/PROTOCOL.md, "Content".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from chatcore.seal import Body


class ContentKind(IntEnum):
    """What the joined parts are (docs/PROTOCOL.md, "Content")."""

    HELLO = 0
    READY = 1
    MSG = 2
    ACK = 3
    STMT = 4
    WANT = 5  # 6 MOVE is for later versions: ignored, and counted
    DUMMY = 7  # nothing, said in steady mode when there is nothing to say
    LIST = 8


@dataclass(frozen=True, slots=True)
class Content:
    """Joined parts that came over the link, and the 256-byte blocks they came in.  `kind` may be one we don't know."""

    kind: int
    data: bytes = field(repr=False)
    blocks: tuple[bytes, ...] = field(default=(), repr=False)


class Assembly:
    """Joins parts with consecutive counters; holds one unfinished content of at most 41,310 bytes."""

    __slots__ = ("_blocks", "_kind", "_parts", "_pieces")

    def __init__(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Forget what is unfinished."""
        self._kind, self._parts = -1, 0
        self._pieces: list[bytes] = []
        self._blocks: list[bytes] = []

    @property
    def unfinished(self) -> bool:
        """Whether more parts are to come."""
        return bool(self._pieces)

    def add(self, body: Body, block: bytes) -> Content | None:
        """Take the next part; returns the content when it is whole."""
        if body.part == 1:
            self.discard()
            self._kind, self._parts = body.kind, body.parts
        elif (body.kind, body.parts, body.part) != (self._kind, self._parts, len(self._pieces) + 1):
            self.discard()
            return None
        self._pieces.append(body.content)
        self._blocks.append(block)
        if body.part < body.parts:
            return None
        whole = Content(body.kind, b"".join(self._pieces), tuple(self._blocks))
        self.discard()
        return whole
