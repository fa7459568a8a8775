"""The command in processes that need not import TensorFlow first.

One process imports what commands need, computes nothing, and is forked for each of them. What comes of
that is a process of its own, with an id to send signals to, memory and an exit status. It differs from
one that was started only in when its imports happened: whoever tests how a process starts, starts one.

`python -P tests/support/warm.py SOCKET KIND` is the process that is forked.
"""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from ctypes import CDLL
from typing import Any

LIGHT = ("cli", "modes.jobs", "modes.compare", "sweeps.sweep", "report.comparison_document")
HEAVY = (
    *(*LIGHT, "modes.evaluate", "modes.export", "modes.predict", "modes.train", "modes.tune", "modes.verify"),
    *("evaluation.evaluating", "evaluation.latency", "report.run"),
    *("tuning.conclusion", "tuning.proposals", "tuning.search", "tuning.stages"),
)
MODULES = {"heavy": HEAVY, "light": LIGHT}
"""What is imported beforehand, by kind; in a light process TensorFlow cannot be imported at all."""

MOST_BYTES = 2**17
"""Of a request."""

PR_SET_CHILD_SUBREAPER = 36


class WarmCommand:
    """What is forked, seen from the tests.

    Args:
        kind: Of the process, `heavy` or `light`.
        environment: Of the process; those that are forked from it are given their own.
    """

    def __init__(self, kind: str, environment: dict[str, str]) -> None:
        # A fork's parent ends at once, and whoever is told to adopts it can wait for it.
        assert CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno()), kind],
            env=environment, pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,  # pipes cannot seek
        )  # fmt: skip
        theirs.close()

    def fork(self, request: dict[str, Any], streams: list[int]) -> int:
        """Makes a process; gives its id."""
        with self._one_at_a_time:
            try:
                socket.send_fds(self._requests, [json.dumps(request).encode()], streams)
                reply = self._requests.recv(MOST_BYTES)
            except ConnectionError:
                reply = b""
        assert reply, self._process.communicate()[1].decode()
        return int(reply)

    def close(self) -> None:
        self._requests.close()
        self._process.communicate(timeout=10)


class WarmProcess(subprocess.Popen[str]):
    """A command that is forked; all else is that of any other process.

    Args:
        command: What it is forked from.
        arguments: The command's own.
        is_leader: Whether it leads a session, and so a group of processes, of its own.
        options: As of `Popen`.
    """

    def __init__(
        self, command: WarmCommand, arguments: list[str], *, is_leader: bool, **options: Any
    ) -> None:
        self._command, self._is_leader = command, is_leader
        super().__init__(arguments, **options)

    def _execute_child(self, args: list[str], *others: Any) -> None:
        _, _, _, _, cwd, environment, _, _, _, *pipes = others
        stdout, stderr = pipes[3], pipes[5]
        request = {
            "arguments": args,
            "folder": str(cwd),
            "environment": environment,
            "is_leader": self._is_leader,
        }
        self.pid = self._command.fork(request, [0, stdout, stderr])
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]


def import_all(kind: str) -> None:
    """Imports what commands of a kind need, as they would."""
    from mnist_exp.processes.start import prepare

    prepare()
    if kind == "light":
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    from hydra.core.plugins import Plugins

    Plugins.instance()  # looks through all that is installed
    for module in MODULES[kind]:
        importlib.import_module(f"mnist_exp.{module}")
    gc.collect()
    gc.freeze()


def fork_for_each(requests: socket.socket) -> None:
    """Makes processes until there are no more requests; returns in each of them."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, MOST_BYTES, 3)
        if not message:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if not child:
                break
            os.write(writing, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # only now somebody else is the child's parent
        requests.send(os.read(reading, MOST_BYTES))
        for descriptor in (reading, writing, *streams):
            os.close(descriptor)
    for descriptor in (reading, writing, requests.detach()):
        os.close(descriptor)
    become(json.loads(message), streams)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Takes over a command's arguments, folder, environment and streams."""
    if request["is_leader"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["mnist-exp", *request["arguments"]]


def main() -> None:
    """Becomes the command, once for each request."""
    descriptor, kind = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    import_all(kind)
    fork_for_each(socket.socket(fileno=int(descriptor)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from mnist_exp.__main__ import main as run_command

    run_command()


if __name__ == "__main__":
    main()
