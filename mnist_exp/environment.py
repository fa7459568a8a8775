"""Keeps what users have set up for other programs with the same libraries out of an experiment.

`python -m mnist_exp.environment <module>` runs a module in a process that is kept so.
"""

import os
import runpy
import sys
from pathlib import Path

_FOREIGN = ("KERAS_", "NPY_", "NUMPY_", "TF_USE_LEGACY_KERAS")
_KERAS_HOME = "KERAS_HOME"
_DATA_HOME = "MNIST_EXP_KERAS_HOME"
# What Keras and Matplotlib look for there is not there, and what they would write cannot be written.
_OWN = {
    "KERAS_BACKEND": "tensorflow",
    _KERAS_HOME: os.devnull,
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,
}


def shield() -> None:
    """Takes Keras', NumPy's and Matplotlib's user configuration away; to be called before their import."""
    os.environ[_DATA_HOME] = keras_home()
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ.update(_OWN)
    _pass_over_styles()
    _pass_over_matplotlibrc()


def keras_home() -> str:
    """Names the folder where the user's Keras keeps data sets; `~` stands for the home folder."""
    home = os.environ.get(_KERAS_HOME)
    return (os.environ.get(_DATA_HOME) if home == os.devnull else home) or "~/.keras"


def cache_folder(name: str) -> Path:
    """Says which folder of the user's cache keeps a data set; it need not exist."""
    import pooch  # takes 0.1 s, for nothing when the data are at hand

    return Path(pooch.os_cache("mnist-exp")) / name


def _pass_over_styles() -> None:
    """Uses the folder with Matplotlib's list of fonts, where that can be: making it takes seconds."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - never raises
    folder = Path(os.environ.get("MPLCONFIGDIR") or f"{cache}/matplotlib")
    if os.path.lexists(folder / "stylelib"):
        folder /= "mnist-exp"
    os.environ["MPLCONFIGDIR"] = str(folder)


def _pass_over_matplotlibrc() -> None:
    """Imports Matplotlib from elsewhere where it would read a file of the current folder first of all."""
    if "matplotlib" in sys.modules or not os.path.lexists("matplotlibrc"):
        return
    here = os.open(".", os.O_PATH)
    os.chdir(Path(__file__).parent)
    try:
        import matplotlib  # noqa: F401
    finally:
        os.fchdir(here)
        os.close(here)


if __name__ == "__main__":
    shield()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
