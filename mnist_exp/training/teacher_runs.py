"""Which finished run teaches another one; TensorFlow is not loaded to find out."""

from pathlib import Path

from mnist_exp.config.schema import Config
from mnist_exp.errors import ConfigError
from mnist_exp.runs.finding import read_finished
from mnist_exp.runs.run import Run

TEACHER_KEY = "training.teacher.run"


def read_teacher(config: Config) -> Run | None:
    """Reads the run that a configuration names as its teacher; None where it names none.

    Args:
        config: The student's.

    Raises:
        ConfigError: There is no such run, it is not completed, it knows other classes, or its images go
            through another preprocessing.
    """
    name = config.training.teacher.run
    if name is None:
        return None
    run, own = _read(name)
    if own.data.class_names != config.data.class_names:
        raise ConfigError(
            f"{TEACHER_KEY}: {name} knows {len(own.data.class_names)} classes, from "
            f'"{own.data.class_names[0]}" on; this run has {len(config.data.class_names)}, from '
            f'"{config.data.class_names[0]}" on. They must be the same.'
        )
    if own.data.preprocessing != config.data.preprocessing:
        raise ConfigError(
            f"{TEACHER_KEY}: {name} has data.preprocessing={own.data.preprocessing}, this run "
            f"{config.data.preprocessing}.",
            "Both must be shown the same images.",
        )
    return run


def _read(name: str) -> tuple[Run, Config]:
    try:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise ConfigError(f"{name} does not exist.", "Accepted: a finished run's directory.")
        return read_finished(path)
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, no such user's home folder
        raise ConfigError(f"{TEACHER_KEY}: {name[:80]}: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{TEACHER_KEY}: {error.message.removeprefix('run: ')}", error.hint) from error
