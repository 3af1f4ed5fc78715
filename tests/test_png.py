"""Pictures on their way to the page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from privlab.panel import png

WHITE, BLUE, ORANGE = (255, 255, 255), (0, 114, 178), (213, 94, 0)


def painted(height=120, width=160, **blocks):
    """A white picture with blocks of colour: name=(rows, columns, colour)."""
    pixels = np.full((height, width, 4), 255, np.uint8)
    for rows, columns, colour in blocks.values():
        pixels[rows, columns, :3] = colour
    return pixels


def smooth(height=300, width=400, shades=1000):
    """A picture with many shades, most of them on a pixel or two."""
    rng = np.random.default_rng(0)
    pixels = painted(height, width, bar=(slice(50, 90), slice(None), BLUE))
    blend, jitter = rng.random((shades, 1)), rng.uniform(-9, 9, (shades, 3))
    at = rng.choice(height * width, shades, replace=False)
    pixels.reshape(-1, 4)[at, :3] = np.clip(blend * WHITE + (1 - blend) * BLUE + jitter, 0, 255)
    return pixels


def shown(data):
    image = Image.open(io.BytesIO(data))
    image.verify()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def mode(data):
    return Image.open(io.BytesIO(data)).mode


def test_a_whole_picture_comes_back_as_it_was():
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 4), np.uint8)
    np.testing.assert_array_equal(shown(png.packed(pixels)), pixels)


def test_up_to_256_colours_come_back_as_they_were():
    pixels = painted()
    pixels[:16, :16, 0] = np.arange(256).reshape(16, 16)
    data = png.Palette().packed(pixels)
    assert mode(data) == "P"
    np.testing.assert_array_equal(shown(data), pixels)


def test_common_colours_stay_and_rare_ones_become_near_ones():
    pixels, palette = smooth(), png.Palette()
    for _ in range(2):  # learned, then looked up
        data = palette.packed(pixels)
        assert mode(data) == "P"
        off = np.abs(shown(data).astype(int) - pixels).max(axis=2)
        assert off[(pixels[..., :3] == WHITE).all(axis=2) | (pixels[..., :3] == BLUE).all(axis=2)].max() == 0
        assert 0 < off.max() < 3 * png.NEAR
        assert np.mean(off > 0) < png.RARE
    assert len(data) < 0.6 * len(png.packed(pixels))


def test_a_colour_that_is_new_is_seen_at_once():
    for rows in (4, 100):  # less than blue, and more
        palette, pixels = png.Palette(), smooth()
        palette.packed(pixels)
        pixels[100 : 100 + rows, :, :3] = ORANGE
        seen = shown(palette.packed(pixels))
        assert (seen[100 : 100 + rows, :, :3] == ORANGE).all()
        assert np.median(seen[50:90, :, :3], axis=(0, 1)).tolist() == list(BLUE)


def test_a_few_new_shades_are_told_without_learning_anew(monkeypatch):
    palette = png.Palette()
    palette.packed(smooth())
    monkeypatch.setattr(palette, "_learn", lambda _: pytest.fail("learned anew"))
    pixels = smooth()
    pixels[200, 5:15, :3] = (252, 250, 251)  # ten pixels, near to white
    pixels[210, 5:15, :3] = ORANGE  # ten, like nothing
    off = np.abs(shown(palette.packed(pixels)).astype(int) - pixels).max(axis=2)
    assert 0 < off[200, 5:15].max() <= png.NEAR
    assert off[100:200].max() == np.abs(shown(palette.packed(smooth())).astype(int) - smooth())[100:200].max()


def test_shades_at_one_place_of_the_table_are_told_apart():
    shades = np.arange(2**24, dtype=np.uint32)[:: 2**6 + 1] | np.uint32(0xFF000000)
    places = png._places(shades)
    two = shades[places == np.bincount(places).argmax()][:2].copy()
    assert len(two) == 2
    pixels = np.full((40, 50), 0xFFFFFFFF, np.uint32)
    pixels[:3], pixels[3:5] = two[0], two[1]
    whole = pixels.view(np.uint8).reshape(40, 50, 4)
    palette = png.Palette()
    for _ in range(2):
        np.testing.assert_array_equal(shown(palette.packed(whole)), whole)


def test_a_picture_with_too_many_colours_is_sent_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 4), np.uint8)
    pixels[..., 3] = 255
    data = png.Palette().packed(pixels)
    assert mode(data) == "RGBA"
    np.testing.assert_array_equal(shown(data), pixels)
