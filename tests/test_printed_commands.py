"""Printed commands do what they say when pasted into a shell, in whatever folder and environment."""

import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from mnist_exp.config.commands import command, portable, setting
from mnist_exp.config.overrides import override_value
from mnist_exp.data.dataset import SAMPLE_PATH
from tests.conftest import Run, Start, clean_environment
from tests.pages.page_reading import read_page
from tests.sweeps.sweeping import num_epochs, status_of, wait_for

RUNS = "größe/r s"
MODEL = "defaults: [ann]\nname: ours\nunits: [8]\n"
DATA = "defaults: [sample]\nname: ours\npath: our digits/it's.npz\non_missing: error\n"
OWN = ("--config-dir", "my yaml", "model=mine", "data=mine")
FOUND = ("data.on_missing=error", "data.validation=500")
NAMED = {"MNIST_EXP_DATA": "our digits/it's.npz"}

TEXTS = [
    "runs/a", "größe/r s", "a=b", "a,b", "[x]", "{y}", "(z)", "$HOME", "a\\b", "a\\", "a\\,b", "~x", "",
    "null", "12", "1e5", "true", "it's", 'say "x"', "\"'\\", "${x}", "\\${x}", "a\\${x}b\\", "x y ", " x",
    "a\tb", "*?#;|&`!", "日本", "a:b", "@%+", "a\u00a0b",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_setting_survives_shell_hydra_and_omegaconf(text: str) -> None:
    words = [setting("run", text), setting("runs", [text, "b"])]
    script = f'mnist-exp() {{ printf "%s\\0" "$@"; }}; {command(*words)}'.replace("mnist-exp", "echoed")
    typed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split(
        "\0"
    )
    read = OmegaConf.create(dict(map(override_value, typed[:2])))
    assert (read.run, list(read.runs)) == (text, [text, "b"])


def test_ordinary_settings_look_plain() -> None:
    assert command(setting("resume", "/home/me/runs/a-1"), setting("seed", 3), setting("x", "a/*")) == (
        "mnist-exp resume=/home/me/runs/a-1 seed=3 'x=a/*'"
    )


def test_relative_paths_become_absolute_and_everything_else_stays() -> None:
    typed = (
        "-m --config-dir=a -cd b --config-name c runs_dir=d run=latest runs=[e,/f] images=g/*.png "
        "data.path=h,i hydra.searchpath=[file://j,k] model=l data.path=${m} images=~/o "
        "+resume=n"
    )
    expected = (
        "-m --config-dir=/x/a -cd /x/b --config-name c runs_dir=/x/d run=latest runs=[/x/e,/f] "
        "images=/x/g/*.png data.path=h,i hydra.searchpath=[file://j,/x/k] model=l data.path=${m} images=~/o "
        "+resume=/x/n"
    )
    assert portable(typed.split(), Path("/x")) == expected.split()
    assert portable(typed.split(), None) == typed.split()


@dataclass(frozen=True)
class Shells:
    """A folder where commands are typed, another where what they print is pasted."""

    start: Start
    run_command: Run
    here: Path
    elsewhere: Path

    def images(self) -> str:
        """Names the images that `NAMED` leads to, as a printed command has to."""
        return setting("data.path", str(self.here / NAMED["MNIST_EXP_DATA"]))

    def run(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs the command, its runs in a folder that only its own environment names."""
        return self.run_command(*words, cwd=self.here, MNIST_EXP_RUNS=RUNS, **variables)

    def stop(self, *words: str, epochs: int = 2, **variables: str) -> str:
        """Interrupts a command after some epochs, and returns what it says."""
        before = set(self.here.glob(f"{RUNS}/**/metrics.jsonl"))
        process = self.start(*words, cwd=self.here, MNIST_EXP_RUNS=RUNS, **variables)

        def is_under_way() -> bool:
            rows = set(self.here.glob(f"{RUNS}/**/metrics.jsonl")) - before
            return any(num_epochs(path.parent) >= epochs for path in rows)

        wait_for(is_under_way, process)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=120)[1]

    def paste(self, text: str) -> "subprocess.CompletedProcess[str]":
        """Has a shell take a printed command apart, and runs it elsewhere."""
        echoed = re.sub("(^| )mnist-exp ", r"\1echoed ", text, count=1)
        script = f'echoed() {{ printf "%s\\0" "$MNIST_EXP_DATA" "$@"; }}; {echoed}'
        read = subprocess.run(
            ["sh", "-c", script], env=clean_environment(), capture_output=True, text=True, check=True
        )
        images, *words = read.stdout.split("\0")[:-1]
        variables = {"MNIST_EXP_DATA": images} if images else {}
        return self.run_command(*words, cwd=self.elsewhere, **variables)


@pytest.fixture(scope="module")
def shells(start: Start, run_command: Run, tmp_path_factory: pytest.TempPathFactory) -> Shells:
    here, elsewhere = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("elsewhere")
    for path, text in (("model/mine.yaml", MODEL), ("data/mine.yaml", DATA)):
        (here / "my yaml" / path).parent.mkdir(parents=True, exist_ok=True)
        (here / "my yaml" / path).write_text(text)
    (here / "our digits").mkdir()
    shutil.copy(SAMPLE_PATH, here / "our digits" / "it's.npz")
    digit = Image.new("L", (28, 28))
    digit.paste(255, (13, 4, 16, 24))
    digit.save(elsewhere / "digit.png")
    return Shells(start, run_command, here, elsewhere)


def suggested(stdout: str) -> list[str]:
    return [line.strip() for line in stdout.splitlines() if line.startswith("  mnist-exp")]


def new_run(shells: Shells, before: set[Path]) -> Path:
    (path,) = set(shells.here.glob(f"{RUNS}/*/manifest.json")) - before
    return path.parent


def on_page(run: Path, what: str) -> str:
    """Takes a command from a page, by what it is said to be for."""
    return re.search(rf"{what}: (.*?mnist-exp .*?) Copy", " ".join(read_page(run).text.split()))[1]  # type: ignore[index]


@pytest.mark.slow
def test_what_a_run_prints_works_elsewhere(shells: Shells) -> None:
    done = shells.run(*OWN, "training.epochs=1")
    run = new_run(shells, set())
    commands = suggested(done.stdout)
    assert len(commands) == 3, done.stderr
    commands += [on_page(run, "Repeats this run")]
    assert shells.run("mode=compare", f'runs="{run}"').returncode == 0
    (report,) = shells.here.glob(f"{RUNS}/*_compare_*")
    commands += [on_page(report, ".*again")]
    failed = {}
    for text in commands:
        less = "plan=true" if " -m " in text else "training.epochs=1"
        done = shells.paste(text if "mode=" in text else f"{text} {less}")
        if done.returncode:
            failed[text] = done.stderr
    assert failed == {}
    manifests = shells.here.glob(f"{RUNS}/*/manifest.json")
    assert {status_of(path.parent) for path in manifests} == {"completed"}
    assert list(shells.elsewhere.rglob("manifest.json")) == []


@pytest.mark.slow
def test_what_a_stopped_training_prints_completes_it_elsewhere(shells: Shells) -> None:
    before = set(shells.here.glob(f"{RUNS}/*/manifest.json"))
    told = shells.stop(*OWN[:3], *FOUND, "training.epochs=100", **NAMED).partition("resume with: ")[2].strip()
    run = new_run(shells, before)
    assert {setting("resume", str(run)), shells.images()} <= {*shlex.split(told)}
    assert on_page(run, "Resumes this training") == told
    assert status_of(run) == "interrupted"
    done = shells.paste(told)
    assert (done.returncode, done.stderr, status_of(run)) == (0, "", "completed")
    assert "Goes on" not in read_page(run).text


@pytest.mark.slow
def test_images_that_a_variable_named_are_found_elsewhere(shells: Shells) -> None:
    texts = suggested(shells.run("-m", *FOUND, "seed=0,1", "plan=true", **NAMED).stdout)
    for text in texts:
        assert {shells.images(), setting("runs_dir", str(shells.here / RUNS))} <= {*shlex.split(text)}, text
    again = shells.paste(f"{texts[0]} plan=true")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.slow
def test_what_a_stopped_sweep_prints_completes_it_elsewhere(shells: Shells) -> None:
    """Its model is in a folder of its own, its images where a variable says."""
    words = ("training.epochs=60", "seed=0,1", "sweep=both")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    told = shells.stop("-m", *OWN[:3], *FOUND, *words, *launcher, **NAMED).partition("resume with: ")[2]
    path = shlex.quote(str(shells.here / "our digits" / "it's.npz"))
    assert told.startswith(f"MNIST_EXP_DATA={path} mnist-exp -m --config-dir")
    sweep = shells.here / RUNS / "both"
    stopped = next(sweep.glob("*/manifest.json")).parent
    assert shells.images() in shlex.split(on_page(stopped, "Repeats this run"))
    assert "mnist-exp -m --config-dir" in on_page(stopped, "Resumes its sweep")
    done = shells.paste(told)
    assert (done.returncode, done.stderr) == (0, "")
    assert {status_of(path.parent) for path in sweep.glob("*/manifest.json")} == {"completed"}
