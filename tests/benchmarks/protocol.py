"""How this project is told to do the work of the stock script: the study's protocol."""

from pathlib import Path

CONFIGURATION_DIR = Path(__file__).resolve().parents[2] / "conf"


def overrides(data: Path, epochs: int) -> list[str]:
    """Lists overrides for Adam, batches of 32, all training images, the test images as validation."""
    return [
        f"data.path='{data}'",
        "data.validation=test",
        "optimizer=adam",
        "schedule=constant",
        "augmentation=none",
        "training.batch_size=32",
        "training.label_smoothing=0",
        f"training.epochs={epochs}",
    ]
