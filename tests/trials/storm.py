"""Thousands of seats that come at once, and half of which go and return: the program of S6.

    python -m trials.storm HOST PORT ROOMS SEATS-IN-EACH

Joins all of them as fast as it can and prints how many are in, and after how many seconds.  At a line on its standard
input half of each room leaves and returns while one of the others talks to all who stay; prints how many returned, how
many blocks were due, how many of them didn't come or came to somebody else, and how much news of seats was wrong.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import time

from relay_help import frames_in, join_frame, send_frame

from chatcore.wire import FRAME_SIZE, Frame, Kind

AT_ONCE = 400  # connections on their way in
PATIENCE_S = 60.0


class Seat:
    """One of them."""

    def __init__(self, storm: Storm, room: int) -> None:
        self.room, self.data, self.address = room, b"", b""
        self.marks: list[int] = []
        self.others: set[bytes] = set()
        self.wrong = 0
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(storm.place)
        storm.selector.register(self.sock, selectors.EVENT_WRITE, self)

    def take(self, frame: Frame) -> None:
        """Take what the relay says."""
        if frame.kind is Kind.WELCOME:
            self.address = frame.address
        elif frame.kind is Kind.PRESENT:
            self.wrong += frame.address in self.others
            self.others.add(frame.address)
        elif frame.kind is Kind.LEFT:
            self.wrong += frame.address not in self.others
            self.others.discard(frame.address)
        elif frame.kind is Kind.SEND:
            self.marks.append(int.from_bytes(frame.block[:4], "big"))
            self.wrong += frame.address not in self.others
        elif frame.kind is Kind.REFUSED:
            raise SystemExit(f"the relay refused a seat ({frame.argument})")


class Storm:
    """All of them."""

    def __init__(self, host: str, port: int, rooms: int, seats: int) -> None:
        self.place = (host, port)
        self.selector = selectors.DefaultSelector()
        self.waiting = [room for _ in range(seats) for room in range(rooms)]
        self.coming = 0
        self.rooms: list[list[Seat]] = [[] for _ in range(rooms)]

    def turn(self, wait_s: float = 0.1) -> None:
        """Let more come, and do what is ready."""
        while self.waiting and self.coming < AT_ONCE:
            room = self.waiting.pop()
            self.rooms[room].append(Seat(self, room))
            self.coming += 1
        for key, events in self.selector.select(wait_s):
            seat: Seat = key.data
            if events & selectors.EVENT_WRITE:
                seat.sock.send(join_frame((b"storm %d" % seat.room).ljust(32)))
                self.selector.modify(seat.sock, selectors.EVENT_READ, seat)
                continue
            with contextlib.suppress(BlockingIOError):
                piece = seat.sock.recv(65_536)
                if not piece:
                    raise SystemExit("the relay closed a seat")
                seat.data += piece
                end = len(seat.data) - len(seat.data) % FRAME_SIZE
                outside = not seat.address
                for frame in frames_in(seat.data[:end]):
                    seat.take(frame)
                seat.data = seat.data[end:]
                self.coming -= bool(outside and seat.address)

    def until_in(self) -> float:
        """Wait until everybody is in, and return how long that took."""
        begun_s = time.monotonic()
        while self.waiting or self.coming:
            self.turn()
            if time.monotonic() > begun_s + PATIENCE_S:
                break
        return time.monotonic() - begun_s

    def move(self) -> tuple[int, int, int, int]:
        """Let half of each room leave and return, while one who stays talks to the others who do."""
        due = again = 0
        for number, seats in enumerate(self.rooms):
            stay, go = seats[::2], seats[1::2]
            talker, *listeners = stay
            for seat in go:
                self.selector.unregister(seat.sock)
                seat.sock.close()
                self.waiting.append(number)
                again += 1
            self.rooms[number] = stay
            for mark in range(5):
                talker.sock.send(b"".join(send_frame(other.address, number * 10 + mark) for other in listeners))
                due += len(listeners)
            self.turn(0)
        self.until_in()
        whole = [len(seats) - 1 for seats in self.rooms]
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s and any(
            len(seat.others) != whole[n] or (at in range(1, (whole[n] + 2) // 2) and len(seat.marks) < 5)
            for n, seats in enumerate(self.rooms)
            for at, seat in enumerate(seats)
        ):
            for _ in range(50):
                self.turn(0.02)
        lost = wrong = 0
        for number, seats in enumerate(self.rooms):
            addresses = {seat.address for seat in seats}
            for at, seat in enumerate(seats):
                expected = [number * 10 + mark for mark in range(5)] if 0 < at < (len(seats) + 1) // 2 else []
                lost += seat.marks != expected and max(1, abs(len(expected) - len(seat.marks)))
                wrong += seat.wrong + (seat.others != addresses - {seat.address})
        return again, due, lost, wrong


def main() -> None:
    """Storm as told."""
    host, port, rooms, seats = sys.argv[1:]
    storm = Storm(host, int(port), int(rooms), int(seats))
    took_s = storm.until_in()
    print(sum(bool(seat.address) for room in storm.rooms for seat in room), took_s, flush=True)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    while not selector.select(0):
        storm.turn(0.02)
    sys.stdin.readline()
    print(*storm.move(), flush=True)


if __name__ == "__main__":
    main()
