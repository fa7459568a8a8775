"""A run's settings and its origin, as rows that a page shows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from mnist_exp.config.commands import (
    LAUNCHER,
    SEARCH_PATH,
    command,
    kept,
    portable,
    relative_paths,
    resume_command,
    setting,
    sweep_place,
    value_at,
    variables_of,
    with_runs_dir,
    without,
)
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.records import DataRecord, EnvironmentRecord, Manifest
from mnist_exp.words import count_text, duration, time_text, visible

_MOST_SETTINGS = 600
_LONGEST_VALUE = 400
_LONGEST_COMMAND = 6000


@dataclass(frozen=True)
class Fact:
    """A name and its value; a fingerprint is shown in a font of equal widths."""

    name: str
    value: str
    is_code: bool = False


@dataclass(frozen=True)
class Setting:
    """One key of the configuration, and whether the command line set it or its group; null if unknown."""

    key: str
    value: str
    is_typed: bool | None


def settings(material: RunMaterial) -> list[Setting]:
    """Lists the whole configuration by dotted key, as far as a page has room."""
    typed = {_key(override) for override in material.overrides or ()}
    found = []
    for key, value in _leaves(material.config):
        parts = key.split(".")
        is_typed = any(".".join(parts[: end + 1]) in typed for end in range(len(parts)))
        known = None if material.overrides is None else is_typed
        found.append(Setting(visible(key, _LONGEST_VALUE), _value_text(value), known))
        if len(found) == _MOST_SETTINGS:
            break
    return found


def typed_settings(material: RunMaterial) -> list[Fact] | None:
    """Lists what was typed; None where nothing tells."""
    if material.overrides is None:
        return None
    pairs = [override.partition("=") for override in material.overrides[:_MOST_SETTINGS]]
    return [Fact(visible(key.lstrip("+~"), 200), visible(value, _LONGEST_VALUE)) for key, _, value in pairs]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _value_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return visible(text, _LONGEST_VALUE)


def commands(material: RunMaterial) -> list[tuple[str, str]]:
    """Gives the command that makes a run again and, of one that stopped, the one that resumes it.

    Returns:
        What each is for, and the command; none where it would be too long to be right.
    """
    found = [("Makes this run again", command(*_words(material)))]
    if material.status in ("failed", "interrupted", "lost"):
        found = _resume_commands(material) + found
    return [(what, words) for what, words in found if len(words) <= _LONGEST_COMMAND]


def _resume_commands(material: RunMaterial) -> list[tuple[str, str]]:
    """Gives the command that resumes a run; a sweep is resumed as a whole, and a repetition not at all."""
    manifest, path = material.run.manifest, material.run.path
    if manifest.sweep is not None:
        launcher = portable(kept(manifest.argv, LAUNCHER), manifest.folder)
        place = sweep_place(path.absolute().parent, manifest.sweep.name)
        return [("Resumes its sweep", command("-m", *launcher, *place, **variables_of(material.config)))]
    what = {"train": "training", "tune": "search"}.get(manifest.mode)
    if what is None:
        return []
    resume = resume_command(path, material.config, manifest.folder, manifest.argv)
    return [(f"Resumes this {what}", resume)]


def _words(material: RunMaterial) -> list[str]:
    """Returns what to type: of a sweep's job, its own part of it; the directory itself is taken."""
    manifest, words = material.run.manifest, material.run.manifest.argv
    if manifest.sweep is not None and material.overrides:
        words = [*kept(words, [SEARCH_PATH, "runs_dir"]), *material.overrides]
    is_again = manifest.mode == "verify"  # whose configuration is that of another run
    moved = relative_paths(material.config, None if is_again else manifest.folder)
    images = value_at(material.config, "data.path")
    if manifest.resumed and images is not None:  # which resuming it may have set
        moved.setdefault("data.path", images)
    words = portable(without(words, ["hydra.run.dir", *moved]), manifest.folder)
    return [
        *with_runs_dir(words, material.config, manifest.folder),
        *starmap(setting, moved.items()),
    ]


def provenance(material: RunMaterial) -> list[Fact]:
    """Lists where a run's numbers come from: when, with what, on which images."""
    manifest = material.run.manifest
    facts = [
        Fact("run", manifest.run_id),
        Fact("directory", str(material.run.path)),
        Fact("started", time_text(manifest.started_at)),
    ]
    if manifest.finished_at is not None:
        facts.append(Fact("finished", time_text(manifest.finished_at)))
    if manifest.duration_s is not None and 0 <= manifest.duration_s < 1e9:
        facts.append(Fact("took", duration(manifest.duration_s)))
    facts += _machine(manifest) + _code(manifest)
    if manifest.data is not None:
        facts += _images(manifest.data)
    return facts


def _machine(manifest: Manifest) -> list[Fact]:
    facts = [Fact("seed", count_text(manifest.seed, ""))]
    if manifest.engine is not None:
        reason = f" ({manifest.engine.reason})" if manifest.engine.reason else ""
        facts.append(Fact("engine", manifest.engine.name + reason))
    if manifest.device is not None:
        threads = "" if manifest.threads is None else f", {count_text(manifest.threads)} threads"
        facts.append(Fact("device", manifest.device + threads))
    if manifest.environment is not None:
        facts += _environment(manifest.environment)
    if manifest.sweep is not None:
        beside = (
            f", up to {count_text(manifest.sweep.jobs_at_once)} jobs at once"
            if manifest.sweep.jobs_at_once > 1
            else ""
        )
        facts.append(Fact("sweep", f"{manifest.sweep.name}, job {count_text(manifest.sweep.job)}{beside}"))
    return facts


def _environment(environment: EnvironmentRecord) -> list[Fact]:
    facts = []
    if environment.processor:
        facts.append(Fact("processor", environment.processor))
    if environment.variables:
        words = ", ".join(f"{name}={value}" for name, value in list(environment.variables.items())[:40])
        facts.append(Fact("variables", words, is_code=True))
    return facts


def _code(manifest: Manifest) -> list[Fact]:
    versions = ", ".join(f"{name} {version}" for name, version in list(manifest.versions.items())[:40])
    facts = [Fact("versions", versions)] if versions else []
    if manifest.git is not None:
        changed = ", and files had been changed since" if manifest.git.dirty else ""
        facts.append(Fact("commit", manifest.git.commit + changed, is_code=True))
    return facts


def _images(data: DataRecord) -> list[Fact]:
    facts = [Fact("data", f"{data.name}, from {data.source}")]
    for name, sha256 in (
        ("training images", data.train_sha256),
        ("test images", data.test_sha256),
        ("validation split", data.split_sha256),
    ):
        if sha256:
            facts.append(Fact(f"{name} (SHA-256)", sha256, is_code=True))
    return facts
