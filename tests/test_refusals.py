"""Requests that are wrong: one line that names key, value and remedy; exit 2; nothing started."""

import importlib.metadata
import os
import shlex
import subprocess
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
from mnist_exp.config.overrides import override_value
from mnist_exp.config.parsing import own_keys, parse
from mnist_exp.config.unused import refuse_unused_values
from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import choose_run, find_runs
from tests.comparison.run_makers import make_run

Refuse = Callable[..., str]

# Overrides (separated by a space), then what the one line must contain.
REFUSED = [
    # misspelt options of a group
    ("model=an", "model:", '"an"', '"ann"'),
    ("optimizer=adm", "optimizer:", '"adm"', '"adam"'),
    ("schedule=cosin", "schedule:", '"cosin"', '"cosine"'),
    ("experiment=nothing", "experiment:", '"nothing"', "none"),
    ("mode=trian", "mode:", '"trian"', '"train"'),
    ("data=mnst", "data:", '"mnst"', '"mnist"'),
    # what Hydra's grammar does not take
    ("runs_dir=😀", "runs_dir: 😀 (character 10 of runs_dir=😀) needs quotes", """'runs_dir="😀"'"""),
    ("runs_dir=größe", "runs_dir: ö", """'runs_dir="größe"'"""),
    ("runs_dir=проект", "runs_dir: п", """'runs_dir="проект"'"""),
    ("+data.path=a;b", "+data.path: ; (character 13", """'+data.path="a;b"'"""),
    ("data.class_names=[relu,a!b]", "data.class_names: !", "Put that text in quotes of its own"),
    ("model.activation=it's", "model.activation: '", "needs quotes"),
    # where quotes would not help
    ("sweep=😀", 'sweep: got "😀"; letters, digits'),
    ("+model.name=a;b", 'model.name: got "a;b"; letters, digits'),
    ("-m sweep=x seed=0,😀", 'seed: got "0,😀"; expected a whole number'),
    ("model=a;b", 'model: got "a;b"', "Accepted: ann, bn_dnn"),
    ("training.epochs=3)", 'training.epochs: got "3)"; expected a whole number.'),
    ("training.engine=a;b", 'training.engine: got "a;b"', "compiled"),
    ('model.name="ann', 'model.name: "', "opens quotes that nothing closes"),
    ("mödel=ann", "mödel: ö (character 2 of mödel=ann) cannot be part of a key"),
    # misspelt keys, at every depth
    ("sed=3", "sed:", '"seed"'),
    ("modle=ann", "modle:", '"mode"'),
    ("+foo=1", "foo:", "seed", "training"),
    ("training.epoch=3", "training.epoch:", "training.epochs"),
    ("optimizer.learning_rte=0.1", "optimizer.learning_rte:", "optimizer.learning_rate"),
    ("+optimizer.learning_rte=0.1", "optimizer.learning_rte:", "learning_rate"),
    ("+model.unitz=[3]", "model.unitz:", "units"),
    ("model.unit=[3]", "model.unit:", "model.units"),
    ("schedule.warmup=0.1", "schedule.warmup:", "warmup_fraction"),
    ("training.early_stopping.patiance=1", "training.early_stopping.patiance:", "patience"),
    ("+training.early_stopping.patiance=1", "training.early_stopping.patiance:", "patience"),
    ("hydra.rum.dir=x", "hydra.rum.dir: Hydra has no such key."),
    ("hydra.run.dri=foo", 'hydra.run.dri: Hydra has no such key. Did you mean "hydra.run.dir"?'),
    ("hydra.jb.name=x", 'Did you mean "hydra.job.name"?'),
    ("hydra.launcher.n_jobs=2", "Hydra has no such key. It belongs to another launcher"),
    ("hydra.run=x", "hydra.run: got x: a mapping is needed."),
    ("hydra.job.chdir=maybe", "hydra.job.chdir: got maybe: Value 'maybe' is not a valid bool"),
    ("+data.validaton=3", 'Did you mean "data.validation"?'),
    # keys of another option of the group
    ("augmentation.max_pixels=1", "augmentation.max_pixels:", "augmentation=shift"),
    ("model=cnn model.units=[3]", "model.units:", "model"),
    ("+model.layers=[]", "model.layers: the chosen model has no such key. It belongs to model=cnn or"),
    ("++model.filters=3", "model.filters: the chosen model has no such key. It belongs to model=cnn or"),
    ("+schedule.factor=0.5", "the chosen schedule has no such key. It belongs to schedule=plateau or"),
    # options of another group, and optimizers without a file
    ("model=best_ann", 'model: there is no "best_ann". Write experiment=best_ann'),
    ("experiment=cnn", 'experiment: there is no "cnn". Write model=cnn'),
    ("data=cosine", "Write schedule=cosine"),
    ("model=mlp", "Accepted: ann", "search_space=mlp"),
    ("model=none", "Accepted: ann"),
    ("--config-name=best_ann", '--config-name: there is no "best_ann". Write experiment=best_ann'),
    ("--config-name=mine", '--config-name: there is no "mine". YAML of your own: --config-dir'),
    ("optimizer=nadam", 'there is no "nadam". Keras has it. Write optimizer=adam optimizer.name=nadam'),
    ("optimizer=lion", "Keras has it. Write optimizer=adam optimizer.name=lion '~optimizer.epsilon'"),
    # names of nothing: the current folder is none
    ("data.path=", 'data.path: got ""; expected text that is not empty. Leave it out'),
    ("data.places=['']", 'data.places[0]: got ""'),
    ("resume=", 'resume: got ""; expected text that is not empty.'),
    ("runs_dir=", 'runs_dir: got ""'),
    ("mode=evaluate run=", "run: got none"),
    ("mode=evaluate run=['']", 'run[0]: got ""'),
    ("mode=compare runs=", "runs: got none"),
    ("mode=compare runs=['']", 'runs[0]: got ""'),
    ("mode=compare runs=x runs_dir=", 'runs_dir: got ""'),
    ("mode=predict run=latest images=['']", 'images[0]: got ""'),
    ("hydra.run.dir=", 'hydra.run.dir: got ""; a folder is needed.'),
    ("-m seed=0,1 hydra.sweep.dir=", 'hydra.sweep.dir: got ""; a folder is needed.'),
    ("--config-dir=", "--config-dir: got nothing."),
    # searches
    ("tuner=grid", "tuner:", "mode=tune"),
    ("tuner.max_trials=5", "tuner.max_trials:", "mode=tune"),
    ("mode=tune tuner=randm", "tuner:", '"randm"', '"random"'),
    ("mode=tune search_space=mpl", "search_space:", '"mpl"', '"mlp"'),
    ("mode=tune tuner.objective=val_acuracy", "tuner.objective:", '"val_accuracy"'),
    ("mode=tune tuner.max_trials=null", "tuner.max_trials:", "tuner.max_minutes"),
    ("mode=tune tuner.max_trials=0", "tuner.max_trials:", ">= 1"),
    ("mode=tune tuner=hyperband tuner.factor=1", "tuner.factor:", ">= 2"),
    ("mode=tune data.validation=0", "data.validation:", "validation images"),
    ("mode=tune data.validation=test", "data.validation:", "never on test images"),
    ("mode=tune model=cnn", "search_space.model", "cnn"),
    ("mode=tune +search_space.training.batch_size.max_value=3", "search_space.training.batch_size", "values"),
    ("mode=tune search_space.model.batch_norm.type=bool", "search_space"),
    ("resume=nowhere", "resume:", "nowhere"),
    # a key taken away
    ("~training.epochs", "training.epochs:", "not given"),
    ("~model", "model:", "not given"),
    ("training=null", "training: got null; an option's name is needed.", "Accepted: default."),
    ("augmentation=null", "augmentation: got null", "none"),
    ("model=3", "model: got 3; an option's name is needed.", "ann"),
    ("model=true", "model: got true; an option's name is needed."),
    ("~foo", "~foo: there is nothing to delete. Accepted: augmentation,"),
    ("training.early_stopping=null", "training.early_stopping:", "null"),
    # wrong types
    ("training.epochs=abc", "training.epochs:", '"abc"', "whole number"),
    ("training.epochs=1.5", "training.epochs:", "1.5", "whole number"),
    ("training.epochs=true", "training.epochs:", "whole number"),
    ("training.epochs=null", "training.epochs:", "null", "whole number"),
    ("training.epochs={a:1}", "training.epochs:", "whole number"),
    ("optimizer.learning_rate=fast", "optimizer.learning_rate:", '"fast"', "a number"),
    ("model.units=128", "model.units: got 128; expected a list. Write model.units=[128]"),
    ("model.units=(64,128)", 'got "(64,128)"; expected a list. Write model.units=[64,128]'),
    ("model.units={64,128}", "Write model.units=[64,128]"),
    ("model.units=64x128", "Write model.units=[64,128]"),
    ("model.units={a:1}", "model.units: got {'a': 1}; expected a list."),
    ("model.units.5=64", "model.units.5: got 64: list index out of range. Write all of it: model.units=[…]"),
    ("model=cnn model.layers={a:1}", "model.layers: got {'a': 1}; expected a list."),
    (
        "training.early_stopping=5",
        "training.early_stopping: got 5; expected a mapping.",
        "Set training.early_stopping.min_delta or training.early_stopping.patience.",
    ),
    ("training.early_stopping=[1]", "training.early_stopping: got [1]; expected a mapping. Set"),
    ("training.monitor=[loss]", "training.monitor: got ['loss']; expected text.", 'mean "loss"?'),
    ("runs_dir=3", "runs_dir: got 3; expected text.", """As text: 'runs_dir="3"'"""),
    ("mode=compare runs=x compare=null", "compare: got null; expected a mapping. Set compare.columns or"),
    ("mode=evaluate run=a,b", "run=a,b: mode=evaluate cannot be swept. Several are a list: run=[a,b]"),
    ("mode=verify run=a,b", "run=a,b: mode=verify cannot be swept. Name one."),
    ("experiment.best_ann=1", "experiment.best_ann: there is no such key. Write experiment=best_ann"),
    ("seed=[1,2]", "seed: got [1, 2]; expected a whole number. For each of them: mnist-exp -m seed=1,2"),
    ("training={}", "training={}: an empty mapping changes nothing. Leave it out."),
    ("training.early_stopping={}", "an empty mapping changes nothing."),
    ("mode=evaluate run=latest evaluate={}", "an empty mapping changes nothing."),
    (
        "data.validation=0.1",
        "got 0.1; expected a whole number or test. It is a number of images, such as 5000.",
    ),
    ("data.validation=0.1x", 'data.validation: got "0.1x". Accepted: whole numbers, test.'),
    ("model.units=[12,x]", "model.units[1]:", '"x"', "whole number"),
    ("model.batch_norm=maybe", "model.batch_norm:", '"maybe"', "true or false"),
    ("runs_dir=null", "runs_dir:", "null", "text"),
    # out of range
    ("training.epochs=0", "training.epochs:", "got 0", ">= 1"),
    ("training.epochs=999999999999999999999", "training.epochs:", "<= 100000"),
    ("training.batch_size=0", "training.batch_size:", ">= 1"),
    ("training.label_smoothing=1", "training.label_smoothing:", "< 1"),
    ("training.threads=-1", "training.threads:", ">= 0"),
    ("training.mixup=-0.1", "training.mixup:", ">= 0"),
    ("training.mixup=inf", "training.mixup:", "inf", "finite"),
    ("model.input_noise=1.5", "model.input_noise:", "<= 1"),
    ("model.max_norm=-1", "model.max_norm:", ">= 0"),
    ("augmentation=affine augmentation.cutout_pixels=29", "augmentation.cutout_pixels:", "<= 28"),
    ("augmentation=shift augmentation.cutout_pixels=2.5", "augmentation.cutout_pixels:", "whole number"),
    ("augmentation=shift augmentation.horizontal_flip=0.5", "augmentation.horizontal_flip:", "true or false"),
    ("augmentation.cutout_pixels=8", "augmentation.cutout_pixels:", "augmentation=shift"),
    ("model=cnn model.max_norm=3", "model.max_norm:", "model=ann"),
    ("seed=-1", "seed:", "-1", ">= 0"),
    ("seed=2147483648", "seed:", "<= 2147483647"),
    ("optimizer.learning_rate=0", "optimizer.learning_rate:", "> 0"),
    ("model.units=[0]", "model.units[0]:", ">= 1"),
    ("model.dropout=1.0", "model.dropout:", "< 1"),
    ("augmentation=shift augmentation.max_pixels=100", "augmentation.max_pixels:", "100", "<= 8"),
    ("schedule=step schedule.factor=0", "schedule.factor:", "> 0"),
    ("data.validation=-1", "data.validation:", ">= 0"),
    ("data=sample data.validation=4000", "data.validation=4000", "3,999", "test"),
    # numbers that are none
    ("optimizer.learning_rate=nan", "optimizer.learning_rate:", "nan", "finite"),
    ("optimizer.learning_rate=inf", "optimizer.learning_rate:", "inf", "finite"),
    ("optimizer.weight_decay=-inf", "optimizer.weight_decay:", "inf", "finite"),
    ("training.label_smoothing=nan", "training.label_smoothing:", "nan", "finite"),
    # keys of the modes that ask finished runs
    ("mode=predict image=a.png", "image: there is no such key", 'Did you mean "images"'),
    ("mode=evaluate splitt=test", "splitt: there is no such key", 'Did you mean "split"'),
    ("mode=evaluate seeed=1", "seeed: there is no such key", "Accepted: evaluate, run, runs_dir, split."),
    ("rn=latest", "rn: there is no such key", 'Did you mean "run"'),
    ("mode=compare run=study", "run: belongs to mode=evaluate, mode=predict or mode=verify", '"runs"'),
    ("mode=evaluate runs=study", "runs: belongs to mode=compare", 'Did you mean "run"'),
    ("mode=compare compare.srot=ann", "compare.srot: there is no such key", '"compare.sort"'),
    ("mode=predict images.x=1", "images.x: there is no such key", "images"),
    ("mode=predict images=a/[0-9].png", "images=a/[0-9].png:", "in quotes of its own"),
    # words of which only some are accepted
    ("training.direction=up", "training.direction:", '"up"', "max", "min"),
    ("training.monitor=val_acc", "training.monitor:", '"val_acc"', '"val_accuracy"'),
    ("training.engine=fast", "training.engine:", '"fast"', "compiled", "keras"),
    ("data.on_missing=refuse", "data.on_missing:", '"refuse"', "error", "sample"),
    ("data.validation=tset", "data.validation:", '"tset"', '"test"'),
    ("model.family=mpl", "model.family:", '"mpl"', '"mlp"'),
    ("schedule.name=cosine2", "schedule.name:", '"cosine2"', '"cosine"'),
    # names that Keras does not know
    ("optimizer.name=adamm", "optimizer.name:", '"adamm"', '"adam"'),
    ("optimizer.name=3", "optimizer.name:", "3", "text"),
    ("optimizer=sgd +optimizer.beta_1=0.9", "optimizer.beta_1:", '"sgd"', "momentum"),
    ("+optimizer.use_ema=true", "optimizer.use_ema:", "training.ema_momentum"),
    (
        "+optimizer.gradient_accumulation_steps=2.5",
        "gradient_accumulation_steps: got 2.5",
        "whole number from 2",
    ),
    ("+optimizer.gradient_accumulation_steps=1", "_steps: got 1", "whole number from 2"),
    ("model.activation=rely", "model.activation:", '"rely"', '"relu"'),
    ("model=cnn model.layers=[Dens]", "model.layers[0]:", '"Dens"', '"Dense"'),
    ("model=cnn model.layers=[{Dense:{unit:3}}]", "model.layers[0].Dense.unit:", '"units"'),
    ("model=cnn model.layers=[{Lambda:{function:x}}]", "model.layers[0]:", '"Lambda"'),
    ("model=cnn model.layers=[]", "model.layers:", "at least one"),
    ("model=cnn model.layers=[3]", "model.layers[0]:", "3"),
    ("model=cnn model.layers=Dense", "model.layers:", '"Dense"', "list"),
    ("model=cnn model.layers=[{Dense:{units:3},Flatten:null}]", "model.layers[0]:", "2 names"),
    ("model=cnn model.layers=[{Dense:{units:{a:1}}}]", "model.layers[0].Dense.units:", "mapping"),
    # values that are fine alone
    ("model.activation=[relu,tanh]", "model.activation:", "2 values", "model.units"),
    ("model=bn_dnn model.dropout=[0.1]", "model.dropout:", "4 layers", "model.units"),
    ("training.direction=min", "training.direction:", "min", "val_accuracy", "training.direction=max"),
    ("training.monitor=val_loss", "training.direction:", "max", "training.direction=min"),
    ("data.validation=0 schedule=plateau", "training.monitor:", "val_accuracy", "data.validation"),
    ("data.validation=0 training.early_stopping.patience=2", "training.monitor:", "data.validation"),
    (
        "optimizer.clipnorm=1",
        "optimizer.clipnorm: the chosen optimizer's file does not list it",
        "+optimizer.clipnorm=…",
    ),
    ("optimizer=adam optimizer.momentum=0.9", "It belongs to optimizer=rmsprop or optimizer=sgd"),
    ("data=fashion_mnist data.on_missing=sample", "data.on_missing", "fashion_mnist"),
    # values that nothing uses
    ("model=cnn ++model.dropout=0.1", "model.dropout: no layer of cnn uses it", "${model.dropout}"),
    ("model=cnn model.filters=[8,16,32,64]", "model.filters.3: no layer of cnn uses it"),
    ("model=cnn ++model={width:3}", "model.width: no layer of cnn uses it"),
    ("model=cnn model.layers=[Flatten] ++model.width=3", "model.width: no layer of cnn uses it"),
    ("experiment=best_mlp model=cnn ++model.width=3", "model.width: no layer"),
    ("training.early_stopping.min_delta=0.1", "min_delta: nothing uses it", "early_stopping.patience is 0"),
    ("training.early_stopping={patience:0,min_delta:1}", "min_delta: nothing uses it"),
    (
        "data.validation=0 training.monitor=val_loss training.direction=min",
        "training.monitor: nothing uses it while data.validation is 0",
    ),
    ("data.validation=0 data.split_seed=3", "data.split_seed: nothing uses it while data.validation is 0"),
    ("data.validation=test data.split_seed=3", "data.split_seed: nothing uses it", "validation is test"),
    ("optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true", "nesterov: nothing uses it", "is 0"),
    ("optimizer=sgd ~optimizer.momentum optimizer.nesterov=true", "nesterov: nothing uses it", "is 0"),
    (
        "augmentation=elastic augmentation.elastic_pixels=0 augmentation.elastic_grid=7",
        "elastic_grid: nothing",
    ),
    ("schedule.warmup_fraction=1 schedule.final_fraction=0.1", "final_fraction: nothing uses it"),
    ("schedule=step schedule.factor=1 schedule.every_epochs=2", "schedule.every_epochs: nothing uses it"),
    ("model.units=[] model.activation=tanh", "model.activation: nothing uses it while model.units is []"),
    ("mode=tune tuner.confirm.seeds=0 tuner.confirm.top=2", "tuner.confirm.top: nothing uses it"),
    (
        "mode=tune tuner.objective=val_accuracy training.monitor=loss training.direction=min",
        "training.monitor: nothing uses it while tuner.objective is val_accuracy",
    ),
    # interpolations that lead nowhere
    ("model.name=${model.name}", "model.name:", "ecursive"),
    ("model.name=${data.name} data.name=${model.name}", "name:", "ecursive"),
    ("seed=${oc.env:MNIST_EXP_NO_SUCH}", "seed:", "MNIST_EXP_NO_SUCH"),
    ("seed=${nothing.here}", "seed:", "nothing.here"),
    ("seed=${no_such_resolver:1}", "seed:", "no_such_resolver"),
    # names that would be paths
    ("sweep=a/b", "sweep:", '"a/b"', "letters"),
    ("sweep=../x", "sweep:", '"../x"', "letters"),
    ("model.name=a/b", "model.name:", '"a/b"', "letters"),
    ("model.name=", "model.name:", "letters"),
    ("data.name=..", "data.name:", '".."', "letters"),
    # what Hydra itself cannot read
    ("training.epochs=[1", 'training.epochs: got "[1"; expected a whole number.'),
    ("model.units=[64;128]", "Write model.units=[64,128]"),
    ("data.class_names=[a,b", "data.class_names=[a,b: no ] closes its [. Add ]."),
    ("seed=0,1", "seed=0,1", "--multirun"),
    ("--config-dir /no/such/folder", "/no/such/folder"),
]

