"""What a process does first, so that nothing around it decides how it ends."""

import logging
import os
import sys
import warnings
from pathlib import Path

from mnist_exp import environment
from mnist_exp.errors import ConfigError


def prepare() -> None:
    """Puts right what the caller left unusual: closed streams, `python -O`, warnings, others' settings."""
    open_missing()
    logging.raiseExceptions = False  # a record that cannot be written is no reason for a traceback
    if not __debug__:
        _restart_with_assertions()
    _keep_warnings_harmless()
    environment.shield()


def _restart_with_assertions() -> None:
    """Becomes the same command without -O: Hydra's parser takes its steps inside of assertions.

    https://github.com/facebookresearch/hydra/issues/2570
    """
    os.environ.pop("PYTHONOPTIMIZE", None)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "mnist_exp", *sys.argv[1:]])


def _keep_warnings_harmless() -> None:
    """Lets no library's warning end a run, here or in a worker, whatever PYTHONWARNINGS and -W say."""
    if any(action == "error" for action, *_ in warnings.filters):
        warnings.simplefilter("default")
        sys.warnoptions[:] = ["default"]
        os.environ["PYTHONWARNINGS"] = "default"


def check_working_folder() -> None:
    """Raises ConfigError where the folder of relative paths was deleted, or cannot be reached."""
    try:
        Path.cwd()
    except OSError as error:
        reason = (
            "was deleted" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        place = os.environ.get("PWD", "path unknown")
        raise ConfigError(f"The working folder ({place}) {reason}.", "Change to another one.") from error


def open_missing() -> None:
    """Puts the null device where a standard stream is closed: a file opened next would take its number."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
