"""Attack 55: a hostile name or text is shown safely.  Also the guard against colour glyphs on old X libraries."""

from __future__ import annotations

import ctypes
import sys
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui import safetext
from gui.safetext import MAX_MARKS, MAX_NAME, MAX_RUN, PLACEHOLDER, safe_name, safe_text, wide_glyphs_are_safe

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(BIDI + "\x00\x07\x1b\x85\u2028\u200b\ufeff\u0301\u0489\U000e0041\ufffe\ud800\t\n\r aé字😀"),
    ),
    max_size=300,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ntext\twith a tab", "plain\ntext\twith a tab"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("x\x00y\x1b[2Jz", f"x{PLACEHOLDER}y{PLACEHOLDER}[2Jz"),
        ("one\r\ntwo\rthree\u2028four\x0bfive", "one\ntwo\nthree\nfour\nfive"),
        ("é" + "\u0301" * 50, "é" + "\u0301" * MAX_MARKS),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\U000e0068\U000e0069shown", "shown"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("שלום", "שלום"),
        ("\ud800", PLACEHOLDER),
        ("\ufffe", PLACEHOLDER),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_what_deceives_is_neutralised(text: str, shown: str) -> None:
    assert safe_text(text, wide=True) == shown


def test_code_points_above_the_first_plane_go_where_they_are_dangerous() -> None:
    assert safe_text("a😀b𝒳", wide=False) == f"a{PLACEHOLDER}b{PLACEHOLDER}"
    assert safe_name("😀bob", wide=False) == f"{PLACEHOLDER}bob"
    assert safe_text("字 é ☃", wide=False) == "字 é ☃"


@pytest.mark.parametrize("line", ["x" * 65_536, "word " * 13_000, "é" * 65_536])
def test_an_endless_line_is_broken_where_it_is_shown_and_whole_where_it_is_copied(line: str) -> None:
    shown = safe_text(line)
    assert max(map(len, shown.split("\n"))) <= MAX_RUN
    assert shown.replace("\n", "") == line
    assert safe_text(line, whole=True) == line


def test_words_aren_t_cut_when_there_are_blanks() -> None:
    assert {word for line in safe_text("word " * 5000).split("\n") for word in line.split()} == {"word"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  alice  \n smith ", "alice smith"),
        ("al\u202eice", "alice"),
        ("al\u200dice\u3164", "alice"),
        ("", PLACEHOLDER),
        (" \u200b\u3164 ", PLACEHOLDER),
        ("bob\x00", f"bob{PLACEHOLDER}"),
        ("n" * 500, "n" * (MAX_NAME - 1) + "…"),
    ],
)
def test_names_are_one_short_line_without_hidden_parts(name: str, shown: str) -> None:
    assert safe_name(name, wide=True) == shown


@given(HOSTILE, st.booleans())
def test_whatever_comes_is_safe(text: str, wide: bool) -> None:
    shown = safe_text(text, wide=wide)
    assert safe_text(shown, wide=wide) == shown
    assert not set(shown) & set(BIDI)
    for char in shown:
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs")
        assert wide or ord(char) <= 0xFFFF
    marks = 0
    for char in shown:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert marks <= MAX_MARKS


@given(HOSTILE)
def test_whatever_the_name_it_is_one_line(text: str) -> None:
    shown = safe_name(text, wide=True)
    assert 1 <= len(shown) <= MAX_NAME
    assert "\n" not in shown
    assert "\t" not in shown
    assert safe_name(shown, wide=True) == shown


@pytest.mark.parametrize(("version", "safe"), [(20304, False), (20305, True), (20306, True)])
def test_the_x_library_is_asked(monkeypatch: pytest.MonkeyPatch, version: int, safe: bool) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(XftGetVersion=lambda: version))
    assert wide_glyphs_are_safe.__wrapped__() is safe
    monkeypatch.setattr(safetext, "wide_glyphs_are_safe", lambda: safe)
    assert safe_text("😀") == ("😀" if safe else PLACEHOLDER)


def test_without_the_library_nothing_is_risked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(sys, "platform", "linux")
    assert wide_glyphs_are_safe.__wrapped__() is False
    monkeypatch.setattr(sys, "platform", "win32")
    assert wide_glyphs_are_safe.__wrapped__() is True
