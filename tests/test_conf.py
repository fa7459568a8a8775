"""Everything that is shipped in conf/ composes, is accepted, builds and trains."""

import itertools

import numpy as np
import pytest

from mnist_exp.config.schema import Engine
from mnist_exp.data.dataset import LabelledImages
from mnist_exp.training.networks import build_network
from tests.digits import CONF_DIR, sample_digits
from tests.support.fitted import trained
from tests.trainings import accepted, built

FILES = sorted(CONF_DIR.rglob("*.yaml"))
# Those of Hydra's own group are no part of a job's configuration; the modes that read finished runs have a
# configuration of their own; experiments are accepted in test_refusals.py.
OTHERS = {"help", "experiment"}
READING = {
    "clean", "compare", "evaluate", "export", "list", "note", "predict", "publish", "schema", "verify",
    "watch",
}  # fmt: skip
OPTIONS = [
    (path.parent.name, path.stem)
    for path in FILES
    if path.parent != CONF_DIR and path.parent.name not in OTHERS and path.stem not in READING
]
PARAMETERS = {
    "ann": (101_770, 0),
    "bn_dnn": (131_594, 768),
    "cnn": (24_394, 224),
    "deep_cnn": (73_994, 448),
    "pooled_cnn": (94_218, 448),
    "tiny_cnn": (5_794, 216),
}
IMAGES, LABELS = sample_digits(400)
DIGITS = LabelledImages(IMAGES[:300], LABELS[:300])
HELD_OUT = LabelledImages(IMAGES[300:], LABELS[300:])


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


def test_every_file_begins_with_a_comment_that_says_what_it_is() -> None:
    lacking = []
    for path in FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        comments = itertools.takewhile(lambda line: line.startswith("#"), lines)
        words = [line for line in comments if not line.startswith(("# @package", "# yaml-language-server"))]
        if not words or len(words[0]) <= 15:
            lacking.append(path)
    assert lacking == []


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_is_accepted_and_called_what_its_file_is_called(group: str, option: str) -> None:
    searches = ("mode=tune",) if group in ("tuner", "search_space") else ()
    config = accepted(*searches, f"{group}={option}")
    if group in ("model", "data", "optimizer"):
        assert getattr(config, group).name == option
    if group == "augmentation":
        assert config.augmentation.__struct_config__.tag == option


def test_the_defaults_are_what_the_help_says_and_a_seed_chooses_no_images() -> None:
    chosen = accepted()
    assert (chosen.mode, chosen.model.name, chosen.data.name, chosen.seed) == ("train", "ann", "mnist", 0)
    assert (chosen.runs_dir, chosen.training.engine) == ("runs", Engine.AUTO)
    assert accepted("seed=7").data == chosen.data


@pytest.mark.parametrize("model", options("model"))
def test_every_model_has_the_documented_number_of_parameters_and_gives_probabilities(model: str) -> None:
    network = build_network(accepted(f"model={model}").model, (28, 28), 10)
    total, frozen = PARAMETERS[model]
    assert network.count_params() == total
    assert sum(int(np.prod(weight.shape)) for weight in network.non_trainable_weights) == frozen
    assert f"{total:,}" in (CONF_DIR / "model" / f"{model}.yaml").read_text()
    probabilities = np.asarray(network(np.zeros((3, 28, 28), np.float32)))
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_a_models_own_numbers_reach_its_layers() -> None:
    chosen = accepted("model=cnn", "model.filters=[3,4,5]").model
    assert build_network(chosen, (28, 28), 10).layers[1].filters == 3


def combinations() -> list[tuple[str, ...]]:
    """Takes every model, optimizer, schedule and augmentation at least once, in as few runs as that needs."""
    groups = ("model", "optimizer", "schedule", "augmentation")
    named = [[f"{group}={option}" for option in options(group)] for group in groups]
    longest = max(map(len, named))
    return list(zip(*(itertools.islice(itertools.cycle(names), longest) for names in named), strict=True))


@pytest.mark.parametrize("combination", combinations(), ids=" ".join)
def test_every_model_optimizer_schedule_and_augmentation_trains(combination: tuple[str, ...]) -> None:
    quick = ("data=sample", "training.epochs=1", "training.engine=graph", "training.batch_size=20")
    config = accepted(*quick, *combination)
    before = [weight.numpy() for weight in built(config, DIGITS).network.trainable_weights]
    rows, _, model = trained(config, DIGITS, HELD_OUT)
    for old, new in zip(before, model.network.trainable_weights, strict=True):
        assert np.abs(old - new.numpy()).max() > 0, "a weight was not trained"
    (row,) = rows
    assert np.isfinite(row.loss) and 0 < row.loss < 10
    assert 0 <= row.learning_rate < 1
