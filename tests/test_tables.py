"""Images in CSV files, in the layouts that people have, and files that mean harm."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_exp.data.formats import open_data
from mnist_exp.data.found import FoundData
from mnist_exp.data.tables import read_table
from mnist_exp.runs.archives import FormatError
from tests.digits import sample_digits

IMAGES, LABELS = sample_digits(40)
ROWS, COLUMN = IMAGES.reshape(40, 784), LABELS[:, np.newaxis]
PLACES = [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)]


def table(*columns: NDArray[np.uint8], names: list[str] | None = None) -> str:
    lines = [",".join(map(str, row)) for row in np.concatenate(columns, axis=1)]
    return "\n".join([",".join(names), *lines] if names else lines) + "\n"


KAGGLE = table(COLUMN, ROWS, names=["label", *[f"pixel{number}" for number in range(784)]])
AMONG = table(ROWS[:, :5], COLUMN, ROWS[:, 5:], names=[*PLACES[:5], "target", *PLACES[5:]])
LAYOUTS = {
    "Kaggle's digit recogniser": KAGGLE,
    "Fashion-MNIST's": table(COLUMN, ROWS, names=["label", *[f"pixel{number}" for number in range(1, 785)]]),
    "mnist_train.csv of MNIST in CSV": table(COLUMN, ROWS, names=["label", *PLACES]),
    "without a header": table(COLUMN, ROWS),
    "the label last": table(ROWS, COLUMN),
    "the label last and named": table(ROWS, COLUMN, names=[*PLACES, '"Class"']),
    "in between, of Windows": "\ufeff" + AMONG.replace("\n", "\r\n"),
    "quoted and with decimal points": table(COLUMN, ROWS).replace(",", '.0", "').replace("\n", "\n\n"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_are_read_in_every_layout(tmp_path: Path, layout: str) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    plain.write_text(LAYOUTS[layout], newline="")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        images, labels = read_table(path)
        assert labels is not None and (images == IMAGES).all() and (labels == LABELS).all()
        assert images.dtype == labels.dtype == np.uint8 and not images.flags.writeable


def test_a_table_without_labels_has_none_and_a_changed_one_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    counted = list(map(str, range(784)))
    for text in (table(ROWS), table(ROWS, names=PLACES), table(ROWS, names=counted)):
        path.write_text(text)
        images, labels = read_table(path)
        assert labels is None and (images == IMAGES).all()
    path.write_text(table(255 - ROWS))
    assert (read_table(path).images == 255 - IMAGES).all()


def test_emnist_is_put_upright(tmp_path: Path) -> None:
    path = tmp_path / "emnist-letters-train.csv"
    path.write_text(table(COLUMN + 1, IMAGES.transpose(0, 2, 1).reshape(40, 784)))
    found = open_data(path)
    assert (found.arrays["x_train"].read() == IMAGES).all() and "put upright" in " ".join(found.notes)
    assert found.names == tuple(map(str, range(1, LABELS.max() + 2)))


LINE = table(COLUMN, ROWS).splitlines()[0]
HOSTILE = {
    "empty": ("", "is empty"),
    "a header alone": (KAGGLE.splitlines()[0], "has no row of numbers"),
    "NaN": (
        LINE + "\n" + LINE[:-1] + "NaN",
        'has "NaN" in line 2, column 785; accepted: whole numbers from 0',
    ),
    "infinite": (KAGGLE + LINE[:-1] + "1e999", 'has "1e999" in line 42, column pixel783'),
    "negative": (KAGGLE + LINE[:-1] + "-1", 'has "-1" in line 42, column pixel783'),
    "too bright": (KAGGLE + LINE[:-1] + "256", 'has "256" in line 42, column pixel783'),
    "a fraction": (KAGGLE + LINE[:-1] + "0.5", 'has "0.5" in line 42, column pixel783'),
    "huge": (LINE[:-1] + "9" * 5000, '99999..." in line 1, column 785'),
    "NaN first": ("NaN" + LINE[1:], 'has "NaN" in line 1, column 1'),
    "nothing": (KAGGLE + LINE[:-1], 'has "" in line 42, column pixel783'),
    "a short row": (LINE + "\n" + LINE[:-2], "has 784 columns in line 2, not 785"),
    "a long row": (LINE + "\n" + LINE + ",1", "has 786 columns in line 2, not 785"),
    "a longer row of words": (LINE + "\n" + LINE + ",cat", 'has "cat" in line 2, column 786'),
    "no square": (LINE + ",0,0", "has 786 columns of pixels; accepted: squares of 8 to 256"),
    "two labels": (KAGGLE.replace("pixel0", "class", 1), "has 2 columns called label, class, target"),
    "other separators": (LINE.replace(",", ";"), "has no row of numbers"),
    "bytes": ("\0" * 3_000_000, "is larger, in line 1, than any table"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_table_of_images_is_refused_by_line_and_column(tmp_path: Path, case: str) -> None:
    text, words = HOSTILE[case]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(FormatError) as refused:
        read_table(path)
    assert str(refused.value).startswith("a.csv ") and words in str(refused.value)
    assert len(str(refused.value)) < 300


def test_what_claims_gigabytes_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(LINE.encode() + b"\n" + bytes(100_000_000)))
    with pytest.raises(FormatError, match="is larger, in line 2, than any table"):
        read_table(path)
    path.write_bytes(gzip.compress(KAGGLE.encode())[:-20])
    with pytest.raises(FormatError, match=r"a\.csv\.gz cannot be read"):
        read_table(path)


def opened(path: Path) -> FoundData:
    found = open_data(path)
    assert found.kind == "CSV" and found.image_shape == (28, 28)
    return found


def test_a_folder_has_a_part_a_file(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist_train.csv").write_text(KAGGLE)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    assert opened(tmp_path).parts == opened(tmp_path / "fashion-mnist_train.csv").parts == ["train"]
    (tmp_path / "fashion-mnist_test.csv").write_text(table(ROWS, names=PLACES))
    found = opened(tmp_path)
    assert found.parts == ["train"] and "fashion-mnist_test.csv has no labels" in found.notes[0]
    (tmp_path / "fashion-mnist_test.csv").write_text(table(COLUMN[:9], ROWS[:9]))
    found = opened(tmp_path)
    assert found.parts == ["train", "test"] and found.notes == []
    assert (found.arrays["x_test"].read() == IMAGES[:9]).all()
    assert found.names == tuple(map(str, range(LABELS.max() + 1)))
    (tmp_path / "mnist_train.csv").write_text(KAGGLE)
    with pytest.raises(FormatError, match=r"fashion-mnist_train\.csv and mnist_train\.csv"):
        open_data(tmp_path)


def test_other_forms_are_refused_with_the_line_that_converts_them(tmp_path: Path) -> None:
    for name, words in (("a b.arff", "a b.csv'"), ("train.parquet", "read_parquet(sys.argv[1])")):
        (tmp_path / name).write_bytes(b"PAR1")
        with pytest.raises(FormatError) as refused:
            open_data(tmp_path / name)
        assert words in str(refused.value)
