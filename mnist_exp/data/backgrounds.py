"""Whether a data set's images are light on dark, as MNIST's are, or dark on light."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnist_exp.data.fingerprints import load_training_images
from mnist_exp.errors import ConfigError
from mnist_exp.runs.records import Background
from mnist_exp.runs.run import Run

_MOST_IMAGES = 2000
_AGREEING = 0.8
_WORDS = {"dark": "light on dark", "light": "dark on light"}


def find_background(images: NDArray[np.uint8]) -> Background | None:
    """Measures whether things are lighter or darker than the edge of their images, uint8 (N, H, W).

    The edge's median is background where a thing reaches it here and there, as Fashion-MNIST's clothes do.
    None where fewer than four in five images, some evenly spread ones, agree.
    """
    some = images[:: max(1, len(images) // _MOST_IMAGES)].astype(np.float32)
    edges = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    background = np.median(np.concatenate(edges, axis=1), axis=1)
    lighter = np.sign(some.mean(axis=(1, 2)) - background)
    if np.mean(lighter == 1) >= _AGREEING:
        return "dark"
    return "light" if np.mean(lighter == -1) >= _AGREEING else None


def choose_background(runs: Sequence[Run]) -> tuple[Background, str]:
    """Says which background pictures are given, and why; raises ConfigError where the runs' differ."""
    found = [_background(run) for run in runs]
    known = {name for name in found if name is not None}
    if len(known) > 1:
        raise ConfigError(
            "run: some of these runs were trained on light-on-dark images, some on dark-on-light ones.",
            "Name them one by one.",
        )
    if not known:
        how = "pictures are converted to light on dark, as in MNIST; how the run's own are is unknown"
        return "dark", how
    name = known.pop()
    return name, f"pictures are converted to {_WORDS[name]}, like the run's own images"


def as_the_runs(images: NDArray[np.uint8], runs: Sequence[Run]) -> tuple[NDArray[np.uint8], str | None]:
    """Inverts images, uint8 (N, H, W), that are the other way round than the runs' own, and says so.

    Raises:
        ConfigError: As `choose_background`.
    """
    wanted, _ = choose_background(runs)
    found = find_background(images)
    if found is None or found == wanted:
        return images, None
    return 255 - images, f"the images are {_WORDS[found]}, and were inverted to be like the run's own"


def _background(run: Run) -> Background | None:
    """Reads what was recorded; of an older run, measures its images where they are at hand."""
    if run.data.background is not None:
        return run.data.background
    images = load_training_images(run)
    return None if images is None else find_background(images)
