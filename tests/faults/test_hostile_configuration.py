"""Overrides and YAML from someone who means harm: accepted whole, or refused in one clear line.

Cases go through what the entrypoint itself uses: Hydra's composition, `config.parse` and the modes'
own `accept`, `refusals.explain_hydra` for what Hydra refuses.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config.composing import Composer
from mnist_exp.config.keys import known_keys
from mnist_exp.config.parsing import parse_tree, refuse_sweep_keys, resolve
from mnist_exp.config.refusals import explain_hydra
from mnist_exp.errors import ConfigError
from mnist_exp.modes import compare, evaluate, predict
from mnist_exp.runs.run import read_config
from tests.fuzzing import REFUSAL_S, cases, changed, changes

MOST_LETTERS = 1500
READING = {"mode=compare": compare, "mode=evaluate": evaluate, "mode=predict": predict}
# Not `oc.dict.values` of the mapping that it stands in: OmegaConf takes seconds to find no end to that.
TRICKS = (
    "${seed}", "${model}", "${model.name}", "${model.units}", "${..seed}", "${.}", "${nothing.here}", "${}",
    "${oc.env:HOME}", "${oc.env:NO_SUCH_VARIABLE}", "${oc.env:NO_SUCH_VARIABLE,null}", "${oc.env:[1]}",
    "${oc.decode:'['}", "${oc.decode:'${seed}'}", "${oc.create:{a:1}}", "${oc.dict.keys:model}",
    "${oc.select:model,3}", "${oc.select:a..b}", "${oc.deprecated:seed}",
    "${hydra:run.dir}", "${hydra:job.num}", "${now:%Y}", "${now:}", "${no_such:1}", "${seed", "}",
    "${${seed}}",
    "../../x", "..", ".", "/etc/passwd", "~/x", "~nobody-here", "C:\\x", "a/b", "a\0b", "-rf", "$(id)",
    "`id`",
    "%s%n", "{{7*7}}", "<script>", "__import__('os')", "!!python/name:os.system", "\ud800", "\u202e", "é",
    "\x1b[31m", "\r\n", "x" * 300, "???", "null", "nan", "-inf", "1e400", "0x10", "1_000", "0o17", "1:30",
    "2026-01-01", "1" * 50, "-1", "1e-400", "true", "[]", "{}", "_target_", "Lambda", "lambda x: x",
)  # fmt: skip
KEYS = sorted(known_keys()) + [
    "model._target_", "optimizer._target_", "data.mirrors", "search_space", "search_space.model.units",
    "sweep_plan.grid", "sweep_plan.list", "tuner", "tuner.confirm", "runs", "run", "images",
    "compare.sort", "hydra",
    "hydra.run.dir", "hydra.nothing", "model.units.0", "model.units[0]", "a.b.c", "..", "model@optimizer",
    "é",
]  # fmt: skip
OPTIONS = (
    "model=ann", "model=cnn", "model=../model/cnn", "model=/etc/passwd", "model=..", "model=[ann,cnn]",
    "model=null",
    "experiment=study_ann", "experiment=../x", "schedule=plateau", "augmentation=affine", "mode=tune",
    "mode=compare",
    "mode=evaluate", "mode=predict", "mode=3", "+model@optimizer=ann", "~model", "~training.epochs",
    "tuner=grid",
    "search_space=cnn", "sweep_plan=study", "optimizer={}", "data={name: x}", "data=1e400", "model=[1]",
)  # fmt: skip


def scalars() -> st.SearchStrategy[Any]:
    """Gives single values, of every type and none."""
    letters = st.characters(exclude_categories=())
    return st.one_of(
        st.integers(), st.integers(min_value=10**18), st.floats(), st.booleans(), st.none(),
        st.text(letters, max_size=30), st.sampled_from(TRICKS),
    )  # fmt: skip


def values() -> st.SearchStrategy[Any]:
    """Gives values, lists and mappings of them included."""
    names = st.one_of(st.sampled_from(("name", "units", "Dense", "_target_", "family")), st.text(max_size=5))
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.integers(), inner, max_size=3),
        max_leaves=8,
    )


def typed(value: Any) -> str:
    """Writes a value as a command line has it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{typed(inner)}" for name, inner in value.items()) + "}"
    return {None: "null", True: "true", False: "false"}.get(value, str(value))


