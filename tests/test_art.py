"""The pictures: complete, stable, transparent where they should be, and a QR code that holds its text."""

from __future__ import annotations

import hashlib
import io

import pytest
import segno
from PIL import Image

from gui import art
from gui.theme import DARK, LIGHT, Palette

FP = hashlib.sha256(b"alice").digest()


def _pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("name", sorted(art.ICONS))
def test_every_icon_draws_inside_its_square(name: str) -> None:
    image = art.icon(name, 24, "#123456")
    assert image.size == (24, 24)
    shades = image.getchannel("A").tobytes()
    assert min(shades) == 0
    assert max(shades) > 200
    assert image.convert("RGB").tobytes() == bytes((0x12, 0x34, 0x56)) * 24 * 24


def test_icons_differ() -> None:
    assert len({art.png(art.icon(name, 24, "#000000")) for name in art.ICONS}) == len(art.ICONS)


@pytest.mark.parametrize("border", ["", "#ff0000"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (300, 120)])
def test_a_box_is_filled_and_its_corners_are_open(size: tuple[int, int], border: str) -> None:
    image = art.box(*size, 10, "#00ff00", border)
    assert image.size == size
    if min(size) > 30:
        assert _pixel(image, 0, 0)[3] < 40
        assert _pixel(image, size[0] - 1, size[1] - 1)[3] < 40
        assert _pixel(image, size[0] // 2, size[1] // 2) == (0, 255, 0, 255)
        edge = (255, 0, 0, 255) if border else (0, 255, 0, 255)
        assert _pixel(image, size[0] // 2, 0) == edge
        assert _pixel(image, 0, size[1] // 2) == edge


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_an_avatar_belongs_to_its_fingerprint(palette: Palette) -> None:
    first = art.png(art.avatar(palette, FP, 40))
    assert art.png(art.avatar(palette, FP, 40)) == first
    seen = {art.png(art.avatar(palette, hashlib.sha256(bytes([n])).digest(), 40)) for n in range(100)}
    assert len(seen) == 100
    assert art.png(art.avatar(palette, FP, 40, square=True)) != first


def test_an_avatar_is_mirrored() -> None:
    image = art.avatar(LIGHT, FP, 40)
    assert (
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((8, 8, 32, 32)).tobytes()
        == image.crop((8, 8, 32, 32)).tobytes()
    )


def test_presence_shows_by_shape_too() -> None:
    here = art.avatar(LIGHT, FP, 40, presence="here", ring="#ffffff")
    away = art.avatar(LIGHT, FP, 40, presence="away", ring="#ffffff")
    middle = (here.width - round(40 * 0.42) // 2 - 1, here.height - round(40 * 0.42) // 2 - 1)
    assert min(_pixel(here, *middle)[:3]) < 100  # full
    assert min(_pixel(away, *middle)[:3]) > 240  # hollow


@pytest.mark.parametrize("fp", [b"", b"\x00", bytes(32), b"\xff" * 32])
def test_odd_fingerprints_draw(fp: bytes) -> None:
    assert art.avatar(DARK, fp, 18).size == (18, 18)


def test_the_qr_code_is_the_text_dark_on_light_with_a_quiet_edge() -> None:
    text = "parley:join/relay.example.org:7256/" + "A" * 150
    image = art.qr(text, 240)
    matrix = segno.make(text, error="m", micro=False, boost_error=False).matrix
    modules = len(matrix) + 2 * art.QUIET
    scale = image.width // modules
    assert scale >= 2
    assert image.width == image.height == modules * scale <= 240
    for y in range(modules):
        for x in range(modules):
            inside = art.QUIET <= x < modules - art.QUIET and art.QUIET <= y < modules - art.QUIET
            dark = inside and bool(matrix[y - art.QUIET][x - art.QUIET])
            assert (_pixel(image, x * scale, y * scale)[0] < 128) is dark


def test_pictures_become_png() -> None:
    data = art.png(art.logo(64))
    assert Image.open(io.BytesIO(data)).size == (64, 64)
