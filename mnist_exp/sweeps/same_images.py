"""Makes sure that a sweep is resumed with the images that it began with."""

from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

import msgspec

from mnist_exp.config.parsing import parse_tree
from mnist_exp.data.dataset import Split, find_source
from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import DataRecord, SweepJob
from mnist_exp.sweeps.directory import SweepDirectory

_SPLITS: tuple[Split, ...] = ("train", "test")


def check_same_images(sweep: SweepDirectory, jobs: Sequence[SweepJob]) -> None:
    """Compares the images that are found now with those of completed jobs.

    Raises:
        ConfigError: They are others.
    """
    wanted = {_data_key(job): job for job in jobs}
    for job, seen in _completed(sweep):
        if (again := wanted.pop(_data_key(job), None)) is None:
            continue
        if (other := find_other_images(seen, _fingerprints(sweep, again))) is not None:
            raise ConfigError(
                f"data: the {other} ({job.name} of this sweep).",
                "Give this sweep its images again (MNIST_EXP_DATA), or begin another one.",
            )


def _completed(sweep: SweepDirectory) -> Iterator[tuple[SweepJob, DataRecord]]:
    """Yields each completed job with the images that it saw."""
    for job in sweep.record.jobs:
        state = sweep.state(job)
        data = state.manifest.data if state.manifest else None
        if state.status == "completed" and data is not None and data.test_sha256 is not None:
            yield job, data


def _fingerprints(sweep: SweepDirectory, job: SweepJob) -> dict[Part, str | None]:
    """Reads the images that a job would see, from the folder that it would start in."""
    folder = sweep.record.working_dir
    with chdir(folder if Path(folder).is_dir() else Path.cwd()):
        source = find_source(parse_tree(job.config).data)
        return {split: source.load(split).sha256 for split in _SPLITS}


def _data_key(job: SweepJob) -> bytes:
    return msgspec.json.encode(job.config["data"], order="sorted")
