"""A sweep planned to the last job before the first begins: composed, checked, named, frozen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_exp.config.composing import Composed, Composer, hydra_settings
from mnist_exp.config.parsing import SWEEP_KEYS, Composition, parse_tree, resolve
from mnist_exp.config.refusals import as_typed, explain_hydra
from mnist_exp.config.requests import DecidedConfig, SweepPlanConfig, SweepRequest
from mnist_exp.config.schema import Config
from mnist_exp.config.trees import leaves
from mnist_exp.config.unused import refuse_unused_values
from mnist_exp.errors import ConfigError
from mnist_exp.runs import provenance
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.sweeps.checking import Checked
from mnist_exp.sweeps.expansion import expand
from mnist_exp.sweeps.names import canonical, find_varied, labels, name_jobs
from mnist_exp.sweeps.rounds import check_until
from mnist_exp.tuning.definition import plan_search
from mnist_exp.words import one_line, plural

Check = Callable[[Sequence[Config]], Sequence[Checked | ConfigError]]
"""Finds each job's images and builds its network; `Checker.check`."""


@dataclass(frozen=True)
class PlannedSweep:
    """What a sweep will do.

    Attributes:
        num_duplicates: Number of jobs that would do the same as others, and are left out.
        checked: Of each job in the record: what its network and its images are; none where no job was.
    """

    record: SweepRecord
    num_duplicates: int
    notes: list[str]
    checked: list[Checked]


@dataclass
class _Draft:
    overrides: list[str]
    label: str
    choices: dict[str, str] = field(init=False)
    tree: dict[str, Any] = field(init=False)
    config: Config = field(init=False)
    identity: bytes = field(init=False)
    search: dict[str, Any] | None = None
    sentences: list[str] = field(default_factory=list)
    checked: Checked | None = None
    error: ConfigError | None = None


def plan_sweep(
    name: str, config: DictConfig, request: SweepRequest, argv: Sequence[str], check: Check | None
) -> PlannedSweep:
    """Plans a sweep; Hydra must be initialised.

    Args:
        config: What Hydra composed for the sweep as a whole, with its own node.
        check: Says of each job whether it can be begun; None to leave that open.

    Raises:
        ConfigError: A job is not accepted; says which, and how many more.
    """
    composer = Composer(config.hydra.job.config_name, list(config.hydra.overrides.hydra))
    # As Hydra's own sweeper has it: what its configuration sweeps over, then what was typed.
    params = config.hydra.sweeper.get("params") or {}
    typed = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    plan, until = request.sweep_plan, None
    if isinstance(request.until, DecidedConfig):
        until = request.until
        plan = replace(plan, seeds=until.most_seeds)
    expanded = expand(typed, plan, _base_seed(config, plan), is_decided=until is not None)
    drafts = [_Draft(overrides, label) for overrides, label in zip(expanded, labels(expanded), strict=True)]
    own_settings = _settings_of_sweep(config, hydra_settings(config))
    for draft in drafts:
        _compose(draft, composer, name, own_settings)
    _refuse_unaccepted(drafts)
    kept = _without_duplicates(drafts)
    if until is not None:
        check_until(until, [(draft.tree, draft.config) for draft in kept])
        kept.sort(key=lambda draft: draft.config.seed)
    if check is not None:
        for draft, result in zip(kept, check([draft.config for draft in kept]), strict=True):
            if isinstance(result, ConfigError):
                draft.error = result
            else:
                draft.checked = result
        _refuse_unaccepted(drafts)
    checked = [draft.checked for draft in kept if draft.checked is not None]
    record = SweepRecord(
        name=name,
        created_at=provenance.utc_now(),
        argv=list(argv),
        versions=provenance.versions(),
        git=provenance.git_record(),
        working_dir=str(Path.cwd()),
        cores_per_job=0,
        jobs=_jobs(kept, composer),
        until=until,
    )
    notes = _notes(kept)
    if until is not None and request.sweep_plan.seeds is not None:
        ignored = f"sweep_plan.seeds={request.sweep_plan.seeds}"
        notes.append(f"{ignored} is ignored: until=decided says how many seeds there are")
    return PlannedSweep(record, len(drafts) - len(kept), notes, checked)


def plan_again(record: SweepRecord, check: Check) -> PlannedSweep:
    """Checks the jobs of a frozen sweep once more; raises ConfigError where one cannot be begun any more."""
    checked = []
    for result in check([parse_tree(job.config) for job in record.jobs]):
        if isinstance(result, ConfigError):
            raise result
        checked.append(result)
    return PlannedSweep(record, 0, [], checked)


