"""What jobs are called: short words that say what tells them apart, safe in any shell and file system."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mnist_exp.config.overrides import override_value
from mnist_exp.config.trees import leaves, without_teacher
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.words import one_line, plural

_MOST_LETTERS = 80
_FEWEST_DIGITS = 6
_ELSEWHERE = ("runs_dir", "sweep", "tracker")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SAYS_NOTHING = ("none", "default")
_ABSENT, _ANY = object(), object()
_YOUNGER: dict[str, dict[str, Any]] = {
    "data": {"folds": None, "fold": None, "size": None, "num_classes": _ANY, "image_shape": _ANY},
    "training": {"class_weight": "none"},
}
"""Keys that sweeps may be older than, with what they did all the same; the images themselves say the rest."""

_NO_TRACKER = {"name": "none"}
"""What sweeps from before there was such a key have."""


def canonical(config: Mapping[str, Any], search: Mapping[str, Any] | None = None) -> bytes:
    """Gives what decides a job's result as bytes: equal exactly where two jobs would do the same.

    `config` is resolved; where its run is kept, and who follows it, is left out.
    """
    return _bytes(_kept(config, search))


def _kept(config: Mapping[str, Any], search: Mapping[str, Any] | None) -> dict[str, Any]:
    kept = without_teacher({key: value for key, value in config.items() if key not in _ELSEWHERE})
    for group, usual in _YOUNGER.items():
        node = kept.get(group)
        if isinstance(node, dict):
            kept[group] = {key: node[key] for key in node if usual.get(key, _ABSENT) not in (node[key], _ANY)}
    if search is not None:
        kept["search"] = search
    return kept


def _bytes(value: Any) -> bytes:
    return json.dumps(_comparable(value), sort_keys=True, default=str).encode()


def _comparable(value: Any) -> Any:
    """Makes the same of what means the same: 3 and 3.0 are one number."""
    if isinstance(value, dict):
        return {str(key): _comparable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def value_words(value: Any) -> str:
    """Writes a value of a configuration on one line: `0.001`, `[128, 64]`, `none`."""
    if isinstance(value, str):
        return one_line(value)
    return one_line(json.dumps(value, ensure_ascii=False, default=str))


def label(varied: Mapping[str, Any]) -> str:
    """Words what tells a job from the others: `model=ann seed=4`."""
    return " ".join(f"{one_line(key)}={value_words(value)}" for key, value in varied.items())


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Words each job by those of its overrides that not all jobs have."""
    counts = Counter(override for job in jobs for override in job)
    return [one_line(" ".join(text for text in job if counts[text] < len(jobs))) for job in jobs]


def find_varied(
    overrides: Sequence[Sequence[str]],
    choices: Sequence[Mapping[str, str]],
    trees: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Finds what tells jobs from one another, among what was typed or planned; a group by its option.

    What a job does not have is left out.
    """
    keys = dict.fromkeys(override_value(text)[0] for job in overrides for text in job)
    values = [
        {key: _value_at(chosen, tree, key) for key in keys}
        for chosen, tree in zip(choices, trees, strict=True)
    ]
    differing = [key for key in keys if len({_bytes(found[key]) for found in values}) > 1]
    return [{key: found[key] for key in differing if found[key] is not _ABSENT} for found in values]


def _value_at(choices: Mapping[str, str], tree: Mapping[str, Any], key: str) -> Any:
    if key in choices:
        return choices[key]
    node: Any = tree
    for part in key.split("."):
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return _ABSENT
    return node


def short_keys(varied: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Shortens each varied key to its last part, unless two would then be called the same."""
    keys = list(dict.fromkeys(key for values in varied for key in values))
    last = {key: re.split(r"[./]", key)[-1] for key in keys}
    counts = Counter(last.values())
    # `model.units.0` is no clearer as `0`.
    return {key: word if counts[word] == 1 and not word.isdigit() else key for key, word in last.items()}


def name_jobs(
    varied: Sequence[Mapping[str, Any]], identities: Sequence[bytes], groups: set[str], fallback: str
) -> list[str]:
    """Names each job's directory, such as `ann_seed-0_learning_rate-0.001_3f2a9c`.

    Args:
        identities: From `canonical`, no two alike.
        groups: The keys among `varied` whose values are names of files: these need no key.
        fallback: What a job is called that nothing tells from others.

    Returns:
        Letters, digits, `_`, `.` and `-` only; no two alike even where case does not count.
    """
    keys = short_keys(varied)
    words = [_words(values, keys, groups) or _safe(fallback) or "job" for values in varied]
    digests = [hashlib.sha256(identity).hexdigest() for identity in identities]
    for num_digits in range(_FEWEST_DIGITS, 65):
        names = [f"{word}_{digest[:num_digits]}" for word, digest in zip(words, digests, strict=True)]
        if len({digest[:num_digits] for digest in digests}) == len(digests):
            break
    return names


def _words(values: Mapping[str, Any], keys: Mapping[str, str], groups: set[str]) -> str:
    """Joins what tells a job from the others into the first part of a name."""
    parts = []
    for key, value in values.items():
        word = _value_part(value)
        is_plain = key in groups and word not in _SAYS_NOTHING
        parts.append(_safe(word if is_plain else f"{keys[key]}-{word}"))
    return "_".join(filter(None, parts))[:_MOST_LETTERS].strip("-._")


def _value_part(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_value_part, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _safe(text: str) -> str:
    """Puts a hyphen in the place of whatever a shell or a file system may take for something else."""
    return _UNSAFE.sub("-", text).strip("-._")


def first_difference(old: SweepRecord, new: SweepRecord) -> str | None:
    """Says in a line where two plans differ first; None where they are the same."""
    if old.until != new.until:
        was, now = (dict(leaves(msgspec.to_builtins(plan.until) or {})) for plan in (old, new))
        return _word_change("until", was, now)
    followed = [plan.jobs[0].config.get("tracker", _NO_TRACKER) for plan in (old, new) if plan.jobs]
    if len(followed) == 2 and followed[0] != followed[1]:
        return _word_change("tracker", *followed)
    gone, added = _others(old.jobs, new.jobs), _others(new.jobs, old.jobs)
    if not gone and not added:
        return None
    if len(old.jobs) != len(new.jobs):
        job = (added or gone)[0]
        what = "new" if added else "missing"
        counts = f"{plural(len(old.jobs), 'job')} then, {len(new.jobs):,} now"
        return f"{counts} ({label(job.varied) or job.name} is {what})"
    was, now = (dict(leaves(_kept(job.config, job.search))) for job in (gone[0], added[0]))
    return f"{_word_change('', was, now)} in job {added[0].number}"


def _word_change(root: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Words the first key whose value is another one: `model.dropout: 0.1 → 0.2`."""
    for key in [*was, *now]:
        then, later = was.get(key, _ABSENT), now.get(key, _ABSENT)
        if _bytes(then) != _bytes(later):
            break
    words = ("not there" if value is _ABSENT else value_words(value) for value in (then, later))
    return f"{f'{root}.' if root else ''}{one_line(key)}: {' → '.join(words)}"


def _others(jobs: Sequence[SweepJob], known: Sequence[SweepJob]) -> list[SweepJob]:
    identities = {canonical(job.config, job.search) for job in known}
    return [job for job in jobs if canonical(job.config, job.search) not in identities]
