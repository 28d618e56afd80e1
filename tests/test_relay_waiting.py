"""What waits for one slow seat: turns, order, and what goes when there is too much."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from relay_help import frames_in

from chatcore.wire import FRAME_SIZE, Frame, Kind
from relay.seat import frame
from relay.waiting import Waiting

Step = tuple[int, int]  # who (0: the relay itself), and what: a block, or 0 news, 1 a pong


def made(step: Step, number: int) -> bytes:
    who, what = step
    address = bytes([who]) * 8
    if who == 0:
        return frame(Kind.PONG, 0, number)
    if what == 0:
        return frame(Kind.LEFT, 0, 0, address)
    return Frame(Kind.SEND, address=address, block=number.to_bytes(4, "big") * 64).to_bytes()


steps = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=200)


@given(steps, st.integers(1, 50))
def test_each_address_keeps_its_order_and_nothing_is_lost_or_doubled(script: list[Step], portion: int) -> None:
    waiting, put, got = Waiting(), defaultdict(list), defaultdict(list)
    for number, step in enumerate(script):
        data = made(step, number)
        put[data[8:16]].append(data)
        waiting.add([data])
    while data := waiting.take(portion):
        assert len(data) <= portion * FRAME_SIZE
        for whole in frames_in(data):
            got[whole.address].append(whole.to_bytes())
    assert got == put
    assert waiting.frames == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=100), st.lists(st.integers(0, 3), max_size=100))
def test_nobody_waits_for_more_than_one_turn_of_each_other(first: list[int], second: list[int]) -> None:
    waiting = Waiting()
    waiting.add([made((who + 1, 1), number) for number, who in enumerate(first)])
    taken = frames_in(waiting.take(len(first) // 2))
    waiting.add([made((who + 1, 1), number) for number, who in enumerate(second)])
    rest = [f.address for f in frames_in(waiting.take(10**6))]
    assert len(taken) + len(rest) == len(first) + len(second)
    last = dict.fromkeys(rest, -1)
    for at, address in enumerate(rest):
        others = rest[last[address] + 1 : at]
        assert all(others.count(other) <= 2 for other in set(others))  # one that was due, and one of the next turn
        last[address] = at


@given(steps, st.integers(0, 60))
def test_shortening_takes_the_newest_of_who_has_most_and_never_news(script: list[Step], most: int) -> None:
    waiting, put = Waiting(), defaultdict(list)
    for number, step in enumerate(script):
        data = made(step, number)
        put[data[8:16]].append(data)
        waiting.add([data])
    fits = waiting.shorten(most * FRAME_SIZE)
    left = waiting.frames
    got = defaultdict(list)
    for whole in frames_in(waiting.take(10**6)):
        got[whole.address].append(whole.to_bytes())
    assert fits == (left <= most)
    assert left == sum(map(len, got.values()))
    lengths = [len(queue) for queue in got.values()]
    for address, queue in put.items():
        kept = got[address]
        news = [data for data in queue if data[1] == Kind.LEFT]
        blocks = [data for data in queue if data[1] != Kind.LEFT]
        assert [data for data in kept if data[1] == Kind.LEFT] == news
        still = [data for data in kept if data[1] != Kind.LEFT]
        assert still == blocks[: len(still)]
        if len(still) < len(blocks):  # who lost something had as much waiting as anybody, but for news
            assert len(kept) + 1 >= max(lengths) or not fits


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(0, 600))
def test_all_who_have_most_waiting_come_down_to_the_same(lengths: list[int], most: int) -> None:
    waiting = Waiting()
    for who, length in enumerate(lengths):
        waiting.add([made((who + 1, 1), number) for number in range(length)])
    fits = waiting.shorten(most * FRAME_SIZE)
    left = [0] * len(lengths)
    for whole in frames_in(waiting.take(10**6)):
        left[whole.address[0] - 1] += 1
    assert fits == (sum(left) <= most)
    assert sum(left) == max(min(sum(lengths), most), len(lengths))  # one of each stays: the queue has its turn
    longest = max(left, default=0)
    assert all(now == before or now >= longest - 1 for now, before in zip(left, lengths, strict=True))


def test_there_may_be_nothing_to_drop() -> None:
    assert not Waiting().shorten(-1000)
    assert Waiting().shorten(0)
