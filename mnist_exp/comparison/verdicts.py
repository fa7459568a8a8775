"""What a comparison comes to in words: the verdict on a set, and what it must be read with."""

from collections.abc import Iterable, Sequence

from mnist_exp.comparison.grouping import ComparableSet, SeedGroup
from mnist_exp.comparison.pairs import Pair
from mnist_exp.report.console import plural
from mnist_exp.runs.provenance import differences
from mnist_exp.runs.run import RunResult
from mnist_exp.trial_words import one_line

_MOST_NAMED = 3
_LONGEST_VALUES = 80


def verdict(pairs: Sequence[Pair], chosen_on_test: bool) -> str:
    """Says in a sentence whether the leading group is better than the others.

    Args:
        pairs: The leading group against each other one.
        chosen_on_test: Whether test images chose the leader.
    """
    if len(pairs) < 2:
        return "".join(pair.sentence for pair in pairs)
    leader = pairs[0].first
    beaten = [pair.second for pair in pairs if pair.is_decided and pair.difference > 0]
    beating = [pair.second for pair in pairs if pair.is_decided and pair.difference < 0]
    equal = [pair.second for pair in pairs if not pair.is_decided]
    parts = [f"is better than {_name_some(beaten)}"] if beaten else []
    parts += [f"is worse than {_name_some(beating)}"] if beating else []
    parts += [f"cannot be told from {_name_some(equal)}"] if equal else []
    words = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if chosen_on_test:
        return f"{leader} leads on the test images, and was chosen by that: it {words}"
    return f"{leader} leads on validation images; on the test images it {words}"


def _name_some(labels: Sequence[str]) -> str:
    """Names a few groups and counts the rest."""
    named = ", ".join(labels[:_MOST_NAMED])
    rest = len(labels) - _MOST_NAMED
    return f"{named} and {rest:,} more" if rest > 0 else named


def notes(found: ComparableSet, sort: str) -> list[str]:
    """Says what a reader of a set's table must know.

    Args:
        found: The set.
        sort: The column that sorts it.
    """
    runs = [run for group in found.groups for run in group.runs]
    return [
        *_word_notices(runs),
        *_word_choice(found.groups, runs, sort),
        *_word_duplicates(found.groups),
        *_word_surroundings(runs),
    ]


def _word_notices(runs: Iterable[RunResult]) -> list[str]:
    """Repeats what a run itself says of its images; runs on the same images say much the same."""
    return list(dict.fromkeys(one_line(run.result.data_notice) for run in runs if run.result.data_notice))[
        :_MOST_NAMED
    ]


def _word_choice(groups: Sequence[SeedGroup], runs: Sequence[RunResult], sort: str) -> list[str]:
    """Says where test images had a part in a choice."""
    found = []
    optimistic = [group.label for group in groups if group.is_optimistic]
    if optimistic:
        verb, whose = ("stands", "its") if len(optimistic) == 1 else ("stand", "their")
        found.append(
            f"Optimistic: {_name_some(optimistic)} {verb} below the others: test images had a part in "
            f"choosing {whose} epochs or {whose} teacher."
        )
    if len(groups) > 1 and all(run.result.val_accuracy is None for run in runs):
        found.append(
            "Nothing was set apart for validation: the leader is the best on test images, which favours it."
        )
    if len(groups) > 1 and sort in ("test_accuracy", "test_loss"):
        found.append("Sorted by test images: a choice made by that is a look at them.")
    return found


def _word_duplicates(groups: Sequence[SeedGroup]) -> list[str]:
    """Says which seeds ran more than once."""
    repeated = [
        f"{group.label} seed {seed}"
        for group in groups
        for seed in sorted({run.manifest.seed for run in group.duplicates})
    ]
    if not repeated:
        return []
    return [f"Run more than once, the latest counts: {_name_some(repeated)}."]


def _word_values(what: str, values: Sequence[str]) -> str:
    """Names what differs and its values, where they are few and short."""
    words = " or ".join(values)
    return one_line(f"{what} ({words})" if len(words) <= _LONGEST_VALUES else what)


def _word_surroundings(runs: Sequence[RunResult]) -> list[str]:
    """Says where seconds, code or test results were not got alike."""
    found = []
    beside = sum(1 for run in runs if run.manifest.sweep and run.manifest.sweep.jobs_at_once > 1)
    if beside:
        found.append(f"{plural(beside, 'run')} had other jobs of a sweep beside them: seconds are longer.")
    if circumstances := differences([run.manifest for run in runs]):
        words = ", ".join(_word_values(what, values) for what, values in circumstances.items())
        found.append(f"Not the same for all runs: {words}. The same seed gives slightly other numbers.")
    commits = {run.manifest.git.commit for run in runs if run.manifest.git}
    if len(commits) > 1:
        found.append(f"The code is that of {len(commits)} commits.")
    untold = sum(1 for run in runs if not run.has_predictions)
    if untold:
        found.append(f"{plural(untold, 'run')} without predictions.npz: nothing is known image by image.")
    return found
