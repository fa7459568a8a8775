"""Disks that are full or cannot be written to: one line with the path, and after that the run goes on.

MNIST_EXP_DISKS says on how many full disks a run is tried; the full round is 39, which is all of them, and
in which more files cannot be written.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.sweeps.sweeping import (
    Ended,
    Outcomes,
    after_epochs,
    assert_nothing_torn,
    ended,
    read_json,
    result_of,
    side_by_side,
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


@dataclass(frozen=True)
class Mended:
    """A command that a fault ended, what it left, and the command that went on after the cause was gone.

    Attributes:
        first: How it ended.
        left: The names of what it left in `runs`.
        found: Copied then; what it left.
        again: How the second command ended; None where there was nothing to resume.
        run: The run's directory, copied at the end.
    """

    first: Ended
    left: list[str]
    found: Path
    again: Ended | None
    run: Path


def assert_one_line(mended: Mended) -> None:
    stderr = mended.first.stderr
    assert stderr.startswith("mnist-exp: ") and stderr.count("\n") == 1, stderr


def is_possible(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Makes a folder a small file system of its own for a while; skips where that is not permitted."""
    folder.mkdir()
    if not is_possible("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def undisturbed(start: Start, folder: Path) -> dict[str, Path]:
    """Trains what the others train, in peace."""
    wholes = {}
    for epochs in (SHORT, LONG):
        outcome = ended(start(*TYPED, epochs, f"runs_dir='{epochs}'", cwd=folder), folder)
        assert outcome.status == 0, outcome.stderr
        (wholes[epochs],) = (folder / epochs).iterdir()
    return wholes


def after(start: Start, folder: Path, first: Ended, mend: Callable[[], object]) -> Mended:
    """Notes what a fault left, takes its cause away, and goes on."""
    runs_dir = folder / "runs"
    left = sorted(path.name for path in runs_dir.iterdir())
    shutil.copytree(runs_dir, folder / "found")
    mend()
    again = None
    if left:
        again = ended(start(f"resume=runs/{left[0]}", cwd=folder), folder)
        shutil.copytree(runs_dir / left[0], folder / "run")
    return Mended(first, left, folder / "found", again, folder / "run")


def filled(disk: Disk) -> Callable[[Start, Path], Mended]:
    def scenario(start: Start, folder: Path) -> Mended:
        runs_dir = folder / "runs"
        with mounted(runs_dir, f"size=50m,{disk.option}"):
            first = ended(start(*TYPED, disk.epochs, cwd=folder), folder)
            more = ["mount", "-o", "remount,size=50m,nr_inodes=1000", str(runs_dir)]
            return after(start, folder, first, lambda: subprocess.run(more, check=True))

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


def going_on(process: "subprocess.Popen[str]", folder: Path) -> Ended:
    process.send_signal(signal.SIGCONT)
    return ended(process, folder)


def folder_becomes_read_only(start: Start, folder: Path) -> Mended:
    process, run = begun(start, folder, *(PLAIN_USER if os.geteuid() == 0 else ()))
    places = [run, run / "checkpoints", run / "plots"]
    for place in places:
        place.chmod(0o555)
    first = going_on(process, folder)
    return after(start, folder, first, lambda: [place.chmod(0o755) for place in places])


def folder_in_a_files_place(start: Start, folder: Path) -> Mended:
    process, run = begun(start, folder)
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl" / "something").mkdir(parents=True)
    first = going_on(process, folder)
    return after(start, folder, first, lambda: shutil.rmtree(run / "metrics.jsonl"))


def checkpoint_that_must_not_change(start: Start, folder: Path) -> Mended:
    process, run = begun(start, folder)
    last = str(run / "checkpoints" / "last.keras")
    if not is_possible("chattr", "+i", last):
        process.kill()
        process.send_signal(signal.SIGCONT)
        pytest.skip("chattr +i is not possible here")
    try:
        first = going_on(process, folder)
        return after(start, folder, first, lambda: subprocess.run(["chattr", "-i", last], check=True))
    finally:
        is_possible("chattr", "-i", last)


STOPPING = {folder_becomes_read_only: "cannot be written: Permission denied. Make the folder writable"}
if "MNIST_EXP_DISKS" in os.environ:
    STOPPING[folder_in_a_files_place] = "metrics.jsonl: cannot be written: Is a directory"
    STOPPING[checkpoint_that_must_not_change] = "last.keras: cannot be written: Operation not permitted"


@pytest.fixture(scope="module")
def outcome_of(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    scenarios = (undisturbed, *FILLED.values(), *STOPPING)
    yield from side_by_side(start, tmp_path_factory, scenarios)


def assert_went_on(mended: Mended, whole: Path) -> None:
    """Asserts that what was left was whole, and that the run came to the bits of an undisturbed one."""
    assert mended.again is not None
    assert_nothing_torn(mended.found)
    assert (mended.again.status, mended.again.stderr) == (0, "")
    assert read_json(mended.run / "manifest.json")["status"] == "completed"
    assert result_of(mended.run) == result_of(whole)
    assert (mended.run / "report.html").exists()


@pytest.mark.parametrize("name", FILLED)
def test_a_full_disk_is_one_line_and_with_more_room_the_run_ends_as_if_nothing_had_been(
    outcome_of: Outcomes, name: str
) -> None:
    mended = outcome_of(FILLED[name])
    if name == "report.html":
        assert mended.first.status == 0 and "report.html was not written" in mended.first.stdout
    else:
        assert_one_line(mended)
        assert "No space left on device" in mended.first.stderr and "runs" in mended.first.stderr
        assert mended.first.status == (1 if mended.left else 2)
    if name in NAMED:
        assert f"{name}: cannot be written" in mended.first.stderr, "another file was the first without room"
    if mended.left:
        assert_went_on(mended, outcome_of(undisturbed)[DISKS[name].epochs])


@pytest.mark.parametrize("scenario", STOPPING, ids=lambda scenario: scenario.__name__)
def test_what_cannot_be_written_is_named_and_the_run_can_go_on(
    outcome_of: Outcomes, scenario: Callable
) -> None:
    mended = outcome_of(scenario)
    assert mended.first.status == 1
    assert_one_line(mended)
    assert STOPPING[scenario] in mended.first.stderr and f"runs/{mended.left[0]}" in mended.first.stderr
    assert_went_on(mended, outcome_of(undisturbed)[LONG])
