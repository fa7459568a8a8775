"""CSV files of square images, a row an image, of unknown origin: whole grey levels and, perhaps, a label."""

import gzip
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.found import (
    MAX_BYTES,
    MAX_PIXELS,
    MIN_PIXELS,
    PART_WORDS,
    FoundData,
    ReadArray,
    note,
    read_only,
)
from mnist_exp.data.storage import TRANSPOSED
from mnist_exp.runs.archives import FormatError, explained
from mnist_exp.words import shortened

_ENDINGS = (".csv", ".csv.gz")
_LABELS = ("label", "class", "target")
_WHOLE = re.compile(r"(\d{1,9})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[-+]?[\d.]*(e[-+]?\d+)?|[-+]?(nan|inf)", re.ASCII | re.IGNORECASE)
_LONGEST_LINE = 10 * MAX_PIXELS**2
# Of columns image and label, as data sets have on the Hugging Face hub.
_FROM_PARQUET = (
    "uv run --with pandas,pyarrow,pillow python -c 'import io, sys, numpy, pandas, PIL.Image as i; "
    't = pandas.read_parquet(sys.argv[1]); f = lambda p: i.open(io.BytesIO(p["bytes"])).convert("L"); '
    'numpy.savez(sys.argv[2], x_train=[*map(f, t["image"])], y_train=t["label"])\' {} {}'
)
_DECODER = msgspec.json.Decoder(list[int])


class Table(NamedTuple):
    """Images, uint8 (N, side, side), and their labels, uint8 (N,), or null; both read-only."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None


class _Line(NamedTuple):
    number: int
    content: bytes

    def cells(self) -> list[str]:
        return [cell.strip(" \t\"'") for cell in self.content.decode("utf-8", "replace").split(",")]


def is_table(path: Path) -> bool:
    """Says whether a file is called as CSV files are, gzipped or not."""
    return path.name.lower().endswith(_ENDINGS) and path.is_file()


def is_emnist(path: Path) -> bool:
    """Says whether a file is called as EMNIST's are, whose images lie transposed."""
    return path.name.lower().startswith("emnist")


def conversion_of(path: Path) -> str | None:
    """Says how a file of a form that is not read becomes one that is; None for all others."""
    if path.suffix.lower() == ".arff":
        made, command = ".csv", "grep -v '^[@%]' {} > {}"
    elif path.suffix.lower() == ".parquet":
        made, command = ".npz", _FROM_PARQUET
    else:
        return None
    words = command.format(shlex.quote(str(path)), shlex.quote(str(path.with_suffix(made))))
    return (
        f"it is of a form that is not read; accepted: the {made} file that this command makes of it: {words}"
    )


def open_tables(path: Path) -> FoundData:
    """Opens a CSV file, all of it to train on, or those of a folder that are called after parts.

    Raises:
        FormatError: As `read_table`; or there are no labels to train on, or two files of one part.
    """
    arrays: dict[str, ReadArray] = {}
    notes: list[str] = []
    for part, file in _find_parts(path).items():
        images, labels = read_table(file)
        if is_emnist(file):
            note(notes, TRANSPOSED)
        if labels is not None:
            arrays |= {f"x_{part}": ReadArray(images), f"y_{part}": ReadArray(labels)}
        elif part == "train":
            raise FormatError(f"{file.name} has no labels; accepted: a column called {', '.join(_LABELS)}")
        else:
            notes.append(f"{file.name} has no labels, and is no {part} part; mode=predict takes it.")
    return FoundData("CSV", arrays, notes=notes)


