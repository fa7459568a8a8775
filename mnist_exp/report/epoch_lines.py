"""The table that grows by a line an epoch while a network trains."""

from collections import deque

from rich.text import Text

from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import loss_text, percent, rate

_WIDTHS = (11, 9, 10, 11, 14, 10, 9)
_HEADINGS = ("epoch", "loss", "accuracy", "val. loss", "val. accuracy", "rate", "seconds")
_MAX_LINES = 30
_STRIDES = (2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000)


class EpochLines:
    """Chooses and words the lines of one training.

    Up to 30 epochs have a line each. Of more, `thin` keeps the first, every k-th and the last, with
    a round k that leaves at most 30: a log of 1,000 epochs stays readable, and `metrics.csv` has all.

    Args:
        epochs: Number of the last epoch.
        first_epoch: Number of the first one trained here.
    """

    def __init__(self, epochs: int, first_epoch: int, thin: bool) -> None:
        count = epochs - first_epoch + 1
        self._epochs = epochs
        self._first_epoch = first_epoch
        self._stride = next((s for s in _STRIDES if count <= s * _MAX_LINES), _STRIDES[-1])
        if count <= _MAX_LINES or not thin:
            self._stride = 1
        self._headed = False
        self._best_epoch = 0
        self._omitted: tuple[EpochMetrics, bool] | None = None
        self._durations: deque[float] = deque(maxlen=9)

    @property
    def typical_duration(self) -> float:
        """Median seconds of the last few epochs; 0 before the first."""
        ordered = sorted(self._durations)
        return ordered[len(ordered) // 2] if ordered else 0.0

    def add(self, row: EpochMetrics, is_best: bool) -> list[Text]:
        """Takes an epoch and returns the lines to show for it: none, its own, or the heading too."""
        self._durations.append(row.duration_s)
        if is_best:
            self._best_epoch = row.epoch
        if row.epoch % self._stride and row.epoch not in (self._first_epoch, self._epochs):
            self._omitted = (row, is_best)
            return []
        self._omitted = None
        heading = [] if self._headed else self._heading()
        self._headed = True
        return [*heading, self._line(row, is_best)]

    def rest(self) -> list[Text]:
        """Returns the last epoch's line if it was left out, as when training stopped early."""
        omitted, self._omitted = self._omitted, None
        return [self._line(*omitted)] if omitted else []

    def _heading(self) -> list[Text]:
        heading = _row(_HEADINGS, "best", style="bright_black")
        if self._stride == 1:
            return [heading]
        return [Text(f"(a line every {self._stride:,} epochs; metrics.csv has them all)"), heading]

    def _line(self, row: EpochMetrics, is_best: bool) -> Text:
        cells = (
            f"{row.epoch}/{self._epochs}",
            loss_text(row.loss),
            percent(row.accuracy),
            "–" if row.val_loss is None else loss_text(row.val_loss),
            "–" if row.val_accuracy is None else percent(row.val_accuracy),
            rate(row.learning_rate),
            f"{row.duration_s:.2f}",
        )
        remark = f"({self._best_epoch})" if self._best_epoch else ""
        if is_best:
            remark = "best"
        return _row(cells, remark, style="green" if is_best else "")


def _row(cells: tuple[str, ...], remark: str, style: str) -> Text:
    """Sets cells right-aligned in columns of fixed width, 80 characters at most."""
    columns = "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return Text(f"{columns}  {remark}".rstrip(), style=style, no_wrap=True, overflow="crop")
