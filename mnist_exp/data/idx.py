"""IDX files, as MNIST, Fashion-MNIST and EMNIST have them, gzipped or not."""

import re
from pathlib import Path

from mnist_exp.data.found import FoundData, find_sets
from mnist_exp.data.storage import open_stored

_MAX_MAPPING_BYTES = 65_536
_NAME = re.compile(r"[-.]idx[13]-ubyte(\.gz)?$")


def find_idx(files: dict[str, Path]) -> dict[str, dict[str, list[str]]]:
    """Sorts a folder's IDX files, by name, into data sets; what is unpacked stands before what is not."""
    names = sorted(name for name in files if _NAME.search(name))
    return find_sets(sorted(names, key=lambda name: name.endswith(".gz")))


def open_idx(files: dict[str, Path], chosen: dict[str, list[str]]) -> FoundData:
    """Opens IDX files; those of EMNIST are put upright, and their classes named by its mapping file.

    Raises:
        FormatError: One is damaged, or of another type or shape than accepted.
    """
    first = chosen["x_train"][0]
    is_emnist = first.lower().startswith("emnist")
    notes: list[str] = []
    arrays = {}
    for key, names in chosen.items():
        is_images = key.startswith("x")
        arrays[key] = open_stored(
            files[names[0]], None, notes, is_images=is_images, is_transposed=is_emnist and is_images
        )
    mapping = files.get(f"{first[: first.find('-train')]}-mapping.txt") if is_emnist else None
    kind = "EMNIST's IDX files" if is_emnist else "IDX files"
    return FoundData(kind, arrays, None if mapping is None else _read_names(mapping), notes)


def _read_names(path: Path) -> tuple[str, ...] | None:
    """Reads what each label stands for: its number and the codes of its letters; None from any other file."""
    try:
        with path.open("rb") as file:
            lines = file.read(_MAX_MAPPING_BYTES).decode("ascii").splitlines()
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        labels = [row[0] for row in rows]
        names = tuple("".join(map(chr, row[1:])) for row in rows)
    except (OSError, ValueError, IndexError, OverflowError):
        return None
    is_whole = bool(labels) and labels == list(range(labels[0], labels[0] + len(labels)))
    return names if is_whole and all(map(str.isprintable, names)) and all(names) else None
