"""What a shell asks at a TAB, answered by Hydra alone: all else would take longer to import."""

import gc
import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import hydra

from mnist_exp import CONF_DIR

_FOLDER = "--config-dir"


def is_asked(arguments: Sequence[str]) -> bool:
    """Says whether a shell asks how its line can go on."""
    is_completion = "-sc" in arguments or "--shell-completion" in arguments
    return is_completion and any(word.startswith("query=") for word in arguments)


def answer() -> None:
    """Prints how the line of `COMP_LINE` can go on: nothing where it is broken."""
    # A shell would show messages amid the line that is typed.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    line = os.environ.get("COMP_LINE", "").replace(f"{_FOLDER}=", f"{_FOLDER} ").split()
    for flag, folder in pairwise(line):
        if flag in (_FOLDER, "-cd"):
            sys.argv += [flag, folder]
    if not any("launcher" in word for word in line):
        # They take a seventh of the time, and know of nothing but launchers.
        sys.modules["hydra_plugins"] = None  # type: ignore[assignment]
    gc.disable()
    hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(lambda _: None)()
