"""What a worker process is told and what it replies: one line of JSON each."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from mnist_exp.config.schema import ModelConfig, OptimizerConfig
from mnist_exp.runs.records import ErrorRecord, SweepJob


class Network(Struct, frozen=True, kw_only=True):
    """A network for images of (height, width), and what is to train it."""

    model: ModelConfig
    optimizer: OptimizerConfig
    ema_momentum: float
    image_shape: tuple[int, int]
    num_classes: int


class Refusal(Struct, frozen=True, kw_only=True, tag=True):
    """Why a network or its optimizer cannot be built, and what to do."""

    message: str
    hint: str


class LaunchRequest(Struct, frozen=True, kw_only=True):
    """What all jobs of a launch have in common.

    Attributes:
        sweep_path: The sweep's folder, absolute.
        working_dir: Where; relative paths of the configuration start there.
        process: Id of the process that launches, on the machine that it runs on.
        jobs_at_once: How many run at the same time on one machine.
        cores_per_job: How many cores each job may use; 0 for all of them.
    """

    sweep_path: str
    argv: list[str]
    working_dir: str
    process: int
    jobs_at_once: int
    cores_per_job: int
    on_fail: Literal["continue", "stop"]


class CheckNetworks(Struct, frozen=True, tag=True):
    """Build these, to see whether they can be built; the reply is `NetworksChecked`."""

    networks: list[Network]


class RunJob(Struct, frozen=True, kw_only=True, tag=True):
    """Run a job of a sweep, or resume an earlier attempt; the reply is `Ended`."""

    launch: LaunchRequest
    sweep: str
    job: SweepJob
    resumes: bool

    @property
    def name(self) -> str:
        """What `Stop` calls it."""
        return self.job.name


class PrepareTrials(Struct, frozen=True, kw_only=True, tag=True):
    """Load what a search's trials need; there is a reply only where that fails.

    `working_dir` is where relative paths of the configuration start, `threads` those of one operation.
    """

    run_path: str
    working_dir: str
    threads: int
    worker: str


class RunTrial(Struct, frozen=True, kw_only=True, tag=True):
    """Train one configuration; replies are `EpochEnded` and in the end `Ended`.

    Attributes:
        trial: Its number; None for a training of a candidate on a fresh seed.
        candidate: Whom such a training is for; None for a trial.
        values: By the names of the search space, active ones only; empty for the untuned configuration.
        epochs: How many; None for as many as the configuration says.
    """

    name: str
    trial: int | None = None
    candidate: str | None = None
    values: dict[str, Any]
    seeds: list[int]
    epochs: int | None = None


class Stop(Struct, frozen=True, tag=True):
    """Save and end the job or trial of this name, if it is under way or waiting."""

    name: str


class Leave(Struct, frozen=True, tag=True):
    """End: nothing is left to do."""


class Alive(Struct, frozen=True, tag=True):
    """Nothing is new; both sides say so now and then."""


class NetworksChecked(Struct, frozen=True, tag=True):
    """What came of `CheckNetworks`, in its order: each number of weights, or why there is none."""

    results: list[int | Refusal]


class EpochEnded(Struct, frozen=True, kw_only=True, tag=True):
    """A training has come this far: the epoch that ended, 1 for the first, and the objective then."""

    epoch: int
    epochs: int
    score: float | None


class Ended(Struct, frozen=True, kw_only=True, tag=True):
    """A job or a trial has ended; what became of it stands in its files. The worker holds so many bytes."""

    resident_bytes: int


class Failed(Struct, frozen=True, kw_only=True, tag=True):
    """Something other than a trial failed, which ends the search."""

    message: str
    hint: str


class Lost(Struct, frozen=True, kw_only=True, tag=True):
    """The worker's process ended in the middle of a task; its exit status is negative for a signal."""

    status: int
    error: ErrorRecord
    words: str


Request = CheckNetworks | RunJob | PrepareTrials | RunTrial | Stop | Leave | Alive
Reply = NetworksChecked | EpochEnded | Ended | Failed | Lost | Alive

_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def to_line(message: Request | Reply) -> bytes:
    """Writes a message as a line."""
    # Some of the oracles propose NumPy's numbers.
    return msgspec.json.encode(message, enc_hook=lambda number: number.item()) + b"\n"


def read_request(line: bytes) -> Request:
    """Reads a line that `to_line` wrote."""
    return _request_decoder.decode(line)


def read_reply(line: bytes) -> Reply:
    """Reads a line that `to_line` wrote."""
    return _reply_decoder.decode(line)
