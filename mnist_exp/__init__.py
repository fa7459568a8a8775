"""Config-driven experiments with small image classifiers; and what is read of their runs from Python."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_exp.api import ComparedRuns, Run, Runs, compare, load_runs

__all__ = ["ComparedRuns", "Run", "Runs", "compare", "load_runs"]

_INSTALLED = Path(__file__).parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parent.parent / "conf"
"""The shipped YAML: inside the package when installed, beside it in a checkout."""


def __getattr__(name: str) -> Any:
    """Imports the public interface when it is first used: a command has no use for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mnist_exp.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
