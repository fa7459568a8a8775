"""What a worker is told to do, in the words of Keras Tuner's messages: flat names and plain values."""

from typing import Any

from mnist_exp.runs.provenance import Moment, utc_now
from mnist_exp.runs.records import ErrorRecord, TrialRecord
from mnist_exp.tuning.definition import Search

RUN = "tuner/run"
"""The name under which a worker is told where the run's directory is."""

EPOCHS = "tuner/epochs"
"""The name under which a trial's values hold its number of epochs, where the oracle decides on it."""

SEED = "tuner/seed"
"""The name under which a confirmation's values hold its seed."""

CANDIDATE = "tuner/candidate"
"""The name under which a confirmation's values say whom it is for."""

MESSAGE = "tuner/message"
HINT = "tuner/hint"
"""Under these names a worker says what stops the whole search."""

_OWN = "tuner/"


def searched_values(encoded: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what is not searched but said about the training."""
    return {name: value for name, value in encoded.items() if not name.startswith(_OWN)}


def plain_values(search: Search, encoded: dict[str, Any]) -> dict[str, Any]:
    """Turns an oracle's values into values by the names of the search space; the default has none."""
    searched = searched_values(encoded)
    return search.space.decode(searched) if searched else {}


def num_epochs(search: Search, encoded: dict[str, Any]) -> int:
    """Says how many epochs a trial has: as the oracle says, or the search space, or the tuner."""
    epochs = encoded.get(EPOCHS) or plain_values(search, encoded).get("training.epochs")
    return int(epochs or search.tuner.epochs)


def failed_trial(
    search: Search,
    trial: int,
    encoded: dict[str, Any],
    began: Moment,
    worker: str,
    error: ErrorRecord | None,
) -> TrialRecord:
    """Makes the record of a trial that ends now and has come to nothing."""
    return TrialRecord(
        trial=trial,
        status="failed",
        score=None,
        values=plain_values(search, encoded),
        epochs=num_epochs(search, encoded),
        num_params=None,
        started_at=began.utc,
        finished_at=utc_now(),
        duration_s=began.seconds_ago(),
        worker=worker,
        executions=[],
        error=error,
    )


def trial_name(trial: int) -> str:
    """Names a trial in file names and messages."""
    return f"trial_{trial}"


def confirmation_name(candidate: str, seed: int) -> str:
    """Names a candidate's training on one seed."""
    return f"{candidate}_seed_{seed}"
