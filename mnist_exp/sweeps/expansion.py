"""Which jobs a sweep has: what the command line sweeps over, times what the plan lists."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.errors import HydraException

from mnist_exp.config.overrides import override_value, plain_key, same_value, to_override
from mnist_exp.config.parsing import SWEEP_KEYS
from mnist_exp.config.refusals import explain_hydra
from mnist_exp.config.requests import SweepPlanConfig
from mnist_exp.errors import ConfigError
from mnist_exp.words import one_line

MOST_JOBS = 100_000

_LEFT_OUT = ("sweep", *SWEEP_KEYS)
_SAME_FOR_ALL = (*_LEFT_OUT, "runs_dir", "resume", "tracker", "hydra")

_Axis = list[dict[str, Any]]
"""What a job takes one of: keys to values."""


def expand(
    typed: Sequence[str], plan: SweepPlanConfig, base_seed: int, *, is_decided: bool = False
) -> list[list[str]]:
    """Lists every job's overrides.

    What the command line sweeps over is expanded as Hydra's own sweeper does it. Each of its jobs is
    made once for each combination of the plan's grid, each row of its zip, each entry of its list and
    each seed; what comes last changes fastest. A key that the command line sets is taken out of the plan.

    Args:
        typed: The command line's overrides, Hydra's own ones left out.
        is_decided: Whether `until` has set the plan's number of seeds.

    Returns:
        For each job what would be typed to run it alone. The plan's overrides come first, so that what
        was typed has the last word.

    Raises:
        ConfigError: The plan contradicts itself, an entry of `exclude` fits no job, a key cannot differ
            between jobs, or there are too many jobs.
    """
    commanded = _read_typed(typed)
    given = {plain_key(key) for key in commanded}
    _check_plan(plan)
    if plan.seeds is not None:
        _check_seeds(commanded, plan, is_decided)
        commanded = {key: override for key, override in commanded.items() if plain_key(key) != "seed"}
    axes = [_texts(axis) for axis in _axes(_without(plan, given))]
    seeds = [[]] if plan.seeds is None else [[f"seed={base_seed + number}"] for number in range(plan.seeds)]
    lengths = [_num_values(override) for override in commanded.values()]
    _check_number(math.prod([*lengths, *map(len, axes), len(seeds)]))
    jobs = [
        [*itertools.chain(*planned), *combination, *seed]
        for combination in _combinations(list(commanded.values()), typed)
        for planned in itertools.product(*axes)
        for seed in seeds
    ]
    return _exclude(jobs, plan.exclude, given)


def _read_typed(typed: Sequence[str]) -> dict[str, Override]:
    """Reads the command line's overrides by key, the last of each; those of the whole sweep are left out."""
    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None
    try:
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(typed))
    except HydraException as error:
        raise explain_hydra(error, typed) from error
    for override in overrides:
        if override.is_sweep_override():
            _check_may_differ(override.get_key_element(), "")
        elif override.key_or_group == "resume" and override.value() is not None:
            raise ConfigError("resume: a sweep is resumed by its name.", "Set sweep to it instead.")
    return {
        override.get_key_element(): override
        for override in overrides
        if _root(override.get_key_element()) not in _LEFT_OUT
    }


def _root(key: str) -> str:
    return re.split(r"[./@]", plain_key(key))[0]


def _check_may_differ(key: str, place: str) -> None:
    if _root(key) in _SAME_FOR_ALL:
        where = f"{place}.{one_line(key)}" if place else one_line(key)
        raise ConfigError(f"{where}: it is the same for all jobs of a sweep.", "Give it one value, typed.")


