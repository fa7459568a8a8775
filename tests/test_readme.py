"""Every command of the README and of the pages that it links to runs, as a new user would type it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .digits import sample_digits

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 200
PAGES = {
    path: (ROOT / path).read_text(encoding="utf-8")
    for path in (
        "README.md",
        "conf/data/README.md",
        "conf/experiment/README.md",
        "conf/model/README.md",
        "conf/sweep_plan/README.md",
        "conf/search_space/README.md",
    )
}
BENCHMARKS = (ROOT / "tests/benchmarks/README.md").read_text(encoding="utf-8")
ASKING = ("mode=evaluate", "mode=predict", "mode=verify", "mode=export")
SHORT_SEARCH = ("tuner.max_trials=1", "tuner.confirm.seeds=1", "tuner.workers=1")
# One process for all commands: TensorFlow is imported once.
DRIVER = """
import json, sys
from hydra.core.global_hydra import GlobalHydra
from mnist_exp.cli import main
statuses = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["mnist-exp", *arguments]
    GlobalHydra.instance().clear()
    try:
        main()
    except SystemExit as end:
        statuses.append(end.code)
print(json.dumps(statuses))
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", "\n".join(PAGES.values()), re.MULTILINE | re.DOTALL)


def yaml_block(beginning: str) -> str:
    return next(block for block in blocks("yaml") if block.startswith(beginning))


def small_mnist() -> dict[str, np.ndarray]:
    """Gives 300 training and 100 test digits under Keras' keys."""
    images, labels = sample_digits(400)
    return {"x_train": images[:300], "y_train": labels[:300], "x_test": images[300:], "y_test": labels[300:]}


