"""Which form of a data set lies at a path."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mnist_exp.data import arrays, tables
from mnist_exp.data.found import FoundData, choose_set, missing_arrays
from mnist_exp.runs.archives import FormatError, explained

FILES_ACCEPTED = (
    "Accepted: an .npz file with x_train, y_train, x_test and y_test or MedMNIST's names, "
    "a CSV file with a column of labels, or a folder with such arrays as .npy or .npz files, with IDX files, "
    "with CSV files called train and test, or with one folder of pictures a class."
)
_MOST_FILES = 10_000
_BELOW = ("", "raw", "gzip", "*/raw")
"""Where the files of a folder may lie: as they are, as torchvision or EMNIST's archive has them."""

_FOLDER_READERS = ((arrays.find_idx, arrays.open_idx), (arrays.find_arrays, arrays.open_folder))


def open_data(path: Path, size: int | None = None) -> FoundData:
    """Opens a data set, whatever its form; no images are read.

    Args:
        size: Side of the images that pictures are brought to, in pixels; None for the commonest.

    Raises:
        FormatError: Something is missing, damaged, ambiguous, or of another type or shape than accepted.
    """
    with explained("it"):
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    if not exists:
        return _open_named(path)
    if is_folder:
        return _open_folder(path, None, size)
    if not is_file:
        raise FormatError("it is neither a file nor a folder")
    if conversion := tables.conversion_of(path):
        raise FormatError(conversion)
    return tables.open_tables(path) if tables.is_table(path) else arrays.open_npz(path)


def has_mnist_files(folder: Path) -> bool:
    """Says whether a folder has all four IDX files of MNIST, gzipped or not."""
    return len(arrays.find_idx(_list_files(folder)).get("", {})) >= 4


def _open_named(path: Path) -> FoundData:
    """Opens the set of a folder that the path's last part names, such as `emnist-letters`."""
    with suppress(_NothingFoundError):
        if path.parent.is_dir():
            return _open_folder(path.parent, path.name)
    raise FormatError("it does not exist")


class _NothingFoundError(FormatError):
    """There are no files of any accepted form."""


def _open_folder(folder: Path, wanted: str | None, size: int | None = None) -> FoundData:
    with explained("it"):
        places = {place: _list_files(place) for place in _places(folder)}
    for find, read in _FOLDER_READERS:
        chosen_sets = {place: choose_set(find(files), wanted) for place, files in places.items()}
        found = {place: chosen for place, chosen in chosen_sets.items() if chosen}
        if len(found) > 1:
            names = ", ".join(str(place.relative_to(folder)) for place in found)
            raise FormatError(f"it has data sets in {names:.300}; accepted: the path of one of them")
        for place, chosen in found.items():
            if missing := missing_arrays(chosen):
                raise FormatError(f"the folder lacks {', '.join(missing)}; it holds {_words(chosen):.300}")
            return read(places[place], chosen)
    if wanted is None and any(map(tables.is_table, places[folder].values())):
        return tables.open_tables(folder)
    if wanted is None and any(entry.is_dir() for entry in folder.iterdir()):
        from mnist_exp.data.picture_folders import open_picture_folder

        return open_picture_folder(folder, size)
    raise _NothingFoundError("it holds no data set that is known")


def _words(chosen: dict[str, list[str]]) -> str:
    return ", ".join(f"{names[0]} ({key})" for key, names in chosen.items())


def _places(folder: Path) -> Iterator[Path]:
    for pattern in _BELOW:
        if not pattern:
            yield folder
        else:
            yield from (place for place in islice(sorted(folder.glob(pattern)), 100) if place.is_dir())


def _list_files(folder: Path) -> dict[str, Path]:
    """Lists a folder's files by name, as many as no data set of arrays has."""
    with os.scandir(folder) as entries:
        paths = [folder / entry.name for entry in islice(entries, _MOST_FILES)]
    return {path.name: path for path in paths if path.is_file()}  # unlike an entry, of links in a circle, too
