"""What a process computes on: its threads, its device, and no trace of an earlier run."""

import keras
import tensorflow as tf

from mnist_exp.errors import ConfigError


def start_fresh(seed: int, threads: int) -> None:
    """Sets threads and every random generator, and forgets what an earlier run in this process left.

    Raises:
        ConfigError: TensorFlow runs already, with another number of threads.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    set_threads(threads)


def set_threads(threads: int) -> None:
    """Sets how many threads one operation gets, 0 for every core, before TensorFlow computes anything.

    Keras has its own defaults from then on, also where another package set others.

    Raises:
        ConfigError: TensorFlow runs already, with another number; or Keras has another backend.
    """
    _use_defaults()
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        hint = "Give all jobs of one process the same number, or start them separately."
        raise ConfigError(f"training.threads: {threads} cannot be set any more.", hint) from error


def _use_defaults() -> None:
    """Undoes what others did to Keras; `environment.shield` keeps out what it reads at its import."""
    if keras.config.backend() != "tensorflow":
        hint = "Start mnist-exp in a process of its own."
        raise ConfigError(f"keras: imported with the backend {keras.config.backend()} before.", hint)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def device_name() -> str:
    """Says where TensorFlow trains: `CPU` or `GPU`."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
