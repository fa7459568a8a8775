"""What no single type can say: values that do not go together, and names that Keras does not know."""

from importlib.util import find_spec
from typing import Any

from mnist_exp.config import keras_names
from mnist_exp.config.refusals import as_typed
from mnist_exp.config.schema import (
    BayesianTunerConfig,
    Config,
    DataConfig,
    MlpConfig,
    OptimizerConfig,
    PlateauScheduleConfig,
    RandomTunerConfig,
    SequentialConfig,
)
from mnist_exp.errors import ConfigError, nearest
from mnist_exp.words import direction_of, shortened

_MAY_BE_NULL = {
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor",
    "gradient_accumulation_steps", "exclude_layers",
}  # fmt: skip


def check(config: Config) -> None:
    """Makes sure that values go together and that Keras knows every name; raises ConfigError where not."""
    _check_optimizer(config.optimizer)
    match config.model:
        case MlpConfig():
            _check_mlp(config.model)
        case SequentialConfig():
            _check_layers(config.model)
    check_data(config.data)
    _check_monitor(config)
    _check_tuner(config)


def _check_optimizer(config: OptimizerConfig) -> None:
    names = {name.lower(): name for name in keras_names.optimizers()}
    if config.name.lower() not in names:
        raise ConfigError(
            f'optimizer.name: "{shortened(config.name)}" is not a Keras optimizer.',
            nearest(config.name, names),
        )
    if config.arguments.keys() & {"use_ema", "ema_momentum"}:
        raise ConfigError("optimizer.use_ema: set training.ema_momentum instead.")
    accepted = keras_names.optimizer_arguments(names[config.name.lower()])
    for argument, value in config.arguments.items():
        if accepted is not None and argument not in accepted:
            raise ConfigError(
                f'optimizer.{shortened(argument)}: "{config.name}" takes no such argument.',
                nearest(argument, accepted),
            )
        if not _is_for_optimizer(argument, value):
            raise ConfigError(
                f"optimizer.{argument}: got {as_typed(value)}; a number, true or false is needed."
            )
        if argument == "gradient_accumulation_steps" and not _counts_steps(value):
            raise ConfigError(
                f"optimizer.{argument}: got {as_typed(value)}; a whole number from 2 is needed."
            )


def _is_for_optimizer(argument: str, value: Any) -> bool:
    """Says whether a value is of a type that Keras' optimizers take; they do not look before they compute."""
    if value is None:
        return argument in _MAY_BE_NULL
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return isinstance(value, int | float) or is_names


def _counts_steps(value: Any) -> bool:
    """Says whether a value is a number of steps to accumulate gradients over, or None for each by itself."""
    return value is None or (type(value) is int and value >= 2)


def _check_mlp(config: MlpConfig) -> None:
    known = keras_names.activations()
    for activation in [config.activation] if isinstance(config.activation, str) else config.activation:
        if activation not in known:
            raise ConfigError(
                f'model.activation: "{shortened(activation)}" is not a Keras activation.',
                nearest(activation, known),
            )
    for key, value in (("activation", config.activation), ("dropout", config.dropout)):
        if isinstance(value, list) and len(value) != len(config.units):
            raise ConfigError(
                f"model.{key}: got {len(value)} values for the {len(config.units)} layers of model.units.",
                "Give one value for all, or one for each layer.",
            )


def _check_layers(config: SequentialConfig) -> None:
    if not config.layers:
        raise ConfigError("model.layers: got none; at least one is needed.")
    for number, entry in enumerate(config.layers):
        key = f"model.layers[{number}]"
        if isinstance(entry, dict) and len(entry) != 1:
            raise ConfigError(f"{key}: got {len(entry)} names; each layer is one name with its arguments.")
        name, arguments = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
        if name in keras_names.RUN_FOREIGN_CODE:
            raise ConfigError(f'{key}: "{name}" is refused: a YAML file does not run code.')
        if name not in keras_names.layers():
            raise ConfigError(
                f'{key}: "{shortened(name)}" is not a Keras layer to stack.',
                nearest(name, keras_names.layers()),
            )
        accepted = keras_names.layer_arguments(name)
        for argument, value in (arguments or {}).items():
            if accepted is not None and argument not in accepted:
                raise ConfigError(
                    f"{key}.{name}.{shortened(argument)}: no such argument.", nearest(argument, accepted)
                )
            if _has_mapping(value):
                raise ConfigError(
                    f"{key}.{name}.{argument}: got a mapping; a number, text or list is needed."
                )


def _has_mapping(value: Any) -> bool:
    """Says whether there is a mapping in a value: Keras would make an object of it."""
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_has_mapping, value)))


def check_data(config: DataConfig) -> None:
    """Makes sure that what is said of classes and folds goes together; raises ConfigError where not."""
    num_classes, num_names = config.num_classes, len(config.class_names)
    if num_classes not in (None, num_names):
        raise ConfigError(
            f"data.num_classes: got {num_classes}; data.class_names has {num_names} names.",
            "Leave it out, or name every class.",
        )
    if (config.folds is None) != (config.fold is None):
        key, other = ("data.folds", "data.fold") if config.fold is None else ("data.fold", "data.folds")
        raise ConfigError(f"{key}: it needs {other}.", "Such as: data.folds=5 data.fold=0")
    if config.folds is not None and config.fold is not None and config.fold >= config.folds:
        raise ConfigError(f"data.fold: got {config.fold}; accepted: 0 to {config.folds - 1}.")


def _check_monitor(config: Config) -> None:
    training = config.training
    better = direction_of(training.monitor)
    if training.direction != better:
        raise ConfigError(
            f"training.direction: got {training.direction} with training.monitor={training.monitor}.",
            f"Set training.direction={better}.",
        )
    is_watched = training.early_stopping.patience > 0 or isinstance(config.schedule, PlateauScheduleConfig)
    if config.data.validation == 0 and training.monitor.startswith("val_") and is_watched:
        raise ConfigError(
            f"training.monitor: {training.monitor} needs validation images, and data.validation is 0.",
            "Set training.monitor=loss training.direction=min.",
        )


def _check_tuner(config: Config) -> None:
    if config.mode != "tune":
        if config.tuner is not None or config.search_space is not None:
            raise ConfigError("tuner: belongs to mode=tune.", "Add mode=tune.")
        return
    if config.tuner is None:
        raise ConfigError("tuner: mode=tune needs one.", "Choose mode=tune, not a value for mode.")
    if config.data.validation in (0, "test"):
        raise ConfigError(
            f"data.validation: got {config.data.validation}; a search scores its trials on validation "
            "images, never on test images.",
            "Set data.validation to a number, such as 5000.",
        )
    if isinstance(config.tuner, BayesianTunerConfig | RandomTunerConfig) and not (
        config.tuner.max_trials or config.tuner.max_minutes or config.tuner.patience_trials
    ):
        raise ConfigError(
            "tuner.max_trials: got null, and no other budget: the search would not end.",
            "Set tuner.max_trials, tuner.max_minutes or tuner.patience_trials.",
        )
    if isinstance(config.tuner, BayesianTunerConfig) and find_spec("sklearn") is None:
        raise ConfigError(
            "tuner=bayesian needs scikit-learn, which is not installed.",
            "Install it with: pip install 'mnist-exp[bayesian]'",
        )
