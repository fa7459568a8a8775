"""How to run a run again, and where its numbers come from."""

import json
from collections.abc import Iterator, Mapping
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
from mnist_exp.report.document import (
    Column,
    Command,
    Commands,
    Fact,
    Facts,
    Folded,
    Heading,
    Part,
    Row,
    Table,
    Words,
    row,
)
from mnist_exp.report.run_material import RunMaterial
from mnist_exp.runs.records import DataRecord, EnvironmentRecord, Manifest
from mnist_exp.words import count_text, duration, time_text

_MOST_SETTINGS = 600
_MOST_NAMED = 40
_LONGEST_COMMAND = 6000


def again(material: RunMaterial) -> list[Part]:
    """Gives the commands that resume a run and make it again, and the configuration behind them."""
    parts: list[Part] = [Heading("Run it again")]
    commands = [each for each in _commands(material) if len(each.text) <= _LONGEST_COMMAND]
    if commands:
        parts.append(Commands(commands))
    else:
        words = "The command is too long to be shown; overrides.yaml and config.yaml have it."
        parts.append(Words(words, "quiet"))
    parts += _overrides(material.overrides)
    if settings := _settings(material):
        columns = [Column("key", "code"), Column("value", "code"), Column("set by", "words")]
        table = Table("Configuration", columns, settings, style="settings")
        parts.append(Folded(f"The whole configuration ({len(settings)} values)", [table]))
    return parts


def _overrides(overrides: list[str] | None) -> list[Part]:
    parts: list[Part] = [Heading("Overrides", 3)]
    if overrides is None:
        parts.append(Words("overrides.yaml is missing: the overrides are unknown.", "quiet"))
    elif overrides:
        parts.append(Words("As typed; every other value is the default.", "quiet"))
        pairs = [override.partition("=") for override in overrides[:_MOST_SETTINGS]]
        parts.append(Facts([Fact(key.lstrip("+~"), value) for key, _, value in pairs]))
    else:
        parts.append(Words("None: every value is the default.", "quiet"))
    return parts


def _settings(material: RunMaterial) -> list[Row]:
    typed = {_key(override) for override in material.overrides or ()}
    rows = []
    for key, value in _leaves(material.config):
        parts = key.split(".")
        is_typed = any(".".join(parts[: end + 1]) in typed for end in range(len(parts)))
        origin = "command" if is_typed else "default"
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        rows.append(
            row(key, text, "–" if material.overrides is None else origin, tone="strong" if is_typed else "")
        )
        if len(rows) == _MOST_SETTINGS:
            break
    return rows


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _commands(material: RunMaterial) -> list[Command]:
    found = [Command("Repeats this run", command(*_words(material)))]
    if material.status in ("failed", "interrupted", "lost"):
        found = _resume_commands(material) + found
    return found


def _resume_commands(material: RunMaterial) -> list[Command]:
    """Gives the command that resumes a run; a sweep is resumed as a whole, and a repetition not at all."""
    manifest, path = material.run.manifest, material.run.path
    if manifest.sweep is not None:
        launcher = portable(kept(manifest.argv, LAUNCHER), manifest.folder)
        place = sweep_place(path.absolute().parent, manifest.sweep.name)
        return [
            Command("Resumes its sweep", command("-m", *launcher, *place, **variables_of(material.config)))
        ]
    what = {"train": "training", "tune": "search"}.get(manifest.mode)
    if what is None:
        return []
    resume = resume_command(path, material.config, manifest.folder, manifest.argv)
    return [Command(f"Resumes this {what}", resume)]


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


def provenance(material: RunMaterial) -> list[Part]:
    """Tells where a run's numbers come from: when, with what, on which images."""
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
    return [Heading("Where these numbers come from"), Facts(facts)]


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
        words = ", ".join(
            f"{name}={value}" for name, value in list(environment.variables.items())[:_MOST_NAMED]
        )
        facts.append(Fact("variables", words, is_code=True))
    return facts


def _code(manifest: Manifest) -> list[Fact]:
    versions = ", ".join(
        f"{name} {version}" for name, version in list(manifest.versions.items())[:_MOST_NAMED]
    )
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
