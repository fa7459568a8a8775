"""Disks that are full or cannot be written to: one line with the path, and after that the run goes on.

MNIST_EXP_DISKS says on how many full disks a run is tried; the full round is 39, which is all of them, and
in which more files cannot be written.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    Scenario,
    after_epochs,
    assert_nothing_torn,
    ended,
    read_json,
    result_of,
    wait_for,
)

pytestmark = pytest.mark.slow

NETWORK = ("model.units=[16]", "model.dropout=0.1", "training.engine=graph", "schedule=constant")
TYPED = ("data=sample", "training.threads=1", *NETWORK)
SHORT, LONG = "training.epochs=1", "training.epochs=60"
PLAIN_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-linux_immutable")
"""What makes root heed permissions."""

FIRST_FILES = (
    *("the directory", "train.log", "checkpoints", "plots", "manifest.json", "config.yaml"),
    *("overrides.yaml", "best.keras", "metrics.jsonl", "metrics.csv", "last.keras", "predictions.npz"),
    *("plots/learning_curves.png", "plots/confusion_matrix.png", "plots/sample_predictions.png"),
    *("plots/mistakes.png", "plots/first_layer_weights.png", "summary.json", "report.html"),
)
"""What a run makes, in the order in which it makes it first."""

NAMED = FIRST_FILES[FIRST_FILES.index("metrics.jsonl") : -1]
"""Those whose name the line has to say; before the first epoch the manifest is written again."""


@dataclass(frozen=True)
class Disk:
    """A file system that a run fills.

    Attributes:
        name: What it has no room for any more, or how large it is.
        option: Of `mount`, that makes it so small.
        epochs: How long the run is.
    """

    name: str
    option: str
    epochs: str = SHORT


def full_disks() -> list[Disk]:
    """Lists disks, those first that a short round tries."""
    # The folder of runs is a file too. All but the page are 700 KB, and the page is 170 KB.
    by_file = [Disk(name, f"nr_inodes={number}") for number, name in enumerate(FIRST_FILES[:-1], start=1)]
    first = [Disk("report.html", "size=780k")]
    chosen = ("last.keras", "plots/mistakes.png")
    first += [disk for disk in by_file if disk.name in chosen]
    # A new version stands beside the old one for a moment.
    again = Disk("best.keras again", "nr_inodes=12", LONG)
    sizes = [Disk(f"{size} KB", f"size={size}k") for size in range(20, 680, 80)]
    sizes += [Disk(f"{size} KB for more epochs", f"size={size}k", LONG) for size in range(100, 440, 40)]
    return [*first, *(disk for disk in by_file if disk not in first), again, *sizes]


DISKS = {disk.name: disk for disk in full_disks()[: int(os.environ.get("MNIST_EXP_DISKS", "3"))]}


def assert_one_line(outcome: Ended, *words: str) -> None:
    assert outcome.stderr.startswith("mnist-exp: ") and outcome.stderr.count("\n") == 1, outcome.stderr
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr


def is_possible(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def undisturbed(start: Start, folder: Path) -> dict[str, Path]:
    """Trains what the others train, in peace."""
    wholes = {}
    for epochs in (SHORT, LONG):
        outcome = ended(start(*TYPED, epochs, f"runs_dir='{epochs}'", cwd=folder), folder)
        assert outcome.status == 0, outcome.stderr
        (wholes[epochs],) = (folder / epochs).iterdir()
    return wholes


def resumed(start: Start, folder: Path, mend: Callable[[], object]) -> Path | None:
    """Takes a fault's cause away and resumes; gives a copy of the run, None where there was nothing left."""
    left = list((folder / "runs").iterdir())
    assert_nothing_torn(folder / "runs")
    mend()
    if not left:
        return None
    again = ended(start(f"resume=runs/{left[0].name}", cwd=folder), folder)
    assert (again.status, again.stderr) == (0, "")
    run = Path(shutil.copytree(left[0], folder / "run"))
    assert read_json(run / "manifest.json")["status"] == "completed" and (run / "report.html").exists()
    return run


