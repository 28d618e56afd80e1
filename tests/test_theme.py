"""The colours: every pair that the window uses can be read, in both looks."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from gui import theme
from gui.theme import DARK, LIGHT, Palette, audit, contrast, mix, person_colour

BOTH = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])


@BOTH
def test_every_pair_of_colours_passes_aa(palette: Palette) -> None:
    pairs = audit(palette)
    assert len(pairs) > 60
    assert [pair for pair in pairs if pair.ratio < pair.needed] == []


@BOTH
def test_the_audit_sees_a_colour_that_is_too_weak(palette: Palette) -> None:
    weak = dataclasses.replace(palette, soft=mix(palette.soft, palette.ground, 0.4))
    assert {pair.what for pair in audit(weak) if pair.ratio < pair.needed} >= {"soft on ground", "soft on side"}


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_contrast_is_that_of_wcag(first: str, second: str, ratio: float) -> None:
    assert contrast(first, second) == pytest.approx(ratio, abs=0.01)
    assert contrast(second, first) == contrast(first, second)


def test_both_looks_have_the_same_parts_and_are_frozen() -> None:
    assert len(LIGHT.people) == len(DARK.people) == len(set(LIGHT.people)) == len(set(DARK.people))
    assert DARK.dark
    assert not LIGHT.dark
    with pytest.raises(dataclasses.FrozenInstanceError):
        LIGHT.text = "#000000"  # type: ignore[misc]


@BOTH
def test_a_person_keeps_a_colour(palette: Palette) -> None:
    seen = {person_colour(palette, bytes([first]) + bytes(31)) for first in range(256)}
    assert seen == set(palette.people)
    assert palette.people.index(person_colour(palette, b"\x07" * 32)) == 7
    assert person_colour(palette, b"") == palette.soft


def test_colours_mix() -> None:
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
    assert mix("#123456", "#ffffff", 0) == "#123456"


def test_the_theme_needs_no_toolkit() -> None:
    code = (
        "import sys, gui.theme, gui.safetext; sys.exit(not {'tkinter', 'PySimpleGUI', 'PIL'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
    assert theme.FAMILIES[0] == "Inter"
