"""Somebody who pours blocks as fast as a relay takes them: the program of L3 and L4.

    python -m trials.pour room HOST PORT SECONDS      # into the room of the probe, at a seat that reads all of it
    python -m trials.pour slow HOST PORT SECONDS      # at a seat on a slow line, to whom another talks

`slow` measures how long a word takes to the slow one while the pouring goes on, and what it would have taken if it had
waited behind all that was in the relay for it.  Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading
import time

from relay_help import BareClient, send_frame

from chatcore.wire import FRAME_SIZE, Frame, Kind
from trials.probe import ROOM

LINE_BYTES_PER_S = 70_000
BATCH = 60


def pour(client: BareClient, to: bytes, until_s: float, sent: list[int]) -> None:
    """Send blocks to this seat until then; put down how many bytes went."""
    data = send_frame(to) * BATCH
    with contextlib.suppress(OSError):  # closed before it has read what it is told at last
        while time.monotonic() < until_s:
            client.send(data)
            sent.append(len(data))


def into_room(host: str, port: int, seconds: float) -> dict[str, float]:
    """Pour beside those who talk."""
    with BareClient(port, tls=True, host=host).join(ROOM) as sink, BareClient(port, tls=True, host=host) as source:
        source.join(ROOM)

        def drain() -> None:
            with contextlib.suppress(OSError):
                while sink.sock.recv(1 << 18):
                    pass

        threading.Thread(target=drain, daemon=True).start()
        begun_s = time.monotonic()
        sent: list[int] = []
        pour(source, sink.seat, begun_s + seconds, sent)
        return {"mib_per_s": sum(sent) / (time.monotonic() - begun_s) / 2**20}


def at_slow(host: str, port: int, seconds: float) -> dict[str, float]:
    """Pour at one who reads slowly, while another says a word now and then."""
    slow = BareClient(port, tls=False, receive_bytes=8192, host=host).join()
    talker, source = (BareClient(port, tls=False, host=host).join() for _ in range(2))
    end_s = time.monotonic() + seconds
    poured: list[int] = []
    threading.Thread(target=pour, args=(source, slow.seat, end_s, poured), daemon=True).start()
    said = 0
    words: list[float] = []
    rest, line, read, out = b"", selectors.DefaultSelector(), 0, 0
    line.register(slow.sock, selectors.EVENT_READ)
    next_word_s = begun_s = time.monotonic()
    slow.sock.setblocking(False)
    while time.monotonic() < end_s or (len(words) < said and time.monotonic() < end_s + 120):
        now_s = time.monotonic()
        if next_word_s <= now_s < end_s - 3:
            said += 1
            talker.send(Frame(Kind.SEND, address=slow.seat, block=int(now_s * 1e9).to_bytes(8, "big") * 32).to_bytes())
            next_word_s += 0.2
        if read < (now_s - begun_s) * LINE_BYTES_PER_S and line.select(0.01):
            try:
                piece = slow.sock.recv(4096)
            except ConnectionResetError:
                piece = b""
            if not piece:
                out = 1
                break
            read += len(piece)
            rest += piece
            while len(rest) >= FRAME_SIZE:
                if rest[1] == Kind.SEND and rest[8:16] == talker.seat:
                    words.append((time.monotonic_ns() - int.from_bytes(rest[16:24], "big")) / 1e6)
                rest = rest[FRAME_SIZE:]
        else:
            time.sleep(0.005)
    words.sort()
    took_s = time.monotonic() - begun_s
    for client in (slow, talker, source):
        client.sock.close()
    return {
        "line": read / took_s / 1024,
        "poured": sum(poured) / seconds / 1024,
        "said": said,
        "lost": said - len(words),
        "p50": words[len(words) // 2] if words else 0.0,
        "p99": words[len(words) * 99 // 100] if words else 0.0,
        "fifo": 4 * 2**20 / LINE_BYTES_PER_S * 1000,
        "out": out,
    }


def main() -> None:
    """Pour as told."""
    socket.setdefaulttimeout(60)
    kind, host, port, seconds = sys.argv[1:]
    print(json.dumps((into_room if kind == "room" else at_slow)(host, int(port), float(seconds))), flush=True)


if __name__ == "__main__":
    main()
