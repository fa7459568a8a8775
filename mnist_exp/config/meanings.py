"""What a key that there is not was meant for: the words of other tools, and keys by their last part."""

_OTHER_WORDS = {
    "training.epochs": "epoch max_epochs num_epochs n_epochs nb_epoch nb_epochs num_train_epochs max_epoch",
    "training.batch_size": "bs batch batchsize train_batch_size mini_batch_size minibatch_size",
    "training.early_stopping.patience": "patience early_stopping early_stop es_patience",
    "training.ema_momentum": "ema ema_decay",
    "training.threads": "num_threads n_threads intra_op_parallelism_threads",
    "training.teacher.run": "teacher",
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
    "hydra.run.dir": "name run_name exp_name experiment_name run_dir",
    "resume": "ckpt ckpt_path checkpoint resume_from resume_from_checkpoint load",
    "mode": "command task action",
    "training.monitor": "monitor_metric save_best",
    "plan": "dry_run dryrun",
    "training.engine": "jit_compile compile backend xla",
}
"""Keys, and what Keras, PyTorch Lightning, scikit-learn, Optuna and scripts call them."""

_NO_KEY = {
    "TensorFlow takes a GPU where it finds one; CUDA_VISIBLE_DEVICES= hides it.": (
        "device devices gpu gpus cuda accelerator num_gpus use_gpu"
    ),
    "Piped output is plain, and train.log keeps all of it.": "verbose verbosity v quiet log_level debug",
    "YAML of your own: --config-dir FOLDER, with FOLDER/experiment/mine.yaml.": "config cfg config_file conf",
}
_MODE_WORDS = {
    "train": "training fit run", "evaluate": "eval evaluation test testing validate score", "tune": (
        "search tuning hpo optimize optimise"
    ),
    "predict": "prediction inference infer classify", "compare": "comparison compare_runs diff",
    "verify": "verification check reproduce",
}  # fmt: skip


def mode_meant(word: str) -> str | None:
    """Says which mode a word stands for; None for none."""
    return next((mode for mode, words in _MODE_WORDS.items() if word.lower() in words.split()), None)


def advice(key: str) -> str | None:
    """Says what to do where other tools have a key and this one has none; None for any other key."""
    leaf = _leaf(key)
    return next((words for words, names in _NO_KEY.items() if leaf in names.split()), None)


def meanings(key: str) -> list[str]:
    """Lists the keys that a key which there is not most likely stands for.

    Args:
        key: As typed, without signs.

    Returns:
        The likeliest first; none where no word is known.
    """
    from mnist_exp.config.refusals import MODE_KEYS, known_keys

    leaf = _leaf(key)
    known = known_keys() | {name for names in MODE_KEYS.values() for name in names} | {"experiment"}
    if key in known:
        return [key]
    said = [name for name, words in _OTHER_WORDS.items() if leaf in words.split()]
    ending = sorted(name for name in known if name.rpartition(".")[2] == leaf)
    # Those of a search only where nothing else is called so.
    ending = [name for name in ending if not name.startswith("tuner.")] or ending
    return said or ending


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