def filled(disk: Disk) -> Callable[[Start, Path], Path | None]:
    def scenario(start: Start, folder: Path) -> Path | None:
        runs_dir = folder / "runs"
        runs_dir.mkdir()
        small = f"size=50m,{disk.option}"
        if not is_possible("mount", "-t", "tmpfs", "-o", small, "tmpfs", str(runs_dir)):
            pytest.skip("mounting a small file system is not permitted here")
        try:
            first = ended(start(*TYPED, disk.epochs, cwd=folder), folder)
            if disk.name == "report.html":
                assert first.status == 0 and "report.html was not written" in first.stdout
            else:
                assert_one_line(first, "No space left on device", "runs")
                assert first.status == (1 if any(runs_dir.iterdir()) else 2)
            if disk.name in NAMED:
                assert f"{disk.name}: cannot be written" in first.stderr, (
                    "another file was without room first"
                )
            more = ["mount", "-o", "remount,size=50m,nr_inodes=1000", str(runs_dir)]
            return resumed(start, folder, lambda: subprocess.run(more, check=True))
        finally:
            subprocess.run(["umount", str(runs_dir)], check=True)

    scenario.__name__ = "filled"
    return scenario


FILLED = {name: filled(disk) for name, disk in DISKS.items()}


def begun(start: Start, folder: Path, *before: str) -> tuple["subprocess.Popen[str]", Path]:
    """Starts a run, and holds it when some epochs are over."""
    process = start(*TYPED, LONG, cwd=folder, before=before)
    run = after_epochs(process, folder, 3)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: "T" in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0])
    assert not (run / "summary.json").exists(), "it was over before it was held"
    return process, run


def assert_fails(process: "subprocess.Popen[str]", run: Path, words: str) -> None:
    """Lets a held run go on, to its end by the fault."""
    process.send_signal(signal.SIGCONT)
    first = ended(process, run.parents[1])
    assert first.status == 1
    assert_one_line(first, words, f"runs/{run.name}")


def folder_becomes_read_only(start: Start, folder: Path) -> Path | None:
    process, run = begun(start, folder, *(PLAIN_USER if os.geteuid() == 0 else ()))
    places = [run, run / "checkpoints", run / "plots"]
    for place in places:
        place.chmod(0o555)
    assert_fails(process, run, "cannot be written: Permission denied. Make the folder writable")
    return resumed(start, folder, lambda: [place.chmod(0o755) for place in places])


def folder_in_a_files_place(start: Start, folder: Path) -> Path | None:
    process, run = begun(start, folder)
    rows = run / "metrics.jsonl"
    rows.unlink()
    (rows / "something").mkdir(parents=True)
    assert_fails(process, run, "metrics.jsonl: cannot be written: Is a directory")
    return resumed(start, folder, lambda: shutil.rmtree(rows))


def checkpoint_that_must_not_change(start: Start, folder: Path) -> Path | None:
    process, run = begun(start, folder)
    last = str(run / "checkpoints" / "last.keras")
    if not is_possible("chattr", "+i", last):
        process.kill()
        process.send_signal(signal.SIGCONT)
        pytest.skip("chattr +i is not possible here")
    try:
        assert_fails(process, run, "last.keras: cannot be written: Operation not permitted")
        return resumed(start, folder, lambda: subprocess.run(["chattr", "-i", last], check=True))
    finally:
        is_possible("chattr", "-i", last)


UNWRITABLE = [folder_becomes_read_only]
if "MNIST_EXP_DISKS" in os.environ:
    UNWRITABLE += [folder_in_a_files_place, checkpoint_that_must_not_change]


SCENARIOS = (undisturbed, *FILLED.values(), *UNWRITABLE)


@pytest.mark.parametrize("name", FILLED)
def test_a_full_disk_is_one_line_and_with_more_room_the_run_ends_as_if_nothing_had_been(
    outcome_of: Outcomes, name: str
) -> None:
    run = outcome_of(FILLED[name])
    if run is not None:
        assert result_of(run) == result_of(outcome_of(undisturbed)[DISKS[name].epochs])


@pytest.mark.parametrize("scenario", UNWRITABLE, ids=lambda scenario: scenario.__name__)
def test_what_cannot_be_written_is_named_and_the_run_can_go_on(
    outcome_of: Outcomes, scenario: Scenario
) -> None:
    assert result_of(outcome_of(scenario)) == result_of(outcome_of(undisturbed)[LONG])
