"""An export as a document: what each format is, how equal and how fast."""

from mnist_exp.exports.formats import FORMATS, KERAS, Card, Exported
from mnist_exp.report.document import (
    Column,
    Document,
    Fact,
    Facts,
    Row,
    Table,
    Words,
    next_commands,
    row,
)
from mnist_exp.words import accuracy_interval_text, one_line, percent, time_text

_TITLES = {each.name: each.title for each in FORMATS}
_NONE = "–"


def export_document(card: Card, path: str) -> Document:
    """Tells what was exported and how it was proved.

    Args:
        path: Where it was written to, as the user would type it.
    """
    heading = f"{card.model} as {', '.join(_TITLES[each.format] for each in card.formats[1:])}"
    kicker = f"export · {card.run_id} · {time_text(card.exported_at)}"
    document = Document(title=heading, kicker=kicker, heading=heading)
    headings = ("kB", "answers equal", "accuracy", "95% interval", "difference", "ms at 1", "ms at 256")
    columns = [Column("format", "words"), *map(Column, headings)]
    scripts = [f"python {path}/{each.script}" for each in card.formats[1:] if each.script]
    document.parts += [
        Table("Formats", columns, [_measured(each) for each in card.formats], on="both"),
        Words(card.proved, "quiet", on="both"),
        Facts(_facts(card, path), on="both"),
        next_commands(scripts[:1]),
    ]
    return document


def _measured(each: Exported) -> Row:
    """Tells how equal and how fast a format is; milliseconds are those of a whole call."""
    title, size, proof = _TITLES[each.format], f"{each.bytes / 1000:,.1f}", each.proof
    if proof is None:
        return row(title, size, *[_NONE] * 6)
    equal, difference = f"{proof.num_equal:,}", f"{proof.largest_difference:.1e}"
    if proof.num_equal == proof.num_images:
        equal = _NONE if each.format == KERAS else "all"
    times = [f"{call.ms_per_image * call.batch_size:.3g}" for call in proof.latency]
    interval = accuracy_interval_text(proof.accuracy_interval)
    return row(title, size, equal, percent(proof.accuracy), interval, difference, *times)


def _facts(card: Card, path: str) -> list[Fact]:
    facts = [Fact("images", f"{card.data.num_test:,} test images of {card.data.name}: {card.data.source}")]
    for each in card.formats:
        if each.proof is not None and "quantisation" in each.details:
            share = percent(each.proof.num_equal / each.proof.num_images)
            interval = accuracy_interval_text(each.proof.agreement_interval)
            words = f"{share} of the answers equal, {interval}; calibrated on {card.calibration}"
            facts.append(Fact(_TITLES[each.format], words, "careful"))
    for each in card.formats:
        if each.proof is None:
            facts.append(Fact(_TITLES[each.format], f"not measured; open {each.file} in a browser"))
    for each in card.formats:
        if not each.has_front and card.preprocessing != "none":
            words = f"not in {each.file}: {each.script} does {card.preprocessing} first"
            facts.append(Fact("preprocessing", words, "careful"))
    return [*facts, Fact("run", one_line(card.run), "path"), Fact("written", path, "path")]
