"""What a launch tells its jobs, wherever they run: an order to read, and a sign to stop."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from mnist_exp.errors import RunError
from mnist_exp.runs import files

_ORDER = "order.json"
_SIGN = "sign"
_PREFIX = ".launch_"

Sign = Literal["hold", "stop"]
"""`hold`: start nothing more. `stop`: running jobs are to save and stop, too."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What all jobs of a launch have in common.

    Attributes:
        sweep_path: The sweep's folder, absolute.
        argv: What was typed.
        working_dir: Where; relative paths of the configuration start there.
        started_at: UTC, ISO 8601.
        process: Id of the process that launches, on the machine that it runs on.
        jobs_at_once: How many run at the same time on one machine.
        cores_per_job: How many cores each job may use; 0 for all of them.
        on_fail: As in `mnist_exp.config.schema.SweepRequest`.
    """

    sweep_path: str
    argv: list[str]
    working_dir: str
    started_at: str
    process: int
    jobs_at_once: int
    cores_per_job: int
    on_fail: Literal["continue", "stop"]


class Launch:
    """A launch's notes, in a folder of their own inside the sweep's.

    Args:
        path: That folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_order(self) -> Order | None:
        """Reads what is to be done; None when the launch is over."""
        try:
            return msgspec.json.decode((self.path / _ORDER).read_bytes(), type=Order)
        except FileNotFoundError:
            return None

    def give(self, sign: Sign, reason: str) -> None:
        """Tells every job to hold or to stop; who has been told to stop stays told.

        Args:
            sign: What to do.
            reason: For the user.
        """
        if sign == "hold" and self.sign()[0] is not None:
            return
        # When the launch is over, nobody is left to tell.
        with contextlib.suppress(RunError):
            files.write_bytes(self.path / _SIGN, f"{sign} {reason}".encode())

    def sign(self) -> tuple[Sign | None, str]:
        """Reads the sign and its reason; a launch that is over says stop."""
        try:
            sign, _, reason = (self.path / _SIGN).read_text().partition(" ")
        except FileNotFoundError:
            return (None if self.path.exists() else "stop"), ""
        return ("stop" if sign == "stop" else "hold"), reason


@contextlib.contextmanager
def open_launch(sweep_path: Path, order: Order) -> Iterator[Launch]:
    """Makes a launch's folder, removed with what killed launches left at the block's end."""
    launch = Launch(sweep_path / f"{_PREFIX}{secrets.token_hex(3)}")
    _remove_launches(sweep_path)
    launch.path.mkdir()
    files.write_bytes(launch.path / _ORDER, msgspec.json.encode(order))
    try:
        yield launch
    finally:
        _remove_launches(sweep_path)


def _remove_launches(sweep_path: Path) -> None:
    for path in sweep_path.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)
