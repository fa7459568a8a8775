"""Which code and which libraries a run was made with."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from mnist_exp.records import GitRecord

_DISTRIBUTIONS = ("mnist-exp", "tensorflow", "keras", "keras-tuner", "numpy", "hydra-core", "omegaconf")
DECISIVE = ("python", "tensorflow", "keras", "numpy", "mnist-exp")
"""Where versions differ, so may a result's last bits."""


def versions() -> dict[str, str]:
    """Says the version of Python and of what decides a run's numbers."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in _DISTRIBUTIONS
    }


def git_record() -> GitRecord | None:
    """Says which commit this package's own code is at; None when it is not a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return GitRecord(commit=commit, dirty=bool(_git(root, "status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
