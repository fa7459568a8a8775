"""A verification's verdict."""

from rich.console import RenderableType

from mnist_exp.evaluation.verification import Difference, Value, Verification
from mnist_exp.report.console import whole
from mnist_exp.runs import provenance
from mnist_exp.words import one_line, plural


def render_verdict(found: Verification) -> RenderableType:
    """Shows what came of training a run again, on one line however narrow the screen."""
    return whole(word_verdict(found), "good" if found.identical else "careful")


def word_verdict(found: Verification) -> str:
    """Words what came of training a run again."""
    if found.first_difference is None:
        words = f"identical: {_word_compared(found)}, bit for bit"
        if found.changed:
            words += f", though {_word_reasons(found)}"
    else:
        words = f"differs{_word_difference(found.first_difference, found.num_epochs)}; {_word_reasons(found)}"
    if found.not_compared:
        words += f"; not compared, as the run does not have it: {', '.join(found.not_compared)}"
    return one_line(words)


def _word_compared(found: Verification) -> str:
    counts = (
        (found.num_epochs, "epoch"),
        (found.num_arrays, "weights array"),
        (found.num_predictions, "prediction"),
    )
    return ", ".join(plural(count, noun) for count, noun in counts if count)


def _word_difference(difference: Difference, num_epochs: int) -> str:
    if difference.epoch is not None:
        where = f" from epoch {difference.epoch} on"
    else:
        where = f", though the metrics of {plural(num_epochs, 'epoch')} are identical"
    values = f"was {_word(difference.was)}, is {_word(difference.now)}"
    return f"{where}: {difference.quantity} {values}"


def _word(value: Value) -> str:
    return "none" if value is None else str(value)


def _word_reasons(found: Verification) -> str:
    if found.changed:
        return "changed since: " + ", ".join(map(provenance.word, found.changed))
    if found.is_code_known:
        return "nothing recorded has changed: the same commit, versions, threads, device and data"
    return (
        "nothing recorded has changed: the same versions, threads, device and data; "
        "the code may have, as not all of it was in a commit"
    )
