"""Where on this machine a data set may lie, and how messages call such a place."""

import os
from pathlib import Path
from typing import NamedTuple

from mnist_exp import environment
from mnist_exp.config.schema import DataConfig
from mnist_exp.data.formats import FILES_ACCEPTED, missing_files
from mnist_exp.errors import ConfigError

GIVEN = "data.path"
KNOWN = "data.places"
DOWNLOADED = "data.mirrors"


class Place(NamedTuple):
    """A file or folder with a data set in it.

    Attributes:
        setting: The configuration's key that led here.
        path: The file or folder.
        description: What messages and manifests call it; `~` stands for the home folder.
    """

    setting: str
    path: Path
    description: str

    def refusal(self, problem: str) -> ConfigError:
        """Says in one line what is wrong here and what to do.

        Args:
            problem: What came and what is accepted.

        Returns:
            The error to raise.
        """
        hint = (
            FILES_ACCEPTED if self.setting.startswith(GIVEN) else f"Delete it, or set {GIVEN} to other files."
        )
        return ConfigError(f"{self.setting}: {self.description}: {problem}.", hint)


def place_at(setting: str, path: Path) -> Place:
    """Names a path.

    Args:
        setting: The configuration's key that led to it.
        path: A file or folder, which need not exist.

    Returns:
        The place.
    """
    return Place(setting, path, _abbreviated(path))


def given_place(config: DataConfig) -> Place | None:
    """Returns the place that `data.path`, or else its environment variable, names, whatever is there."""
    if config.path is not None:
        return place_at(GIVEN, _expanded(config.path))
    value = os.environ.get(config.path_variable, "") if config.path_variable else ""
    if not value:
        return None
    return place_at(f"{GIVEN} (environment variable {config.path_variable})", _expanded(value))


def existing_place(config: DataConfig) -> Place | None:
    """Returns the first of `data.places` that is a file, or a folder with all four files."""
    for path in _known_paths(config):
        try:
            if path.is_file() or (path.is_dir() and not missing_files(path)):
                return place_at(KNOWN, path)
        except OSError:  # a folder that may not be entered, a name too long
            continue
    return None


def describe_search(config: DataConfig) -> str:
    """Lists where a data set was looked for, other than on mirrors."""
    named = f"data.path{f' and {config.path_variable}' if config.path_variable else ''} unset"
    return ", ".join([named, *(f"no {_abbreviated(path)}" for path in _known_paths(config))])


def _known_paths(config: DataConfig) -> list[Path]:
    return [_expanded(place.replace("{keras}", environment.keras_home())) for place in config.places]


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user
        return Path(text)


def _abbreviated(path: Path) -> str:
    try:
        return str(Path("~") / path.absolute().relative_to(Path.home()))
    except (ValueError, RuntimeError):  # not below the home folder, or there is none
        return str(path.absolute())
