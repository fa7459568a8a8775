"""What a process computes on: its threads, its device, and no trace of an earlier run."""

import os

import keras
import tensorflow as tf

from mnist_exp.errors import ConfigError


def start_fresh(seed: int, threads: int) -> None:
    """Sets every random generator, and forgets what an earlier run in this process left.

    Args:
        seed: Of the run.
        threads: Number of threads of one operation; 0 uses every core.

    Raises:
        ConfigError: TensorFlow runs already, with another number of threads.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    set_threads(threads)


def set_threads(threads: int) -> None:
    """Sets how many threads one operation gets; to be called before TensorFlow computes anything.

    Args:
        threads: Their number; 0 uses every core.

    Raises:
        ConfigError: TensorFlow runs already, with another number.
    """
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        hint = "Give all jobs of one process the same number, or start them apart."
        raise ConfigError(f"training.threads: {threads} cannot be set any more.", hint) from error


def num_threads(threads: int) -> int:
    """Says how many threads one operation gets; 0 stands for every core."""
    return threads or len(os.sched_getaffinity(0))


def device_name() -> str:
    """Says where TensorFlow trains: `CPU` or `GPU`."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
