"""What was typed, before Hydra reads it, and what it most likely meant: the words of other tools."""

import importlib.metadata
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser

from mnist_exp import CONF_DIR
from mnist_exp.config.commands import command, flags_first, quoted, setting
from mnist_exp.config.help import help_text
from mnist_exp.config.keys import MODE_KEYS, known_keys, options_of, shipped_keys
from mnist_exp.config.letters import check_letters
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.words import shortened

_OTHER_WORDS = {
    "training.epochs": "epoch max_epochs num_epochs n_epochs nb_epoch nb_epochs num_train_epochs max_epoch",
    "training.batch_size": "bs batch batchsize train_batch_size mini_batch_size minibatch_size",
    "training.early_stopping.patience": "patience early_stopping early_stop es_patience",
    "training.ema_momentum": "ema ema_decay",
    "training.threads": "num_threads n_threads intra_op_parallelism_threads",
    "optimizer.learning_rate": "lr rate eta alpha base_lr init_lr initial_lr learning_rate_init learningrate",
    "optimizer.weight_decay": "wd decay l2",
    "optimizer.clipnorm": "gradient_clip_val grad_clip max_grad_norm clip_norm",
    "model.dropout": "dropout_rate drop_rate",
    "model.units": "hidden_units hidden hidden_size hidden_dim hidden_layers hidden_layer_sizes width",
    "model.batch_norm": "batchnorm batch_normalization bn use_bn",
    "model.activation": "act activation_fn nonlinearity",
    "data.validation": "validation_split val_split val_size validation_data val_fraction test_size",
    "data.path": "data_path data_dir dataset_path datadir root",
    "data": "dataset dataset_name datamodule",
    "model": "net network arch architecture model_name",
    "optimizer": "optim opt optimiser solver",
    "schedule": "scheduler lr_scheduler lr_schedule",
    "augmentation": "augment aug augmentations transform transforms data_augmentation",
    "seed": "random_state random_seed rng_seed manual_seed seeds",
    "tuner": "search hpo sampler",
    "tuner.max_trials": "trials n_trials num_trials max_trials n_iter num_samples",
    "tuner.max_minutes": "timeout max_time time_budget minutes",
    "tuner.workers": "workers num_workers n_jobs jobs parallel max_workers",
    "tuner.objective": "objective metric",
    "runs_dir": "save_dir output_dir out_dir log_dir logdir outdir output results_dir default_root_dir",
    "experiment": "exp expt recipe preset",
    "hydra.run.dir": "name run_name exp_name experiment_name run_dir",
    "resume": "ckpt ckpt_path checkpoint resume_from resume_from_checkpoint load",
    "mode": "command task action",
    "training.monitor": "monitor_metric save_best",
    "plan": "dry_run dryrun",
    "training.engine": "jit_compile compile backend xla",
}
"""Keys, and what Keras, PyTorch Lightning, scikit-learn, Optuna and scripts call them."""

OWN_YAML = "YAML of your own: --config-dir FOLDER, with FOLDER/experiment/mine.yaml."
_NO_KEY = {
    "TensorFlow takes a GPU where it finds one; CUDA_VISIBLE_DEVICES= hides it.": (
        "device devices gpu gpus cuda accelerator num_gpus use_gpu"
    ),
    "Piped output is plain, and train.log keeps all of it.": "verbose verbosity v quiet log_level debug",
    OWN_YAML: "config cfg config_file conf",
}
_MODE_WORDS = {
    "train": "training fit run", "evaluate": "eval evaluation test testing validate score", "tune": (
        "search tuning hpo optimize optimise"
    ),
    "predict": "prediction inference infer classify", "compare": "comparison compare_runs diff",
    "verify": "verification check reproduce", "export": "convert save onnx tflite litert",
    "clean": "delete rm remove prune gc clear cleanup",
    "note": "notes annotate annotation tag tags star comment", "list": "ls history",
    "watch": "follow monitor tail attach",
    "schema": "reference keys",
}  # fmt: skip
_VERSION, _RERUN = "--version", "--experimental-rerun"
WHOLE_GROUPS = ("search_space=", "sweep_plan=")
_FLAG_WORDS = {"help": "--help", "version": _VERSION, "-V": _VERSION}


