"""Requests that are wrong: one line that names key, value and remedy; exit 2; nothing started."""

import importlib.metadata
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR, cli
from mnist_exp.config.composing import Composer
from mnist_exp.config.parsing import parse
from mnist_exp.config.unused import refuse_unused_values
from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import choose_run, find_runs
from tests.comparison.run_makers import make_run
from tests.conftest import Run

Refuse = Callable[..., str]

# Overrides (separated by a space), then what the one line must contain.
REFUSED = [
    # misspelt options of a group
    ("optimizer=adm", "optimizer:", '"adm"', '"adam"'),
    ("experiment=nothing", "experiment:", '"nothing"', "none"),
    ("mode=trian", "mode:", '"trian"', '"train"'),
    # what Hydra's grammar does not take
    ("runs_dir=😀", "runs_dir: 😀 (character 10 of runs_dir=😀) needs quotes", """'runs_dir="😀"'"""),
    ("+data.path=a;b", "+data.path: ; (character 13", """'+data.path="a;b"'"""),
    ("data.class_names=[relu,a!b]", "data.class_names: !", "Put that text in quotes of its own"),
    # where quotes would not help
    ("sweep=😀", 'sweep: got "😀"; letters, digits'),
    ("+model.name=a;b", 'model.name: got "a;b"; letters, digits'),
    ("-m sweep=x seed=0,😀", 'seed: got "0,😀"; expected a whole number'),
    ("model=a;b", 'model: got "a;b"', "Accepted: ann, bn_dnn"),
    ('model.name="ann', 'model.name: "', "opens quotes that nothing closes"),
    ("mödel=ann", "mödel: ö (character 2 of mödel=ann) cannot be part of a key"),
    # misspelt keys, at every depth
    ("sed=3", "sed:", '"seed"'),
    ("+foo=1", "foo:", "seed", "training"),
    ("+optimizer.learning_rte=0.1", "optimizer.learning_rte:", "learning_rate"),
    ("model.unit=[3]", "model.unit:", "model.units"),
    ("training.early_stopping.patiance=1", "training.early_stopping.patiance:", "patience"),
    ("hydra.run.dri=foo", 'hydra.run.dri: Hydra has no such key. Did you mean "hydra.run.dir"?'),
    ("hydra.launcher.n_jobs=2", "Hydra has no such key. It belongs to another launcher"),
    ("hydra.run=x", "hydra.run: got x: a mapping is needed."),
    ("hydra.job.chdir=maybe", "hydra.job.chdir: got maybe: Value 'maybe' is not a valid bool"),
    # keys of another option of the group
    ("augmentation.max_pixels=1", "augmentation.max_pixels:", "augmentation=shift"),
    ("model=cnn model.units=[3]", "model.units:", "model"),
    ("+model.layers=[]", "model.layers: the chosen model has no such key. It belongs to model=cnn or"),
    # options of another group, and optimizers without a file
    ("model=best_ann", 'model: there is no "best_ann". Write experiment=best_ann'),
    ("data=cosine", "Write schedule=cosine"),
    ("model=mlp", "Accepted: ann", "search_space=mlp"),
    ("model=none", "Accepted: ann"),
    ("--config-name=best_ann", '--config-name: there is no "best_ann". Write experiment=best_ann'),
    ("--config-name=mine", '--config-name: there is no "mine". YAML of your own: --config-dir'),
    ("optimizer=nadam", 'there is no "nadam". Keras has it. Write optimizer=adam optimizer.name=nadam'),
    ("optimizer=lion", "Keras has it. Write optimizer=adam optimizer.name=lion '~optimizer.epsilon'"),
    # names of nothing: the current folder is none
    ("data.path=", 'data.path: got ""; expected text that is not empty. Leave it out'),
    ("resume=", 'resume: got ""; expected text that is not empty.'),
    ("runs_dir=", 'runs_dir: got ""'),
    ("mode=evaluate run=", "run: got none"),
    ("mode=evaluate run=['']", 'run[0]: got ""'),
    ("mode=compare runs=", "runs: got none"),
    ("mode=compare runs=['']", 'runs[0]: got ""'),
    ("hydra.run.dir=", 'hydra.run.dir: got ""; a folder is needed.'),
    ("-m seed=0,1 hydra.sweep.dir=", 'hydra.sweep.dir: got ""; a folder is needed.'),
    ("--config-dir=", "--config-dir: got nothing."),
    # searches
    ("tuner=grid", "tuner:", "mode=tune"),
    ("tuner.max_trials=5", "tuner.max_trials:", "mode=tune"),
    ("mode=tune tuner.objective=val_acuracy", "tuner.objective:", '"val_accuracy"'),
    ("mode=tune tuner.max_trials=null", "tuner.max_trials:", "tuner.max_minutes"),
    ("mode=tune data.validation=0", "data.validation:", "validation images"),
    ("mode=tune model=cnn", "search_space.model", "cnn"),
    # a key taken away
    ("~training.epochs", "training.epochs:", "not given"),
    ("training=null", "training: got null; an option's name is needed.", "Accepted: default."),
    ("model=3", "model: got 3; an option's name is needed.", "ann"),
    ("~foo", "~foo: there is nothing to delete. Accepted: augmentation,"),
    ("training.early_stopping=null", "training.early_stopping:", "null"),
    # wrong types
    ("training.epochs=1.5", "training.epochs:", "1.5", "whole number"),
    ("training.epochs=true", "training.epochs:", "whole number"),
    ("optimizer.learning_rate=fast", "optimizer.learning_rate:", '"fast"', "a number"),
    ("model.units=128", "model.units: got 128; expected a list. Write model.units=[128]"),
    ("model.units=(64,128)", 'got "(64,128)"; expected a list. Write model.units=[64,128]'),
    ("model.units.5=64", "model.units.5: got 64: list index out of range. Write all of it: model.units=[…]"),
    ("training.early_stopping=5", "early_stopping: got 5; expected a mapping. Set training.early_stopping."),
    ("training.monitor=[loss]", "training.monitor: got ['loss']; expected text.", 'mean "loss"?'),
    ("runs_dir=3", "runs_dir: got 3; expected text.", """As text: 'runs_dir="3"'"""),
    ("mode=compare runs=x compare=null", "compare: got null; expected a mapping. Set compare.columns or"),
    ("mode=evaluate run=a,b", "run=a,b: mode=evaluate cannot be swept. Several are a list: run=[a,b]"),
    ("mode=verify run=a,b", "run=a,b: mode=verify cannot be swept. Name one."),
    ("mode=export run=a,b", "run=a,b: mode=export cannot be swept. Name one."),
    ("experiment.best_ann=1", "experiment.best_ann: there is no such key. Write experiment=best_ann"),
    ("seed=[1,2]", "seed: got [1, 2]; expected a whole number. For each of them: mnist-exp -m seed=1,2"),
    ("training={}", "training={}: an empty mapping changes nothing. Leave it out."),
    ("data.validation=1.5", "got 1.5; expected a number < 1.0. It is a number of images, such as"),
    (
        "data.validation=0.1x",
        'data.validation: got "0.1x". Accepted: whole numbers, a share such as',
    ),
    ("data.folds=5", "data.folds: it needs data.fold. Such as: data.folds=5 data.fold=0"),
    ("data.folds=5 data.fold=5", "data.fold: got 5; accepted: 0 to 4"),
    ("data.folds=1 data.fold=0", "data.folds: got 1; expected a whole number >= 2"),
    ("data.num_classes=5", "data.num_classes: got 5; data.class_names has 10 names"),
    ("model.units=[12,x]", "model.units[1]:", '"x"', "whole number"),
    ("runs_dir=null", "runs_dir:", "null", "text"),
    # out of range
    ("training.epochs=0", "training.epochs:", "got 0", ">= 1"),
    ("training.epochs=999999999999999999999", "training.epochs:", "<= 100000"),
    ("training.label_smoothing=1", "training.label_smoothing:", "< 1"),
    ("training.mixup=inf", "training.mixup:", "inf", "finite"),
    ("augmentation=affine augmentation.cutout_pixels=29", "augmentation.cutout_pixels:", "<= 28"),
    ("seed=2147483648", "seed:", "<= 2147483647"),
    ("optimizer.learning_rate=0", "optimizer.learning_rate:", "> 0"),
    ("model.units=[0]", "model.units[0]:", ">= 1"),
    # numbers that are none
    ("optimizer.learning_rate=nan", "optimizer.learning_rate:", "nan", "finite"),
    ("optimizer.weight_decay=-inf", "optimizer.weight_decay:", "inf", "finite"),
    # keys of the modes that ask finished runs
    ("mode=predict image=a.png", "image: there is no such key", 'Did you mean "images"'),
    ("mode=evaluate seeed=1", "seeed: there is no such key", "Accepted: evaluate, run, runs_dir, split."),
    ("rn=latest", "rn: there is no such key", 'Did you mean "run"'),
    (
        "mode=compare run=study",
        "run: belongs to",
        "mode=predict, mode=verify, mode=export, mode=note or mode=watch",
        '"runs"',
    ),
    (
        "mode=evaluate runs=study",
        "runs: belongs to mode=compare, mode=publish, mode=list or mode=clean",
        'Did you mean "run"',
    ),
    ("mode=list model=ann", "model: mode=list reads runs, and has no use for it. Accepted: runs,"),
    ("mode=list where=seed>", 'where: after "seed>" it ends; a value is needed. Such as test_accuracy>0.98'),
    ("mode=list whree=x", "whree: there is no such key", 'Did you mean "where"'),
    ("mode=list format=xml", 'format: got "xml". Accepted: csv, html, json, markdown, table.'),
    ("mode=list by=group format=html", "by: format=html has a line a run. Leave by out."),
    ("mode=list limit=0", "limit: got 0", ">= 1"),
    ("where=seed>3", "where: belongs to mode=list"),
    ("mode=list runs=nothing", "runs: nothing does not exist."),
    ("mode=evaluate run=where:seed>", 'run: after "seed>" it ends; a value is needed.'),
    ("mode=compare compare.srot=ann", "compare.srot: there is no such key", '"compare.sort"'),
    ("mode=export run=latest", "export.format: got none", "export.format=onnx"),
    ("mode=export run=latest export.format=onx", "export.format: got onx", 'Did you mean "onnx"'),
    ("mode=export run=latest export.format=saved_model seed=1", "seed: mode=export", "Accepted: run,"),
    ("mode=export export.fromat=onnx", "export.fromat: there is no such key", '"export.format"'),
    ("mode=predict images=a/[0-9].png", "images=a/[0-9].png:", "in quotes of its own"),
    # words of which only some are accepted
    ("training.monitor=val_acc", "training.monitor:", '"val_acc"', '"val_accuracy"'),
    ("data.preprocessing=upright", 'data.preprocessing: got "upright"', "none", "deskew"),
    ("data.validation=tset", "data.validation:", '"tset"', '"test"'),
    # names that Keras does not know
    ("optimizer.name=adamm", "optimizer.name:", '"adamm"', '"adam"'),
    ("optimizer=sgd +optimizer.beta_1=0.9", "optimizer.beta_1:", '"sgd"', "momentum"),
    ("+optimizer.use_ema=true", "optimizer.use_ema:", "training.ema_momentum"),
    ("+optimizer.gradient_accumulation_steps=2.5", "_steps: got 2.5; a whole number from 2 is needed"),
    ("model.activation=rely", "model.activation:", '"rely"', '"relu"'),
    ("model=cnn model.layers=[Dens]", "model.layers[0]:", '"Dens"', '"Dense"'),
    ("model=cnn model.layers=[{Dense:{unit:3}}]", "model.layers[0].Dense.unit:", '"units"'),
    ("model=cnn model.layers=[{Lambda:{function:x}}]", "model.layers[0]:", '"Lambda"'),
    ("model=cnn model.layers=[]", "model.layers:", "at least one"),
    ("model=cnn model.layers=[3]", "model.layers[0]:", "3"),
    ("model=cnn model.layers=[{Dense:{units:3},Flatten:null}]", "model.layers[0]:", "2 names"),
    ("model=cnn model.layers=[{Dense:{units:{a:1}}}]", "model.layers[0].Dense.units:", "mapping"),
    # values that are fine alone
    ("model.activation=[relu,tanh]", "model.activation:", "2 values", "model.units"),
    ("model=bn_dnn model.dropout=[0.1]", "model.dropout:", "4 layers", "model.units"),
    ("training.direction=min", "training.direction:", "min", "val_accuracy", "training.direction=max"),
    ("data.validation=0 schedule=plateau", "training.monitor:", "val_accuracy", "data.validation"),
    ("data.validation=0 training.early_stopping.patience=2", "training.monitor:", "data.validation"),
    ("optimizer.clipnorm=1", "the chosen optimizer's file does not list it", "+optimizer.clipnorm=…"),
    ("optimizer=adam optimizer.momentum=0.9", "It belongs to optimizer=rmsprop or optimizer=sgd"),
    ("data=fashion_mnist data.on_missing=sample", "data.on_missing", "fashion_mnist"),
    # values that nothing uses
    ("model=cnn ++model.dropout=0.1", "model.dropout: no layer of cnn uses it", "${model.dropout}"),
    ("model=cnn model.filters=[8,16,32,64]", "model.filters.3: no layer of cnn uses it"),
    ("model=cnn model.layers=[Flatten] ++model.width=3", "model.width: no layer of cnn uses it"),
    ("experiment=best_mlp model=cnn ++model.width=3", "model.width: no layer"),
    ("training.early_stopping.min_delta=0.1", "min_delta: nothing uses it", "early_stopping.patience is 0"),
    ("training.early_stopping={patience:0,min_delta:1}", "min_delta: nothing uses it"),
    ("data.validation=0 training.monitor=val_loss training.direction=min", "training.monitor: nothing uses"),
    ("data.validation=0 data.split_seed=3", "data.split_seed: nothing uses it while data.validation is 0"),
    ("optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true", "nesterov: nothing uses it", "is 0"),
    ("optimizer=sgd ~optimizer.momentum optimizer.nesterov=true", "nesterov: nothing uses it", "is 0"),
    ("augmentation=elastic augmentation.elastic_pixels=0 augmentation.elastic_grid=7", "grid: nothing uses"),
    ("schedule.warmup_fraction=1 schedule.final_fraction=0.1", "final_fraction: nothing uses it"),
    ("schedule=step schedule.factor=1 schedule.every_epochs=2", "schedule.every_epochs: nothing uses it"),
    ("model.units=[] model.activation=tanh", "model.activation: nothing uses it while model.units is []"),
    ("mode=tune tuner.confirm.seeds=0 tuner.confirm.top=2", "tuner.confirm.top: nothing uses it"),
    ("mode=tune tuner.objective=val_loss training.monitor=loss training.direction=min", "nothing uses it"),
    # interpolations that lead nowhere
    ("model.name=${model.name}", "model.name:", "ecursive"),
    ("seed=${oc.env:MNIST_EXP_NO_SUCH}", "seed:", "MNIST_EXP_NO_SUCH"),
    ("seed=${nothing.here}", "seed:", "nothing.here"),
    # names that would be paths
    ("sweep=a/b", "sweep:", '"a/b"', "letters"),
    ("model.name=", "model.name:", "letters"),
    # what Hydra itself cannot read
    ("training.epochs=[1", 'training.epochs: got "[1"; expected a whole number.'),
    ("model.units=[64;128]", "Write model.units=[64,128]"),
    ("data.class_names=[a,b", "data.class_names=[a,b: no ] closes its [. Add ]."),
    ("--config-dir /no/such/folder", "/no/such/folder"),
]