def _base_seed(config: DictConfig, plan: SweepPlanConfig) -> int:
    """Gives the first seed; that of the command line where there is one."""
    if plan.seeds is None:
        return 0
    seed = OmegaConf.select(config, "seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"seed: got {one_line(str(seed))}; a whole number is needed to count seeds from.")
    return seed


def _compose(draft: _Draft, composer: Composer, name: str, own_settings: dict[str, Any]) -> None:
    """Composes and checks a job; notes why it is not accepted."""
    try:
        composed = composer.compose(draft.overrides)
    except Exception as error:  # Hydra's errors have no class in common.
        draft.error = explain_hydra(error, draft.overrides)
        return
    try:
        _refuse_lost_settings(composed, composer, own_settings)
        draft.choices = composed.choices
        own = _own_config(composed.config, name)
        draft.tree = resolve(own)
        draft.config = parse_tree(draft.tree)
        refuse_unused_values(own, draft.config, draft.overrides, draft.choices.get("model", ""), composer)
        if draft.config.tuner is not None:
            _plan_search(draft, own, composer)
        draft.identity = canonical(draft.tree, draft.search)
    except ConfigError as error:
        draft.error = error


def _settings_of_sweep(config: DictConfig, hydra: dict[str, Any]) -> dict[str, Any]:
    """Lists what a sweep has once for all its jobs: Hydra's own settings, and the sweep's keys."""
    keys = [key for key in (*SWEEP_KEYS, "sweep", "runs_dir") if key in config]
    node = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=False)
    return hydra | dict(leaves(node))


def _refuse_lost_settings(composed: Composed, composer: Composer, own_settings: dict[str, Any]) -> None:
    """Refuses settings of a whole sweep that a job's files bring and the sweep does not have."""
    base = composer.compose([])
    usual = _settings_of_sweep(base.config, base.hydra)
    for key, value in _settings_of_sweep(composed.config, composed.hydra).items():
        is_usual = key in usual and usual[key] == value
        is_of_sweep = key in own_settings and own_settings[key] == value
        if not is_usual and not is_of_sweep:
            raise ConfigError(
                f"{key}: a file that this job chooses sets it to {as_typed(value)}; a sweep has one "
                "for all its jobs.",
                "Type it for all jobs, or give that file a sweep of its own.",
            )


def _own_config(composed: DictConfig, name: str) -> DictConfig:
    """Takes what speaks of the whole sweep out of a job's configuration."""
    with open_dict(composed):
        for key in SWEEP_KEYS:
            composed.pop(key, None)
        composed.sweep = name
    return composed


def _plan_search(draft: _Draft, own: DictConfig, composer: Composer) -> None:
    composition = Composition(
        own, draft.overrides, draft.choices, lambda overrides: composer.compose(overrides).config
    )
    search, draft.sentences = plan_search(draft.config, composition)
    draft.search = search.to_tree()


def _refuse_unaccepted(drafts: Sequence[_Draft]) -> None:
    """Raises the ConfigError of the first job that is not accepted, with how many more there are."""
    refused = [(number, draft.error) for number, draft in enumerate(drafts) if draft.error is not None]
    if not refused:
        return
    number, error = refused[0]
    if len(drafts) == 1:
        raise error
    words = f" ({drafts[number].label})" if drafts[number].label else ""
    others = len(refused) - 1
    more = f"{plural(others, 'more job')} {'is' if others == 1 else 'are'} refused, too." if others else ""
    where = f"job {number + 1} of {len(drafts)}{words}"
    raise ConfigError(f"{where}: {error.message}", f"{error.hint} {more}".strip()) from error


def _without_duplicates(drafts: Sequence[_Draft]) -> list[_Draft]:
    kept: dict[bytes, _Draft] = {}
    for draft in drafts:
        kept.setdefault(draft.identity, draft)
    return list(kept.values())


def _jobs(kept: Sequence[_Draft], composer: Composer) -> list[SweepJob]:
    varied = find_varied(
        [draft.overrides for draft in kept],
        [draft.choices for draft in kept],
        [draft.tree for draft in kept],
    )
    groups = {key for values in varied for key in values if composer.is_group(key.partition("@")[0])}
    fallback = f"{kept[0].config.mode}_{kept[0].config.model.name}"
    names = name_jobs(varied, [draft.identity for draft in kept], groups, fallback)
    return [
        SweepJob(
            number=number,
            name=names[number],
            overrides=draft.overrides,
            varied=varied[number],
            config=draft.tree,
            search=draft.search,
            num_params=draft.checked.num_params if draft.checked is not None else 0,
        )
        for number, draft in enumerate(kept)
    ]


def _notes(drafts: Sequence[_Draft]) -> list[str]:
    notices = [draft.checked.data.notice for draft in drafts if draft.checked and draft.checked.data.notice]
    return list(dict.fromkeys([*notices, *(text for draft in drafts for text in draft.sentences)]))
