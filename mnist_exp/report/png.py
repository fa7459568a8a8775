"""PNG files of 8 bits a channel, without what nobody needs: the same bytes for the same pixels."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def png_bytes(pixels: NDArray[np.uint8], level: int, dpi: int | None = None) -> bytes:
    """Packs an image as PNG (https://www.w3.org/TR/png-3/).

    Args:
        pixels: uint8 (height, width), 0 black, or (height, width, 3), RGB.
        level: zlib's, 1 (fast) to 9 (small). Pictures that are mostly even get no smaller by the filters
            that other writers try on every line, which take most of their time.
        dpi: Pixels an inch; none says nothing.
    """
    height, width = pixels.shape[:2]
    # Each line of a PNG begins with the number of its filter: 0, none.
    lines = np.zeros((height, 1 + pixels[0].size), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    colours = _GREY if pixels.ndim == 2 else _RGB
    chunks = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0))
    if dpi is not None:
        per_metre = round(dpi / 0.0254)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))
    return SIGNATURE + chunks + _chunk(b"IDAT", zlib.compress(lines.data, level)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
