"""Makes sure that a sweep goes on with the images that it began with."""

from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import msgspec

from mnist_exp.config.parsing import parse_tree
from mnist_exp.data.dataset import Split, find_source
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import SweepJob
from mnist_exp.sweeps.directory import SweepDirectory

_SPLITS: tuple[Split, ...] = ("train", "test")


def check_same_images(sweep: SweepDirectory, jobs: Sequence[SweepJob]) -> None:
    """Compares the images that are found now with those of completed jobs.

    Args:
        sweep: Whose.
        jobs: What is to run.

    Raises:
        ConfigError: They are others.
    """
    wanted = {_data_key(job): job for job in jobs}
    for job, seen in _completed(sweep):
        if (other := wanted.pop(_data_key(job), None)) is None:
            continue
        found = _fingerprints(sweep, other)
        if found != seen:
            raise ConfigError(
                f"data: the images found now have the SHA-256 {_short(found)}, those of completed jobs "
                f"{_short(seen)} (train, test).",
                "Give this sweep its images again (data.path, MNIST_EXP_DATA), or begin another one.",
            )


def _completed(sweep: SweepDirectory) -> Iterator[tuple[SweepJob, tuple[str, ...]]]:
    """Yields each completed job with the fingerprints of the images that it saw."""
    for job in sweep.record.jobs:
        state = sweep.state(job)
        data = state.manifest.data if state.manifest else None
        if state.status == "completed" and data is not None and data.test_sha256 is not None:
            yield job, (data.train_sha256, data.test_sha256)


def _fingerprints(sweep: SweepDirectory, job: SweepJob) -> tuple[str, ...]:
    """Reads the images that a job would see, from the folder that it would start in."""
    folder = sweep.record.working_dir
    with chdir(folder if Path(folder).is_dir() else Path.cwd()):
        source = find_source(parse_tree(job.config).data)
        return tuple(source.load(split).sha256 for split in _SPLITS)


def _data_key(job: SweepJob) -> bytes:
    return msgspec.json.encode(job.config["data"], order="sorted")


def _short(fingerprints: Sequence[str]) -> str:
    return ", ".join(f"{text[:12]}…" for text in fingerprints)
