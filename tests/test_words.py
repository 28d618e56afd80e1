"""Eight words: the same for the same people, others for any other set.  Attacks 49 and 50 (their core side)."""

from __future__ import annotations

import hashlib

import pytest

from chatcore.wordlist import english
from chatcore.words import LIST_SIZE, room_words

ROOM = bytes(range(32))
ALICE, BOB, CAROL = (bytes((letter,)) * 32 for letter in b"abc")
WORDS = english()


def test_the_list_is_the_one_that_the_specification_names() -> None:
    assert len(WORDS) == len(set(WORDS)) == LIST_SIZE
    assert list(WORDS) == sorted(WORDS)
    assert len({word[:4] for word in WORDS}) == LIST_SIZE
    joined = "".join(f"{word}\n" for word in WORDS).encode()
    assert hashlib.sha256(joined).hexdigest() == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"


def test_eight_words_whoever_asks() -> None:
    words = room_words(WORDS, ROOM, 0, [ALICE, BOB, CAROL])
    assert len(words) == 8
    assert set(words) <= set(WORDS)
    assert room_words(WORDS, ROOM, 0, (CAROL, ALICE, BOB)) == words
    assert room_words(WORDS, ROOM, 0, frozenset((BOB, CAROL, ALICE))) == words
    assert room_words(WORDS, ROOM, 0, [ALICE, ALICE, BOB, CAROL]) == words


def test_attack_49_another_view_gives_other_words() -> None:
    mallory = ALICE[:-1] + bytes((ALICE[-1] ^ 1,))
    views = [
        room_words(WORDS, ROOM, 0, people)
        for people in (
            [ALICE, BOB, CAROL],
            [mallory, BOB, CAROL],
            [ALICE, BOB],
            [ALICE, BOB, CAROL, mallory],
            [ALICE],
            [],
        )
    ]
    views += [room_words(WORDS, ROOM, 1, [ALICE, BOB, CAROL]), room_words(WORDS, bytes(32), 0, [ALICE, BOB, CAROL])]
    assert len(set(views)) == len(views)


def test_attack_50_the_words_are_what_the_formula_says() -> None:
    """Worked out here a second time, digit by digit, from the text of the specification."""
    password = hashlib.sha256(b"parley/1 words" + b"\x00\x02" + ALICE + BOB).digest()
    salt = b"parley/1 words" + ROOM + b"\x00\x00\x00\x07"
    bits = "".join(f"{byte:08b}" for byte in hashlib.pbkdf2_hmac("sha256", password, salt, 524288, 11))
    expected = tuple(WORDS[int(bits[at : at + 11], 2)] for at in range(0, 88, 11))
    assert room_words(WORDS, ROOM, 7, [ALICE, BOB]) == expected


def test_a_room_of_256_has_words() -> None:
    everybody = [bytes((number,)) * 32 for number in range(256)]
    assert len(room_words(WORDS, ROOM, 0, everybody)) == 8


def test_a_list_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2,048"):
        room_words(WORDS[1:], ROOM, 0, [ALICE])
