"""Pictures as data: URIs, so that a page needs no file beside it."""

import struct
import zlib
from base64 import b64encode

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 3_000_000


def png_uri(content: bytes) -> Markup | None:
    """Puts a PNG file in a URI; None for what is no PNG or too large for a page."""
    if not content.startswith(_SIGNATURE) or len(content) > MOST_BYTES:
        return None
    return _uri(content)


def image_uri(pixels: NDArray[np.uint8]) -> Markup:
    """Puts an image in a URI, as dark ink on white paper.

    Args:
        pixels: uint8 (height, width), 0 background.
    """
    height, width = pixels.shape
    # Each line of a PNG begins with the number of its filter: 0, none.
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = 255 - pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    content = _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)
    return _uri(content)


def _uri(content: bytes) -> Markup:
    # Base 64 has nothing to escape, and must not be cut as other long texts are.
    return Markup(f"data:image/png;base64,{b64encode(content).decode()}")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
