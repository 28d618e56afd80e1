"""Right-to-left text stands as it is read: order (UAX #9) and Arabic shapes.

In the first table capital letters stand for Hebrew ones, as in the examples of UAX #9.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.bidi import RTL, shape, visual, visual_lines

HEBREW = {chr(65 + i): chr(0x05D0 + i) for i in range(26)}
LATIN = {hebrew: capital for capital, hebrew in HEBREW.items()}


def to_hebrew(text: str) -> str:
    return "".join(HEBREW.get(char, char) for char in text)


def to_latin(text: str) -> str:
    return "".join(LATIN.get(char, char) for char in text)


@pytest.mark.parametrize(
    ("read", "drawn"),
    [
        ("abc", "abc"),
        ("", ""),
        ("ABC", "CBA"),
        ("car means CAR.", "car means RAC."),
        ("car MEANS CAR.", "car RAC SNAEM."),
        ("CAR means car.", ".means car RAC"),
        ("he said \"CAR MEANS CAR.\"", "he said \"RAC SNAEM RAC.\""),
        ("ABC 123 DEF", "FED 123 CBA"),
        ("abc 123 ABC", "abc 123 CBA"),
        ("ABC 10:45, 3.5% DEF", "FED 3.5% ,10:45 CBA"),
        ("ABC -5 DEF", "FED 5- CBA"),
        ("ABC (DEF) GHI", "IHG (FED) CBA"),
        ("ABC (def) GHI", "IHG (def) CBA"),
        ("see https://example.org/a ABC", "see https://example.org/a CBA"),
        ("ABC https://example.org/a", "https://example.org/a CBA"),
        ("ABC!", "!CBA"),
        ("ABC  ", "  CBA"),
        ("1. ABC", "CBA .1"),
    ],
)  # fmt: skip
def test_the_order_is_that_of_the_standard(read: str, drawn: str) -> None:
    assert to_latin(visual(to_hebrew(read))) == drawn


def test_marks_stay_behind_their_letter() -> None:
    assert visual("ש\u05c1ל\u05b8") == "ל\u05b8ש\u05c1"


@pytest.mark.parametrize(
    ("read", "forms"),
    [
        ("مرحبا", "initial final initial medial final"),
        ("باب", "initial final isolated"),
        ("دار", "isolated isolated isolated"),
        ("ب", "isolated"),
        ("بب ب", "initial final - isolated"),
        ("خواهم", "initial final isolated initial final"),
    ],
)
def test_arabic_letters_take_the_form_of_their_place(read: str, forms: str) -> None:
    shaped = shape(read)
    assert len(shaped) == len(read)
    kinds = [unicodedata.decomposition(char).split()[0].strip("<>") if char != " " else "-" for char in shaped]
    assert " ".join(kinds) == forms
    assert unicodedata.normalize("NFKC", shaped) == read


@pytest.mark.parametrize(("read", "name"), [("لا", "ISOLATED FORM"), ("بلا", "FINAL FORM")])
def test_lam_and_alef_become_one(read: str, name: str) -> None:
    assert unicodedata.name(shape(read)[-1]) == f"ARABIC LIGATURE LAM WITH ALEF {name}"


def test_a_joiner_that_parts_is_obeyed_and_not_drawn() -> None:
    parted = shape("می\u200cخواهم")
    assert "\u200c" not in parted
    assert unicodedata.decomposition(parted[1]).startswith("<final>")
    assert unicodedata.decomposition(parted[2]).startswith("<initial>")


def test_lines_are_broken_before_they_are_turned() -> None:
    lines = visual_lines(to_hebrew("AAA BBB CCC DDD"), lambda text: len(text) <= 7)
    assert [to_latin(line) for line in lines] == ["BBB AAA", "DDD CCC"]
    assert visual_lines(to_hebrew("ABCDEFGH"), lambda text: len(text) <= 3) == [to_hebrew("HGFEDCBA")]
    assert visual_lines("", lambda text: True) == [""]


@given(st.text(st.sampled_from("abAB \u05d0\u05d1\u0628\u06271٢+-,.()[]%\u0301\u05b8\u0640\u200c😀"), max_size=60))
def test_nothing_is_lost_or_added(text: str) -> None:
    drawn = visual(text)
    if not RTL.search(text):
        assert drawn == text
        return
    swap = str.maketrans("()[]", ")(][")

    def content(what: str) -> list[str]:
        plain = unicodedata.normalize("NFKD", what.replace("\u200c", ""))
        return sorted(min(char, char.translate(swap)) for char in plain)

    assert content(drawn) == content(text)
    broken = "".join(visual_lines(text, lambda part: len(part) <= 9))
    assert content(broken.replace(" ", "")) == content(text.replace(" ", ""))
