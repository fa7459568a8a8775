"""What can go wrong in a way that a user can mend, each with its exit status."""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from mnist_exp.words import name_some, without_control

_MOST_NAMES = 20
_KERAS_WRAPPER = "Exception encountered when calling "


class ExperimentError(Exception):
    """An error that is shown as one line instead of a traceback: what is wrong, then what to do about it."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(f"{self.message} {self.hint}".split())


class ConfigError(ExperimentError):
    """The request was wrong; nothing was started."""

    exit_status = 2


class RunError(ExperimentError):
    """A run that had started could not be finished."""


def words_of(error: Exception) -> str:
    """Says in one line what Keras or TensorFlow says in many; from inside a layer, which layer that is."""
    lines = [line.strip() for line in without_control(str(error)).splitlines() if line.strip()]
    is_wrapped = bool(lines) and lines[0].startswith(_KERAS_WRAPPER)
    return " ".join(lines[: 2 if is_wrapped else 1])


def nearest(name: str, accepted: Iterable[str]) -> str:
    """Ends a message: `Did you mean "adam"?`, or `Accepted: adam, sgd.` where no accepted name is near."""
    names = sorted(accepted)
    same = [other for other in names if other.lower() == name.lower()]
    longer = same or [other for other in names if name and other.startswith(name)]
    close = longer or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Accepted: {name_some(names, _MOST_NAMES)}."


def is_out_of_memory(error: Exception) -> bool:
    """Says whether memory ran out, in Python or in TensorFlow."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def explain(error: Exception) -> ExperimentError:
    """Says in one line what an exception means for the user; one that says so already is given back."""
    if isinstance(error, ExperimentError):
        return error
    if is_out_of_memory(error):
        hint = "Lower training.batch_size or the model's size, or run fewer programs at once."
        return RunError("Out of memory.", hint)
    if isinstance(error, OSError) and error.filename:
        return RunError(f"{error.filename}: {error.strerror}.")
    return RunError(f"{type(error).__name__}: {words_of(error)}", "HYDRA_FULL_ERROR=1 shows where.")
