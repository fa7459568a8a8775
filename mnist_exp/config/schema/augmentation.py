"""Random changes of the training images."""

from typing import Annotated

from msgspec import Meta

from mnist_exp.config.schema.values import Node


class NoAugmentationConfig(Node, frozen=True, tag="none", tag_field="name"):
    """Training images as they are."""


class _AugmentationConfig(Node, frozen=True, kw_only=True):
    """What every change of the training images may begin and end with.

    Attributes:
        horizontal_flip: Whether half of the images, drawn at random, are mirrored left to right.
        cutout_pixels: Side of a square that is set to background, at a random place (DeVries and
            Taylor 2017); 0 for none.
    """

    horizontal_flip: bool = False
    cutout_pixels: Annotated[int, Meta(ge=0, le=28)] = 0


class ShiftConfig(_AugmentationConfig, frozen=True, tag="shift", tag_field="name"):
    """Each training image moved by a whole number of pixels on both axes.

    Attributes:
        max_pixels: The farthest move in each direction.
    """

    max_pixels: Annotated[int, Meta(ge=1, le=8)]


class AffineConfig(_AugmentationConfig, frozen=True, tag="affine", tag_field="name"):
    """Each training image rotated, scaled, sheared and moved at random.

    Attributes:
        rotation_degrees: The largest rotation either way.
        scale_fraction: The largest change in size, as a share of the image, each axis apart.
        shear_degrees: The largest shear either way.
        translation_pixels: The farthest move in each direction.
    """

    rotation_degrees: Annotated[float, Meta(ge=0, le=180)]
    scale_fraction: Annotated[float, Meta(ge=0, le=0.9)]
    shear_degrees: Annotated[float, Meta(ge=0, le=60)]
    translation_pixels: Annotated[float, Meta(ge=0, le=14)]


class ElasticConfig(AffineConfig, frozen=True, tag="elastic", tag_field="name"):
    """What `affine` does, and each part of the image pulled another way, smoothly (Simard et al. 2003).

    Attributes:
        elastic_pixels: Standard deviation of how far a node of the grid is pulled on each axis.
        elastic_grid: Number of nodes of the grid on each axis: few bend the image, many crumple it.
    """

    elastic_pixels: Annotated[float, Meta(ge=0, le=14)]
    elastic_grid: Annotated[int, Meta(ge=2, le=28)]


AugmentationConfig = NoAugmentationConfig | ShiftConfig | AffineConfig | ElasticConfig
