"""Completion of a command line by a real shell, called as Hydra's own tests call it."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import COMMAND, clean_environment

# What the shell does at a TAB: the words that are typed so far, and which of them is to be completed.
SCRIPT = """
eval "$({command} -sc install=bash)"
COMP_LINE={line!r}
COMP_WORDS=($COMP_LINE); COMP_POINT=${{#COMP_LINE}}; COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
complete -p mnist-exp
hydra_bash_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def complete(line: str, folder: Path) -> set[str]:
    path = f"{COMMAND.parent}:/usr/bin:/bin"
    script = SCRIPT.format(command=COMMAND.name, line=line)
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=folder, env=clean_environment(PATH=path), capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rule, *found = done.stdout.splitlines()
    assert "-F hydra_bash_completion mnist-exp" in rule
    return {word for word in found if word}


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("mnist-exp mod", {"mode=", "model=", "model."}),
        ("mnist-exp mode=", {"mode=train", "mode=watch", "mode=schema"}),
        ("mnist-exp model=b", {"model=bn_dnn"}),
        ("mnist-exp seed=3 training.e", {"training.epochs=", "training.early_stopping.", "training.engine="}),
        ("mnist-exp mode=tune tuner.max", {"tuner.max_trials=", "tuner.max_minutes="}),
        ("mnist-exp -m hydra/launcher=b", {"hydra/launcher=basic"}),
        ("mnist-exp --config-dir mine model=ow", {"model=own"}),
    ],
)
def test_groups_options_keys_and_modes_are_completed(line: str, some: set[str], tmp_path: Path) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "own.yaml").write_text("defaults: [ann]\n")
    found = complete(line, tmp_path)
    assert some <= found
    last = line.split()[-1]
    assert all(word.startswith(last) for word in found)


@pytest.mark.parametrize(
    "line",
    [
        "mnist-exp training.epochs=[1,2 mod",
        "mnist-exp --nosuch mod",
        "mnist-exp ${ model=",
        "mnist-exp nosuch.",
    ],
)
def test_a_broken_line_is_completed_by_nothing(line: str, tmp_path: Path) -> None:
    assert complete(line, tmp_path) == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_of_hydras_is_told_what_to_do(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "-sc", f"install={shell}"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and "mnist-exp" in done.stdout
