"""What was most likely meant by a key, a value or an option that is not accepted, as the end of a message."""

import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any

from hydra.conf import HydraConf
from omegaconf import OmegaConf

from mnist_exp import CONF_DIR
from mnist_exp.config import keras_names
from mnist_exp.config.arguments import WHOLE_GROUPS, mode_meant, options_elsewhere
from mnist_exp.config.commands import command, setting
from mnist_exp.config.keys import MODE_KEYS, known_keys, shipped_keys
from mnist_exp.config.letters import describe_twins
from mnist_exp.config.trees import leaves
from mnist_exp.errors import nearest


def option_meant(group: str, option: str, options: Sequence[str]) -> str:
    """Says which override a name was most likely meant for that is no option of its group."""
    if group == "mode" and (meant := mode_meant(option)):
        return f'Did you mean "{meant}"?'
    if option.lower() in options:
        return nearest(option, options)
    elsewhere = options_elsewhere(option) if option not in ("none", "default") else []
    if elsewhere:
        words = " or ".join(elsewhere)
        is_whole = elsewhere[0].startswith(WHOLE_GROUPS)  # of a search or a sweep: seldom meant
        return f"{nearest(option, options)} Or write {words}" if is_whole else f"Write {words}"
    if group == "optimizer" and (words := _keras_optimizer(option)):
        return f"Keras has it. Write {words}"
    return describe_twins(option) or nearest(option, options)


def _keras_optimizer(option: str) -> str:
    """Writes the words that choose an optimizer for which conf/ has no file; empty where Keras has none."""
    names = {name.lower(): name for name in keras_names.optimizers()}
    if option.lower() not in names:
        return ""
    accepted = keras_names.optimizer_arguments(names[option.lower()]) or set()
    arguments = set(OmegaConf.load(CONF_DIR / "optimizer" / "adam.yaml")) - {"name", "learning_rate"}
    left_out = [f"~optimizer.{argument}" for argument in sorted(map(str, arguments - accepted))]
    return shlex.join(["optimizer=adam", f"optimizer.name={option.lower()}", *left_out])


def value_meant(key: str, value: Any, expectation: str) -> str:
    """Says what a word in place of a number, of true, false or null was most likely meant for."""
    if expectation == "a mapping":
        below = [name for name in sorted(known_keys() | shipped_keys()) if name.rpartition(".")[0] == key]
        return f"Set {' or '.join(below)}." if below else ""
    if value == "":
        return "Leave it out, or name one."
    if isinstance(value, list) and len(value) > 1 and "number" in expectation:
        each = ",".join(map(str, value))
        return f"For each of them: {command('-m', f'{key}={each}')}"
    if key == "data.validation" and isinstance(value, float):
        return "It is a number of images, such as 5000, or a share of them, such as 0.1."
    if numbers := numbers_in(value):
        if "a list" in expectation and "text" not in expectation:
            return f"Write {key}=[{','.join(numbers)}]"
        if len(numbers) > 1 and key.endswith("]") and " " in value:
            return f"Entries have commas between them: [{','.join(numbers)}]."
    is_free = "text" in expectation and key not in ("optimizer.name", "model.activation")
    if is_free and isinstance(value, bool | int | float):
        return f"As text: {shlex.quote(setting(key, str(value)))}"
    word = value.lower() if isinstance(value, str) else ""
    if span := re.fullmatch(r"(\d+)(?:\.\.+|-|:|to)(\d+)", word):
        return f"For each of them: mnist-exp -m '{key}=range({span[1]},{int(span[2]) + 1})'"
    if word in ("none", "nil", "na", "nan") and "null" in expectation:
        return "Write null."
    if word in ("yes", "on", "no", "off", "y", "n") and "true" in expectation:
        return f"Write {'true' if word in ('yes', 'on', 'y') else 'false'}."
    if re.fullmatch(r"\d+,\d+", word) and "a number" in expectation:
        return f"Write {key}={word.replace(',', '.')}"
    return describe_twins(word)


def numbers_in(value: Any) -> list[str]:
    """Lists the numbers of a value that may have been meant for a list; none where there is anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return []
    entries = re.split(r"\s*[\s,;x-]\s*", str(value).strip("()[]{}<> "))
    return entries if all(re.fullmatch(r"\d+(\.\d+)?", entry) for entry in entries) else []


def options_with(key: str) -> list[str]:
    """Lists the options of a key's group that have it."""
    group, _, leaf = key.partition(".")
    files = sorted(CONF_DIR.glob(f"{group}/*.yaml")) if leaf and group.isidentifier() else []
    return [path.stem for path in files if leaf.partition(".")[0] in OmegaConf.load(path)]


def nearest_key(key: str) -> str:
    """Names the nearest known key: of the same group where that group exists."""
    return nearest_within(key, known_keys().union(*MODE_KEYS.values()))


def hydra_key_meant(key: str) -> str:
    """Names the nearest key of Hydra's own node; a launcher's belong to that launcher."""
    if key.startswith("hydra.launcher."):
        return "It belongs to another launcher, such as hydra/launcher=joblib."
    known = {""}
    for name, _ in leaves({"hydra": OmegaConf.to_container(OmegaConf.structured(HydraConf))}):
        parts = name.split(".")
        known |= {".".join(parts[: length + 1]) for length in range(len(parts))}
    return nearest_within(key, known)


def nearest_within(key: str, known: Collection[str]) -> str:
    """Names the nearest of some dotted keys: of the same group where that group exists."""
    group, _, leaf = key.rpartition(".")
    siblings = {other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == group}
    if not siblings:
        return nearest(key, known)
    hint = nearest(leaf, siblings)
    return hint.replace('mean "', f'mean "{group}.') if group else hint
