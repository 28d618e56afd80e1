"""Names: each kind that can't be used has its sentence, and none that people have is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore import names
from chatcore.errors import TextError
from chatcore.members import pack_nick


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", names.EMPTY),
        ("   ", names.BLANK),
        ("\t \u00a0\u3000", names.BLANK),
        ("\u3164\u3164", names.BLANK),
        ("\u200d", names.BLANK),
        ("a" * 65, names.TOO_LONG),
        ("é" * 33, names.TOO_LONG),
        ("\U0001f600" * 17, names.TOO_LONG),
        ("Ann\nBob", names.UNSEEN),
        ("Ann\x00", names.UNSEEN),
        ("Ann\x1b[31m", names.UNSEEN),
        ("Ann\u200bBob", names.UNSEEN),
        ("Ann\u2028Bob", names.UNSEEN),
        ("Ann\ud800", names.UNSEEN),
        ("\u202eevilA", names.TURNED),
        ("Ann\u2066Bob\u2069", names.TURNED),
        ("\u200fAnn", names.TURNED),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_its_sentence(typed: str, sentence: str) -> None:
    with pytest.raises(TextError) as refused:
        names.clean_name(typed)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Léa", "Léa"),
        ("  Ann  van   Dyk ", "Ann van Dyk"),
        ("李小龍", "李小龍"),
        ("مريم", "مريم"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("a" * 64, "a" * 64),
    ],
)
def test_names_that_people_have_are_taken(typed: str, name: str) -> None:
    assert names.clean_name(typed) == name


@given(st.text(max_size=80))
def test_what_is_taken_fits_the_wire_and_stays_as_it_is(typed: str) -> None:
    try:
        name = names.clean_name(typed)
    except TextError:
        return
    assert len(pack_nick(name)) == 65
    assert names.clean_name(name) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("Alice", "A l\u00a0ice"),
        ("Alice", "АӀісе"),  # Cyrillic
        ("Nina", "ΝΙΝA".replace("Ι", "I")),  # Greek
        ("Bob", "B0b"),
        ("Ilya", "llya"),
        ("Marnie", "Mamie"),
        ("Léa", "Lea"),
        ("Ａlice", "Alice"),  # full width
        ("A\u200blice\u2060", "Alice"),
        ("Tom\u3164", "Tom"),
        ("Ivy", "ivy"),
    ],
)
def test_names_that_could_be_taken_for_each_other_look_the_same(one: str, other: str) -> None:
    assert names.looks(one) == names.looks(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Alice", "Alicia"), ("Tom", "Tim"), ("Anna", "Hanna"), ("राम", "रमा"), ("Иван", "Юван"), ("田中", "中田")],
)
def test_names_that_differ_look_different(one: str, other: str) -> None:
    assert names.looks(one) != names.looks(other)


@given(st.text(max_size=64))
def test_what_a_name_looks_like_is_worked_out_for_any_text(name: str) -> None:
    assert names.looks(name) == names.looks(f" {name} ")
