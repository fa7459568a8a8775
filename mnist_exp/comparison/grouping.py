"""Which runs can be compared: sets of runs on the same images, and groups that differ by seed or fold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mnist_exp.comparison.labels import Settings, differing_keys, fingerprint, label_recipes, recipe
from mnist_exp.runs.records import DataRecord
from mnist_exp.runs.run import DamagedRun, Run
from mnist_exp.words import one_line, plural

_VALIDATION = "data.validation"
_DIGITS = 8


@dataclass(frozen=True, eq=False)
class SeedGroup:
    """Runs that differ by nothing but their seed and, in a cross-validation, the fold that is left out.

    Attributes:
        settings: Its recipe, without the seed; `runs` has one for each fold and seed, ascending.
        duplicates: Earlier runs of a seed that ran again; they are no part of any statistic.
        is_optimistic: Whether test images had a part in choosing the best epochs.
    """

    label: str
    settings: Settings
    runs: list[Run]
    duplicates: list[Run]
    is_optimistic: bool

    @property
    def seeds(self) -> list[int]:
        """Its seeds, ascending, each once."""
        return sorted({run.manifest.seed for run in self.runs})

    @property
    def folds(self) -> list[int]:
        """The folds that were left out, ascending, each once; none without cross-validation."""
        return sorted({run.fold for run in self.runs if run.fold is not None})


@dataclass(frozen=True, eq=False)
class ComparableSet:
    """Groups whose runs saw the same images, set apart alike.

    Attributes:
        reason: What keeps it apart from the first set; empty for the first one.
        groups: In no order yet; `keys` are what differs between them, dotted.
    """

    data: DataRecord
    reason: str
    groups: list[SeedGroup]
    keys: list[str]

    @property
    def num_runs(self) -> int:
        """Number of runs, duplicates left out."""
        return sum(len(group.runs) for group in self.groups)


def comparable_sets(runs: Iterable[Run]) -> list[ComparableSet]:
    """Sorts completed trainings by the images they saw, the largest set first."""
    by_data: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        by_data.setdefault(_images_of(run), []).append(run)
    parts = sorted(by_data.values(), key=len, reverse=True)
    return [_make_set(part, parts[0][0].data) for part in parts]


def _images_of(run: Run) -> tuple[object, ...]:
    """Says what runs must have in common: their images or, whichever fold is left out, all their folds."""
    data, fold = run.data, run.data.fold
    if fold is None:
        return data.train_sha256, data.test_sha256, data.split_sha256
    node = run.config.get("data")
    chosen = [node.get(key) for key in ("split_seed", "validation")] if isinstance(node, dict) else []
    return fold.whole_sha256, fold.folds, repr(chosen), data.split_sha256 is None


def by_fold(runs: Iterable[Run]) -> list[list[Run]]:
    """Puts runs together that left the same fold out; without cross-validation, each is alone."""
    parts: dict[int, list[Run]] = {}
    for place, run in enumerate(runs):
        parts.setdefault(place if run.fold is None else run.fold, []).append(run)
    return [parts[number] for number in sorted(parts)]


def _make_set(runs: Sequence[Run], usual: DataRecord) -> ComparableSet:
    by_recipe: dict[str, tuple[Settings, list[Run]]] = {}
    for run in runs:
        settings = _recipe_of(run)
        by_recipe.setdefault(fingerprint(settings), (settings, []))[1].append(run)
    recipes = [settings for settings, _ in by_recipe.values()]
    labels = label_recipes(recipes)
    groups = [
        _make_group(label, settings, members)
        for label, (settings, members) in zip(labels, by_recipe.values(), strict=True)
    ]
    return ComparableSet(
        data=runs[0].data,
        reason=_difference(runs[0].data, usual),
        groups=groups,
        keys=differing_keys(recipes),
    )


def _recipe_of(run: Run) -> Settings:
    """Returns a run's recipe; with no images set apart, whether test images validate it is part of that."""
    if run.data.split_sha256 is not None:
        return recipe(run.config)
    return recipe(run.config) | {_VALIDATION: "test" if run.validates_on_test else "none"}


