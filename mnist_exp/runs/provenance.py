"""When, by which code and by which libraries a run was made, and what has changed since."""

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mnist_exp.config.schema import Config, CosineScheduleConfig, Engine
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import EnvironmentRecord, GitRecord, Manifest
from mnist_exp.runs.run import read_config
from mnist_exp.words import one_line

_DISTRIBUTIONS = ("mnist-exp", "tensorflow", "keras", "keras-tuner", "numpy", "hydra-core", "omegaconf")
_FORMAL = ("keras-tuner", "hydra-core", "omegaconf")
"""Versions that have no part in a training's bits."""

# Names that TensorFlow, XLA, oneDNN and, for cosines, glibc read. Not all of TF_: Terraform has secrets.
_DECIDING = re.compile(
    r"TF_(AUTO_MIXED_PRECISION|AUTOTUNE|CONV2D|CUBLAS|CUDNN|DATA_EXPERIMENT|DETERMINISTIC|DISABLE|ENABLE"
    r"|FP16|FUNCTION_JIT|GPU|JIT|MATMUL|MKL|NUM|ONEDNN|OVERRIDE|ROCM|SET_ONEDNN|TRT|USE|XLA)_\w+"
    r"|XLA_FLAGS|(ONEDNN|DNNL)_\w+|CUBLAS_WORKSPACE_CONFIG|NVIDIA_TF32_OVERRIDE|GLIBC_TUNABLES"
)
_VECTORS = re.compile(
    r"(pni|s?sse\d|avx|fma|f16c|xop|amx|asimd|sve|sme(?!p)|fphp|bf16|i8mm|neon|vfp|altivec|vsx)\w*"
)
_PROCESSOR, _EXTENSIONS = "processor", "vector extensions"
_UNKNOWN, _UNSET = "unknown", "unset"


class Change(Struct, frozen=True, kw_only=True, rename={"now": "is"}):
    """A circumstance, such as `tensorflow` or `threads`, that is not as it was; `now` is `is` in the file."""

    what: str
    was: str
    now: str


@functools.cache
def versions() -> dict[str, str]:
    """Says the version of Python and of what decides a run's numbers, as this process has them."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in _DISTRIBUTIONS
    }


def git_record() -> GitRecord | None:
    """Says which commit this package's own code is at; None when it is not a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return GitRecord(commit=commit, dirty=bool(_git(root, "status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()


def environment() -> EnvironmentRecord:
    """Says what of this machine and this process' environment decides a result's last bits."""
    variables = {name: os.environ[name] for name in sorted(os.environ) if _DECIDING.fullmatch(name)}
    processor = _first_processor()
    flags = processor.get("flags") or processor.get("Features") or ""
    return EnvironmentRecord(
        variables=variables,
        processor=processor.get("model name") or processor.get("cpu") or processor.get("CPU part"),
        vector_extensions=sorted(flag for flag in flags.split() if _VECTORS.fullmatch(flag)),
    )


def _first_processor() -> dict[str, str]:
    """Reads what the kernel says of the first processor; nothing where it does not say."""
    facts: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:
                    break
                facts[name.strip()] = value.strip()
    except OSError:
        return {}
    return facts


def changes(was: Manifest, now: Manifest) -> list[Change]:
    """Lists what decides a training's bits and has changed; what neither record knows is passed over."""
    times = [was]  # each time that it was resumed is one more
    for resumed in was.resumed:
        times.append(replace(was, versions=resumed.versions, environment=resumed.environment))
    found = []
    for what, values in _side_by_side([*times, now]).items():
        before, after = list(dict.fromkeys(values[:-1])), values[-1]
        if before == [after] or (what in (_PROCESSOR, _EXTENSIONS) and None in values):
            continue
        words = ", then ".join(value or _UNKNOWN for value in before)
        found.append(Change(what=what, was=words, now=after or _UNKNOWN))
    return found


def changes_since(was: Manifest, threads: int, device: str) -> list[Change]:
    """Lists what decides a result's bits and differs between a run and this process, on `CPU` or `GPU`.

    Where the run's manifest names no threads or device, it has not begun or does not know.
    """
    now = replace(was, versions=versions(), environment=environment(), threads=threads, device=device)
    was = replace(was, threads=was.threads or threads, device=was.device or device)
    return [change for change in changes(was, now) if change.what not in _FORMAL]


def differences(manifests: Sequence[Manifest]) -> dict[str, list[str]]:
    """Names what decides bits and is not the same in all of some runs, with the values on record."""
    found = {}
    for what, values in _side_by_side(manifests).items():
        known = {value for value in values if value is not None}
        if len(known) > 1 and what not in _FORMAL:
            found[what] = sorted(known)
    return found


