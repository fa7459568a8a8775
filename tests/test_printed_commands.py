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
    return re.search(rf"{what}: (mnist-exp .*?) Copy", " ".join(read_page(run).text.split()))[1]  # type: ignore[index]


@pytest.mark.slow
def test_what_a_run_prints_works_elsewhere(shells: Shells) -> None:
    done = shells.run(*OWN, "training.epochs=1")
    run = new_run(shells, set())
    commands = suggested(done.stdout)
    assert len(commands) == 3, done.stderr
    commands += [on_page(run, "Repeats this run")]
    commands += suggested(shells.run("mode=evaluate", f'run="{run}"', "evaluate.robustness_images=0").stdout)
    assert len(commands) == 6
    compared = shells.run("mode=compare", f'runs="{run}"')
    (report,) = shells.here.glob(f"{RUNS}/*_compare_*")
    commands += [on_page(report, ".*again")]
    assert compared.returncode == 0
    commands += suggested(shells.run("-m", *OWN, "training.epochs=1", "seed=0", "plan=true").stdout)
    assert len(commands) == 8
    quick = [text if re.search("epochs|mode", text) else f"{text} training.epochs=1" for text in commands]
    assert {text: done.stderr for text in quick if (done := shells.paste(text)).returncode} == {}
    assert not [
        path for path in shells.elsewhere.rglob("manifest.json") if status_of(path.parent) != "completed"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["told", "page"])
def test_what_a_stopped_training_prints_completes_it_elsewhere(shells: Shells, way: str) -> None:
    before = set(shells.here.glob(f"{RUNS}/*/manifest.json"))
    told = shells.stop(*OWN, "training.epochs=400").partition("resume with: ")[2]
    run = new_run(shells, before)
    text = told if way == "told" else on_page(run, "Resumes this training")
    assert status_of(run) == "interrupted" and shlex.split(text)[1] == setting("resume", str(run))
    done = shells.paste(text)
    assert (done.returncode, done.stderr, status_of(run)) == (0, "", "completed")
    assert "Goes on" not in read_page(run).text


@pytest.mark.slow
def test_images_that_a_variable_named_are_found_elsewhere(shells: Shells) -> None:
    variables = {"MNIST_EXP_DATA": "our digits/it's.npz"}
    words = ("data.on_missing=error", "data.validation=500", "training.epochs=100")
    before = set(shells.here.glob(f"{RUNS}/*/manifest.json"))
    told = shells.stop(*words, **variables).partition("resume with: ")[2]
    run = new_run(shells, before)
    images = setting("data.path", str(shells.here / "our digits" / "it's.npz"))
    assert images in shlex.split(told) and images in shlex.split(on_page(run, "Repeats this run"))
    done = shells.paste(told)
    assert (done.returncode, done.stderr, status_of(run)) == (0, "", "completed")
    planned = shells.run("-m", *words, "seed=0,1", "plan=true", **variables)
    for text in (*suggested(done.stdout), *suggested(planned.stdout)):
        assert {images, setting("runs_dir", str(shells.here / RUNS))} <= {*shlex.split(text)}, text
    again = shells.paste(f"{suggested(planned.stdout)[0]} plan=true")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_images_that_a_variable_named(shells: Shells) -> None:
    words = ("data.on_missing=error", "data.validation=500", "training.epochs=100", "sweep=named", "seed=0,1")
    told = shells.stop("-m", *words, MNIST_EXP_DATA="our digits/it's.npz").partition("resume with: ")[2]
    path = shlex.quote(str(shells.here / "our digits" / "it's.npz"))
    assert told.startswith(f"MNIST_EXP_DATA={path} mnist-exp -m ")
    done = shells.paste(told)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_what_a_stopped_sweep_prints_completes_it_elsewhere(shells: Shells) -> None:
    words = (
        "training.epochs=100",
        "seed=0,1",
        "sweep=both",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=1",
    )
    told = shells.stop("-m", *OWN, *words).partition("resume with: ")[2]
    stopped = next(path for path in (shells.here / RUNS / "both").glob("*/manifest.json"))
    assert on_page(stopped.parent, "Resumes its sweep").startswith("mnist-exp -m --config-dir")
    done = shells.paste(told)
    assert (done.returncode, done.stderr) == (0, "")
    assert {status_of(path.parent) for path in (shells.here / RUNS / "both").glob("*/manifest.json")} == {
        "completed"
    }


@pytest.mark.slow
def test_a_searchs_winner_is_trained_elsewhere(shells: Shells) -> None:
    search = (
        "mode=tune",
        "tuner.max_trials=2",
        "tuner.workers=1",
        "tuner.confirm.seeds=0",
        "training.epochs=1",
    )
    (text,) = suggested(shells.run(*OWN, *search).stdout)
    done = shells.paste(text)
    assert (done.returncode, done.stderr) == (0, "")