def mode_meant(word: str) -> str | None:
    """Says which mode a word stands for; None for none."""
    return next((mode for mode, words in _MODE_WORDS.items() if word.lower() in words.split()), None)


def advice(key: str) -> str | None:
    """Says what to do where other tools have a key and this one has none; None for any other key."""
    leaf = _leaf(key)
    return next((words for words, names in _NO_KEY.items() if leaf in names.split()), None)


def meanings(key: str) -> list[str]:
    """Lists the keys that an unknown key, without signs, may stand for, the likeliest first."""
    leaf = _leaf(key)
    known = known_keys() | {name for names in MODE_KEYS.values() for name in names} | {"experiment"}
    if key in known:
        return [key]
    there = sorted(known | shipped_keys())
    if "." in key and (longer := [name for name in there if name.endswith(f".{key}")]):
        return longer
    said = [name for name, words in _OTHER_WORDS.items() if leaf in words.split()]
    ending = [name for name in there if name.rpartition(".")[2] == leaf]
    # Those of a search only where nothing else is called so.
    ending = [name for name in ending if not name.startswith("tuner.")] or ending
    return said + [name for name in ending if not any(one.startswith(name) for one in said)]


def _leaf(key: str) -> str:
    return key.rpartition(".")[2].lower().replace("-", "_")


def likeliest(key: str) -> str:
    """Says which key was meant, as the end of an error message; empty where no word is known."""
    found = meanings(key)
    if not found or found == [key]:
        return advice(key) or ""
    quoted = " or ".join(f'"{name}"' for name in found[:6])
    more = " It belongs to mode=tune: add that." if found[0].startswith("tuner") else ""
    return f"Did you mean {quoted}?{more}"


def accepted_arguments(typed: Sequence[str]) -> list[str]:
    """Puts the command line in the order that Hydra reads.

    Raises:
        ConfigError: An argument is no override and no flag; says what was most likely meant.
        SystemExit: The version or the help was asked for, and is printed.
    """
    if _VERSION in typed:
        print(f"mnist-exp {importlib.metadata.version('mnist-exp')}", flush=True)
        raise SystemExit(0)
    typed = [quoted(word) for word in typed]
    parser = get_args_parser()
    # Else `--experiment` would be short for `--experimental-rerun`, which unpickles a file.
    parser.allow_abbrev, parser.exit_on_error = False, False
    known_flags = [option for action in parser._actions for option in action.option_strings]
    for word in typed:
        # Else `-model` would be `-m` with something behind it, and `-s` short for `-sc`.
        if re.match(r"-[a-z]{3}", word) or (re.match(r"-[A-Za-z]\b", word) and word[:2] not in known_flags):
            raise _no_flag(word, typed, parser)
    try:
        given, unknown = parser.parse_known_args(flags_first(typed))
    except ArgumentError as error:
        raise ConfigError(f"{error.argument_name}: {error.message}.", "--hydra-help lists flags.") from error
    if given.experimental_rerun is not None:
        raise ConfigError(
            f"{_RERUN}: refused: it would unpickle a file.", "Use resume=… or mode=verify run=…."
        )
    for flag, value in vars(given).items():
        if flag.startswith("config_") and value == "":
            raise ConfigError(f"--{flag.replace('_', '-')}: got nothing.", "Leave it out, or name one.")
    for word in given.overrides + unknown:
        check_letters(word)
    for word in unknown:
        if word.startswith("-"):
            raise _no_flag(word, typed, parser)
    overrides = given.overrides + unknown
    for place, word in enumerate(overrides):
        _check_word(word, overrides[place + 1 :], overrides[:place])
    if given.help:
        print(help_text(overrides, given.config_dir), flush=True)
        raise SystemExit(0)
    return flags_first(typed)