def product_commands() -> list[list[str]]:
    """Lists the arguments of each `mnist-exp` command, comments left out."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [line.rpartition("uv run ")[2] for line in lines if re.search(r"(^|uv run )mnist-exp ", line)]
    return [shlex.split(command, comments=True)[1:] for command in commands]


def write_files_of_the_reader(folder: Path) -> None:
    """Writes the files that the pages tell their reader to write, with less to train and no cluster."""
    one_row = {"[64, 128]": "[64]", "[20, 40]": "[1]", "seeds: 5": "seeds: 1"}
    blocks_of_files = {
        "data/letters": ("defaults: [mnist]", {}),
        "model/wide": ("family: sequential", {}),
        "search_space/widths": ("model.units.length", {"max_value: 256": "max_value: 64"}),
        "sweep_plan/sizes": ("grid:", one_row),
        "hydra/launcher/cluster": (
            "defaults: [submitit_slurm]",
            {"submitit_slurm": "submitit_local", "partition": "# "},
        ),
    }
    for name, (beginning, changes) in blocks_of_files.items():
        text = yaml_block(beginning)
        for shown, used in changes.items():
            assert shown in text
            text = text.replace(shown, used)
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Mine.\n{text}")


def stop_at_the_end(run: Path) -> None:
    """Leaves of a finished run what a process leaves that is killed before it has scored its network."""
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"status": "running", "finished_at": None}))
    (run / "summary.json").unlink()


def shortened(command: list[str]) -> list[str]:
    """Gives a command less to do: one epoch on few digits, a search of one trial."""
    if any(word.startswith("mode=") and word != "mode=tune" for word in command):
        return command
    is_own = "data.path" in str(command) or "data=letters" in command
    data = "data.validation=50" if is_own else "data=sample"
    seeds = {"seed=range(100,110)": "seed=100", "seed=range(100,106)": "seed=100,101"}
    command = [seeds.get(argument, argument) for argument in command]
    command += ["until.most_seeds=3"] if "until=decided" in command else []
    return [*command, "training.epochs=1", data, *(SHORT_SEARCH if "mode=tune" in command else [])]


@pytest.mark.slow
def test_every_product_command_runs(tmp_path: Path) -> None:
    write_files_of_the_reader(tmp_path / "mine")
    digits = small_mnist()
    np.savez(tmp_path / "digits.npz", **digits)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(digits["x_test"][:3]):
        Image.fromarray(image).resize((140, 140)).save(tmp_path / "photos" / f"{number}.png")
    header = ",".join(f"pixel{number}" for number in range(784))
    pixels = digits["x_test"].reshape(100, 784)
    np.savetxt(tmp_path / "test.csv", pixels, "%d", ",", header=header, comments="")
    commands = product_commands()
    assert len(commands) >= 15
    # These use as many threads as their run did, which a process decides once.
    asking = [command for command in commands if {*ASKING, "resume=latest"} & set(command)]
    commands = [command for command in commands if command not in asking]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps([shortened(command) for command in commands])],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == [0] * len(commands), done.stderr
    stop_at_the_end(max(tmp_path.glob("runs/*_train_*")))
    for command in asking:
        subprocess.run([sys.executable, "-m", "mnist_exp", *command], cwd=tmp_path, check=True)
    alone = [command for command in commands if "-m" not in command and command != shortened(command)]
    sweeps = [json.loads(path.read_text()) for path in tmp_path.glob("**/sweep.json")]
    alone += [command for command in asking if "mode=verify" in command]
    num_runs = len(alone) + sum(len(sweep["jobs"]) for sweep in sweeps)
    assert len(list(tmp_path.glob("**/summary.json"))) == num_runs


def test_the_refusal_shown_is_the_refusal_given(tmp_path: Path) -> None:
    command, answer = next(block for block in blocks("text") if block.startswith("$ ")).strip().splitlines()
    arguments = shlex.split(command)[2:]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_exp", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", answer)


@pytest.mark.slow
def test_the_benchmark_command_runs() -> None:
    (command,) = re.findall(r"`uv run python (tests/benchmarks/training\.py)[^`]*`", BENCHMARKS)
    done = subprocess.run(
        [sys.executable, command, "--only", "startup", "--repeats", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout


@pytest.mark.slow
def test_the_benchmark_of_an_epoch_trains_what_the_command_does(tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", **small_mnist())
    arguments = ("model=ann", "data.validation=50", "--epochs", "3", "--data", str(tmp_path / "digits.npz"))
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/product_epoch.py", *arguments],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["overrides"] == ["model=ann", "data.validation=50"] and told["engine"] == "graph"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("tuning.py speed", {"--trials", "--free"}),
        ("tuning.py memory", {"--out"}),
        ("tuning.py quality", {"--minutes"}),
        ("sweeps.py speed", {"--stock-runs", "--recipe"}),
        ("sweeps.py memory", {"--kinds", "--launchers"}),
        ("sweeps.py planning", {"--repeats"}),
        ("sweeps.py starts", {"--processes"}),
        ("faults.py", {"--short", "--results"}),
    ],
)
def test_each_benchmark_of_their_page_knows_its_options(command: str, options: set[str]) -> None:
    assert f"`uv run --all-extras python tests/benchmarks/{command}`" in BENCHMARKS
    arguments = [sys.executable, *f"tests/benchmarks/{command}".split(), "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and options <= set(re.findall(r"--[\w-]+", done.stdout)), done.stderr


@pytest.mark.slow
def test_the_accuracy_command_runs(tmp_path: Path) -> None:
    (command,) = re.findall(r"`uv run python (tests/benchmarks/accuracy\.py [^`]*)`", BENCHMARKS)
    np.savez(tmp_path / "digits.npz", **small_mnist())
    small = "training.epochs=1 training.engine=graph data.validation=50"
    script, *configurations = command.split()
    arguments = [script, *(f"{configuration} {small}" for configuration in configurations)]
    done = subprocess.run(
        [sys.executable, *arguments, "--seeds", "1", "--data", str(tmp_path / "digits.npz")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(1 seeds)") == 2 * len(configurations) == 4


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_and_link_is_there(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page])
    local = [target for target in targets if "://" not in target]
    assert local or page != "README.md"
    assert [target for target in local if not ((ROOT / page).parent / target).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def test_both_first_commands_stand_on_the_first_screen() -> None:
    first_screen = "\n".join(README.splitlines()[:20])
    assert "pip install uv && uv run mnist-exp model=ann" in first_screen
    assert "pip install uv && uv run --all-extras pytest" in first_screen
