"""Fresh processes, one at a time: what they print, how long they take, how much memory they hold."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple


class Child(NamedTuple):
    """What a finished process came to.

    Attributes:
        output: What it printed.
        elapsed_s: Seconds from its start to its exit.
        peak_memory_bytes: Its largest resident set.
    """

    output: str
    elapsed_s: float
    peak_memory_bytes: int

    def printed(self, name: str) -> Any:
        """Returns one value of the JSON object on its last line."""
        return json.loads(self.output.splitlines()[-1])[name]


def run_child(command: tuple[str, ...], expected_status: int = 0) -> Child:
    """Runs a command to its end; exits with its errors when its status is another than expected."""
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        elapsed_s = time.perf_counter() - started
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != expected_status:
            errors.seek(0)
            sys.exit(f"{shlex.join(command)}\nexit status {process.returncode}\n{errors.read()[-3000:]}")
    return Child(output, elapsed_s, usage.ru_maxrss * 1024)