def _check_plan(plan: SweepPlanConfig) -> None:
    places = {"grid": set(plan.grid), "zip": set(plan.zip), "list": set(itertools.chain(*plan.list))}
    seen: dict[str, str] = {}
    for place, keys in places.items():
        for key in sorted(keys):
            _check_may_differ(key, f"sweep_plan.{place}")
            if plain_key(key) in seen:
                raise ConfigError(
                    f"sweep_plan: {one_line(key)} is in both {seen[plain_key(key)]} and {place}.",
                    "Keep one of them.",
                )
            seen[plain_key(key)] = place
    for place, lists in (("grid", plan.grid), ("zip", plan.zip)):
        for key, values in lists.items():
            if not values:
                raise ConfigError(
                    f"sweep_plan.{place}.{one_line(key)}: the list is empty.", "Remove the key."
                )
    lengths = {one_line(key): len(values) for key, values in plan.zip.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(f"sweep_plan.zip: lists of one length are needed; {words} values.")
    if not all(plan.exclude):
        raise ConfigError("sweep_plan.exclude: an empty entry would leave out every job.", "Remove it.")


def _check_seeds(commanded: Mapping[str, Override], plan: SweepPlanConfig, is_decided: bool) -> None:
    is_swept = any(
        plain_key(key) == "seed" and override.is_sweep_override() for key, override in commanded.items()
    )
    planned = {plain_key(key) for key in itertools.chain(plan.grid, plan.zip, *plan.list)}
    if not is_swept and "seed" not in planned:
        return
    if is_decided:
        raise ConfigError(
            "seed: it is swept over, and until=decided says how many seeds there are.",
            "Leave one out, or give the first seed alone, such as seed=0.",
        )
    raise ConfigError(
        f"sweep_plan.seeds: got {plan.seeds}, and seed is swept over as well.",
        "Leave one out: sweep_plan.seeds=null, or seed as it is.",
    )


def _without(plan: SweepPlanConfig, given: set[str]) -> SweepPlanConfig:
    def rest(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if plain_key(key) not in given}

    entries = [rest(entry) for entry in plan.list]
    return SweepPlanConfig(rest(plan.grid), rest(plan.zip), entries, plan.exclude, plan.seeds)


def _axes(plan: SweepPlanConfig) -> Iterator[tuple[str, _Axis]]:
    """Yields what each job takes one of, and where it was planned."""
    for key, values in plan.grid.items():
        yield "grid", [{key: value} for value in values]
    if plan.zip:
        yield "zip", [dict(zip(plan.zip, row, strict=True)) for row in zip(*plan.zip.values(), strict=True)]
    if plan.list:
        yield "list", plan.list


def _texts(axis: tuple[str, _Axis]) -> list[list[str]]:
    """Writes an axis as overrides, each combination once."""
    place, entries = axis
    texts = [
        [to_override(key, value, f"sweep_plan.{place}") for key, value in entry.items()] for entry in entries
    ]
    return [list(unique) for unique in dict.fromkeys(map(tuple, texts))]


def _num_values(override: Override) -> int:
    """Counts the values of an override without listing a range."""
    if not override.is_sweep_override():
        return 1
    text = one_line(str(override.input_line))
    if not override.is_discrete_sweep():
        raise ConfigError(f"{text}: an interval has infinitely many values.", "List them, or use range().")
    sweep = override.value()
    try:
        count = (
            _range_length(sweep) if isinstance(sweep, RangeSweep) else len(list(override.sweep_iterator()))
        )
    except (ArithmeticError, ValueError) as error:
        raise ConfigError(f"{text}: not a range of finite numbers.") from error
    if count == 0:
        raise ConfigError(f"{text}: there are no such values.")
    return count


def _range_length(sweep: RangeSweep) -> int:
    start, stop, step = (Decimal(number) for number in (sweep.start or 0, sweep.stop or 0, sweep.step))
    return max(0, math.ceil((stop - start) / step))


def _check_number(count: int) -> None:
    if count > MOST_JOBS:
        raise ConfigError(f"sweep: this makes {count:,} jobs; {MOST_JOBS:,} are accepted.")


def _combinations(overrides: list[Override], typed: Sequence[str]) -> list[list[str]]:
    try:
        return BasicSweeper.split_arguments(overrides, None)[0]
    except (HydraException, ArithmeticError) as error:
        raise explain_hydra(error, typed) from error


def _exclude(jobs: list[list[str]], entries: Sequence[Mapping[str, Any]], given: set[str]) -> list[list[str]]:
    """Leaves out the jobs that an entry fits.

    An entry that fits none is most likely misspelt, unless the command line narrows what it is about.
    """
    if not entries:
        return jobs
    values = [dict(map(override_value, job)) for job in jobs]
    left_out: set[int] = set()
    for number, entry in enumerate(entries):
        fitting = {job for job, found in enumerate(values) if _fits(entry, found)}
        if not fitting and not given & set(map(plain_key, entry)):
            words = ", ".join(f"{key}: {value}" for key, value in entry.items())
            raise ConfigError(
                f"sweep_plan.exclude[{number}]: no job has {one_line(words)}.",
                "Only what is typed or planned is compared.",
            )
        left_out |= fitting
    if len(left_out) == len(jobs):
        raise ConfigError("sweep_plan.exclude: it leaves out every job.")
    return [job for number, job in enumerate(jobs) if number not in left_out]


def _fits(entry: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(
        plain_key(key) in values and same_value(values[plain_key(key)], value) for key, value in entry.items()
    )
