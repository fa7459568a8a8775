"""Sweeps run for real, by the command in processes of its own: what they left, and who is still at work."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import msgspec.yaml
import numpy as np

from tests.conftest import Start

QUICK = ("data=sample", "training.engine=graph")
TIME_OUT_S = 300
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
NOISE = re.compile(r"absl|oneDNN|cuda|cpu_feature_guard|Warning|Traceback|^[IWE]0000", re.MULTILINE)


Scenario = Callable[[Start, Path], Any]
Outcomes = Callable[[Scenario], Any]
"""Gives what one of a module's `SCENARIOS` came to: the fixture `outcome_of`."""


@dataclass(frozen=True)
class Ended:
    """A command that ended, and the folder it ran in."""

    folder: Path
    status: int
    stdout: str
    stderr: str

    def sweep(self, name: str) -> Path:
        return self.folder / "runs" / name


def ended(process: "subprocess.Popen[str]", folder: Path) -> Ended:
    """Waits for a command to end."""
    stdout, stderr = process.communicate(timeout=TIME_OUT_S)
    return Ended(folder, process.returncode, stdout, stderr)


def wait_for(
    condition: Callable[[], Any], process: "subprocess.Popen[str] | None" = None, seconds: float = 180
) -> Any:
    """Waits until something is so, and gives it; fails if a process ends before."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert process is None or process.poll() is None, f"ended early: {process.communicate(timeout=60)}"
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return found


def after_epochs(process: "subprocess.Popen[str]", folder: Path, number: int) -> Path:
    """Waits for some epochs of the only run in a folder; gives its directory."""
    run: Path = wait_for(lambda: next(folder.glob("runs/*"), None), process)
    wait_for(lambda: num_epochs(run) >= number, process)
    return run


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def run_in(folder: Path) -> Path:
    """Gives the only run that was made in a folder."""
    (run,) = (path for path in folder.glob("runs/*") if path.is_dir())
    return run


def planned_jobs(sweep: Path) -> list[dict[str, Any]]:
    return read_json(sweep / "sweep.json")["jobs"]


def run_of(sweep: Path, number: int) -> Path:
    """Gives the directory of a job, by its number."""
    return sweep / planned_jobs(sweep)[number]["name"]


def runs_of(sweep: Path) -> list[Path]:
    """Lists the directories of all jobs, in their order, there or not."""
    return [sweep / job["name"] for job in planned_jobs(sweep)]


def status_of(run: Path) -> str:
    manifest = run / "manifest.json"
    return read_json(manifest)["status"] if manifest.exists() else "pending"


def statuses(sweep: Path) -> list[str]:
    return [status_of(run) for run in runs_of(sweep)]


def num_epochs(run: Path) -> int:
    """Counts the epochs that a run has recorded."""
    rows = run / "metrics.jsonl"
    return rows.read_text().count("\n") if rows.exists() else 0


def result_of(run: Path) -> dict[str, Any]:
    """Gives all that a training came to and no clock has a part in, weights and predictions bit by bit."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    summary = read_json(run / "summary.json")
    with np.load(run / "predictions.npz", allow_pickle=False) as arrays:
        predictions = {name: (array.dtype.str, array.tobytes()) for name, array in arrays.items()}
    scored = ("test_accuracy", "test_accuracy_interval", "test_loss", "val_accuracy", "best_epoch", "epochs")
    return {
        "metrics": [{key: value for key, value in row.items() if key != "duration_s"} for row in rows],
        "summary": {key: summary[key] for key in scored},
        "predictions": predictions,
        "best": weights_of(run / "checkpoints" / "best.keras"),
        "last": weights_of(run / "checkpoints" / "last.keras"),
    }


def weights_of(checkpoint: Path) -> dict[str, tuple[str, bytes]]:
    """Reads every variable of a checkpoint, layers' and optimizer's, without loading TensorFlow."""
    found: dict[str, tuple[str, bytes]] = {}

    def note(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = (str(node.dtype), node[()].tobytes())

    with zipfile.ZipFile(checkpoint) as archive:
        assert archive.testzip() is None
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(note)
    return found


def assert_nothing_torn(folder: Path) -> None:
    """Reads every file that has its final name."""
    readers: dict[str, Callable[[Path], object]] = {
        ".json": read_json,
        ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        ".yaml": lambda path: msgspec.yaml.decode(path.read_bytes()),
        ".csv": lambda path: [*csv.reader(path.read_text().splitlines(), strict=True)],
        ".npz": lambda path: [array.sum() for array in np.load(path, allow_pickle=False).values()],
        ".keras": weights_of,
        ".log": Path.read_text,
    }
    endings = {".png": b"IEND\xaeB`\x82", ".html": b"</html>"}
    for path in folder.rglob("*.*"):
        if not path.is_file() or path.name.startswith(".draft-") or ".launch_" in str(path):
            continue
        if path.suffix in endings:
            assert path.read_bytes().rstrip().endswith(endings[path.suffix]), path
        else:
            readers[path.suffix](path)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Notes every file below a folder, with what changes when it is written again."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def processes_in(folder: Path) -> dict[int, str]:
    """Finds processes that work in a folder or were told of it: id to command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            is_there = str((entry / "cwd").readlink()).startswith(str(folder)) or str(folder) in command
        except OSError:
            continue
        if is_there and command:
            found[int(entry.name)] = command
    return found


def job_processes(folder: Path) -> dict[int, str]:
    """Finds the processes that run jobs of sweeps in a folder."""
    return {pid: words for pid, words in processes_in(folder).items() if "mnist_exp.worker" in words}


def find_at_work(folder: Path, run: Path) -> int | None:
    """Finds the process that has a run's log open."""
    log = str((run / "train.log").resolve())
    for pid in job_processes(folder):
        try:
            if log in {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}:
                return pid
        except OSError:
            continue
    return None


def descendants(pid: int) -> list[int]:
    """Lists the processes below one, those nearest to it first."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found[1:]


def printed_command(text: str, marker: str) -> list[str]:
    """Takes the words of the command that follows a marker, as they would be typed."""
    (command,) = re.findall(rf"{re.escape(marker)}\s*mnist-exp (.*)", text)
    return shlex.split(command)