# Requests whose folders Hydra, or this package, has made by the time they are refused.
REFUSED_LATE = [
    ("mode=evaluate run=nowhere hydra.run.dir=x/y", "run:"),
    ("mode=verify run=nowhere hydra.run.dir=x/y runs_dir=a/b", "run:"),
    ("mode=compare runs=nowhere hydra.run.dir=x", "runs:"),
    ("mode=predict run=nowhere images=x.png hydra.run.dir=x/y/z", "run:"),
    ("resume=nowhere hydra.run.dir=x", "resume:"),
    ("mode=compare runs=nowhere hydra.output_subdir=x", "runs:"),
    ("mode=compare runs=nope hydra.run.dir=x", "runs: nope does not exist. . holds no folders."),
    ("mode=evaluate run=nowhere hydra.run.dir=x/y hydra.output_subdir=z/w", "run:"),
    ("data.path=nowhere.npz hydra.output_subdir=x", "data.path:"),
    ("data.path=nowhere.npz hydra.run.dir=x/y runs_dir=a", "data.path:"),
    ("-m seed=-1,0 hydra.sweep.dir=s/t", "seed:"),
]

# What was most likely meant: overrides, and what the line must contain.
MEANT = [
    # words of other tools, and a key's last part
    ("epochs=3", 'Did you mean "training.epochs"?'),
    ("batch_size=64", 'Did you mean "training.batch_size"?'),
    ("filters=[8,8,8]", 'Did you mean "model.filters"?'),
    ("mode=compare sort=accuracy", 'Did you mean "compare.sort"?'),
    ("--plan", "plan=true"),
    ("model=cnn\u200b", "zero width space", "Leave it out."),
    ("lr=0.01", 'Did you mean "optimizer.learning_rate"?'),
    ("optimizer.lr=0.01", '"optimizer.learning_rate"'),
    ("trainer.max_epochs=3", '"training.epochs"'),
    ("+num_epochs=3", '"training.epochs"'),
    ("model.learning_rate=1", '"optimizer.learning_rate"'),
    ("dropout=0.1", '"model.dropout"'),
    ("hidden_units=[3]", '"model.units"'),
    ("dataset=mnist", 'Did you mean "data"?'),
    ("net=ann", 'Did you mean "model"?'),
    ("optim=adam", 'Did you mean "optimizer"?'),
    ("weight_decay=0.1", '"optimizer.weight_decay"'),
    ("random_state=1", 'Did you mean "seed"?'),
    ("n_trials=3", '"tuner.max_trials"', "mode=tune"),
    ("save_dir=x", '"runs_dir"'),
    ("name=x", '"hydra.run.dir" or "augmentation.name" or "data.name" or "model.name"'),
    ("early_stopping.patience=3", 'there is no such key. Did you mean "training.early_stopping.patience"?'),
    ("exp=best_ann", 'Did you mean "experiment"?'),
    ("+training.teacher.weight=0.5", "training.teacher"),
    ("gpus=1", "CUDA_VISIBLE_DEVICES"),
    ("verbose=1", "train.log"),
    ("patience=3", '"training.early_stopping.patience"'),
    # signs
    ("+experiment=best_ann", "Leave out the +: experiment=best_ann"),
    ("++experiment=best_ann", "Leave out the +: experiment=best_ann"),
    ("+model=cnn", "Leave out the +: model=cnn"),
    ("+seed=1", "Leave out the +: seed=1"),
    ("experiment+=best_ann", "Write experiment=best_ann"),
    ("~experiment=best_ann", "nothing to delete", "experiment="),
    # flags that there are not, and one that there must not be
    ("--experiment=best_ann", "mnist-exp experiment=best_ann"),
    ("--experiment best_ann", "mnist-exp experiment=best_ann"),
    ("--epochs 3", "mnist-exp training.epochs=3"),
    ("--batch-size=64", "mnist-exp training.batch_size=64"),
    ("--model ann", "mnist-exp model=ann"),
    ("-model=ann", "mnist-exp model=ann"),
    ("--exp=best_ann", "Write mnist-exp experiment=best_ann"),
    ("--exp best_ann", "Write mnist-exp experiment=best_ann"),
    ("-V", "-V: there is no such flag. Write mnist-exp --version"),
    ("-v", "there is no such flag", "train.log"),
    ("-s 3", "-s: there is no such flag"),
    ("--ex x", "no such flag"),
    ("--hlep", "no such flag", '"--help"'),
    ("--multi seed=0,1", '"--multirun"'),
    ("--config x", "--config"),
    ("--experimental-rerun x.pickle", "unpickle"),
    ("--experimental-rerun=x.pickle", "unpickle"),
    ("--config-dir", "expected one argument"),
    ("--cfg nothing", "invalid choice"),
    # flags behind overrides
    ("seed=1 --cfg", "--cfg/-c: expected one argument"),
    ("seed=1 -p", "--package/-p: expected one argument"),
    ("seed=1 --cfg nothing", "invalid choice: 'nothing'"),
    ("seed=1 --multirun=3", "--multirun/-m: ignored explicit argument '3'"),
    ("plan=true -m seed=-1,0", "seed: got -1"),
    ("seed=1 --resolve", "--resolve flag can only be used"),
    ("data=sample --hlep", "no such flag", '"--help"'),
    ("data=sample -m model=an,bn_dnn", 'model: there is no "an"'),
    # words without =
    ("train", "Write mode=train."),
    ("ann", "Write model=ann."),
    ("best_ann", "Write experiment=best_ann."),
    ("help", "Write --help."),
    ("version", "Write --version."),
    ("model ann", "Write model=ann."),
    ("model = ann", "no spaces around ="),
    ("model= ann", "no spaces around ="),
    ("model =ann", "model"),
    ("model:ann", "Write model=ann."),
    ("lr:0.1", "Write optimizer.learning_rate=0.1."),
    ("seed", "Write seed=…"),
    ("eval", "Write mode=evaluate."),
    ("gibberish", "key=value"),
    # values
    ("mode=training", '"train"'),
    ("mode=eval", '"evaluate"'),
    ("mode=test", '"evaluate"'),
    ("mode=search", '"tune"'),
    ("model=ANN", '"ann"'),
    ("model=ann.yaml", 'Did you mean "ann"?', "--config-dir"),
    ("model=conf/model/ann.yaml", 'Did you mean "ann"?', "--config-dir"),
    ("mode=tune tuner.max_minutes=None", "Write null."),
    ("model.batch_norm=yes", "got"),
    ("seed=1..5", "'seed=range(1,6)'"),
    ("seed=0-4", "'seed=range(0,5)'"),
    ("seed=0,1,2", "Add -m"),
    ("hydra/launcher=joblib", "Add -m, or mode=tune."),
    ("optimizer.learning_rate=0,001", "Add -m", "Write optimizer.learning_rate=0.001"),
    ("training.epochs==3", "a value is set by one =, and nothing else. Write training.epochs=3"),
    ("runs_dir==x", "Write runs_dir=x"),
    ("seed:=3", "Write seed=3"),
    ("=3", "=3: an override is key=value, and has no key."),
    ("-m model=cnn,ann model.filters=[8,8,8]", "model.filters: belongs to model=cnn", "not to model=ann"),
    # letters that only look right
    ("model.activation=relu\u0430", "character 22 is a Cyrillic small letter a (U+0430). Type a instead."),
    ("model=\u0430nn", "character 7 is a Cyrillic small letter a (U+0430). Type a instead."),
    ("model.name='\u0430nn'", "Its character 1 is a Cyrillic small letter a (U+0430)"),
    ("model='\u0430nn'", "Its character 1 is a Cyrillic small letter a (U+0430)"),
    ("training.engine=k\u03b5ras\u03bf", "training.engine:"),
    ("m\u043edel=ann", "character 2 is a Cyrillic small letter o (U+043E)"),
    ("model.name=a\x07b", "character 13 is a control character (U+0007). Leave it out."),
    ("runs_dir=a\x1b[1mb", "character 11 is an escape character (U+001B). Leave it out."),
    ("seed=1\u00ad0", "character 7 is a soft hyphen (U+00AD). Leave it out."),
    ("model=ann\r", "character 10 is a carriage return"),
    ("–m", "character 1 is an en dash (U+2013)"),
    ("—help", "em dash", "Type -"),
    ("model=“ann”", "left double quotation mark", 'Type "'),
    ("model=ann\u00a0seed=1", "no-break space"),
    ("model＝ann", "fullwidth equals sign", "Type ="),
    ("seed=３", "fullwidth digit three", "Type 3"),
    ("optimizer.learning_rate=1e−3", "minus sign"),
]

