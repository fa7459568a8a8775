"""What the optimizers do with each of a network's variables."""

import keras
import tensorflow as tf

from mnist_exp.config.schema import OptimizerConfig
from mnist_exp.training.optimizers import build_optimizer


def test_weight_decay_shrinks_every_kernel_and_nothing_else() -> None:
    layers = keras.layers
    stack = [layers.SeparableConv2D(2, 3), layers.BatchNormalization(), layers.PReLU()]
    stack += [layers.Reshape((4, 8)), layers.GRU(3), layers.Dense(2)]
    network = keras.Sequential([layers.Input((6, 6, 1)), *stack])
    variables = network.trainable_variables
    config = OptimizerConfig(name="adamw", learning_rate=0.1, arguments={"weight_decay": 0.5})
    for variable in variables:
        variable.assign(tf.ones_like(variable))
    build_optimizer(config, 0.0, network).apply([tf.zeros_like(one) for one in variables], variables)
    shrunk = [variable.name for variable in variables if (variable.numpy() < 1).all()]
    assert shrunk == ["depthwise_kernel", "pointwise_kernel", "kernel", "recurrent_kernel", "kernel"]
    kept = [variable.name for variable in variables if (variable.numpy() == 1).all()]
    assert kept == ["bias", "gamma", "beta", "alpha", "bias", "bias"]
