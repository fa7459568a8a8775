"""What a sweep keeps in `sweep.json`: every job as it was planned, frozen.

The field names are the names in the file; nothing else in the package spells them.
"""

from typing import Any

from msgspec import Struct

from mnist_exp.runs.records import GitRecord


class SweepJob(Struct, frozen=True, kw_only=True):
    """One job of a sweep.

    Attributes:
        number: 0 for the first.
        name: Its directory in the sweep's: words of what tells it from the others, then a hash of its
            configuration. Letters, digits, `_`, `.` and `-` only.
        overrides: What would be typed to run it alone, the sweep's own keys left out.
        varied: What tells it from the others: key to value, as composed.
        config: Its whole configuration, resolved, as `config.yaml` holds it.
        search: For `mode=tune`: what is searched, frozen; null otherwise.
        num_params: Number of weights of its network, trained or not.
    """

    number: int
    name: str
    overrides: list[str]
    varied: dict[str, Any]
    config: dict[str, Any]
    search: dict[str, Any] | None
    num_params: int


class SweepRecord(Struct, frozen=True, kw_only=True):
    """`sweep.json`.

    Attributes:
        name: The sweep's, and its folder's.
        created_at: UTC, ISO 8601.
        argv: What was typed.
        versions: Of Python and of what computes.
        git: The code's commit; null outside a repository.
        working_dir: The folder that relative paths of the configuration start from.
        cores_per_job: How many cores each job may use, so that the bits do not depend on what runs
            beside it; 0 for all of a machine's.
        jobs: In order.
    """

    name: str
    created_at: str
    argv: list[str]
    versions: dict[str, str]
    git: GitRecord | None
    working_dir: str
    cores_per_job: int
    jobs: list[SweepJob]
