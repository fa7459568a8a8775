"""Config-driven experiments with small image classifiers."""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parent.parent / "conf"
"""The shipped YAML: inside the package when installed, beside it in a checkout."""
