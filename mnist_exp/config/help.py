"""What `--help` prints, composed here: Hydra's own help reads every group anew, which takes seconds."""

from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR

_TEXT = CONF_DIR / "hydra" / "help" / "mnist_exp.yaml"
_NO_CHOICE = ("hydra",)


def help_text(overrides: Sequence[str], config_dir: str | None) -> str:
    """Writes what `--help` prints; raises Hydra's errors where the overrides cannot be composed."""
    words, folders = list(overrides), [CONF_DIR]
    if config_dir is not None:
        own = Path(config_dir).resolve()
        folders.append(own)
        words.append(f"hydra.searchpath=['file://{own}']")
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = OmegaConf.to_yaml(hydra.compose("config", words))
    text = OmegaConf.load(_TEXT)
    parts = (
        text.header,
        "== Choose (group=option) ==\n",
        _describe_groups(folders),
        "\n== Change any value (training.epochs=5) ==\n",
        composed,
        text.footer.rstrip(),
    )
    return "\n".join(parts)


def _describe_groups(folders: Sequence[Path]) -> str:
    options: dict[str, set[str]] = {}
    for folder in folders:
        for path in folder.glob("*/*.yaml"):
            if path.parent.name not in _NO_CHOICE:
                options.setdefault(path.parent.name, set()).add(path.stem)
    return "\n".join(f"{group}: {', '.join(sorted(options[group]))}" for group in sorted(options)) + "\n"