def _make_group(label: str, settings: Settings, runs: Sequence[Run]) -> SeedGroup:
    """Keeps the latest run of each fold and seed; of those that began together, the one named last."""
    ordered = sorted(runs, key=lambda run: (*_place(run), run.manifest.started_at, run.path))
    latest = {_place(run): run for run in ordered}
    return SeedGroup(
        label=label,
        settings=settings,
        runs=list(latest.values()),
        duplicates=[run for run in ordered if latest[_place(run)] is not run],
        is_optimistic=any(run.result.selected_on_test for run in runs),
    )


def _place(run: Run) -> tuple[int, int]:
    return run.fold or 0, run.manifest.seed


def _difference(data: DataRecord, usual: DataRecord) -> str:
    if data.fold is not None and data is not usual:
        return "cross-validated, on other images or other folds"
    if usual.fold is not None and data is not usual:
        return "tested on test images, which no fold is"
    parts = []
    for what, key in (("training", "train"), ("test", "test"), ("validation", "split")):
        own, other = getattr(data, f"{key}_sha256"), getattr(usual, f"{key}_sha256")
        if own != other:
            parts.append(f"other {what} images ({_name(own)} instead of {_name(other)})")
    return ", ".join(parts)


def _name(sha256: str | None) -> str:
    """Calls images by the first digits of their fingerprint."""
    return one_line(sha256)[:_DIGITS] if sha256 else "none"


def describe_data(data: DataRecord) -> str:
    """Words which images a set's runs saw."""
    if data.fold is not None:
        num_images = data.fold.num_images or data.num_train + data.num_validation + data.num_test
        folds = f"{data.fold.folds} folds of {num_images:,} training images ({_name(data.fold.whole_sha256)})"
        return f"{one_line(data.name)}: cross-validation, {folds}"
    counts = f"{data.num_train:,} to train on, {data.num_validation:,} to validate, {data.num_test:,} to test"
    return f"{one_line(data.name)}: {counts}"


def count_looks(runs: Iterable[Run]) -> list[str]:
    """Says for each set of test images how often the compared runs have looked at them; no fold is one."""
    num_runs, num_looks, names = Counter[str](), Counter[str](), dict[str, str]()
    for run in runs:
        if run.fold is not None:
            continue
        sha256 = run.data.test_sha256 or ""
        names[sha256] = f"{one_line(run.data.name)} ({_name(sha256)})"
        num_runs[sha256] += 1
        num_looks[sha256] += looks(run)
    sentences = []
    for sha256, count in num_runs.most_common():
        times, warning = "once", ""
        if num_looks[sha256] > 1:
            times = f"{num_looks[sha256]:,} times"
            warning = "; choosing a run by its test accuracy is one more look, and favours luck"
        sentences.append(
            f"The test images of {names[sha256]} were looked at {times} by {plural(count, 'run')}{warning}."
        )
    return sentences


def looks(run: Run) -> int:
    """Counts how often a completed run scored a network on the test images."""
    if run.validates_on_test:
        return run.result.epochs + 1
    return len(getattr(run.result, "winner_test_accuracies", ())) or 1


def without_contradictions(trainings: Sequence[Run]) -> tuple[list[Run], list[DamagedRun]]:
    """Parts completed trainings whose predictions can be those of their test images from those that cannot.

    Most runs on the same test images decide what its labels are. Runs without predictions are believed.
    """
    kept, damaged = [], []
    votes: dict[str, Counter[bytes]] = {}
    for run in trainings:
        try:
            found = run.predicted_classes
        except DamagedRun as error:
            damaged.append(error)
            continue
        kept.append(run)
        if found is not None:
            votes.setdefault(run.data.test_sha256 or "", Counter())[found.labels.tobytes()] += 1
    usual = {sha256: counts.most_common(1)[0][0] for sha256, counts in votes.items()}
    believed = []
    for run in kept:
        found = run.predicted_classes
        if found is None or found.labels.tobytes() == usual[run.data.test_sha256 or ""]:
            believed.append(run)
        else:
            reason = "predictions.npz: its labels differ from those of other runs on the same test images"
            damaged.append(DamagedRun(run.path, reason))
    return believed, damaged