def _find_parts(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {"train": path}
    files = sorted(entry for entry in path.iterdir() if is_table(entry))
    parts: dict[str, Path] = {}
    for file in files:
        for word in re.findall(r"[a-z0-9]+", file.name.lower()):
            part = PART_WORDS.get(word)
            if part is not None and parts.setdefault(part, file) != file:
                both = f"{parts[part].name} and {file.name}"
                raise FormatError(f"it has {both}; accepted: one file a part, or one file by its own path")
    if "train" not in parts:
        raise FormatError(f"it has {files[0].name} and none called train; accepted: one file by its own path")
    return parts


def read_table(path: Path) -> Table:
    """Reads a CSV file, with or without a line of names: once, unless it changes. EMNIST's is put upright.

    Raises:
        FormatError: A value is no grey level, or a row has other columns than the first line; it names
            line and column. Or the columns make no square image.
    """
    with explained(path.name):
        found = path.stat()
        return _read(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=3)
def _read(path: Path, *_: int) -> Table:
    with path.open("rb") as file:
        is_packed = file.peek(2)[:2] == b"\x1f\x8b"
        lines = _lines(cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_packed else file)
        first = next(lines, None)
        if first is None:
            raise FormatError("is empty")
        names = first.cells()
        if not _are_names(names):
            rows = _parse(chain([first], lines), [str(number) for number in range(1, len(names) + 1)])
            return _sort_columns(rows, _guess_labels(rows), is_emnist(path))
        labels = [place for place, name in enumerate(names) if name.lower() in _LABELS]
        if len(labels) > 1:
            raise FormatError(f"has {len(labels)} columns called {', '.join(_LABELS)}; accepted: one")
        return _sort_columns(_parse(lines, names), labels[0] if labels else None, is_emnist(path))


def _are_names(cells: Sequence[str]) -> bool:
    """Says whether a first line is no row: a cell is no number, or they only count."""
    return not all(map(_NUMBER.fullmatch, cells)) or cells == [str(place) for place in range(len(cells))]


def _lines(stream: IO[bytes]) -> Iterator[_Line]:
    """Yields the lines that are not blank."""
    num_bytes = number = 0
    while content := stream.readline(_LONGEST_LINE):
        number, num_bytes = number + 1, num_bytes + len(content)
        if len(content) == _LONGEST_LINE or num_bytes > 5 * MAX_BYTES:
            raise FormatError(f"is larger, in line {number:,}, than any table that is read")
        if content := content.removeprefix(b"\xef\xbb\xbf").strip():
            yield _Line(number, content)


def _parse(lines: Iterable[_Line], names: Sequence[str]) -> NDArray[np.uint8]:
    """Reads all columns, uint8 (N, C)."""
    values = bytearray()
    for line in lines:
        try:
            # As JSON, which is many times faster than cell by cell.
            row = bytes(_DECODER.decode(b"[%b]" % line.content))
        except (ValueError, OverflowError):
            row = _parse_cells(line, names)
        if len(row) != len(names):
            raise FormatError(f"has {len(row):,} columns in line {line.number:,}, not {len(names):,}")
        values += row
        if len(values) > MAX_BYTES:
            raise FormatError(f"has more than {MAX_BYTES:,} values")
    if not values:
        raise FormatError("has no row of numbers")
    return np.frombuffer(values, np.uint8).reshape(-1, len(names))


def _parse_cells(line: _Line, names: Sequence[str]) -> bytes:
    values = []
    for place, cell in enumerate(line.cells()):
        found = _WHOLE.fullmatch(cell)
        if found is None or int(found[1]) > 255:
            name = shortened(names[place], 40) if place < len(names) else place + 1
            problem = f'has "{shortened(cell, 40)}" in line {line.number:,}, column {name}'
            raise FormatError(f"{problem}; accepted: whole numbers from 0 to 255")
        values.append(int(found[1]))
    return bytes(values)


def _guess_labels(rows: NDArray[np.uint8]) -> int | None:
    """Takes the first column, as MNIST's tables have it, or the last if only that varies; null for none."""
    if math.isqrt(rows.shape[1]) ** 2 == rows.shape[1]:
        return None
    return -1 if np.ptp(rows[:, 0]) == 0 < np.ptp(rows[:, -1]) else 0


def _sort_columns(rows: NDArray[np.uint8], label: int | None, is_transposed: bool) -> Table:
    pixels = rows if label is None else np.delete(rows, label, axis=1)
    side = math.isqrt(pixels.shape[1])
    if side**2 != pixels.shape[1] or not MIN_PIXELS <= side <= MAX_PIXELS:
        raise FormatError(
            f"has {pixels.shape[1]:,} columns of pixels; accepted: squares of {MIN_PIXELS} to {MAX_PIXELS} "
            f"pixels a side, and a column called {', '.join(_LABELS)}"
        )
    images = pixels.reshape(-1, side, side)
    if is_transposed:
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    return Table(read_only(images), None if label is None else read_only(rows[:, label].copy()))
