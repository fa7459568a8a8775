"""What can be asked of a comparison."""

from typing import Literal

from msgspec import Struct


class CompareOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How runs are compared.

    Attributes:
        sort: The column that sorts the table, best first: a column of `results.csv`, or a key that
            differs between the runs, such as `optimizer.learning_rate`.
        columns: The columns to show; null for those that say most.
        format: `table` for people, `markdown`, or `csv` and `json` for programs.
    """

    sort: str = "val_accuracy"
    columns: list[str] | None = None
    format: Literal["table", "csv", "json", "markdown"] = "table"
