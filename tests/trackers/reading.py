"""Event files as TensorBoard itself reads them."""

from pathlib import Path
from typing import Any

import pytest

loading = pytest.importorskip(
    "tensorboard.backend.event_processing.event_file_loader",
    reason="tensorboard is in the benchmark extra",
)
hparams = pytest.importorskip("tensorboard.plugins.hparams.metadata")


def read_events(folder: Path) -> list[Any]:
    """Reads the only event file of a folder; each checksum is checked."""
    (path,) = folder.glob("*tfevents*")
    return list(loading.LegacyEventFileLoader(str(path)).Load())


def read_values(folder: Path) -> list[tuple[int, Any]]:
    """Gives each value of a summary with its step."""
    return [(event.step, value) for event in read_events(folder) for value in event.summary.value]


def read_curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Gives a tag's steps and numbers, in the order of the file."""
    values = read_values(folder)
    return [(step, value.simple_value) for step, value in values if value.tag == tag]


def read_hyperparameters(folder: Path) -> dict[str, Any]:
    """Gives what the HParams plugin finds."""
    (start,) = (value for _, value in read_values(folder) if value.tag == hparams.SESSION_START_INFO_TAG)
    assert start.metadata.plugin_data.plugin_name == hparams.PLUGIN_NAME
    found = hparams.parse_session_start_info_plugin_data(start.metadata.plugin_data.content).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in found.items()}
