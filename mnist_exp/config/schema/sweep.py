"""What is asked of a whole sweep."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from mnist_exp.config.schema.values import Node

_Entries = list[dict[str, Any]]


class SweepPlanConfig(Node, frozen=True):
    """Which jobs a sweep has, beyond what the command line sweeps over.

    A job takes one combination of `grid`, one row of `zip` and one entry of `list`. Keys are dotted
    paths, or groups, whose values are names of their files. What is not given is empty.

    Attributes:
        grid: Every combination of these values.
        zip: The first values together, the second ones together, and so on: lists of one length.
        list: Each entry a mapping of keys to values.
        exclude: Jobs that have all values of one of these entries are left out.
        seeds: Number of seeds of each job, counted from `seed`; null for `seed` alone.
    """

    grid: dict[str, list[Any]] = {}
    zip: dict[str, list[Any]] = {}
    list: _Entries = []
    exclude: _Entries = []
    seeds: Annotated[int, Meta(ge=1, le=100_000)] | None = None


class SweepRequest(Node, frozen=True):
    """What is asked of a whole sweep (`-m`), and no part of any job's configuration.

    Attributes:
        plan: Whether to list the jobs and run nothing.
        rerun: Of a sweep that was begun: `unfinished` runs what is not completed, `failed` only what
            failed, `all` everything again.
        on_fail: `stop` starts no more jobs after one has failed.
        sweep_plan: The jobs.
    """

    plan: bool
    rerun: Literal["unfinished", "failed", "all"]
    on_fail: Literal["continue", "stop"]
    sweep_plan: SweepPlanConfig
