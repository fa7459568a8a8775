"""The bare XLA loop: what an epoch's arithmetic costs with nothing around it.

    uv run python tests/benchmarks/bare_epoch.py bn_dnn --epochs 15

Images stay resident as bytes; one compiled TensorFlow function loops over the epoch's batches
of 32: gather, cast, forward, loss, gradients, Adam. No Keras, no metrics, no callbacks. Prints
one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import mnist_file
import numpy as np
import tensorflow as tf
from stopwatch import median_after_first

UNITS = {"ann": [784, 128, 10], "bn_dnn": [784, 128, 128, 64, 64, 10]}
BATCH_SIZE = 32
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 0.001, 0.9, 0.999, 1e-7
MOMENTUM, VARIANCE_EPSILON = 0.99, 0.001

Tensors = list[tf.Tensor]


class State(NamedTuple):
    """What a step changes.

    Attributes:
        step: Number of steps taken, float32.
        weights: Kernel and offset of each layer; then, with batch normalisation, its scale and shift.
        first: Adam's mean of each gradient.
        second: Adam's mean of each squared gradient.
        moving: Moving mean and variance of each batch normalisation.
    """

    step: tf.Tensor
    weights: Tensors
    first: Tensors
    second: Tensors
    moving: Tensors


def initial_state(name: str) -> State:
    """Draws the weights as Keras does (Glorot and Bengio 2010)."""
    random, units = np.random.default_rng(0), UNITS[name]
    weights, moving = [], []
    for number, (inputs, outputs) in enumerate(zip(units, units[1:], strict=False)):
        limit = np.sqrt(6 / (inputs + outputs))
        weights += [random.uniform(-limit, limit, (inputs, outputs)), np.zeros(outputs)]
        if name == "bn_dnn" and number < len(units) - 2:
            weights += [np.ones(outputs), np.zeros(outputs)]
            moving += [np.zeros(outputs), np.ones(outputs)]
    zeros = [np.zeros_like(weight) for weight in weights]
    arrays = State(np.float32(0), weights, zeros, zeros, moving)
    return tf.nest.map_structure(lambda array: tf.constant(array, tf.float32), arrays)


def forward(
    weights: Tensors, moving: Tensors, images: tf.Tensor, training: bool
) -> tuple[tf.Tensor, Tensors]:
    """Computes logits (B, 10) from bytes (B, 28, 28), and the moving statistics after it."""
    values = tf.reshape(tf.cast(images, tf.float32) * (1 / 255), (-1, 784))
    weights, moving, moved = list(weights), list(moving), []
    while len(weights) > 2:
        values = tf.nn.relu(values @ weights.pop(0) + weights.pop(0))
        if moving:
            before = [moving.pop(0), moving.pop(0)]
            now = tf.nn.moments(values, [0]) if training else before
            values = tf.nn.batch_normalization(values, *now, weights.pop(1), weights.pop(0), VARIANCE_EPSILON)
            moved += [MOMENTUM * old + (1 - MOMENTUM) * new for old, new in zip(before, now, strict=True)]
    return values @ weights[0] + weights[1], moved


def train_step(state: State, images: tf.Tensor, labels: tf.Tensor) -> State:
    """Takes one step of Adam (Kingma and Ba 2015)."""
    with tf.GradientTape() as tape:
        tape.watch(state.weights)
        logits, moving = forward(state.weights, state.moving, images, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, state.weights)
    step = state.step + 1
    rate = LEARNING_RATE * tf.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    first = [old + (new - old) * (1 - BETA_1) for old, new in zip(state.first, gradients, strict=True)]
    second = [
        old + (new * new - old) * (1 - BETA_2) for old, new in zip(state.second, gradients, strict=True)
    ]
    weights = [
        weight - rate * mean / (tf.sqrt(square) + EPSILON)
        for weight, mean, square in zip(state.weights, first, second, strict=True)
    ]
    return State(step, weights, first, second, moving)


def compile_epoch(arrays: mnist_file.Arrays) -> Callable[[State, tf.Tensor], State]:
    """Makes the function from a state and an order of the images, int32 (N,), to the next state."""
    images, labels = tf.constant(arrays.train_images), tf.constant(arrays.train_labels)
    num_steps = len(arrays.train_labels) // BATCH_SIZE

    @tf.function(autograph=False, jit_compile=True)
    def run_epoch(state: State, order: tf.Tensor) -> State:
        def step(number: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            indices = tf.slice(order, [number * BATCH_SIZE], [BATCH_SIZE])
            return number + 1, train_step(state, tf.gather(images, indices), tf.gather(labels, indices))

        return tf.while_loop(lambda number, state: number < num_steps, step, (0, state))[1]

    return run_epoch


def accuracy(state: State, arrays: mnist_file.Arrays) -> float:
    """Computes the share of the test images that are recognised."""
    logits, _ = forward(state.weights, state.moving, tf.constant(arrays.test_images), training=False)
    return float(np.mean(np.argmax(logits, axis=1) == arrays.test_labels))


def main() -> None:
    """Trains as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=UNITS)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="of one operation; 0 uses every core")
    mnist_file.add_data_argument(parser)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    arrays = mnist_file.load_arrays(mnist_file.find_data(arguments.data))
    state, run_epoch, training_s = initial_state(arguments.model), compile_epoch(arrays), []
    for epoch in range(arguments.epochs):
        started = time.perf_counter()
        order = np.random.default_rng([0, epoch]).permutation(len(arrays.train_labels)).astype(np.int32)
        state = run_epoch(state, tf.constant(order))
        state.step.numpy()
        training_s.append(time.perf_counter() - started)
    result = {
        "model": arguments.model,
        "epochs": arguments.epochs,
        "train_s_per_epoch": median_after_first(training_s),
        "first_epoch_s": round(training_s[0], 3),
        "train_s": round(sum(training_s[1:]) + median_after_first(training_s), 3),
        "val_accuracy": round(accuracy(state, arrays), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
