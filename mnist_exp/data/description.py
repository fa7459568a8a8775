"""What was understood of a data set, and what is odd about it: told before training, kept in the manifest."""

import numpy as np

from mnist_exp.data.dataset import Images, LabelledImages, Source, TrainingData
from mnist_exp.data.fingerprints import mark_common
from mnist_exp.runs.records import DataDescription
from mnist_exp.words import plural

_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def describe(source: Source, seen: TrainingData, test: Images | None) -> DataDescription:
    """Describes images as they lie in files; `test` is None while they have not been looked at."""
    parts: dict[str, LabelledImages] = {"train": seen.training}
    if seen.validation is not None and not seen.selected_on_test:
        parts["validation"] = seen.validation
    if test is not None:
        parts["test"] = test
    counts = {}
    for name, part in parts.items():
        counts[name] = np.bincount(part.labels, minlength=len(source.class_names)).tolist()
    notes = list(source.found.notes)
    if source.has_own_validation:
        notes.append("The files' own validation images are used; data.validation does not count.")
    if source.fold is not None:
        notes += _small_classes(source, counts)
    if source.first_label:
        last = len(source.class_names)
        notes.append(f"Labels 1 to {last} became 0 to {last - 1}.")
    if source.known_sha256["train"] != (seen.whole_sha256 or seen.train_sha256):
        notes += _constant(parts) + _duplicates(parts)
    return DataDescription(
        kind=source.found.kind,
        image_shape=list(source.found.image_shape),
        class_names=list(source.class_names),
        counts=counts,
        notes=notes,
    )


def _small_classes(source: Source, counts: dict[str, list[int]]) -> list[str]:
    folds = source.fold[0] if source.fold else 0
    sizes = zip(source.class_names, *counts.values(), strict=True)
    small = [str(name) for name, *each in sizes if 0 < sum(each) < folds]
    return [f"Of some classes, not every fold has an image: {', '.join(small):.200}."] if small else []


def _constant(parts: dict[str, LabelledImages]) -> list[str]:
    sentences = []
    for name, part in parts.items():
        pixels = part.images.reshape(len(part), -1)
        if count := int((pixels.min(axis=1) == pixels.max(axis=1)).sum()):
            sentences.append(f"Of one grey level throughout: {plural(count, f'{_WORDS[name]} image')}.")
    return sentences


def _duplicates(parts: dict[str, LabelledImages]) -> list[str]:
    """Counts images that a network is trained on and measured by, pixel for pixel."""
    sentences = []
    for name in ("validation", "test"):
        if name not in parts:
            continue
        if count := int(mark_common(parts[name].images, parts["train"].images).sum()):
            sentences.append(f"Also among the training images: {plural(count, f'{name} image')}.")
    return sentences
