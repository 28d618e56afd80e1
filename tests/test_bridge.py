"""The queue into the GUI thread: nobody who puts something in ever waits, nothing is lost, it can always be ended."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gui.bridge import Bridge

ROOT = Path(__file__).parent.parent


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


class Reader:
    """Stands in for the GUI thread: woken, it takes all there is; `held` keeps it busy."""

    def __init__(self) -> None:
        self.woken = threading.Semaphore(0)
        self.wakes = 0
        self.held = threading.Event()
        self.held.set()
        self.bridge: Bridge[int] = Bridge(self.wake)
        self.bridge.start()

    def wake(self) -> None:
        self.wakes += 1
        self.held.wait()  # as write_event_value does while the GUI is busy
        self.woken.release()

    def read(self) -> list[int]:
        assert self.woken.acquire(timeout=10)
        return self.bridge.drain()


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.held.set()
    assert reader.bridge.close()


def test_everything_arrives_in_order(reader: Reader) -> None:
    for n in range(1000):
        reader.bridge.put(n)
    seen: list[int] = []
    while len(seen) < 1000:
        seen += reader.read()
    assert seen == list(range(1000))


def test_many_writers_lose_nothing_and_keep_each_their_order(reader: Reader) -> None:
    def write(k: int) -> None:
        for n in range(1000):
            reader.bridge.put(k * 1000 + n)

    writers = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while len(seen) < 4000:
        seen += reader.read()
    for writer in writers:
        writer.join()
    for k in range(4):
        assert [n for n in seen if n // 1000 == k] == list(range(k * 1000, k * 1000 + 1000))


def test_a_busy_reader_holds_nobody_up(reader: Reader) -> None:
    reader.held.clear()
    done = threading.Event()

    def flood() -> None:
        for n in range(100_000):
            reader.bridge.put(n)
        done.set()

    threading.Thread(target=flood, daemon=True).start()
    assert done.wait(10), "the writer waited for the reader"
    assert reader.wakes == 1, "a busy reader is woken once, not once for each item"
    reader.held.set()
    assert len(reader.read()) == 100_000


def test_a_wake_that_fails_is_made_again() -> None:
    tries: list[int] = []
    bridge: Bridge[str]

    def wake() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise AttributeError(
                "'NoneType' object has no attribute 'tk'"
            )  # what PySimpleGUI raises for a closed window
        got.extend(bridge.drain())

    got: list[str] = []
    bridge = Bridge(wake)
    bridge.put("put in before the start")
    bridge.start()
    until(lambda: got == ["put in before the start"])
    assert bridge.close()


def test_a_wake_that_goes_down_with_its_window_is_made_again() -> None:
    wakes: list[int] = []
    bridge: Bridge[str] = Bridge(lambda: wakes.append(1))
    bridge.start()
    bridge.put("x")
    until(lambda: len(wakes) >= 2)
    assert bridge.drain() == ["x"]
    assert bridge.close()


def test_a_reader_without_a_window_can_wait_for_the_first_item() -> None:
    bridge: Bridge[str] = Bridge(lambda: None)
    bridge.start()
    threading.Timer(0.05, bridge.put, ["x"]).start()
    assert bridge.drain(wait=True) == ["x"]
    threading.Timer(0.05, bridge.close).start()
    assert bridge.drain(wait=True) == []


def test_after_the_end_nothing_is_kept_and_nothing_raises(reader: Reader) -> None:
    assert reader.bridge.close()
    assert reader.bridge.close()
    reader.bridge.put(1)
    assert reader.bridge.drain() == []


def test_it_ends_although_a_wake_waits_for_the_thread_that_ends_it(reader: Reader) -> None:
    reader.held.clear()
    reader.bridge.put(1)
    until(lambda: reader.wakes == 1)
    assert reader.bridge.close(pump=reader.held.set), "the pump lets the wake come through"


def test_it_says_so_when_a_wake_never_ends(reader: Reader) -> None:
    reader.held.clear()
    reader.bridge.put(1)
    until(lambda: reader.wakes == 1)
    assert not reader.bridge.close(timeout_s=0.05)


def test_with_the_real_toolkit_a_busy_window_stalls_nobody_and_the_program_ends() -> None:
    """A worker emits all along: while the window is busy, while it is replaced by another, and after it is closed."""
    program = textwrap.dedent(
        """
        import threading, time
        from gui.bridge import Bridge
        from gui.psg import hidden_root, sg

        windows = [sg.Window("one", [[sg.Text("one")]], finalize=True)]
        bridge = Bridge(lambda: windows[-1].write_event_value("wake", None))
        bridge.start()
        stop, longest, count = threading.Event(), 0.0, 0

        def work():
            global longest, count
            while not stop.is_set():
                t = time.perf_counter()
                bridge.put(count)
                longest = max(longest, time.perf_counter() - t)
                count += 1
                time.sleep(0.0005)

        worker = threading.Thread(target=work)  # not a daemon: it would keep the process if it hung
        worker.start()
        seen, busy = [], False
        while len(seen) < 600:
            sg.read_all_windows()
            while batch := bridge.drain():
                seen += batch
            if len(seen) > 200 and not busy:
                busy = True
                time.sleep(0.5)  # the GUI thread is busy; the worker must not notice
            if len(seen) > 400 and len(windows) == 1:
                windows.append(sg.Window("two", [[sg.Text("two")]], finalize=True))
                windows[0].close()
        stop.set()
        worker.join(5)
        windows[-1].close()
        assert bridge.close(lambda: hidden_root().update())
        assert seen == list(range(len(seen))), "lost or out of order"
        assert not worker.is_alive() and threading.active_count() == 1
        print("longest", longest)
        assert longest < 0.25, longest
        """
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