# The same for models that only Keras can refuse; all of them cost one import of TensorFlow.
REFUSED_BY_KERAS = [
    ("model.layers=[Flatten,{Conv2D:{filters:3,kernel_size:3}}]", "model.layers", "do not fit together"),
    ("model.layers=[{Dense:{units:-3}}]", "model.layers[0]:", "Dense", "-3"),
    ("model.layers=[{Dense:{units:3,activation:rely}}]", "model.layers[0]:", "rely"),
    ("model.layers=[Flatten,{Dense:{units:9,activation:softmax}}]", "(None, 9)", "10 probabilities"),
    ("model.layers=[Flatten,{Dense:{units:10}}]", "Dense", "activation: softmax"),
    ("model.layers=[{Dense:{units:10,activation:softmax}}]", "(None, 28, 10)", "10 probabilities"),
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
        before = set(tmp_path.iterdir())
        with pytest.raises(SystemExit) as ended:
            cli.main()
        stdout, stderr = capfd.readouterr()
        assert ended.value.code == 2
        assert stdout == ""
        assert stderr.startswith("mnist-exp: ") and stderr.count("\n") == 1 and stderr.endswith("\n")
        assert len(stderr) < 2000
        assert set(tmp_path.iterdir()) == before, "something was started"
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


GLOBAL, SGD = "# @package _global_\n", "defaults: [override /optimizer: sgd]\n"
MIN_DELTA = "early_stopping: {min_delta: 0.1}"
DELTA = f"training: {{{MIN_DELTA}}}\n"
CNN = (CONF_DIR / "model" / "cnn.yaml").read_text().replace("name: cnn", "name: mine")

# Files of one's own, what is typed with them, and what the one line must contain.
REFUSED_FILES = [
    ({"model/mine": f"{CNN}dropout: 0.3\n"}, "model=mine", "model.dropout: no layer of mine uses it"),
    ({"model/mine": f"{CNN}half: ${{model.filters.0}}\n"}, "model=mine", "model.half: no layer of mine"),
    ({"model/mine": f"{CNN}sizes: {{a: 1}}\n"}, "-m model=ann,mine", "job 2 of 2", "model.sizes.a: no layer"),
    (
        {"experiment/mine": "# @package _global_\ndefaults: [override /model: cnn]\nmodel: {dropout: 0.3}\n"},
        "experiment=mine",
        "model.dropout: no layer of cnn uses it",
    ),
    (
        {"sweep_plan/mine": "list: [{model: ann}, {model: cnn, ++model.dropout: 0.3}]\n"},
        "-m sweep_plan=mine",
        "job 2 of 2",
        "model.dropout: no layer of cnn uses it",
    ),
    # what is switched off, in experiments, groups, plans and searches
    (
        {"experiment/mine": f"{GLOBAL}{DELTA}"},
        "experiment=mine",
        "min_delta: nothing uses it",
        "mine.yaml, or set",
    ),
    ({"experiment/mine": f"{GLOBAL}{DELTA}"}, "mode=tune experiment=mine", "min_delta: nothing uses it"),
    ({"experiment/mine": f"{GLOBAL}{DELTA}"}, "-m experiment=mine,none", "job 1 of 2", "min_delta: nothing"),
    (
        {"experiment/mine": f"{GLOBAL}{SGD}optimizer: {{momentum: 0.0, nesterov: true}}\n"},
        "experiment=mine",
        "optimizer.nesterov: nothing uses it while optimizer.momentum is 0.0",
    ),
    (
        {"optimizer/mine": "name: sgd\nlearning_rate: 0.1\nnesterov: true\n"},
        "optimizer=mine",
        "nesterov: nothing",
    ),
    (
        {"experiment/mine": f"{GLOBAL}defaults: [best_ann]\ndata: {{split_seed: 3}}\n"},
        "experiment=mine",
        "data.split_seed: nothing uses it while data.validation is 0",
    ),
    ({"training/mine": f"defaults: [default]\n{MIN_DELTA}\n"}, "training=mine", "min_delta: nothing uses it"),
    (
        {"sweep_plan/mine": f"list: [{{training: {{{MIN_DELTA}}}}}]\n"},
        "-m sweep_plan=mine",
        "min_delta: nothing",
    ),
    (
        {"search_space/mine": "training.early_stopping.min_delta: {type: choice, values: [0.1, 0.2]}\n"},
        "mode=tune search_space=mine",
        "search_space.training.early_stopping.min_delta: nothing uses it",
    ),
]


@pytest.mark.parametrize(
    ("files", "request_text", "words"), [(*case[:2], case[2:]) for case in REFUSED_FILES]
)
def test_a_value_in_a_file_that_nothing_uses_is_refused(
    refuse: Refuse, tmp_path: Path, files: dict[str, str], request_text: str, words: tuple[str, ...]
) -> None:
    write_yaml(tmp_path, files)
    line = refuse("--config-dir", str(tmp_path), *request_text.split(" "))
    assert [word for word in words if word not in line] == [], line


def write_yaml(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


LOGISTIC = """family: mlp
name: logistic
units: []
activation: linear
batch_norm: false
dropout: 0.0
input_dropout: 0.0
"""
PATIENCE = "+search_space.training.early_stopping.patience={type:choice,values:[0,2]}"


def test_values_that_count_or_ask_for_nothing_are_accepted(tmp_path: Path) -> None:
    through = CNN.replace("units: 10", "units: '${model.num_units}'")
    write_yaml(tmp_path, {"model/mine": f"{through}size: 10\nnum_units: ${{model.size}}\n"})
    write_yaml(
        tmp_path,
        {
            "experiment/delta": f"{GLOBAL}{DELTA}",
            "experiment/nesterov": f"{GLOBAL}{SGD}optimizer: {{nesterov: true}}\n",
            "experiment/plain": f"{GLOBAL}{SGD}optimizer: {{momentum: 0.0}}\n",
            "data/mine": "defaults: [sample]\nsplit_seed: 3\n",
            "training/mine": (CONF_DIR / "training" / "default.yaml").read_text(),
            "model/logistic": LOGISTIC,
        },
    )
    searchpath = f"hydra.searchpath=[file://{tmp_path}]"
    accepted = [
        ["model=cnn", "model.filters=[8,8,8]"],
        ["model=mine"],  # where one number refers to another
        ["experiment=best_mlp", "model=cnn"],  # the recipe of one network, and another network
        ["model=cnn", "model.layers=[Flatten,{Dense:{units:10,activation:softmax}}]"],
        ["model=cnn", "+model.rate=0.2", "training.label_smoothing=${model.rate}"],
        ["data.validation=0", "data.split_seed=0"],
        ["experiment=delta", "training.early_stopping.patience=3"],
        ["mode=tune", "experiment=delta", PATIENCE],  # which the search decides
        ["mode=tune", "training.early_stopping.min_delta=0.1", PATIENCE],
        ["experiment=nesterov", "optimizer.momentum=0"],  # switched off by a later word
        ["data=mine", "experiment=best_ann"],
        ["data=mine", "data.validation=0"],
        ["experiment=plain"],  # nesterov stands in the shipped file
        ["training=mine"],
        ["model=logistic"],
        ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false"],
        ["training.early_stopping.patience=3", "training.early_stopping.min_delta=0.1"],
    ]
    refused = []
    for overrides in accepted:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            composed = compose("config", [searchpath, *overrides])
            chosen = dict(map(override_value, overrides)).get("model", "ann")
            composer = Composer("config", [searchpath])
            try:
                refuse_unused_values(composed, parse(composed), overrides, str(chosen), composer)
            except ConfigError as error:
                refused.append((overrides, str(error)))
    assert refused == []


@pytest.mark.parametrize("path", sorted((CONF_DIR / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_is_accepted(path: Path) -> None:
    GlobalHydra.instance().clear()
    refused = []
    for words in ([], ["mode=tune", "data.validation=5000"]):
        overrides = [f"experiment={path.stem}", *words]
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            composed = compose("config", overrides, return_hydra_config=True)
            model = composed.hydra.runtime.choices.model
            own = OmegaConf.masked_copy(composed, own_keys(composed))
            try:
                refuse_unused_values(own, parse(own), overrides, model, Composer())
            except ConfigError as error:
                refused.append((overrides, str(error)))
    assert refused == []


def test_layers_that_do_not_fit_are_refused_before_a_run_is_made(refuse: Refuse) -> None:
    for overrides, *words in REFUSED_BY_KERAS:
        line = refuse("data=sample", "model=cnn", overrides)
        assert [word for word in words if word not in line] == [], line


def test_an_argument_that_keras_refuses_is_named(refuse: Refuse) -> None:
    line = refuse("data=sample", "optimizer=sgd", "optimizer.momentum=7")
    assert "optimizer" in line and "momentum" in line


def test_a_refusal_never_names_an_argument_that_is_refused_too(refuse: Refuse) -> None:
    assert "ema" not in refuse("+optimizer.momentum=0.9")


def test_the_version_is_our_own(run_command: Callable, tmp_path: Path) -> None:
    done = run_command("--version", cwd=tmp_path)
    version = importlib.metadata.version("mnist-exp")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mnist-exp {version}\n", "")


def test_a_path_given_as_a_word_is_asked_about(refuse: Refuse, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "a b")
    assert "mnist-exp mode=evaluate 'run=runs/a b'" in refuse("runs/a b")


@pytest.mark.parametrize("mode", ["evaluate", "predict", "verify", "compare"])
@pytest.mark.parametrize("place", ["runs", "my runs"])
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
    found = find_runs([tree["runs"]]) if mode == "compare" else [choose_run(tree["run"], folder)]
    assert [Path(path).resolve().parent for path in found] == [tmp_path / place]


def test_letters_in_quotes_are_nobodys_business(refuse: Refuse) -> None:
    line = refuse("mode=evaluate", "run='Bob’s – study'")
    assert "does not exist" in line and "character" not in line


def test_a_flag_that_there_is_not_is_answered_in_one_line(run_command: Callable, tmp_path: Path) -> None:
    done = run_command("--no-such-flag", cwd=tmp_path)
    assert done.returncode == 2 and "--no-such-flag" in done.stderr and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_in_a_process_of_its_own_is_one_line_and_exit_2(
    run_command: Callable, tmp_path: Path
) -> None:
    done = run_command("model=an", cwd=tmp_path)
    answer = 'mnist-exp: model: there is no "an". Did you mean "ann"?\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", answer)
    assert list(tmp_path.iterdir()) == []


def test_full_errors_show_the_traceback(run_command: Callable, tmp_path: Path) -> None:
    done = run_command("seed=-1", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode != 0 and "Traceback" in done.stderr and "ConfigError" in done.stderr


def damaged(path: Path, kind: str) -> Path:
    """Writes a data file that cannot be used."""
    if kind == "truncated":
        np.savez(path, x_train=np.zeros((20, 28, 28), np.uint8))
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "pickled":
        np.savez(path, **{key: np.array([{}], object) for key in ("x_train", "y_train", "x_test", "y_test")})
    elif kind == "empty":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize("kind", ["truncated", "pickled", "empty", "missing"])
def test_a_damaged_data_file_is_named(refuse: Refuse, tmp_path: Path, kind: str) -> None:
    path = damaged(tmp_path / "digits.npz", kind)
    line = refuse(f"data.path={path}")
    assert "data.path:" in line and "digits.npz" in line and "Accepted: an .npz file" in line


def test_data_found_damaged_only_when_read_makes_no_run(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    images, labels = np.zeros((20, 28, 28), np.uint8), np.full(20, 10, np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    line = refuse(f"data.path={path}", "data.validation=5")
    assert "digits.npz" in line and "labels up to 10" in line


def test_absent_data_is_refused_on_demand(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    mirrors = "data.mirrors=[{url: 'http://127.0.0.1:9/', files: {mnist.npz: 'md5:0'}}]"
    line = refuse("data.on_missing=error", mirrors)
    assert "mnist was not found" in line and "127.0.0.1:9" in line and "data.path" in line


def test_a_run_directory_in_use_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep me")
    line = refuse("data=sample", "hydra.run.dir=mine")
    assert "hydra.run.dir" in line and "mine" in line and "already holds files" in line
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious.txt"]


# Numbers of images and the labels that they have in turn, overrides, and what the one line must contain.
REFUSED_IMAGES = [
    ("hydra.run.dir=x/y", 20, range(10), ("5000", "0 to 19")),
    ("data.validation=20 hydra.run.dir=x/y hydra.output_subdir=z", 20, range(10), ("data.validation=20",)),
    ("data.validation=5 hydra.output_subdir=z runs_dir=a/b", 20, range(1), ("label 0 alone",)),
    ("data.validation=5 hydra.run.dir=empty", 20, range(1), ("label 0 alone",)),
    ("data.validation=5 hydra.run.dir=empty hydra.output_subdir=z", 20, range(1), ("label 0 alone",)),
    ("data.validation=1 hydra.run.dir=x", 0, range(10), ("images",)),
    ("data.validation=1 runs_dir=x/y", 1, range(10), ("data",)),
    ("mode=tune data.validation=5 hydra.run.dir=empty", 20, range(1), ("label 0 alone",)),
    ("-m data.validation=5 seed=0,1", 20, range(1), ("job 1 of 2", "label 0 alone")),
    ("-m data.validation=5 seed=0,1 plan=true", 22, range(11), ("job 1 of 2", "labels up to 10")),
]


@pytest.mark.parametrize(("request_text", "num_images", "labels", "words"), REFUSED_IMAGES)
def test_images_refused_when_they_are_read_leave_folders_as_they_were(
    refuse: Refuse, tmp_path: Path, request_text: str, num_images: int, labels: range, words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    images, given = (
        np.zeros((num_images, 28, 28), np.uint8),
        np.resize(np.array(labels, np.uint8), num_images),
    )
    np.savez(tmp_path / "digits.npz", x_train=images, y_train=given, x_test=images, y_test=given)
    line = refuse("data.path=digits.npz", *request_text.split(" "))
    assert [word for word in words if word not in line] == [], line
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_refused_sweep_leaves_no_folder(refuse: Refuse) -> None:
    assert "seed:" in refuse("-m", "seed=-1")


def test_a_refused_request_does_not_make_the_directory_it_names(refuse: Refuse) -> None:
    assert "seed:" in refuse("hydra.run.dir=mine", "seed=-1")


@pytest.mark.parametrize("key", ["runs_dir", "hydra.run.dir"])
def test_a_file_in_place_of_the_folder_is_refused(refuse: Refuse, tmp_path: Path, key: str) -> None:
    (tmp_path / "taken").write_text("keep me")
    line = refuse("data=sample", f"{key}=taken")
    assert f"{key}:" in line and "taken" in line
    assert (tmp_path / "taken").read_text() == "keep me"


def test_a_folder_that_cannot_be_written_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.geteuid() == 0:
        mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("root writes everywhere, and mounting a read-only folder is not permitted here")
    else:
        folder.chmod(0o500)
    try:
        line = refuse("data=sample", f"runs_dir={folder}")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(folder)], check=True)
    assert "runs_dir:" in line and "locked" in line and "MNIST_EXP_RUNS" in line
