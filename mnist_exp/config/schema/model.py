"""Networks."""

from typing import Annotated, Any

from msgspec import Meta

from mnist_exp.config.schema.values import Fraction, Name, Node, Rate


class MlpConfig(Node, frozen=True, tag="mlp", tag_field="family"):
    """A multilayer perceptron: Flatten, hidden layers, softmax.

    Attributes:
        name: The model's name in run directories and tables.
        units: Number of units of each hidden layer, first to last.
        activation: A Keras activation, for all hidden layers or one for each.
        batch_norm: Whether BatchNormalization follows each hidden layer's activation.
        dropout: Dropout rate after hidden layers, for all or one for each.
        input_dropout: Dropout rate on the pixels.
        input_noise: Standard deviation of Gaussian noise on the pixels, which go from 0 to 1; 0 for none.
        max_norm: Largest norm of the weights into a hidden unit (Srivastava et al. 2014); 0 for no limit.
            Averages of weights (`training.ema_momentum`) may lie a little above it.
    """

    name: Name
    units: list[Annotated[int, Meta(ge=1, le=1_000_000)]]
    activation: str | list[str]
    batch_norm: bool
    dropout: Rate | list[Rate]
    input_dropout: Rate
    input_noise: Fraction = 0.0
    max_norm: Annotated[float, Meta(ge=0, le=1000)] = 0.0


class SequentialConfig(Node, frozen=True, tag="sequential", tag_field="family"):
    """Any stack of Keras layers, named in YAML.

    Attributes:
        name: The model's name in run directories and tables.
        layers: Each a layer's name, or a mapping of one layer's name to its arguments.
        numbers: The file's own keys, for `layers` to refer to by interpolation.
    """

    name: Name
    layers: list[str | dict[str, dict[str, Any] | None]]
    numbers: dict[str, Any]


ModelConfig = MlpConfig | SequentialConfig