def word(change: Change, pattern: str = "{} {} → {}") -> str:
    """Words a change on one line; of vector extensions, what one list has and the other has not."""
    was, now = change.was, change.now
    if change.what == _EXTENSIONS:
        then, present = set(was.replace(", then", "").split()), set(now.split())
        was = " ".join(sorted(then - present)) or "fewer"
        now = " ".join(sorted(present - then)) or "fewer"
    return one_line(pattern.format(change.what, was, now))


def _side_by_side(manifests: Sequence[Manifest]) -> dict[str, list[str | None]]:
    """Puts what decides bits side by side: a value a manifest, None where it is not on record."""
    variables: set[str] = set()
    for manifest in manifests:
        variables.update(manifest.environment.variables if manifest.environment else ())
    each = [_facts(manifest, variables) for manifest in manifests]
    names = dict.fromkeys(name for facts in each for name in facts)
    return {name: [facts.get(name) for facts in each] for name in names}


def _facts(manifest: Manifest, variables: Iterable[str]) -> dict[str, str]:
    facts = dict(manifest.versions)
    if manifest.threads is not None:
        facts["threads"] = str(manifest.threads)
    if manifest.device is not None:
        facts["device"] = manifest.device
    found = manifest.environment
    if found is None:
        return facts
    for name in sorted(variables):
        facts[name] = found.variables.get(name, _UNSET)
    if found.processor is not None:
        facts[_PROCESSOR] = found.processor
    if found.vector_extensions:
        facts[_EXTENSIONS] = " ".join(found.vector_extensions)
    return facts


def num_threads(threads: int, variable: str = "TF_NUM_INTRAOP_THREADS") -> int:
    """Says how many threads TensorFlow uses for one operation, or for what another variable names.

    0 threads leaves it to the environment variable, and that to the number of cores.
    """
    try:
        given = int(os.environ.get(variable, ""))
    except ValueError:
        given = 0
    return threads or max(given, 0) or num_cores()


def num_cores() -> int:
    """Says how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def utc_now() -> str:
    """Says the time, UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Moment:
    """A moment: the wall clock's, `utc` in ISO 8601, and that of a clock that cannot be set."""

    utc: str = field(default_factory=utc_now)
    _monotonic_s: float = field(default_factory=time.monotonic)

    def seconds_ago(self) -> float:
        """Returns the seconds since then in this process, whatever happens to the wall clock."""
        return round(time.monotonic() - self._monotonic_s, 3)


def as_begun(config: Config, manifest: Manifest) -> Config:
    """Pins what a run's configuration leaves to the machine: the engine and the number of threads.

    Raises:
        ConfigError: It names an engine that there is not.
    """
    training = config.training
    if manifest.engine is not None:
        training = replace(training, engine=_engine(manifest.engine.name))
    if manifest.threads is not None and manifest.threads != num_threads(training.threads):
        training = replace(training, threads=manifest.threads)
    return replace(config, training=training)


def _engine(name: str) -> Engine:
    try:
        return Engine(name)
    except ValueError as error:
        raise ConfigError(f'resume: "{name[:50]}" in manifest.json is not an engine.') from error


def check_can_be_longer(path: Path, config: Config, num_finished: int) -> None:
    """Raises ConfigError where no epochs can be added: Keras gave up the weights behind the average."""
    planned = read_config(path).training.epochs
    is_extended = num_finished == planned and planned < config.training.epochs
    if config.training.ema_momentum and is_extended:
        raise ConfigError(
            f"training.epochs: {path} has already averaged its weights after {planned} epochs.",
            "Leave training.epochs out: what is left to do is to score it.",
        )


def caveats(config: Config, planned: int, changes: Sequence[Change]) -> list[str]:
    """Says why a run of `planned` epochs, resumed with `config`, may differ from one that never stopped."""
    sentences = changed_circumstances(changes)
    if config.training.epochs != planned and isinstance(config.schedule, CosineScheduleConfig):
        sentences.append(
            f"The cosine schedule is stretched from {planned} to {config.training.epochs} epochs after it "
            "began: a run planned for that many would have had different learning rates."
        )
    return sentences


def changed_circumstances(changes: Sequence[Change]) -> list[str]:
    """Says in a sentence under what other circumstances a run was begun; none where there are none."""
    if not changes:
        return []
    words = ", ".join(word(change) for change in changes)
    return [f"It was begun in a different environment ({words}): the last bits may differ."]
