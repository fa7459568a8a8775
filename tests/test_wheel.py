"""The wheel works by itself: built, installed into an empty environment, run from an empty folder."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import clean_environment

pytest.importorskip("hatchling", reason="the build back end is part of the test extra")
ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a program; returns what it wrote to standard output."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("mnist_exp-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and, beside it, its dependencies.

    The dependencies are those of this environment, on the path after the wheel; its own editable
    installation of this package stays out, as a `.pth` file in it is not read from there.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_carries_every_file_of_conf_and_the_sample(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    conf = {f"mnist_exp/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert conf and conf <= names
    assert {"mnist_exp/data/sample/mnist_sample.npz", "mnist_exp/data/sample/README.md"} <= names


def test_the_wheel_carries_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mnist_exp"}
    assert [name for name in names if "__pycache__" in name or "/gallery/" in name or "/tests/" in name] == []
    assert wheel.stat().st_size < 3e6


@pytest.mark.slow
def test_an_installed_wheel_composes_its_own_conf_from_any_folder(installed: Path, tmp_path: Path) -> None:
    places = "mnist_exp.__file__, mnist_exp.cli.CONF_DIR, mnist_exp.data.dataset.SAMPLE_PATH"
    where = f"import mnist_exp.data.dataset, mnist_exp.cli; print({places}, sep='\\n')"
    found = run(installed / "python", "-c", where, cwd=tmp_path).splitlines()
    assert len(found) == 3
    assert [place for place in found if not Path(place).is_relative_to(installed.parent)] == []
    assert "name: cnn" in run(installed / "mnist-exp", "--cfg", "job", "model=cnn", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_installed_wheel_trains_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "mnist-exp", "data=sample", "training.epochs=1", cwd=tmp_path)
    (path,) = (tmp_path / "runs").iterdir()
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["status"] == "completed" and manifest["git"] is None
    assert "test accuracy" in said and (path / "plots" / "mistakes.png").is_file()
