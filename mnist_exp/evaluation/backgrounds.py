"""Whether the images that a network knows are light on dark or dark on light."""

from collections.abc import Sequence

from mnist_exp.data.backgrounds import find_background
from mnist_exp.data.fingerprints import load_training_images
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import Background
from mnist_exp.runs.run import RunResult

_WORDS = {"dark": "light on dark", "light": "dark on light"}


def choose_background(runs: Sequence[RunResult]) -> tuple[Background, str]:
    """Says which background pictures are given, and how that is known.

    Args:
        runs: Completed; asked together.

    Raises:
        ConfigError: Their images' backgrounds differ.
    """
    found = [_background(run) for run in runs]
    known = {name for name in found if name is not None}
    if len(known) > 1:
        raise ConfigError(
            "run: some of these runs know images that are light on dark, some dark on light.",
            "Ask them one by one.",
        )
    if not known:
        return (
            "dark",
            "pictures are made light on dark, as MNIST's; how the run's own images are is not known",
        )
    name = known.pop()
    return name, f"pictures are made {_WORDS[name]}, as the run's own images are"


def _background(run: RunResult) -> Background | None:
    """Reads what was recorded; of an older run, measures its images where they are at hand."""
    if run.data.background is not None:
        return run.data.background
    images = load_training_images(run)
    return None if images is None else find_background(images)