def overrides() -> st.SearchStrategy[str]:
    """Gives overrides of values, most of them of keys that exist."""
    keys = st.sampled_from(KEYS) | st.text(max_size=8)
    words = values().map(typed) | st.sampled_from(TRICKS) | st.text(max_size=20)
    return st.builds("{}{}={}".format, st.sampled_from(("", "", "", "+", "++", "~")), keys, words)


@pytest.fixture(autouse=True, scope="module")
def composing() -> Iterator[None]:
    """Lets Hydra compose from conf/."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def assert_one_clear_line(error: ConfigError) -> None:
    line = str(error)
    assert line.strip() and "\n" not in line
    assert len(line) < MOST_LETTERS
    assert ": " in line or line.endswith("."), line
    assert "object at 0x" not in line and "Traceback" not in line


def check_reply(composed_by: Callable[[], DictConfig], words: list[str], folder: Path) -> str:
    """Does with a request what the entrypoint does, up to the point where something would be started.

    What is accepted has to be the same when a run's directory is read back.
    """
    started = time.process_time()
    try:
        composed = composed_by()
    except Exception as error:
        assert_one_clear_line(explain_hydra(error, words))
        return "refused by Hydra"
    finally:
        assert time.process_time() - started < REFUSAL_S
    try:
        refuse_sweep_keys(composed)
        tree = resolve(composed)
        if mode := READING.get(f"mode={OmegaConf.select(composed, 'mode')}"):
            mode.accept(tree, words)
            return "accepted"
        config = parse_tree(tree)
    except ConfigError as error:
        assert_one_clear_line(error)
        return "refused"
    finally:
        assert time.process_time() - started < 2 * REFUSAL_S
    (folder / "config.yaml").write_bytes(msgspec.yaml.encode(tree))
    assert read_config(folder) == config
    return "accepted"


@pytest.fixture(scope="module")
def composer(composing: None) -> Composer:
    return Composer()


@cases(100)
@given(st.lists(overrides() | st.sampled_from(OPTIONS), min_size=1, max_size=3))
@example(["+search_space={1: 2}"])
@example(["model=cnn", "+model.depth=" + "[" * 60 + "]" * 60])
@example(["+optimizer.amsgrad='0x" + "f" * 3000 + "'"])
@example(["model.name=" + "x" * 100_000])
@example(["runs_dir='a\tb'"])
def test_whatever_is_typed_is_accepted_or_refused_in_a_line(
    folder: Path, composer: Composer, words: list[str]
) -> None:
    check_reply(lambda: composer.compose(words).config, words, folder)


SEQUENTIAL = {"family": "sequential", "name": "x"}
NODES = (
    "model",
    "optimizer",
    "data",
    "training",
    "schedule",
    "augmentation",
    "tuner",
    "search_space",
    "seed",
)


@pytest.mark.slow
@cases(150)
@given(st.sampled_from(NODES), values())
@example("model", SEQUENTIAL | {"layers": [{"Dense": {"units": [{"_target_": "os.getcwd"}]}}]})
@example("optimizer", {"name": "adam", "learning_rate": 0.1, "beta_1": [{"class_name": "x"}]})
@example("model", SEQUENTIAL | {"layers": ["Flatten"], "when": b"bytes"})
def test_whatever_tree_a_group_is_it_is_accepted_or_refused_in_a_line(
    folder: Path, composer: Composer, node: str, tree: Any
) -> None:
    def composed() -> DictConfig:
        config = composer.compose(["mode=tune"]).config
        OmegaConf.update(config, node, tree, merge=False, force_add=True)
        return config

    check_reply(composed, [node], folder)


SHIPPED = {path.stem: path.read_bytes() for path in sorted(CONF_DIR.glob("model/*.yaml"))}


@cases(150)
@given(st.sampled_from(sorted(SHIPPED)), changes())
def test_whatever_bytes_a_file_holds_it_is_accepted_or_refused_in_a_line(
    folder: Path, composer: Composer, name: str, made: list[tuple[int, int, bytes]]
) -> None:
    path = folder / "mine.yaml"
    path.write_bytes(changed(SHIPPED[name], made))

    def composed() -> DictConfig:
        config = composer.compose([]).config
        OmegaConf.update(config, "model", OmegaConf.load(path), merge=False)
        return config

    check_reply(composed, ["model=mine"], folder)


TAGGED = (
    "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!binary aGVsbG8=", "!!set {a, b}",
    "!!python/object/apply:pathlib.PosixPath [/etc/passwd]", "!!timestamp 2026-01-01", "2026-01-01",
    "!!omap [a: 1]", "0x" + "f" * 10_000, "1" * 10_000, '"\\0"', '"\\ud800"', '"\\e[31m"', "{? [a]: b}",
    "{1: 2}",
    "{null: 1}", "<<", "{<<: {a: 1}}", ".nan", "-.inf", "1e999", "&x [*x]", "[" * 3000, "~", "!!float x",
    "!!int x",
)  # fmt: skip


@pytest.mark.parametrize("text", TAGGED, ids=lambda text: text[:30])
def test_a_file_with_such_a_value_is_accepted_or_refused_in_a_line(tmp_path: Path, text: str) -> None:
    mine = tmp_path / "model" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text(f"family: sequential\nlayers: [Flatten]\nname: mine\nfilters: {text}\n")
    words = ["model=mine", f"hydra.searchpath=[file://{tmp_path}]"]
    check_reply(lambda: compose("config", words), words, tmp_path)


REFUSED = [
    # a callable, in every group
    *("+model._target_=os.getcwd", "+optimizer._target_=os.getcwd", "+data._target_=os.getcwd"),
    *("+training._target_=os.getcwd", "+schedule._target_=os.getcwd", "+augmentation._target_=os.getcwd"),
    *("+_target_=os.getcwd", "+model.activation={_target_: os.getcwd}"),
    *("+optimizer.beta_1={_target_: os.getcwd}", "optimizer.beta_1=[{_target_: os.getcwd}]"),
    # what an optimizer cannot compute with
    *("optimizer.weight_decay=abc", "optimizer.beta_1=[1]", "optimizer.beta_1=null"),
    *("optimizer.beta_1='0.9'", "optimizer.epsilon={a:1}"),
]


@pytest.mark.parametrize("override", REFUSED)
def test_a_callable_and_what_no_optimizer_computes_with_is_refused(
    folder: Path, composer: Composer, override: str
) -> None:
    assert check_reply(lambda: composer.compose([override]).config, [override], folder) == "refused"


@pytest.mark.parametrize(
    "layer",
    [
        "Lambda: {function: x}", "TFSMLayer: {filepath: x}", "JaxLayer: {call_fn: x}",
        "TorchModuleWrapper: {module: x}", "TextVectorization: {vocabulary: /etc/passwd}",
        "StringLookup: {vocabulary: /etc/passwd}", "Dense: {units: 3, _target_: os.getcwd}",
        "_target_: {a: 1}",
        "Dense: {units: 3, kernel_initializer: {class_name: x}}", "Dense: {units: [{class_name: Lambda}]}",
        "RNN: {cell: [{module: os, class_name: system}]}", "os.system: {a: 1}", "'../x': null",
    ],
)  # fmt: skip
def test_layers_that_run_code_or_read_files_are_refused(folder: Path, composer: Composer, layer: str) -> None:
    words = ["model=cnn", f"model.layers=[{{{layer}}}]"]
    assert check_reply(lambda: composer.compose(words).config, words, folder).startswith("refused")


PATHS = ["../../x", "..", ".", ".x", "/x", "a/b", "a\\b", "é", "x" * 300, "a b", "a\n", ""]


@pytest.mark.parametrize("key", ["sweep", "model.name", "data.name"])
def test_names_that_would_be_paths_are_refused(folder: Path, composer: Composer, key: str) -> None:
    for name in PATHS:
        words = [f"{key}={typed(name)}"]
        assert check_reply(lambda words=words: composer.compose(words).config, words, folder) == "refused"


def test_yaml_is_as_it_was_when_it_is_read_back() -> None:
    """What the round trip above relies on, for texts that YAML would take for something else."""
    words = [word for word in TRICKS if word.isprintable()]
    assert yaml.safe_load(msgspec.yaml.encode(words)) == words
