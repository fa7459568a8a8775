"""What a launch tells its jobs, wherever they run: a request to read, and a flag to stop."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from mnist_exp.errors import RunError
from mnist_exp.processes.messages import LaunchRequest
from mnist_exp.runs import files

_REQUEST = "request.json"
_STOP_FLAG = "stop"
_PREFIX = ".launch_"

Level = Literal["start nothing more", "stop"]
"""Of the stop flag: running jobs go on, or save and stop, too."""


class Launch:
    """A launch's notes, in a folder of their own inside the sweep's.

    Args:
        path: That folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_request(self) -> LaunchRequest | None:
        """Reads what is to be done; None when the launch is over."""
        try:
            return msgspec.json.decode((self.path / _REQUEST).read_bytes(), type=LaunchRequest)
        except FileNotFoundError:
            return None

    def raise_stop_flag(self, level: Level, reason: str) -> None:
        """Tells every job to stop; a flag that is up stays, unless this one asks for more.

        Args:
            level: What to do.
            reason: For the user.
        """
        if level != "stop" and self.stop_flag()[0] is not None:
            return
        # When the launch is over, there are no jobs left to tell.
        with contextlib.suppress(RunError):
            files.write_bytes(self.path / _STOP_FLAG, f"{level}\n{reason}".encode())

    def stop_flag(self) -> tuple[Level | None, str]:
        """Reads the flag and its reason; a launch that is over says stop."""
        try:
            level, _, reason = (self.path / _STOP_FLAG).read_text().partition("\n")
        except FileNotFoundError:
            return (None if self.path.exists() else "stop"), ""
        return ("stop" if level == "stop" else "start nothing more"), reason


@contextlib.contextmanager
def open_launch(sweep_path: Path, request: LaunchRequest) -> Iterator[Launch]:
    """Makes a launch's folder, removed with what killed launches left at the block's end."""
    launch = Launch(sweep_path / f"{_PREFIX}{secrets.token_hex(3)}")
    _remove_launches(sweep_path)
    launch.path.mkdir()
    files.write_bytes(launch.path / _REQUEST, msgspec.json.encode(request))
    try:
        yield launch
    finally:
        _remove_launches(sweep_path)


def _remove_launches(sweep_path: Path) -> None:
    for path in sweep_path.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)
