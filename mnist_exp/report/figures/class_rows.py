"""Classes as the rows of a figure: their names at the left, their figures in columns at the right."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from mnist_exp.report.figures.style import INK, QUIET, shorten

_LONGEST_NAME = 14
_HEADING = -0.8


def style_class_rows(axes: Axes, names: Sequence[str]) -> None:
    """Gives each class a row, from the top down.

    Args:
        axes: A row is one unit high.
        names: Of the classes, in order.
    """
    labels = [shorten(name, _LONGEST_NAME) for name in names]
    axes.set_yticks(range(len(names)), labels, parse_math=False)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)


def head_columns(axes: Axes, columns: Sequence[int], texts: Sequence[str]) -> None:
    """Writes what each column holds above the first row; columns as `write_columns` takes them."""
    _write(axes, _HEADING, columns, texts, 8.5, QUIET)


def write_columns(axes: Axes, row: int, columns: Sequence[int], texts: Sequence[str]) -> None:
    """Writes a row's figures at the right of the axes, set to the right.

    Args:
        axes: With rows.
        row: Number of the row.
        columns: How many points right of the axes each column ends.
        texts: One a column.
    """
    _write(axes, row, columns, texts, 9, INK)


def _write(
    axes: Axes, height: float, columns: Sequence[int], texts: Sequence[str], size: float, colour: str
) -> None:
    for text, points_right in zip(texts, columns, strict=True):
        axes.annotate(
            text, (1, height), (points_right, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="center", size=size, color=colour,
            annotation_clip=False,
        )  # fmt: skip
