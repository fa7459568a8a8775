"""Whether a run that was trained again came out as before, and if not, where it parts and what changed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mnist_exp.data.fingerprints import Part, find_other_images
from mnist_exp.evaluation.results import Sameness
from mnist_exp.evaluation.splits import ScoredSplit
from mnist_exp.runs import provenance
from mnist_exp.runs.folder import PREDICTIONS
from mnist_exp.runs.provenance import Change
from mnist_exp.runs.records import EpochMetrics, GitRecord, Manifest
from mnist_exp.runs.run import Arrays, DamagedRun, Run
from mnist_exp.statistics import accuracy, cross_entropy
from mnist_exp.words import percent, plural

Value = int | float | str | None
_COMPARED = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
_RESULTS = ("best_epoch", "test_accuracy")
_SHORT = 7
_HASH = 8
Probabilities = NDArray[np.float32]
Rows = Sequence[EpochMetrics]


class Difference(Struct, frozen=True, kw_only=True, rename={"now": "is"}):
    """Where two trainings part.

    Attributes:
        epoch: The first epoch whose metrics differ; null where all metrics are the same.
        quantity: A metric, a value in a file of arrays, or a part of the result.
        now: In the training that repeats it; `is` in the file.
    """

    epoch: int | None
    quantity: str
    was: Value
    now: Value


class Verification(Struct, frozen=True, kw_only=True):
    """`verification.json`: what came of training a run again.

    Attributes:
        of: The run's id.
        identical: Whether everything that could be compared is the same to the last bit.
        first_difference: Null where there is none.
        num_arrays: Number of arrays of weights compared, the optimizer's among them.
        not_compared: Files that the run should have and has not.
        changed: What is known to be other than it was.
        is_code_known: Whether both times all code was in a commit; what is in none leaves no trace.
    """

    of: str
    identical: bool
    first_difference: Difference | None
    num_epochs: int
    num_arrays: int
    num_predictions: int
    not_compared: list[str]
    changed: list[Change]
    is_code_known: bool


def verify(was: Run, now: Run) -> Verification:
    """Compares a training with its repetition, bit for bit but for durations; raises DamagedRun."""
    rows = was.read_metrics(), now.read_metrics()
    first = next(_differences(was, now, rows), None)
    sizes = {file: len(arrays) for file, arrays in was.arrays.items() if file != PREDICTIONS}
    return Verification(
        of=was.manifest.run_id,
        identical=first is None,
        first_difference=first,
        num_epochs=min(map(len, rows)),
        num_arrays=sum(sizes.values()),
        num_predictions=len(was.arrays.get(PREDICTIONS, {}).get("labels", ())),
        not_compared=[file for file in now.arrays if file not in was.arrays],
        changed=list(_changes(was.manifest, now.manifest)),
        is_code_known=_is_known(was.manifest.git) and _is_known(now.manifest.git),
    )


def _differences(was: Run, now: Run, rows: tuple[Rows, Rows]) -> Iterator[Difference]:
    """Yields what differs, the earliest first."""
    yield from _row_differences(*rows)
    for file, arrays in was.arrays.items():
        yield from _array_differences(file, arrays, now.arrays[file])
    for name in _RESULTS:
        before, after = getattr(was.result, name), getattr(now.result, name)
        if before != after:
            yield Difference(epoch=None, quantity=f"summary.json {name}", was=before, now=after)


def _row_differences(was: Rows, now: Rows) -> Iterator[Difference]:
    for number, (old, new) in enumerate(zip(was, now, strict=False), 1):
        for name in _COMPARED:
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                yield Difference(epoch=number, quantity=name, was=before, now=after)
    if len(was) != len(now):
        first = min(len(was), len(now)) + 1
        yield Difference(epoch=first, quantity="number of epochs", was=len(was), now=len(now))


def _array_differences(file: str, was: Arrays, now: Arrays) -> Iterator[Difference]:
    for name in dict.fromkeys([*was, *now]):
        before, after = was.get(name), now.get(name)
        then, later = _describe(before), _describe(after)
        if before is not None and after is not None and then == later:
            num_changed = _count_changed(before, after)
            if num_changed == 0:
                continue
            later += f" with {num_changed:,} of {plural(after.size, 'value')} changed"
        yield Difference(epoch=None, quantity=f"{file} {name}", was=then, now=later)


def _count_changed(was: NDArray[Any], now: NDArray[Any]) -> int:
    """Counts the elements with other bits; a number can be equal without being the same."""
    bits = [
        np.frombuffer(array.tobytes(), np.uint8).reshape(array.size, array.itemsize) for array in (was, now)
    ]
    return int((bits[0] != bits[1]).any(axis=1).sum())


def _describe(array: NDArray[Any] | None) -> str:
    if array is None:
        return "missing"
    return f"{array.dtype} {' × '.join(map(str, array.shape)) or 'scalar'}"


def _changes(was: Manifest, now: Manifest) -> Iterator[Change]:
    yield from provenance.changes(was, now)
    engines = (manifest.engine.name if manifest.engine else None for manifest in (was, now))
    yield from _change("engine", *engines)
    yield from _change("code", _describe_code(was.git), _describe_code(now.git))
    for each in was.resumed:
        before = f"resumed after epoch {each.epoch}, up to {each.epochs} epochs"
        yield Change(what="training", was=before, now="in one go")


def _change(what: str, was: str | None, now: str | None) -> Iterator[Change]:
    if was != now:
        yield Change(what=what, was=was or "unknown", now=now or "unknown")


def _describe_code(git: GitRecord | None) -> str | None:
    if git is None:
        return None
    return git.commit[:_SHORT] + (" with uncommitted changes" if git.dirty else "")


def _is_known(git: GitRecord | None) -> bool:
    return git is not None and not git.dirty


def compare_with_run(
    run: Run,
    scored: ScoredSplit,
    probabilities: Probabilities,
    threads: int,
    device: str,
) -> Sameness:
    """Compares a network's answers, float32 (N, C), with those that a completed run wrote down.

    `threads` and `device`, `CPU` or `GPU`, are this process's.
    """
    if (difference := _other_images(run, scored)) is not None:
        return Sameness(is_identical=None, sentence=difference)
    match scored.split:
        case "test":
            same = _compare_test(run, scored.seen.labels, probabilities)
        case "validation":
            same = _compare_validation(run, scored.seen.labels, probabilities)
        case "train":
            sentence = "not comparable: a run's training accuracy is measured while its weights move"
            return Sameness(is_identical=None, sentence=sentence)
    changes = provenance.changes_since(run.manifest, threads, device)
    if same.is_identical is False and changes:
        reasons = "; ".join(provenance.word(change, "{} {} then, {} now") for change in changes)
        return Sameness(is_identical=False, sentence=f"{same.sentence} ({reasons})")
    return same


def _other_images(run: Run, scored: ScoredSplit) -> str | None:
    """Says that these are not the images that the run saw; None when they are."""
    found: dict[Part, str | None] = {"test": scored.sha256}
    if not scored.is_test:
        found = {"train": scored.sha256, "split": scored.split_sha256}
    other = find_other_images(run.data, found)
    if other is None:
        return None
    if other.part == "split":
        return "not the run's own validation split: other images of the same training set are held out"
    return (
        f"not the run's own {other.name}: {scored.source.name} with SHA-256 {scored.sha256[:_HASH]}… "
        f"instead of {run.data.name} with {(other.was or 'none')[:_HASH]}…"
    )


def _compare_test(run: Run, labels: NDArray[np.uint8], probabilities: Probabilities) -> Sameness:
    now = accuracy(probabilities, labels), cross_entropy(probabilities, labels)
    then = run.result.test_accuracy, run.result.test_loss
    own = _read_probabilities(run, labels, probabilities.shape[1])
    if isinstance(own, str):
        same = "the same accuracy and loss as in summary.json" if now == then else _word_accuracies(now, then)
        return Sameness(is_identical=now == then, sentence=f"{same}; predictions.npz: {own}")
    if now == then and np.array_equal(own, probabilities):
        count = f"{len(labels):,} × {probabilities.shape[1]}"
        sentence = (
            f"identical to the run's own: accuracy, loss and all {count} probabilities, to the last bit"
        )
        return Sameness(is_identical=True, sentence=sentence)
    return Sameness(
        is_identical=False, sentence=f"{_word_accuracies(now, then)}; {_word_farthest(own, probabilities)}"
    )


def _compare_validation(run: Run, labels: NDArray[np.uint8], probabilities: Probabilities) -> Sameness:
    """Compares with the best epoch's validation accuracy, of which only the share is known."""
    then = run.result.val_accuracy
    if then is None:
        return Sameness(is_identical=None, sentence="not comparable: the run had no validation images")
    now = int((probabilities.argmax(axis=1) == labels).sum())
    own = round(then * len(labels))
    if now == own:
        sentence = f"identical to the run's best epoch: {now:,} of {plural(len(labels), 'image')} right"
        return Sameness(is_identical=True, sentence=sentence)
    return Sameness(is_identical=False, sentence=f"{now:,} right; the run's best epoch had {own:,}")


def _read_probabilities(run: Run, labels: NDArray[np.uint8], num_classes: int) -> Probabilities | str:
    """Reads what the run said of the same images; why not, where that cannot be had."""
    try:
        own = run.read_predictions()
    except DamagedRun as error:
        return error.reason.removeprefix(f"{PREDICTIONS}: ")
    if own is None:
        return "missing"
    if own.num_classes != num_classes or not np.array_equal(own.labels, labels):
        return "holds the labels of other images"
    return own.probabilities


def _word_accuracies(now: tuple[float, float], then: tuple[float, float]) -> str:
    if now[0] == then[0]:
        return f"the same accuracy as the run's own; loss {now[1]:.9g} instead of {then[1]:.9g}"
    return f"not the run's own result: {percent(now[0])} instead of {percent(then[0])}"


def _word_farthest(own: Probabilities, now: Probabilities) -> str:
    farthest = float(np.abs(own.astype(np.float64) - now).max())
    num_changed = int((own.argmax(axis=1) != now.argmax(axis=1)).sum())
    changed = plural(num_changed, "image")
    return f"probabilities differ by up to {farthest:.1e}, the predicted class for {changed}"
