"""What can be asked of an evaluation."""

from typing import Annotated

from msgspec import Meta, Struct


class EvaluateOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How a run is evaluated.

    Attributes:
        robustness_images: At most so many images are made harder; 0 for none.
    """

    robustness_images: Annotated[int, Meta(ge=0, le=10_000_000)] = 2000
