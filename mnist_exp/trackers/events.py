"""TensorBoard's event files as bytes: protobuf messages in TFRecord frames, written without TensorFlow.

Fields are numbered as in TensorFlow's event.proto and summary.proto, and in TensorBoard's own of its
HParams plugin. Times are in seconds since 1970.
"""

import struct
from collections.abc import Mapping

Plain = bool | float | str
_CASTAGNOLI, _MASK = 0x82F63B78, 2**32 - 1
_EMPTY_TENSOR = b"\x08\x01\x12\x02\x12\x00"  # float32 (0,)
_RGB, _SUCCESS, _FAILURE = 3, 1, 2
_PNG_SIZE = slice(16, 24)


def _checksum_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


_CHECKSUMS = [_checksum_of(byte) for byte in range(256)]


def _masked_checksum(data: bytes) -> bytes:
    """Gives a CRC-32C (RFC 3720) as TFRecord masks it (tensorflow/core/lib/hash/crc32c.h)."""
    crc = _MASK
    for byte in data:
        crc = _CHECKSUMS[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= _MASK
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & _MASK)


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """Encodes a field of a message: an integer as varint, a float as double, all else with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _event(wall_s: float, content: bytes) -> bytes:
    event = _field(1, wall_s) + content
    length = struct.pack("<Q", len(event))
    return length + _masked_checksum(length) + event + _masked_checksum(event)


def _summary(wall_s: float, step: int, tag: str, content: bytes) -> bytes:
    return _event(wall_s, _field(2, step) + _field(5, _field(1, _field(1, tag) + content)))


def version(wall_s: float) -> bytes:
    """Encodes what an event file begins with."""
    return _event(wall_s, _field(3, "brain.Event:2"))


def scalars(wall_s: float, step: int, values: Mapping[str, float]) -> bytes:
    """Encodes numbers by their tags, as float32."""
    return b"".join(
        _summary(wall_s, step, tag, b"\x15" + struct.pack("<f", value)) for tag, value in values.items()
    )


def picture(wall_s: float, step: int, tag: str, png: bytes) -> bytes:
    """Encodes a PNG file."""
    width, height = struct.unpack(">II", png[_PNG_SIZE])
    image = _field(1, height) + _field(2, width) + _field(3, _RGB) + _field(4, png)
    return _summary(wall_s, step, tag, _field(4, image))


def session_start(wall_s: float, hyperparameters: Mapping[str, Plain]) -> bytes:
    """Encodes hyperparameters, for the HParams plugin."""
    entries = [_field(1, name) + _field(2, _plain(value)) for name, value in hyperparameters.items()]
    content = b"".join(_field(1, entry) for entry in entries) + _field(5, wall_s)
    return _hparams(wall_s, "session_start_info", _field(3, content))


def session_end(wall_s: float, is_completed: bool) -> bytes:
    """Encodes how a training ended, for the HParams plugin."""
    status = _field(1, _SUCCESS if is_completed else _FAILURE)
    return _hparams(wall_s, "session_end_info", _field(4, status + _field(2, wall_s)))


def _hparams(wall_s: float, tag: str, content: bytes) -> bytes:
    metadata = _field(1, _field(1, "hparams") + _field(2, content))
    return _summary(wall_s, 0, f"_hparams_/{tag}", _field(8, _EMPTY_TENSOR) + _field(9, metadata))


def _plain(value: Plain) -> bytes:
    """Encodes a `google.protobuf.Value`."""
    if isinstance(value, bool):
        return _field(4, value)
    return _field(3, value) if isinstance(value, str) else _field(2, float(value))
