"""Commands as they are printed: pasted into a shell, in any folder, they do what is meant.

`folder` is where a command was typed, from which relative paths start; None where nothing tells.
"""

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from glob import escape, has_magic
from itertools import starmap
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from mnist_exp.config.overrides import parse_override, plain_key, to_override
from mnist_exp.errors import ConfigError

SEARCH_PATH = "hydra.searchpath"

_PATHS = {
    "data.path", SEARCH_PATH, "runs_dir", "run", "runs", "images", "resume",
    "hydra.run.dir", "hydra.sweep.dir",
}  # fmt: skip
_FOLDER_FLAGS = ("--config-dir", "-cd")
_YAML_FLAGS = (*_FOLDER_FLAGS, "--config-path", "-cp", "--config-name", "-cn")
_VALUE_FLAGS = (*_YAML_FLAGS, "--cfg", "-c", "--package", "-p")
_INFO_FLAGS = ("--info", "-i")
_RUNS = "runs"
"""`runs_dir` where nothing names another."""

_NO_PATHS = ("latest", "best", "")
_ELSEWHERE = re.compile(r"~|(latest |best )?where:|.*(\$\{|://)", re.DOTALL)
_FREE_TEXTS = ("where", "note")


def command(*words: str, **variables: str) -> str:
    """Writes a command for a POSIX shell, from flags and overrides as Hydra reads them."""
    before = "".join(f"{name}={shlex.quote(value)} " for name, value in variables.items())
    return before + shlex.join(["mnist-exp", *flags_first(words)])


def setting(key: str, value: Any) -> str:
    """Writes an override that sets a key to a value; in text, `${` stands for itself."""
    literal = _literal(value)
    try:
        return to_override(key, literal, "command")
    except ConfigError:  # what Hydra's grammar has no words for
        return f"{key}={value}"


def quoted(word: str) -> str:
    """Quotes a free text, or a condition on runs, for Hydra's grammar, unless that has been done."""
    key, _, value = word.partition("=")
    is_condition = key in ("run", "runs") and re.match(r"(latest |best )?where:", value)
    if not (key in _FREE_TEXTS or is_condition) or value in ("", "null"):
        return word
    if value[0] in "'\"":
        with suppress(HydraException):
            parse_override(word)
            return word
    return setting(key, value)


