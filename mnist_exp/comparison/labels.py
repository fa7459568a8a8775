"""What differs between configurations, and how people call it."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mnist_exp.words import one_line

# Neither a seed nor where things lie, nor what a mode or a whole sweep was asked for.
_NO_PART_OF_A_RECIPE = frozenset(
    {"seed", "runs_dir", "sweep", "resume", "run", "runs", "images", "mode", "compare", "report", "tracker"}
    | {"tuner", "search_space", "plan", "rerun", "on_fail", "sweep_plan", "until", "training.threads"}
    # Which images a run saw is told by their fingerprints.
    | {f"data.{name}" for name in ("name", "path", "path_variable", "places", "mirrors", "on_missing")}
    | {f"data.{name}" for name in ("validation", "split_seed", "class_names", "folds", "fold")}
    | {f"data.{name}" for name in ("num_classes", "image_shape", "size")}
    | {f"data.{name}" for name in ("train_sha256", "test_sha256")}
)
# Keys that runs may be older than, with what they did all the same.
_YOUNGER: dict[str, Any] = {
    "data.preprocessing": "none",
    "model.input_noise": 0,
    "model.max_norm": 0,
    "augmentation.horizontal_flip": False,
    "augmentation.cutout_pixels": 0,
    "training.mixup": 0,
    "training.class_weight": "none",
    "training.teacher.run": None,
    "training.teacher.weight": 0.9,
    "training.teacher.temperature": 2,
}
_NAME = "name"
_MODEL_NAME = f"model.{_NAME}"
_LONGEST_VALUE = 40
_LONGEST_LABEL = 44
_FEW_DIGITS = 4

Settings = dict[str, Any]
_MISSING: Any = object()


def recipe(config: Mapping[str, Any]) -> Settings:
    """Flattens a configuration to what decides a run's result, but for data and seed, by dotted key.

    Lists are values. Runs from before there was a key have what it means for them.
    """
    return dict(sorted((_YOUNGER | dict(_leaves(config))).items()))


def _leaves(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        key = f"{above}{name}"
        if key in _NO_PART_OF_A_RECIPE:
            continue
        is_node = isinstance(value, dict) and value
        found += _leaves(value, f"{key}.") if is_node else [(key, _plain(value))]
    return found


def _plain(value: Any) -> Any:
    """Returns 1 for 1.0: who types `dropout=0` means the same as who types `dropout=0.0`."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def fingerprint(settings: Settings) -> str:
    """Writes settings so that equal ones have equal texts and others have not."""
    return json.dumps(settings, sort_keys=True, default=str)


def differing_keys(recipes: Sequence[Settings]) -> list[str]:
    """Lists the keys whose value is not the same everywhere, sorted."""
    keys = sorted({key for settings in recipes for key in settings})
    return [key for key in keys if _varies(key, recipes)]


def label_recipes(recipes: Sequence[Settings]) -> list[str]:
    """Calls each recipe by how it differs from the others: `bn_dnn`, or `model=ann learning_rate=0.003`.

    A name, such as the model's, stands for everything of its group that goes with it: other keys of
    the group are told only where recipes of the same name differ in them. Where labels would be long,
    they leave out what most recipes have. No two recipes may be alike, and no two labels are.
    """
    keys = differing_keys(recipes)
    if not keys:
        return [one_line(str(settings.get(_MODEL_NAME, "run"))) for settings in recipes]
    keys.sort(key=lambda key: (key != _MODEL_NAME, not _is_name(key), key))
    names = [key for key in keys if _is_name(key)]
    for is_brief in (False, True):
        told = _told_keys(keys, names, recipes, is_brief)
        labels = _write_labels(told, names, recipes, _FEW_DIGITS)
        if len(set(labels)) < len(labels):
            labels = _write_labels(told, names, recipes, None)
        if max(map(len, labels)) <= _LONGEST_LABEL:
            break
    return _unlike(labels)


def _write_labels(
    told: Sequence[Sequence[str]], names: Sequence[str], recipes: Sequence[Settings], digits: int | None
) -> list[str]:
    """Writes each recipe's label from the keys that it has to tell; without `digits`, to the last one."""
    shown = {key for each in told for key in each}
    short = _short_names(shown)
    alone = len(shown) == 1 and shown <= set(names)
    labels = []
    for settings, keys in zip(recipes, told, strict=True):
        phrases = [_phrase(key, settings, short, alone, digits) for key in keys]
        labels.append(" ".join(phrases) or one_line(str(settings.get(_MODEL_NAME, "usual"))))
    return labels


def _is_name(key: str) -> bool:
    return key.count(".") == 1 and key.endswith(f".{_NAME}")


def _told_keys(
    keys: Sequence[str], names: Sequence[str], recipes: Sequence[Settings], is_brief: bool
) -> list[list[str]]:
    """Lists each recipe's keys that its groups' names leave open; if brief, not what most recipes have."""
    told: list[list[str]] = [[] for _ in recipes]
    for key in keys:
        name = f"{key.partition('.')[0]}.{_NAME}"
        is_free = key == name or name not in names
        namesakes: dict[str, list[int]] = {}
        for place, settings in enumerate(recipes):
            namesakes.setdefault("" if is_free else str(settings.get(name)), []).append(place)
        for places in namesakes.values():
            values = [value_text(recipes[place].get(key, _MISSING)) for place in places]
            if not (is_free or _varies(key, [recipes[place] for place in places])):
                continue
            usual = Counter(values).most_common(1)[0][0] if is_brief and key != _MODEL_NAME else None
            for place, value in zip(places, values, strict=True):
                if value != usual:
                    told[place].append(key)
    return told


def _varies(key: str, recipes: Sequence[Settings]) -> bool:
    first, *others = [settings.get(key, _MISSING) for settings in recipes]
    # 1 and 1.0 and True are three values to a reader of YAML; `==` takes them for one.
    return any(value != first or type(value) is not type(first) for value in others)


def _short_names(keys: set[str]) -> dict[str, str]:
    """Drops a key's group unless two keys would then be called the same; a name is called its group."""
    short = {}
    for key in keys:
        group, _, rest = key.partition(".")
        short[key] = group if _is_name(key) else rest or key
    counts = Counter(short.values())
    return {key: name if counts[name] == 1 else key for key, name in short.items()}


def _phrase(key: str, settings: Settings, short: Mapping[str, str], alone: bool, digits: int | None) -> str:
    value = settings.get(key, _MISSING)
    text = f"{value:.{digits}g}" if digits and isinstance(value, float) else value_text(value)
    return text if alone else f"{one_line(short[key])}={text}"


def value_text(value: Any) -> str:
    """Writes a value of YAML on one line; a long one is cut and told from others by four digits."""
    if value is _MISSING:
        return "unset"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, str):
        text = one_line(value)
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if len(text) <= _LONGEST_VALUE:
        return text
    digits = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:4]
    return f"{text[: _LONGEST_VALUE - 5]}…{digits}"


def _unlike(labels: Sequence[str]) -> list[str]:
    """Numbers labels that are alike for all that was cut off or left out of them."""
    counts, seen = Counter(labels), Counter[str]()
    told = []
    for label in labels:
        seen[label] += 1
        told.append(label if counts[label] == 1 else f"{label} ({seen[label]})")
    return told
