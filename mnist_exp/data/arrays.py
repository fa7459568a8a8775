"""Data sets of arrays: an `.npz` file, or a folder of IDX, `.npy` or `.npz` files with an array each."""

import re
from pathlib import Path
from zipfile import BadZipFile

from mnist_exp.data.found import FoundData, choose_set, find_sets, missing_arrays
from mnist_exp.data.storage import StoredArray, open_stored, opened_archive
from mnist_exp.runs.archives import FormatError, explained

_ENDINGS = (".npy", ".npz")
_IDX = re.compile(r"[-.]idx[13]-ubyte(\.gz)?$")
_MAX_MAPPING_BYTES = 65_536


def open_npz(path: Path) -> FoundData:
    """Opens an `.npz` file with Keras' keys, MedMNIST's, or others that name part and kind.

    Raises:
        FormatError: Something is missing, damaged, ambiguous, or of another type or shape than accepted.
    """
    members = _members(path)
    chosen = choose_set(find_sets(members), None)
    if missing := missing_arrays(chosen):
        held = ", ".join(members[:8]) or "nothing"
        raise FormatError(f"it lacks {', '.join(missing)}; it holds {held:.200}")
    notes: list[str] = []
    arrays = {}
    for key, names in chosen.items():
        if len(names) > 1:
            raise FormatError(f"{' and '.join(names):.200} may both be {key}; accepted: one of them")
        arrays[key] = open_stored(path, names[0], notes, is_images=key.startswith("x"))
    kind = {"train_images": "MedMNIST's .npz", "x_train": "Keras' .npz"}.get(chosen["x_train"][0], "an .npz")
    return FoundData(kind, arrays, notes=notes)


def _members(path: Path) -> list[str]:
    with explained("it"):
        try:
            with opened_archive(path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        except BadZipFile as error:
            raise FormatError("is not a whole .npz file") from error


def find_arrays(files: dict[str, Path]) -> dict[str, dict[str, list[str]]]:
    """Sorts a folder's files, by name without ending, into data sets; see `find_sets`."""
    return find_sets(sorted(Path(name).stem for name in files if name.endswith(_ENDINGS)))


def open_folder(files: dict[str, Path], chosen: dict[str, list[str]]) -> FoundData:
    """Opens `.npy` or `.npz` files with an array each, such as KMNIST's four; raises as `open_npz` does."""
    notes: list[str] = []
    arrays = {}
    for key, names in chosen.items():
        paths = [files[name + ending] for name in names for ending in _ENDINGS if name + ending in files]
        if len(paths) > 1:
            raise FormatError(f"{paths[0].name} and {paths[1].name} may both be {key}; accepted: one of them")
        arrays[key] = _open_single(paths[0], notes, is_images=key.startswith("x"))
    return FoundData("arrays in files of their own", arrays, notes=notes)


def _open_single(path: Path, notes: list[str], *, is_images: bool) -> StoredArray:
    if path.suffix == ".npy":
        return open_stored(path, None, notes, is_images=is_images)
    with explained(path.name):
        members = _members(path)
        if len(members) != 1:
            raise FormatError(f"holds {len(members)} arrays; accepted: one")
        return open_stored(path, members[0], notes, is_images=is_images)


def find_idx(files: dict[str, Path]) -> dict[str, dict[str, list[str]]]:
    """Sorts a folder's IDX files, by name, into data sets; what is unpacked stands before what is not."""
    names = sorted(name for name in files if _IDX.search(name))
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