def _literal(value: Any) -> Any:
    """Escapes what OmegaConf would take for an interpolation."""
    if isinstance(value, list):
        return [_literal(entry) for entry in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", value)


LAUNCHER = ("hydra/launcher", "hydra.launcher")


def resume_command(path: Path, tree: Mapping[str, Any], folder: Path | None, argv: Sequence[str]) -> str:
    """Writes the command that resumes a run, from its configuration as far as it is known."""
    moved, words = relative_paths(tree, folder), [setting("resume", str(path.absolute()))]
    if tree.get("mode") == "tune" and any(word.startswith(LAUNCHER) for word in argv):
        words = ["mode=tune", *portable(kept(argv, LAUNCHER), folder), *words]
    return command(*words, *starmap(setting, moved.items()))


def relative_paths(tree: Mapping[str, Any], folder: Path | None) -> dict[str, str]:
    """Finds `data.path`, absolute, where it depends on the folder or the environment; else nothing."""
    path = value_at(tree, "data.path")
    if folder is not None and isinstance(path, str) and _absolute(path, folder) != path:
        return {"data.path": str(_absolute(path, folder))}
    named = list(variables_of(tree).values())
    return {"data.path": named[0]} if named else {}


def value_at(tree: Mapping[str, Any], key: str) -> Any:
    """Looks a dotted key up; None where it is not there."""
    node: Any = tree
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def variables_of(tree: Mapping[str, Any]) -> dict[str, str]:
    """Names the environment variable that names a configuration's images, and their absolute path."""
    name = value_at(tree, "data.path_variable") if value_at(tree, "data.path") is None else None
    value = os.environ.get(name, "") if isinstance(name, str) else ""
    return {name: str(_absolute(value, Path.cwd()))} if name and value else {}


def with_runs_dir(words: Sequence[str], tree: Mapping[str, Any], folder: Path | None) -> list[str]:
    """Adds where runs go, where the environment or YAML named it and the words do not."""
    place = tree.get("runs_dir", _RUNS)
    if folder is None or place == _RUNS or without(words, ["runs_dir"]) != list(words):
        return list(words)
    return [*words, setting("runs_dir", _absolute(place, folder))]


def data_words(typed: Sequence[str], tree: Mapping[str, Any], folder: Path | None) -> list[str]:
    """Picks what says where a run's images are."""
    # A resumed run may have its images elsewhere than its overrides say.
    path = relative_paths(tree, folder).get("data.path", value_at(tree, "data.path"))
    words = portable(kept(typed, ["data"]), folder)
    return words if path is None else [*without(words, ["data.path"]), setting("data.path", path)]


def sweep_place(path: Path, name: str) -> list[str]:
    """Writes the words that name a sweep, whatever the current folder and the environment are."""
    path = path.absolute()
    if path.name != name:
        return [setting("hydra.sweep.dir", str(path))]
    return [setting("runs_dir", str(path.parent)), setting("sweep", name)]


def portable(words: Sequence[str], folder: Path | None) -> list[str]:
    """Makes the relative paths in what was typed absolute."""
    if folder is None:
        return list(words)
    return [word for group in _groups(words) for word in _portable(group, folder)]


def kept(words: Sequence[str], keys: Collection[str] = ()) -> list[str]:
    """Picks what another command needs, too: flags on where YAML is, settings of dotted `keys` and below."""
    found = []
    for group in _groups(words):
        name = plain_key(group[0])
        is_below = any(name.startswith((f"{key}.", f"{key}/", f"{key}@")) for key in keys)
        if name in _YAML_FLAGS or name in keys or is_below:
            found += group
    return found


def without(words: Sequence[str], keys: Collection[str]) -> list[str]:
    """Leaves the settings of some keys out."""
    return [word for word in words if plain_key(word) not in keys]


def flags_first(words: Sequence[str]) -> list[str]:
    """Puts flags before overrides: Hydra's parser takes no overrides on both sides of one."""
    groups = sorted(_groups(words), key=_rank)
    # Alone, it would take the override that follows for its value.
    named = (["--info=all"] if len(group) == 1 and group[0] in _INFO_FLAGS else group for group in groups)
    return [word for group in named for word in group]


def _rank(group: Sequence[str]) -> int:
    """Orders flags, then overrides, then a flag whose value was forgotten: it must not take an override."""
    if not group[0].startswith("-"):
        return 1
    return 2 if group[0] in _VALUE_FLAGS and len(group) == 1 else 0


def _groups(words: Sequence[str]) -> Iterator[list[str]]:
    """Yields each word, the flags that take a value together with theirs."""
    rest = list(words)
    while rest:
        is_info = rest[0] in _INFO_FLAGS and rest[1:] and not re.search("^-|=", rest[1])
        length = 2 if rest[0] in _VALUE_FLAGS or is_info else 1
        yield rest[:length]
        del rest[:length]


def _portable(group: Sequence[str], folder: Path) -> list[str]:
    name, _, value = group[0].partition("=")
    if name in _FOLDER_FLAGS:
        path = str(folder / (value or group[-1]))
        return [group[0], path] if len(group) > 1 else [f"{name}={path}"]
    if plain_key(name) not in _PATHS:
        return list(group)
    try:
        override = parse_override(group[0])
        given = None if override.is_sweep_override() else override.value()
    except HydraException:
        return list(group)
    entries = given if isinstance(given, list) else [given]
    absolute = [_absolute(entry, folder, plain_key(name)) for entry in entries]
    if absolute == entries:
        return list(group)
    return [setting(override.get_key_element(), absolute if isinstance(given, list) else absolute[0])]


def _absolute(value: Any, folder: Path, key: str = "") -> Any:
    """Makes a path absolute; what is none, or a run's name in `runs_dir`, stays."""
    if not isinstance(value, str) or value in _NO_PATHS or _ELSEWHERE.match(value):
        return value
    if Path(value).is_absolute():
        return value
    if has_magic(value):
        return str(Path(escape(str(folder)), value))
    path = folder / value
    return value if key == "run" and not path.exists() else str(path)