def _no_flag(flag: str, typed: Sequence[str], parser: ArgumentParser) -> ConfigError:
    """Says what a flag that there is not was meant for: an override, or another flag."""
    if flag in _FLAG_WORDS:
        return ConfigError(f"{flag}: there is no such flag.", f"Write {command(_FLAG_WORDS[flag])}")
    name, equals, value = flag.partition("=")
    key = name.lstrip("-").replace("-", "_")
    following = list(typed)[list(typed).index(flag) + 1 :][:1]
    if not equals and following and "=" not in following[0] and not following[0].startswith("-"):
        value = following[0]
    known = meanings(key)
    if known:
        value = value or ("true" if known[0] == "plan" else "")
        better = command(f"{known[0]}={value}") if value else f"{known[0]}=…"
        return ConfigError(f"{shortened(flag)}: keys have no dashes.", f"Write {better}")
    flags = [option for action in parser._actions for option in action.option_strings if option != _RERUN]
    return ConfigError(f"{shortened(flag)}: there is no such flag.", advice(key) or nearest(name, flags))


def _check_word(word: str, after: Sequence[str], before: Sequence[str]) -> None:
    """Refuses a word that is no override: a key alone, a value alone, a sign between spaces."""
    key, equals, value = word.partition("=")
    bare = key.lstrip("+~")
    if word.startswith("~") and not equals:
        return
    if not equals:
        raise ConfigError(f'"{shortened(word)}": an override is key=value.', _meant(word, after, before))
    if not bare:
        raise ConfigError(f"{shortened(word)}: an override is key=value, and has no key.", "Such as seed=3.")
    options = options_of(bare)
    if not value and after and "=" not in after[0] and options:
        raise ConfigError(f"{shortened(word)}: an override has no spaces around =.", "Write model=ann.")
    if value.startswith("=") or key[-1] in "+-*/:":
        only = f"{bare.rstrip('+-*/:')}={value.lstrip('=')}"
        raise ConfigError(f"{shortened(word)}: a value is set by one =, and nothing else.", f"Write {only}")
    if re.fullmatch(r"\{\s*\}", value) and key == bare and not key.startswith("hydra"):
        raise ConfigError(f"{shortened(word)}: an empty mapping changes nothing.", "Leave it out.")
    if value.endswith((".yaml", ".yml")) and options:
        own = f"YAML of your own: --config-dir FOLDER, with the file in FOLDER/{bare}."
        raise ConfigError(
            f"{bare}: got a file, {shortened(value)}; an option's name is needed.",
            f"{nearest(Path(value).stem, options)} {own}",
        )


def _meant(word: str, after: Sequence[str], before: Sequence[str]) -> str:
    """Says what a word without = was most likely meant for."""
    if "=" in (*after[:1], *before[-1:]):
        return "It has no spaces around =: model=ann."
    if word in _FLAG_WORDS:
        return f"Write {_FLAG_WORDS[word]}."
    if (Path(word) / "manifest.json").exists():
        return f"A run: {command('mode=evaluate', setting('run', word))}"
    name, colon, option = word.partition(":")
    if colon and (known := meanings(name)):
        return f"Write {known[0]}={option}."
    if mode := mode_meant(word):
        return f"Write mode={mode}."
    if written := options_elsewhere(word):
        return f"Write {written[0]}."
    known = meanings(word)
    if known:
        value = after[0] if after and "=" not in after[0] else ""
        return f"Write {known[0]}={value}." if value else f"Write {known[0]}=…."
    return "Such as model=ann or training.epochs=5; --help lists them."


def options_elsewhere(word: str) -> list[str]:
    """Writes the overrides that choose an option of this name, in whatever group, the likeliest first."""
    first = ("mode", "model", "experiment", "data")
    others = [path.name for path in sorted(CONF_DIR.iterdir()) if path.is_dir() and path.name not in first]
    name = word.lower()
    found = [f"{group}={name}" for group in (*first, *others) if name in options_of(group)]
    return [written for written in found if not written.startswith(WHOLE_GROUPS)] or found
