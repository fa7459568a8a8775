"""Numbers and names that a configuration may hold, and what every node of it is."""

from typing import Annotated

from msgspec import Meta, Struct

Seed = Annotated[int, Meta(ge=0, lt=2**31)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
PositiveCount = Annotated[int, Meta(ge=1, le=10_000_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(ge=0, lt=1)]
LearningRate = Annotated[float, Meta(gt=0, le=1000)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A node of the configuration: immutable, and without room for unknown keys."""
