"""PNG, quickly: a moving picture is packed, sent and unpacked while a hand waits for it."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from privlab.columns import Array

RGBA, INDEXED = 6, 3  # PNG's numbers for the two kinds
PLACES, MIX = 2**16, np.uint32(0x85EBCA6B)  # of a table of colours, and what spreads them over it (as in MurmurHash3)
COMMON = 192  # colours that stay as they are; the others of 256 go to what would be furthest off
RARE = 0.04  # of all pixels: how many may get a near colour, lest a picture be sent whole
NEAR = 16  # steps of 255 in a channel that nobody sees in the smoothed edge of what moves
FAR = 0.002  # of all pixels: how many new ones may be further off, lest the colours be chosen anew


def packed(pixels: Array) -> bytes:
    """Everything in (height, width, 4) RGBA; no row filters, so half the time of Pillow's encoder at the same size."""
    return _file(pixels.shape[1], RGBA, pixels.reshape(len(pixels), -1))


def _file(width: int, kind: int, rows: Array, palette: bytes = b"") -> bytes:
    lines = np.zeros((len(rows), 1 + rows.shape[1]), np.uint8)
    lines[:, 1:] = rows
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0))]
    parts += [(b"PLTE", palette)] if palette else []
    parts += [(b"IDAT", zlib.compress(lines.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


class Palette:
    """256 colours for all of a moving picture: half the bytes, and less than half the work of unpacking them.

    The commonest colours stay exactly what they are; rare shades of smoothed edges become the nearest of the 256.
    """

    def __init__(self) -> None:
        self.colours = np.zeros(256, np.uint32)
        self.known, self.index = np.zeros(PLACES, np.uint32), np.zeros(PLACES, np.uint8)

    def packed(self, pixels: Array) -> bytes:
        """An opaque picture (height, width, 4), or all of it where it has too many colours."""
        colours = pixels.view(np.uint32)[..., 0]
        index = self._look_up(colours)
        if index is None and self._learn(colours):
            index = self._look_up(colours, strict=False)
        if index is None:
            return packed(pixels)
        return _file(index.shape[1], INDEXED, index, _channels(self.colours).T.astype(np.uint8).tobytes())

    def _look_up(self, colours: Array, strict: bool = True) -> Array | None:
        """Each pixel's place among the colours; None if `strict` and there is something new that is like none."""
        places = _places(colours)
        index = np.take(self.index, places, mode="clip")
        strange = np.take(self.known, places, mode="clip") != colours
        shades, where, counts = np.unique(colours[strange], return_inverse=True, return_counts=True)
        if len(shades):
            near, off = self._nearest(shades)
            if strict and counts[off > NEAR].sum() > FAR * colours.size:
                return None
            index[strange] = near[where]
            self._keep(shades, near)
        return index

    def _learn(self, colours: Array) -> bool:
        """Take the commonest colours; whether they stand for the picture."""
        shades, counts = np.unique(colours, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        shades, counts = shades[order], counts[order]
        if counts[256:].sum() > RARE * colours.size:
            return False
        self.colours[:] = np.resize(shades[:COMMON], 256)
        if len(shades) > COMMON:
            lost = self._nearest(shades[COMMON:])[1] * counts[COMMON:]
            worst = np.argsort(-lost, kind="stable")[: 256 - COMMON]
            self.colours[COMMON : COMMON + len(worst)] = shades[COMMON + worst]
        self.known[:] = 0
        self._keep(shades, self._nearest(shades)[0])
        return True

    def _keep(self, shades: Array, index: Array) -> None:
        places = _places(shades)
        free = self.known[places] == 0  # opaque colours are not 0
        self.known[places[free]], self.index[places[free]] = shades[free], index[free]

    def _nearest(self, shades: Array) -> tuple[Array, Array]:
        """The place of the colour most like each shade, and how far off it is in the channel that is furthest."""
        pairs = zip(_channels(shades), _channels(self.colours), strict=True)
        off = np.max([np.abs(a[:, None] - b) for a, b in pairs], axis=0)
        near = off.argmin(axis=1)
        return near, off[np.arange(len(near)), near]


def _places(colours: Array) -> Array:
    return colours * MIX >> 16


def _channels(colours: Array) -> Array:
    """Red, green and blue (3, shades) of RGBA in one number."""
    return colours.view(np.uint8).reshape(-1, 4).T[:3].astype(np.int16)