# Requests whose folders Hydra, or this package, has made by the time they are refused.
REFUSED_LATE = [
    ("mode=verify run=nowhere hydra.run.dir=x/y runs_dir=a/b", "run:"),
    ("mode=predict run=nowhere images=x.png hydra.run.dir=x/y/z", "run:"),
    ("resume=nowhere hydra.run.dir=x", "resume:"),
    ("mode=compare runs=nowhere hydra.output_subdir=x", "runs:"),
    ("mode=compare runs=nope hydra.run.dir=x", "runs: nope does not exist. . holds no folders."),
    ("mode=evaluate run=nowhere hydra.run.dir=x/y hydra.output_subdir=z/w", "run:"),
    ("data.path=nowhere.npz hydra.output_subdir=x", "data.path:"),
    ("data.path=nowhere.npz hydra.run.dir=x/y runs_dir=a", "data.path:"),
    ("-m seed=-1,0 hydra.sweep.dir=s/t", "seed:"),
    ("-m seed=-1", "seed:"),
    ("hydra.run.dir=mine seed=-1", "seed: got -1", ">= 0"),
    ("data=sample runs_dir=/sys/mine", "runs_dir: cannot write to /sys/mine", "MNIST_EXP_RUNS"),
]

# What was most likely meant: overrides, and what the line must contain.
MEANT = [
    # words of other tools, and a key's last part
    ("epochs=3", 'Did you mean "training.epochs"?'),
    ("mode=compare sort=accuracy", 'Did you mean "compare.sort"?'),
    ("mode=export run=latest format=onnx", 'format: belongs to mode=list. Did you mean "export.format"?'),
    ("--plan", "plan=true"),
    ("model=cnn\u200b", "zero width space", "Leave it out."),
    ("lr=0.01", 'Did you mean "optimizer.learning_rate"?'),
    ("model.learning_rate=1", '"optimizer.learning_rate"'),
    ("n_trials=3", '"tuner.max_trials"', "mode=tune"),
    ("name=x", '"hydra.run.dir" or "augmentation.name" or "data.name" or "model.name"'),
    ("early_stopping.patience=3", 'there is no such key. Did you mean "training.early_stopping.patience"?'),
    ("+training.teacher.weight=0.5", "training.teacher"),
    ("gpus=1", "CUDA_VISIBLE_DEVICES"),
    ("verbose=1", "train.log"),
    # signs
    ("+experiment=best_ann", "Leave out the +: experiment=best_ann"),
    ("+seed=1", "Leave out the +: seed=1"),
    ("experiment+=best_ann", "Write experiment=best_ann"),
    ("~experiment=best_ann", "nothing to delete", "experiment="),
    # flags that there are not, and one that there must not be
    ("--experiment=best_ann", "mnist-exp experiment=best_ann"),
    ("--epochs 3", "mnist-exp training.epochs=3"),
    ("-model=ann", "mnist-exp model=ann"),
    ("-V", "-V: there is no such flag. Write mnist-exp --version"),
    ("-v", "there is no such flag", "train.log"),
    ("--ex x", "no such flag"),
    ("--hlep", "no such flag", '"--help"'),
    ("--multi seed=0,1", '"--multirun"'),
    ("--config x", "--config"),
    ("--experimental-rerun x.pickle", "unpickle"),
    ("--config-dir", "expected one argument"),
    # flags behind overrides
    ("seed=1 --cfg", "--cfg/-c: expected one argument"),
    ("seed=1 --cfg nothing", "invalid choice: 'nothing'"),
    ("plan=true -m seed=-1,0", "seed: got -1"),
    ("seed=1 --resolve", "--resolve flag can only be used"),
    # words without =
    ("train", "Write mode=train."),
    ("best_ann", "Write experiment=best_ann."),
    ("help", "Write --help."),
    ("model ann", "Write model=ann."),
    ("model = ann", "no spaces around ="),
    ("model= ann", "no spaces around ="),
    ("model:ann", "Write model=ann."),
    ("seed", "Write seed=…"),
    ("gibberish", "key=value"),
    # values
    ("mode=training", '"train"'),
    ("model=ANN", '"ann"'),
    ("model=ann.yaml", 'Did you mean "ann"?', "--config-dir"),
    ("mode=tune tuner.max_minutes=None", "Write null."),
    ("model.batch_norm=yes", 'got "yes"; expected true or false. Write true.'),
    ("seed=1..5", "'seed=range(1,6)'"),
    ("seed=0,1,2", "Add -m"),
    ("hydra/launcher=joblib", "Add -m, or mode=tune."),
    ("optimizer.learning_rate=0,001", "Add -m", "Write optimizer.learning_rate=0.001"),
    ("training.epochs==3", "a value is set by one =, and nothing else. Write training.epochs=3"),
    ("seed:=3", "Write seed=3"),
    ("=3", "=3: an override is key=value, and has no key."),
    ("-m model=cnn,ann model.filters=[8,8,8]", "model.filters: belongs to model=cnn", "not to model=ann"),
    # letters that only look right
    ("model.activation=relu\u0430", "character 22 is a Cyrillic small letter a (U+0430). Type a instead."),
    ("model=\u0430nn", "character 7 is a Cyrillic small letter a (U+0430). Type a instead."),
    ("model='\u0430nn'", "Its character 1 is a Cyrillic small letter a (U+0430)"),
    ("m\u043edel=ann", "character 2 is a Cyrillic small letter o (U+043E)"),
    ("model.name=a\x07b", "character 13 is a control character (U+0007). Leave it out."),
    ("model=ann\r", "character 10 is a carriage return"),
    ("–m", "character 1 is an en dash (U+2013)"),
    ("model=“ann”", "left double quotation mark", 'Type "'),
    ("model=ann\u00a0seed=1", "no-break space"),
    ("seed=３", "fullwidth digit three", "Type 3"),
    ("optimizer.learning_rate=1e−3", "minus sign"),
]

