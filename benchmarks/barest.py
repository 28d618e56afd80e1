"""The barest relay: about as little as one in Python can do.  For benchmarks/peers.py.

    python benchmarks/barest.py [PORT]

It takes frames of our size with addresses that the members choose (`BARE` in dialects.py), puts in whose they are, and
calls `send` once for each reader of what one read has brought.  It does nothing else: no limits, no TLS; nothing is
checked; nothing waits, so who doesn't read holds up everybody; and in which order a member speaks to the others is
learned from its first message and then believed.  By what a relay of ours is slower than this, it may get faster; by
what this is slower than a relay in C, it hardly can.
"""

from __future__ import annotations

import select
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import call
from struct import Struct

FRAME_SIZE = 272
FRAME_WORDS = FRAME_SIZE // 8  # 8 bytes of head, 8 of address, then the block
READ_FRAMES = (1 << 20) // FRAME_SIZE
WELCOME = bytes((2,)).ljust(FRAME_SIZE, b"\0")

buffer = memoryview(bytearray(READ_FRAMES * FRAME_SIZE))
words = buffer.cast("Q")
rows = buffer.cast("B", (READ_FRAMES, FRAME_SIZE))  # of which every n-th can be copied in one call
rooms: dict[int, dict[int, Member]] = {}  # by room and address, both as words


class Member:
    """One connection; in a room as soon as it has said hello."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.tail = b""  # the beginning of a frame
        self.room: dict[int, Member] = {}
        self.word = 0
        self.restart()

    def restart(self) -> None:
        """Learn anew to whom this one speaks, and in which order: somebody has come or gone."""
        self.sends: list[Callable[[bytes], int]] = []
        self.at = 0  # where in this order the next frame belongs

    def read(self) -> bool:
        """Take what has come and send it on; False at the end."""
        size = len(self.tail)
        buffer[:size] = self.tail
        try:
            got = self.sock.recv_into(buffer[size:])
        except ConnectionError:
            return False
        frames, rest = divmod(size + got, FRAME_SIZE)
        if self.room and frames:
            self.forward(frames)
        elif frames:
            self.enter(rooms.setdefault(words[2], {}), words[1])
        self.tail = bytes(buffer[size + got - rest : size + got]) if rest else b""
        return got > 0

    def forward(self, frames: int) -> None:
        """Send the first frames of the buffer to the others, who take turns."""
        around = len(self.room) - 1
        if len(self.sends) < around:
            missing = around - len(self.sends)
            for word in words[1 : frames * FRAME_WORDS : FRAME_WORDS].tolist()[:missing]:
                self.sends.append(self.room[word].sock.send)
            self.own = memoryview(self.word.to_bytes(8, sys.byteorder) * READ_FRAMES).cast("Q")
        words[1 : frames * FRAME_WORDS : FRAME_WORDS] = self.own[:frames]
        at, self.at = self.at, (self.at + frames) % around
        sends = self.sends[at:] + self.sends[:at] if at else self.sends
        deque(map(call, sends, dealt(frames, around)), 0)

    def enter(self, room: dict[int, Member], word: int) -> None:
        """Take a place in a room, and say so."""
        room[word], self.room, self.word = self, room, word
        for member in room.values():
            member.restart()
        self.sock.send(WELCOME)

    def leave(self) -> None:
        """Go."""
        self.room.pop(self.word, None)
        for member in self.room.values():
            member.restart()
        self.sock.close()


def dealt(frames: int, around: int) -> Sequence[bytes]:
    """Return the first frames of the buffer as so many readers in turns get them: one piece for each."""
    if frames <= around:
        return cut(frames)(buffer)
    return [rows[at:frames:around].tobytes() for at in range(around)]


@lru_cache
def cut(frames: int) -> Callable[[memoryview], tuple[bytes, ...]]:
    """Return what makes bytes of each of the first frames."""
    return Struct(f"{FRAME_SIZE}s" * frames).unpack_from


def serve(port: int) -> None:
    """Serve until ended."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print(f"bare:relay:{listener.getsockname()[1]}/", flush=True)
    members: dict[int, Member] = {}
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in epoll.poll():
            if number == listener.fileno():
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                members[sock.fileno()] = Member(sock)
                epoll.register(sock, select.EPOLLIN)
            elif not members[number].read():
                members.pop(number).leave()  # and the kernel forgets a socket that is closed


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
