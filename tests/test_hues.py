"""Which hue each person of a room has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gui.hues import Hues
from gui.theme import HUES, own_hue


def fp(first: int, more: int = 0) -> bytes:
    return bytes((first, more)) * 16


FPS = st.sets(st.builds(fp, st.integers(0, 3 * HUES), st.integers(0, 2)), max_size=2 * HUES)


def test_everybody_has_the_hue_of_their_fingerprint_unless_it_is_taken() -> None:
    hues = Hues()
    hues.settle([fp(3), fp(HUES + 3), fp(4), fp(0)])
    assert hues.of == {fp(3): 3, fp(4): 4, fp(0): 0, fp(HUES + 3): 5}, "who comes later takes nobody's own"


def test_who_is_here_keeps_a_hue_and_who_comes_takes_a_free_one() -> None:
    hues = Hues()
    hues.settle([fp(HUES + 3)])
    hues.settle([fp(HUES + 3), fp(3)])
    assert hues.of == {fp(HUES + 3): 3, fp(3): 4}
    hues.settle([fp(3)])
    hues.settle([fp(3), fp(2 * HUES + 3)])
    assert hues.of[fp(3)] == 4
    assert hues.of[fp(2 * HUES + 3)] == 3, "who left needs none"


def test_when_one_comes_free_two_no_longer_share_one() -> None:
    everybody = [fp(n) for n in range(HUES)]
    hues = Hues()
    hues.settle([*everybody, fp(0, 1)])
    shared = hues.of[fp(0, 1)]
    hues.settle([*everybody[1:], fp(0, 1)])
    assert len({hues.of[one] for one in (*everybody[1:], fp(0, 1))}) == HUES
    assert shared == 0


def test_who_only_knocks_has_a_hue_too_and_takes_none_from_a_member() -> None:
    hues = Hues()
    hues.settle([fp(1)], [fp(1, 1), fp(2)])
    assert (hues.of[fp(1)], hues.of[fp(2)]) == (1, 2)
    assert hues.of[fp(1, 1)] != 1


@given(st.lists(FPS, max_size=6))
def test_no_two_members_share_a_hue_while_there_is_another(rooms: list[set[bytes]]) -> None:
    hues, again = Hues(), Hues()
    for members in rooms:
        before = dict(hues.of)
        hues.settle(members)
        again.settle(sorted(members, reverse=True))
        assert hues.of == again.of, "the order in which they are named doesn't matter"
        assert len({hues.of[one] for one in members}) == min(len(members), HUES)
        assert all(0 <= hue < HUES for hue in hues.of.values())
        if len(members) <= HUES and len({before.get(one, -1) for one in members}) == len(members):
            assert all(hues.of[one] == before.get(one, hues.of[one]) for one in members)


def test_one_alone_has_their_own() -> None:
    hues = Hues()
    hues.settle([fp(17)])
    assert hues.of == {fp(17): own_hue(fp(17))}