# What only Keras can refuse; all of them cost one import of TensorFlow.
REFUSED_BY_KERAS = [
    ("model=cnn model.layers=[Flatten,{Conv2D:{filters:3,kernel_size:3}}]", "do not fit together"),
    ("model=cnn model.layers=[{Dense:{units:-3}}]", "model.layers[0]:", "Dense", "-3"),
    ("model=cnn model.layers=[Flatten,{Dense:{units:9,activation:softmax}}]", "(None, 9)", "10 probabili"),
    ("model=cnn model.layers=[Flatten,{Dense:{units:10}}]", "Dense", "activation: softmax"),
    ("optimizer=sgd optimizer.momentum=7", "optimizer", "momentum"),
]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Gives the command's own `main` a wrong request, in this process, and its one line of answer."""
    for name in ("MNIST_EXP_DATA", "MNIST_EXP_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # so that monkeypatch takes back what `main` sets
    monkeypatch.chdir(tmp_path)

    def give(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["mnist-exp", *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)  # `main` sets it
        GlobalHydra.instance().clear()
        before = set(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        stdout, stderr = capfd.readouterr()
        assert ended.value.code == 2
        assert stdout == ""
        assert stderr.startswith("mnist-exp: ") and stderr.count("\n") == 1 and stderr.endswith("\n")
        assert len(stderr) < 2000
        assert set(tmp_path.rglob("*")) == before, "something was started"
        return stderr

    return give


@pytest.mark.parametrize(
    ("request_text", "words"), [(case[0], case[1:]) for case in REFUSED + REFUSED_LATE + MEANT]
)
def test_a_wrong_request_is_answered_in_one_line(
    refuse: Refuse, request_text: str, words: tuple[str, ...]
) -> None:
    line = refuse(*request_text.split(" "))
    assert [word for word in words if word not in line] == [], line


def test_what_keras_refuses_is_refused_before_a_run_is_made(refuse: Refuse) -> None:
    for overrides, *words in REFUSED_BY_KERAS:
        line = refuse("data=sample", *overrides.split(" "))
        assert [word for word in words if word not in line] == [], line


def test_a_refusal_never_names_an_argument_that_is_refused_too(refuse: Refuse) -> None:
    assert "ema" not in refuse("+optimizer.momentum=0.9")


def test_letters_in_quotes_are_nobodys_business(refuse: Refuse) -> None:
    line = refuse("mode=evaluate", "run='Bob’s – study'")
    assert "does not exist" in line and "character" not in line


GLOBAL, SGD = "# @package _global_\n", "defaults: [override /optimizer: sgd]\n"
MIN_DELTA = "early_stopping: {min_delta: 0.1}"
DELTA = f"{GLOBAL}training: {{{MIN_DELTA}}}\n"
CNN = (CONF_DIR / "model" / "cnn.yaml").read_text().replace("name: cnn", "name: mine")
DROPOUT = f"{GLOBAL}defaults: [override /model: cnn]\nmodel: {{dropout: 0.3}}\n"
DROPOUT_PLAN = "list: [{model: ann}, {model: cnn, ++model.dropout: 0.3}]\n"
NESTEROV = f"{GLOBAL}{SGD}optimizer: {{momentum: 0.0, nesterov: true}}\n"
NESTEROV_ALONE = "name: sgd\nlearning_rate: 0.1\nnesterov: true\n"
SPLIT_SEED = f"{GLOBAL}defaults: [best_ann]\ndata: {{split_seed: 3}}\n"
SPACE = "training.early_stopping.min_delta: {type: choice, values: [0.1, 0.2]}\n"

# A file of one's own, its text, what is typed with it, and what the one line must contain.
REFUSED_FILES = [
    ("model/mine", f"{CNN}half: ${{model.filters.0}}\n", "model=mine", "model.half: no layer of mine"),
    ("model/mine", f"{CNN}sizes: {{a: 1}}\n", "-m model=ann,mine", "job 2 of 2", "model.sizes.a: no layer"),
    ("experiment/mine", DROPOUT, "experiment=mine", "model.dropout: no layer of cnn uses it"),
    ("sweep_plan/mine", DROPOUT_PLAN, "-m sweep_plan=mine", "job 2 of 2", "no layer of cnn uses it"),
    # what is switched off, in experiments, groups, plans and searches
    ("experiment/mine", DELTA, "experiment=mine", "min_delta: nothing uses it", "mine.yaml, or set"),
    ("experiment/mine", DELTA, "-m experiment=mine,none", "job 1 of 2", "min_delta: nothing uses it"),
    ("experiment/mine", NESTEROV, "experiment=mine", "nothing uses it while optimizer.momentum is 0.0"),
    ("optimizer/mine", NESTEROV_ALONE, "optimizer=mine", "nesterov: nothing uses it"),
    ("experiment/mine", SPLIT_SEED, "experiment=mine", "nothing uses it while data.validation is 0"),
    ("sweep_plan/mine", f"list: [{{training: {{{MIN_DELTA}}}}}]", "-m sweep_plan=mine", "min_delta: nothing"),
    ("search_space/mine", SPACE, "mode=tune search_space=mine", "min_delta: nothing uses it"),
]


def write_yaml(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "request_text", "words"), [(*case[:3], case[3:]) for case in REFUSED_FILES]
)
def test_a_value_in_a_file_that_nothing_uses_is_refused(
    refuse: Refuse, tmp_path: Path, name: str, text: str, request_text: str, words: tuple[str, ...]
) -> None:
    write_yaml(tmp_path, {name: text})
    line = refuse("--config-dir", str(tmp_path), *request_text.split(" "))
    assert [word for word in words if word not in line] == [], line


PATIENCE = "+search_space.training.early_stopping.patience={type:choice,values:[0,2]}"
OWN_FILES = {
    "model/mine": CNN.replace('"${data.num_classes}"', "'${model.num_units}'")
    + "size: 10\nnum_units: ${model.size}\n",
    "model/logistic": "family: mlp\nname: logistic\nunits: []\nactivation: linear\nbatch_norm: false\n"
    "dropout: 0.0\ninput_dropout: 0.0\n",
    "experiment/delta": DELTA,
    "experiment/nesterov": f"{GLOBAL}{SGD}optimizer: {{nesterov: true}}\n",
    "experiment/plain": f"{GLOBAL}{SGD}optimizer: {{momentum: 0.0}}\n",
    "data/mine": "defaults: [sample]\nsplit_seed: 3\n",
    "training/mine": (CONF_DIR / "training" / "default.yaml").read_text(),
}
SHIPPED = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
ACCEPTED = [
    "model=cnn model.filters=[8,8,8]",
    "model=mine",  # where one number refers to another
    "experiment=best_mlp model=cnn",  # the recipe of one network, and another network
    "model=cnn model.layers=[Flatten,{Dense:{units:10,activation:softmax}}]",
    "model=cnn +model.rate=0.2 training.label_smoothing=${model.rate}",
    "data.validation=0 data.split_seed=0",
    "experiment=delta training.early_stopping.patience=3",
    f"mode=tune experiment=delta {PATIENCE}",  # which the search decides
    f"mode=tune training.early_stopping.min_delta=0.1 {PATIENCE}",
    "experiment=nesterov optimizer.momentum=0",  # switched off by a later word
    "data=mine experiment=best_ann",
    "data=mine data.validation=0",
    "experiment=plain",  # nesterov stands in the shipped file
    "training=mine",
    "model=logistic",
    "optimizer=sgd optimizer.momentum=0 optimizer.nesterov=false",
    "training.early_stopping.patience=3 training.early_stopping.min_delta=0.1",
    *(f"{mode}experiment={name}" for name in SHIPPED for mode in ("", "mode=tune data.validation=5000 ")),
]


def test_values_that_count_or_ask_for_nothing_are_accepted(tmp_path: Path) -> None:
    write_yaml(tmp_path, OWN_FILES)
    searchpath = f"hydra.searchpath=[file://{tmp_path}]"
    refused = {}
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composer = Composer("config", [searchpath])
        for request_text in ACCEPTED:
            overrides = request_text.split(" ")
            found = composer.compose(overrides)
            try:
                refuse_unused_values(
                    found.config, parse(found.config), overrides, found.choices["model"], composer
                )
            except ConfigError as error:
                refused[request_text] = str(error)
    assert refused == {}


def test_the_version_is_our_own(run_command: Run, tmp_path: Path) -> None:
    done = run_command("--version", cwd=tmp_path, kind="light")
    version = importlib.metadata.version("mnist-exp")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mnist-exp {version}\n", "")


def test_a_refusal_in_a_process_of_its_own_is_one_line_and_exit_2(run_command: Run, tmp_path: Path) -> None:
    done = run_command("model=an", cwd=tmp_path, kind="light")
    answer = 'mnist-exp: model: there is no "an". Did you mean "ann"?\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", answer)
    assert list(tmp_path.iterdir()) == []


def test_full_errors_show_the_traceback(run_command: Run, tmp_path: Path) -> None:
    done = run_command("seed=-1", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode != 0 and "Traceback" in done.stderr and "ConfigError" in done.stderr


def test_a_path_given_as_a_word_is_asked_about(refuse: Refuse, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "a b")
    assert "mnist-exp mode=evaluate 'run=runs/a b'" in refuse("runs/a b")


@pytest.mark.parametrize(
    ("mode", "place"),
    [
        ("evaluate", "runs"), ("predict", "my runs"), ("verify", "my runs"), ("export", "runs"),
        ("compare", "my runs"), ("publish", "runs"), ("note", "my runs"),
    ],
)  # fmt: skip
def test_an_example_of_a_question_can_be_pasted(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, place: str
) -> None:
    make_run(tmp_path / place, "a")
    if place != "runs":
        monkeypatch.setenv("MNIST_EXP_RUNS", place)
    line = refuse(f"mode={mode}")
    monkeypatch.delenv("MNIST_EXP_RUNS", raising=False)
    name, *words = shlex.split(line.partition("such as: ")[2])
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        tree = OmegaConf.to_container(compose("config", words), resolve=True)
    assert name == "mnist-exp" and isinstance(tree, dict)
    folder = Path(tree["runs_dir"])
    found = find_runs([tree["runs"]]) if mode in ("compare", "publish") else [choose_run(tree["run"], folder)]
    assert [Path(path).resolve().parent for path in found] == [tmp_path / place]


def test_a_run_directory_in_use_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep me")
    line = refuse("data=sample", "hydra.run.dir=mine")
    assert "hydra.run.dir" in line and "mine" in line and "already holds files" in line


@pytest.mark.parametrize("key", ["runs_dir", "hydra.run.dir"])
def test_a_file_in_place_of_the_folder_is_refused(refuse: Refuse, tmp_path: Path, key: str) -> None:
    (tmp_path / "taken").write_text("keep me")
    line = refuse("data=sample", f"{key}=taken")
    assert f"{key}:" in line and "taken" in line
    assert (tmp_path / "taken").read_text() == "keep me"


# Overrides, the number of images, their labels in turn, and what the one line must contain.
REFUSED_IMAGES = [
    ("data.validation=5000 hydra.run.dir=x/y", 20, range(10), ("5000", "0 to 19")),
    ("data.validation=20 hydra.run.dir=x/y hydra.output_subdir=z", 20, range(10), ("data.validation=20",)),
    ("data.validation=5 hydra.output_subdir=z runs_dir=a/b", 20, range(1), ("label 0 alone",)),
    ("data.validation=5 hydra.run.dir=empty hydra.output_subdir=z", 20, range(1), ("label 0 alone",)),
    ("data.validation=1 hydra.run.dir=x", 0, range(10), ("images",)),
    ("mode=tune data.validation=5 hydra.run.dir=empty", 20, range(1), ("label 0 alone",)),
    ("-m data.validation=5 seed=0,1", 20, range(1), ("job 1 of 2", "label 0 alone")),
    ("-m data.validation=1 seed=0,1 plan=true data.class_names=[a,b]", 3, range(3), ("labels up to 2",)),
]


@pytest.mark.parametrize(("request_text", "num_images", "labels", "words"), REFUSED_IMAGES)
def test_images_refused_when_they_are_read_leave_folders_as_they_were(
    refuse: Refuse, tmp_path: Path, request_text: str, num_images: int, labels: range, words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    images, given = np.zeros((num_images, 28, 28), np.uint8), np.resize(np.uint8(labels), num_images)
    np.savez(tmp_path / "digits.npz", x_train=images, y_train=given, x_test=images, y_test=given)
    line = refuse("data.path=digits.npz", *request_text.split(" "))
    assert [word for word in words if word not in line] == [], line
