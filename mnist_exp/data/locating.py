"""Where a data set is: named, in its usual places, or downloaded."""

import errno
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mnist_exp import environment
from mnist_exp.config.schema import DataConfig, MirrorConfig
from mnist_exp.data.formats import FILES_ACCEPTED, has_mnist_files
from mnist_exp.data.found import MAX_BYTES, Progress
from mnist_exp.errors import ConfigError

GIVEN = "data.path"
KNOWN = "data.places"
DOWNLOADED = "data.mirrors"
REPLY_S = 3.0
READ_S = 5.0
_CHUNK_BYTES = 2**16


class Place(NamedTuple):
    """A file or folder with a data set: the key that led here; its name, `~` for the home folder."""

    setting: str
    path: Path
    description: str

    def refusal(self, problem: str) -> ConfigError:
        """Says in one line what is wrong here and what to do."""
        hint = f"Delete it, or set {GIVEN} to other files."
        if self.setting.startswith(GIVEN):
            hint = "" if "accepted:" in problem else FILES_ACCEPTED
        return ConfigError(f"{self.setting}: {self.description}: {problem}.", hint)


def place_at(setting: str, path: Path) -> Place:
    """Names a file or folder, which need not exist."""
    return Place(setting, path, _abbreviated(path))


def given_place(config: DataConfig) -> Place | None:
    """Returns the place that `data.path`, or else its environment variable, names, existing or not."""
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
            if path.is_file() or (path.is_dir() and has_mnist_files(path)):
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


class DownloadError(Exception):
    """No mirror gave the files; the message names each one and its reason."""


def fetch(name: str, mirrors: Sequence[MirrorConfig], progress: Progress | None = None) -> Path:
    """Finds the whole files of a data set among earlier downloads, or downloads them.

    A mirror that does not reply within `REPLY_S` seconds is passed over, and nothing is tried
    twice, so that without a network this takes no longer than that for all mirrors together.

    Raises:
        ConfigError: A mirror's file name is a path.
        DownloadError: No mirror gave all its files.
    """
    _check_file_names(mirrors)
    folder = environment.cache_folder(name)
    for mirror in mirrors:
        if mirror.files and all(_is_whole(folder / file, digest) for file, digest in mirror.files.items()):
            return _location(folder, mirror)
    reasons = []
    for mirror, reason in zip(mirrors, _reasons_not_to_try(mirrors), strict=True):
        try:
            if reason is None:
                return _download(folder, mirror, progress)
        except (OSError, ValueError) as error:
            reason = _reason(error)
        reasons.append(f"{urlsplit(mirror.url).netloc or mirror.url}: {reason}")
    raise DownloadError("; ".join(reasons) or "there are no mirrors")


def _check_file_names(mirrors: Sequence[MirrorConfig]) -> None:
    for mirror in mirrors:
        for file in mirror.files:
            if Path(file).name != file or file in ("", "..") or "\\" in file:
                raise ConfigError(f'data.mirrors: "{file}" is a path; accepted: a file name without folders.')


def _is_whole(path: Path, digest: str) -> bool:
    import pooch

    algorithm, _, expected = digest.rpartition(":")
    try:
        return path.is_file() and pooch.file_hash(str(path), alg=algorithm or "sha256") == expected.lower()
    except (OSError, ValueError):
        return False


def _location(folder: Path, mirror: MirrorConfig) -> Path:
    return next((folder / file for file in mirror.files if file.endswith(".npz")), folder)


def _downloader(progressbar: Any = False) -> Any:
    import pooch

    # Servers that unpack .gz files on the way would change their hashes.
    headers = {"Accept-Encoding": "identity"}
    return pooch.HTTPDownloader(
        progressbar=progressbar, chunk_size=_CHUNK_BYTES, timeout=(REPLY_S, READ_S), headers=headers
    )


def _reasons_not_to_try(mirrors: Sequence[MirrorConfig]) -> list[str | None]:
    """Tries all mirrors at once, in threads: a time-out of requests does not cover a name look-up."""
    reasons: list[str | None] = [f"no reply within {REPLY_S:g} s"] * len(mirrors)

    def request(index: int, mirror: MirrorConfig) -> None:
        try:
            _downloader()(mirror.url + next(iter(mirror.files)), None, None, check_only=True)
            reasons[index] = None
        except StopIteration:
            reasons[index] = "it has no files"
        except (OSError, ValueError) as error:
            reasons[index] = _reason(error)

    threads = [threading.Thread(target=request, args=item, daemon=True) for item in enumerate(mirrors)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + REPLY_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(reasons)


def _download(folder: Path, mirror: MirrorConfig, progress: Progress | None) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    registry = pooch.create(folder, mirror.url, registry=mirror.files)
    for file in mirror.files:
        registry.fetch(file, downloader=_downloader(_Transfer(file, progress)))
    return _location(folder, mirror)


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, ValueError):
        return str(error).split(". ")[0]
    name = type(error).__name__
    return getattr(error, "strerror", None) or {"ConnectionError": "no connection"}.get(name, name)


class _Transfer:
    """What pooch takes for a progress bar: passes the news on, and ends what has no end."""

    def __init__(self, file: str, progress: Progress | None) -> None:
        self.total = 0
        self._file = file
        self._progress = progress
        self._num_bytes = 0

    def update(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        if self._num_bytes > MAX_BYTES:
            raise OSError(errno.EFBIG, f"more than {MAX_BYTES:,} bytes")
        if self._progress is not None:
            # pooch counts whole pieces, the last one too.
            self._progress(self._file, min(self._num_bytes, self.total or self._num_bytes), self.total)

    def reset(self) -> None:
        self._num_bytes = 0

    def close(self) -> None:
        pass
