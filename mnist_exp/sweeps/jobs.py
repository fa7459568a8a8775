"""One job of a sweep: its share of the machine, and what stands in its directory if its process dies."""

from pathlib import Path

import msgspec

from mnist_exp.config.parsing import parse_tree
from mnist_exp.config.schema import Config
from mnist_exp.processes.last_words import append
from mnist_exp.processes.messages import RunJob
from mnist_exp.runs import job as jobs
from mnist_exp.runs import writer
from mnist_exp.runs.folder import MANIFEST
from mnist_exp.runs.job import Job
from mnist_exp.runs.provenance import Moment, num_cores
from mnist_exp.runs.records import ErrorRecord, SweepPlace


def job_of(request: RunJob) -> Job:
    """Gives a job its share of this machine and its place in the sweep."""
    launch, planned = request.launch, request.job
    return Job(
        config=share_cores(parse_tree(planned.config), launch.cores_per_job),
        tree=planned.config,
        overrides=planned.overrides,
        argv=launch.argv,
        folder=Path(launch.sweep_path),
        given=Path(launch.sweep_path, planned.name),
        search=planned.search,
        place=SweepPlace(name=request.sweep, job=planned.number, jobs_at_once=launch.jobs_at_once),
    )


def cores_per_job(jobs_at_once: int) -> int:
    """Gives each of several jobs its share of this machine's cores; 0 stands for all of them."""
    return 0 if jobs_at_once == 1 else max(num_cores() // jobs_at_once, 1)


def share_cores(config: Config, share: int) -> Config:
    """Limits a job to its share of the cores, where its configuration does not say otherwise.

    Args:
        config: The job's.
        share: How many cores; 0 for all of them.
    """
    if share == 0:
        return config
    tuner, training = config.tuner, config.training
    if tuner is not None and tuner.workers == 0:
        tuner = msgspec.structs.replace(tuner, workers=share)
        share = 1
    if training.threads == 0:
        training = msgspec.structs.replace(training, threads=share)
    return msgspec.structs.replace(config, tuner=tuner, training=training)


def record_failure(job: Job, error: ErrorRecord, began: Moment, words: str = "") -> None:
    """Writes down why a job failed, unless that stands in its directory already.

    Args:
        job: Whose process is gone, or which was refused before it had a directory.
        error: Why.
        began: When this process began with it.
        words: What its process wrote to standard error, and is in no log yet.

    Raises:
        ExperimentError: The directory cannot be written, or someone else is at work in it.
    """
    assert job.given is not None
    is_there = (job.given / MANIFEST).exists()
    run = writer.open_run(job.given) if is_there else jobs.open_run(job)
    append(run.log_path, words)
    writer.record_loss(run, error, began)
