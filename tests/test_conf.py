"""Everything that is shipped in conf/ composes, is accepted, builds and trains."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from mnist_exp.config import parsing, schema
from mnist_exp.data.dataset import LabelledImages, find_source, load_training_data
from mnist_exp.runs import writer
from mnist_exp.runs.records import EpochMetrics, Manifest
from mnist_exp.training import fitting
from mnist_exp.training.callbacks import BestCheckpoint
from mnist_exp.training.device import start_fresh
from mnist_exp.training.networks import build_network

CONF = Path(__file__).parents[1] / "conf"
FILES = sorted(CONF.rglob("*.yaml"))
# Those of Hydra's own group are no part of a job's configuration.
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in FILES
    if path.parent != CONF and "hydra" not in path.relative_to(CONF).parts
)
# They read finished runs, and have a configuration of their own.
READING = {"mode=compare", "mode=evaluate", "mode=predict", "mode=verify"}
PARAMETERS = {
    "ann": (101_770, 0),
    "bn_dnn": (131_594, 768),
    "cnn": (24_394, 224),
    "deep_cnn": (73_994, 448),
    "pooled_cnn": (94_218, 448),
    "tiny_cnn": (5_794, 216),
}


@pytest.fixture(autouse=True)
def composing() -> Iterator[None]:
    """Lets Hydra compose from conf/."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def accepted(*overrides: str) -> schema.Config:
    searches = any(override.startswith(("tuner=", "search_space=")) for override in overrides)
    return parsing.parse(compose("config", [*(["mode=tune"] if searches else []), *overrides]))


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def build(model: str) -> keras.Sequential:
    return build_network(accepted(f"model={model}").model, (28, 28), 10)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_begins_with_a_comment_that_says_what_it_is(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    words = [line for line in comments if not line.startswith("# @package")]
    assert words and len(words[0]) > 15


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in READING])
def test_every_option_is_accepted_beside_the_defaults(option: str) -> None:
    assert isinstance(accepted(option), schema.Config)


def test_the_defaults_are_accepted_and_are_what_the_help_says() -> None:
    chosen = accepted()
    assert (chosen.mode, chosen.model.name, chosen.data.name, chosen.seed) == ("train", "ann", "mnist", 0)
    assert (chosen.runs_dir, chosen.training.engine) == ("runs", schema.Engine.AUTO)


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "augmentation"])
def test_an_option_is_called_what_its_file_is_called(group: str) -> None:
    for option in options(group):
        node = getattr(accepted(f"{group}={option}"), group)
        name = node.__struct_config__.tag if group == "augmentation" else node.name
        assert name == option


@pytest.mark.parametrize("model", options("model"))
def test_every_model_has_the_documented_number_of_parameters(model: str) -> None:
    network = build(model)
    total, frozen = PARAMETERS[model]
    assert network.count_params() == total
    assert sum(int(np.prod(weight.shape)) for weight in network.non_trainable_weights) == frozen
    assert f"{total:,}" in (CONF / "model" / f"{model}.yaml").read_text()


def test_the_convolutional_network_is_small_and_is_made_of_yaml_alone() -> None:
    assert build("cnn").count_params() < 100_000
    assert isinstance(accepted("model=cnn").model, schema.SequentialConfig)


@pytest.mark.parametrize("model", options("model"))
def test_every_model_turns_images_into_probabilities(model: str) -> None:
    probabilities = np.asarray(build(model)(np.zeros((3, 28, 28), np.float32)))
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_a_models_own_numbers_reach_its_layers() -> None:
    chosen = accepted("model=cnn", "model.filters=[3,4,5]").model
    assert build_network(chosen, (28, 28), 10).layers[1].filters == 3


def manifest(run_id: str) -> Manifest:
    """What a run's directory asks for; nothing here reads it."""
    unknown = dict.fromkeys(
        ("error", "finished_at", "duration_s", "engine", "device", "threads", "git", "data")
    )
    return Manifest(
        run_id=run_id, mode="train", status="running", started_at="", argv=[], seed=0, versions={}, **unknown
    )


def train_one_epoch(chosen: schema.Config, folder: Path) -> EpochMetrics:
    """Trains on 300 digits, validates on 100."""
    run = writer.create_run(folder, manifest, "train_test", None)
    seen = load_training_data(find_source(chosen.data)).training
    digits, held_out = (
        LabelledImages(seen.images[part], seen.labels[part]) for part in (np.s_[:300], np.s_[300:400])
    )
    start_fresh(chosen.seed, chosen.training.threads)
    network = build_network(chosen.model, (28, 28), 10)
    engine = fitting.pick_engine(chosen, network, len(digits))
    model = fitting.build_model(chosen, network, engine, len(digits))
    before = [weight.numpy() for weight in network.trainable_weights]
    best = BestCheckpoint(run, network, chosen.training.monitor, chosen.training.direction)
    fitting.fit(
        chosen, model, digits, held_out, best, lambda row, is_best: run.append_metrics(row), lambda: None
    )
    changed = zip(before, network.trainable_weights, strict=True)
    assert all(np.abs(old - new.numpy()).max() > 0 for old, new in changed), "a weight was not trained"
    return run.rows[-1]


def combinations() -> list[tuple[str, ...]]:
    """Takes every model, optimizer, schedule and augmentation at least once, in as few runs as that needs."""
    groups = ("model", "optimizer", "schedule", "augmentation")
    named = [[f"{group}={option}" for option in options(group)] for group in groups]
    longest = max(map(len, named))
    return list(zip(*(itertools.islice(itertools.cycle(names), longest) for names in named), strict=True))


@pytest.mark.parametrize("combination", combinations(), ids=" ".join)
def test_every_model_optimizer_schedule_and_augmentation_trains(
    combination: tuple[str, ...], tmp_path: Path
) -> None:
    quick = ("data=sample", "training.epochs=1", "training.engine=graph", "training.batch_size=20")
    row = train_one_epoch(accepted(*quick, *combination), tmp_path)
    assert np.isfinite(row.loss) and 0 < row.loss < 10
    assert 0 <= row.learning_rate < 1


def test_another_seed_gives_other_numbers_and_the_same_split(tmp_path: Path) -> None:
    quick = ("data=sample", "model.units=[16]", "training.epochs=1", "training.engine=graph")
    chosen = [accepted(*quick, f"seed={seed}") for seed in (0, 1, 0)]
    losses = [train_one_epoch(one, tmp_path).loss for one in chosen]
    assert losses[0] == losses[2] != losses[1]
    assert len({load_training_data(find_source(one.data)).split_sha256 for one in chosen}) == 1
