"""What surrounds a process: variables, streams, shells. None of it decides a result.

Each request is made in a plain environment once, and has to come to the same in every other one. By default
a sample is tried that holds each setting, each stream and each request; MNIST_EXP_ENVIRONMENTS=1 tries every
combination. Files of other tools are in tests/test_environment.py.
"""

import itertools
import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import COMMAND, Run, clean_environment
from tests.sweeps.sweeping import (
    assert_nothing_torn,
    num_epochs,
    read_json,
    run_in,
    runs_of,
    wait_for,
    weights_of,
)

pytestmark = pytest.mark.slow

TRIES_ALL = os.environ.get("MNIST_EXP_ENVIRONMENTS", "") == "1"


@dataclass(frozen=True)
class Setting:
    """Something unusual around a process.

    Attributes:
        variables: To set; None unsets.
        shell: A shell's words around the command, which is `"$@"`.
        encoding: Of both outputs.
    """

    variables: dict[str, str | None] = field(default_factory=dict)
    shell: str = '"$@"'
    encoding: str = "utf-8"


PLAIN = Setting()
SETTINGS = {
    "optimised": Setting({"PYTHONOPTIMIZE": "1"}),
    "twice optimised": Setting({"PYTHONOPTIMIZE": "2"}),
    "warnings are errors": Setting({"PYTHONWARNINGS": "error"}),
    "all warnings": Setting({"PYTHONWARNINGS": "always", "PYTHONTRACEMALLOC": "1"}),
    "development mode": Setting({"PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}),
    "no user site": Setting({"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "7"}),
    "ascii": Setting({"PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": "1"}, encoding="ascii"),
    "C locale": Setting(
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None},
        encoding="ascii",
    ),
    "nobody": Setting({"HOME": None, "USER": None, "PATH": None, "TERM": None}),
    "no colour": Setting({"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "1"}),
    "odd time zone": Setting({"TZ": "Nowhere/At_All", "COLUMNS": "0", "LINES": "-1"}),
    "no temporary folder": Setting({"TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/proc/nowhere"}),
    "unwritable home": Setting({"HOME": "/proc", "XDG_CONFIG_HOME": "/proc", "MPLCONFIGDIR": "/proc/x"}),
    "umask": Setting(shell='umask 0777 && umask 077 && exec "$@"'),
    "background": Setting(shell='"$@" & wait $!'),
    "few descriptors": Setting(shell='ulimit -n 256 && exec "$@"'),
}
STREAMS = {
    "open": '"$@"',
    "stdin closed": '"$@" <&-',
    "stdout closed": '"$@" >&-',
    "stderr closed": '"$@" 2>&-',
    "all closed": '"$@" <&- >&- 2>&-',
    "stdout full": '"$@" >/dev/full',
    "stderr full": '"$@" 2>/dev/full',
}
REQUESTS: dict[str, tuple[str, ...]] = {
    "configuration": ("--cfg", "job", "model=cnn"),
    "help": ("--help",),
    "plan": ("-m", "seed=range(0,3)", "++model.units=[8]", "data=sample", "sweep=study", "plan=true"),
    "refusal": ("model.name={a:1}",),
    "comparison": ("mode=compare", "runs=nowhere"),
}
TRAINING = ("data=sample", "training.epochs=1", "seed=7", "training.threads=1")
Ended = subprocess.CompletedProcess[bytes]


def call(folder: Path, setting: Setting, stream: str, words: tuple[str, ...]) -> Ended:
    """Runs the command in a shell, in the setting."""
    environment = clean_environment()
    for name, value in setting.variables.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    script = STREAMS[stream].replace('"$@"', f"{{ {setting.shell}\n}}")
    return subprocess.run(
        ["/bin/bash", "-c", script, "bash", str(COMMAND), *words],
        cwd=folder, env=environment, capture_output=True, timeout=300, check=False,
    )  # fmt: skip


def words_of(text: bytes) -> list[bytes]:
    return re.findall(rb"[a-z0-9_=]+", text)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """What each request comes to in a plain environment."""
    folder = tmp_path_factory.mktemp("plain")
    return {name: call(folder, PLAIN, "open", words) for name, words in REQUESTS.items()}


COMBINATIONS = list(itertools.product(SETTINGS, STREAMS, REQUESTS))
SAMPLE = list(zip(SETTINGS, itertools.cycle(STREAMS), itertools.cycle(REQUESTS), strict=False))
TRIED = COMBINATIONS if TRIES_ALL else SAMPLE


@pytest.mark.parametrize(("setting", "stream", "request_name"), TRIED, ids=str)
def test_a_request_comes_to_the_same(
    tmp_path: Path, plain: dict[str, Ended], setting: str, stream: str, request_name: str
) -> None:
    done = call(tmp_path, SETTINGS[setting], stream, REQUESTS[request_name])
    expected, encoding = plain[request_name], SETTINGS[setting].encoding
    is_lost = stream == "stdout full" and expected.stdout != b""  # the output was the result
    assert done.returncode == (1 if is_lost else expected.returncode), done.stderr
    if stream not in ("stdout closed", "all closed", "stdout full"):
        # Where an encoding lacks the lines of a table, others are drawn.
        form = words_of if encoding == "ascii" else bytes
        assert form(done.stdout) == form(expected.stdout)
    if stream in ("open", "stdin closed", "stdout closed"):
        assert done.stderr == expected.stderr.decode().encode(encoding, "replace")
    assert done.stderr.count(b"\n") <= 1 and b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def trained(run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training in a plain environment."""
    folder = tmp_path_factory.mktemp("trained")
    assert run_command(*TRAINING, cwd=folder).returncode == 0
    return run_in(folder)


TRAININGS = [(setting, list(STREAMS)[number % len(STREAMS)]) for number, setting in enumerate(SETTINGS)]


@pytest.mark.parametrize(("setting", "stream"), TRAININGS if TRIES_ALL else TRAININGS[4::8], ids=str)
def test_a_training_gives_the_same_bits(tmp_path: Path, trained: Path, setting: str, stream: str) -> None:
    done = call(tmp_path, SETTINGS[setting], stream, TRAINING)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr and done.stderr.count(b"\n") <= 1
    run = run_in(tmp_path)
    assert_same_training(run, trained)
    assert read_json(run / "manifest.json")["status"] == "completed"
    assert_nothing_torn(run)


def assert_same_training(run: Path, trained: Path) -> None:
    summary, expected = (read_json(path / "summary.json") for path in (run, trained))
    assert summary["num_params"] == expected["num_params"] == 101_770
    assert summary["test_loss"] == expected["test_loss"]
    best = "checkpoints/best.keras"
    assert weights_of(run / best) == weights_of(trained / best)
    layers = {name: kind for name, (kind, _) in weights_of(run / best).items() if "layers" in name}
    assert set(layers.values()) == {"float32"}


def test_a_deleted_working_folder_is_called_so(tmp_path: Path) -> None:
    for words in (("mode=verify", "run=x"), ("-m", "seed=0,1")):
        folder = tmp_path / "gone"
        folder.mkdir()
        done = call(folder, Setting(shell='rmdir "$PWD" && "$@"'), "open", words)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.startswith(b"mnist-exp: The working folder (") and b"was deleted." in done.stderr
        assert done.stderr.count(b"\n") == 1


UNKNOWN_FLAG = {"XLA_FLAGS": "--nope"}
COMPILED = (*TRAINING, "training.engine=compiled")


@pytest.mark.parametrize(
    ("variable", "hint"), [("XLA_FLAGS", "train.log has more."), ("TF_XLA_FLAGS", "Nothing was written.")]
)
def test_tensorflows_last_words_are_heard(tmp_path: Path, variable: str, hint: str) -> None:
    done = call(tmp_path, Setting({variable: "--nope=1"}), "open", COMPILED)
    assert done.returncode == 1
    reason = f"the process died: Unknown flag in {variable}: --nope=1."
    assert done.stderr.decode().splitlines()[-1] == f"mnist-exp: {reason} {hint}"
    assert done.stderr.count(b"\n") == 1
    runs = list(tmp_path.glob("runs/*"))  # TF_XLA_FLAGS are read before there is one
    assert bool(runs) == (variable == "XLA_FLAGS")
    for run in runs:
        manifest = read_json(run / "manifest.json")
        assert (manifest["status"], manifest["error"]["message"]) == ("failed", reason)
        assert "parse_flags_from_env.cc" in (run / "train.log").read_text()


def test_a_jobs_last_words_are_in_its_manifest(tmp_path: Path) -> None:
    done = call(tmp_path, Setting(UNKNOWN_FLAG), "open", ("-m", *COMPILED, "seed=0", "sweep=one"))
    assert done.returncode == 1
    for run in runs_of(tmp_path / "runs" / "one"):
        error = read_json(run / "manifest.json")["error"]
        assert error["message"] == "the process exited with status 1: Unknown flag in XLA_FLAGS: --nope."
        assert "parse_flags_from_env.cc" in (run / "train.log").read_text()


@pytest.mark.parametrize(
    ("number", "reason", "status"),
    [
        (signal.SIGSEGV, "Fatal Python error: Segmentation fault", "failed"),
        (signal.SIGKILL, "the process was killed", "running"),
    ],
)
def test_a_signal_that_ends_a_process_is_named(
    start: Callable, tmp_path: Path, number: signal.Signals, reason: str, status: str
) -> None:
    forever = ("data=sample", "training.epochs=100000", "schedule=constant", "training.engine=graph")
    process = start(*forever, cwd=tmp_path)
    run = wait_for(lambda: next(tmp_path.glob("runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= 1, process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -number
    assert stderr.startswith("mnist-exp: ") and reason in stderr and stderr.count("\n") == 1
    assert read_json(run / "manifest.json")["status"] == status
    assert reason in (run / "train.log").read_text()
