"""Times as records hold them, and durations that a changed clock does not touch."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


def utc_now() -> str:
    """Says the time, UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Moment:
    """A moment, noted by the wall clock and by one that nobody can set.

    Attributes:
        utc: What the wall clock says, ISO 8601.
    """

    utc: str = field(default_factory=utc_now)
    _monotonic_s: float = field(default_factory=time.monotonic)

    def seconds_ago(self) -> float:
        """Says how long ago it was, in this process, whatever has become of the wall clock since."""
        return round(time.monotonic() - self._monotonic_s, 3)
