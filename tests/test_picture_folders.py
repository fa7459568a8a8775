"""A folder of pictures with one folder a class: read, kept for the next start, and folders that mean harm."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_exp.data.formats import open_data
from mnist_exp.data.found import FoundData
from mnist_exp.runs.archives import FormatError
from tests.conftest import Run
from tests.digits import sample_digits

IMAGES, LABELS = sample_digits(60)
ENDINGS = ("png", "bmp", "gif", "tiff", "webp")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "mnist-exp" / "pictures"


def save_classes(folder: Path, first: int = 0, last: int = 60) -> Path:
    """Saves digits under class<digit + 1>, so that the classes are class1 to class10, in all forms."""
    for number in range(first, last):
        place = folder / f"class{LABELS[number] + 1}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{number:03}.{ENDINGS[number % len(ENDINGS)]}"
        Image.fromarray(IMAGES[number]).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    return folder


def expected(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    order = sorted(range(first, last), key=lambda number: (LABELS[number], number))
    return IMAGES[order], LABELS[order]


def check(found: FoundData, part: str, first: int, last: int) -> None:
    images, labels = expected(first, last)
    assert (found.arrays[f"x_{part}"].read() == images).all()
    assert (found.arrays[f"y_{part}"].read() == labels).all()


def test_one_folder_a_class_in_natural_order(tmp_path: Path) -> None:
    found = open_data(save_classes(tmp_path / "in"))
    assert found.kind == "a folder of pictures" and "scaled" not in " ".join(found.notes)
    assert found.names == tuple(f"class{number}" for number in range(1, 11))
    check(found, "train", 0, 60)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "testing")])
def test_parts_have_folders_of_their_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    for first, name in zip((0, 20, 40), names, strict=True):
        save_classes(tmp_path / name, first, first + 20)
    found = open_data(tmp_path)
    assert found.parts == ["train", "validation", "test"] and len(found.names) == 10
    for first, part in zip((0, 20, 40), found.parts, strict=True):
        check(found, part, first, first + 20)


def test_pictures_become_grey_squares_of_one_size(tmp_path: Path) -> None:
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        for number in range(3):
            Image.new("RGB", (20, 20), (255, 0, 0)).save(folder / f"{number}.png")
    Image.new("L", (40, 20), 7).save(tmp_path / "a" / "wide.png")
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (5, 5, 15, 15))
    clear.save(tmp_path / "b" / "clear.png")
    (tmp_path / "b" / "notes.txt").write_text("x")
    (tmp_path / "b" / ".hidden.png").write_text("x")
    (tmp_path / "loose.png").write_text("x")
    (tmp_path / ".cache").mkdir()
    found = open_data(tmp_path)
    images = found.arrays["x_train"].read()
    assert found.names == ("a", "b") and images.shape == (8, 20, 20)
    assert (images[0] == round(0.299 * 255)).all() and (images[3] == 7).all()
    assert images[7, 0, 0] == 255 and images[7, 10, 10] == 0
    told = " ".join(found.notes)
    assert "1 of 8 pictures were scaled to 20 × 20 pixels (data.size)" in told
    assert (
        "7 pictures with colours or a palette became grey" in told and "2 files that are no pictures" in told
    )
    assert open_data(tmp_path, 12).image_shape == (12, 12)
    assert open_data(tmp_path).notes == found.notes


def test_a_second_start_reads_what_was_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_exp.data import picture_folders

    def forget() -> None:
        picture_folders._read_squares.cache_clear()

    folder = save_classes(tmp_path / "in")
    open_data(folder)
    assert len(list(cache.iterdir())) == 1
    forget()
    with monkeypatch.context() as patched:
        patched.setattr(picture_folders, "read_square", None)
        check(open_data(folder), "train", 0, 60)
    # Another content of the same name, size and time is another picture.
    first = folder / "class1" / next(path.name for path in (folder / "class1").glob("*.bmp"))
    before = first.stat()
    content = first.read_bytes()
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = open_data(folder).arrays["x_train"].read()
    assert (changed != expected(0, 60)[0]).sum() == 1 and len(list(cache.iterdir())) == 1
    # What was damaged, or cannot be kept, costs the second start alone.
    forget()
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:5000])
    assert (open_data(folder).arrays["x_train"].read() == changed).all()
    forget()
    shutil.rmtree(cache)
    cache.write_text("no folder")
    assert (open_data(folder).arrays["x_train"].read() == changed).all()


def test_what_reads_runs_does_not_open_the_data(run_command: Run, tmp_path: Path, cache: Path) -> None:
    places = {"MNIST_EXP_DATA": str(save_classes(tmp_path / "in")), "XDG_CACHE_HOME": str(cache.parents[1])}
    for words, is_read in (("mode=list", False), ("-m seed=0,1 plan=true", True)):
        done = run_command(*words.split(), cwd=tmp_path, kind="light", **places)
        assert done.returncode == 0 and cache.exists() == is_read


def test_unreadable_pictures_are_named(tmp_path: Path) -> None:
    save_classes(tmp_path)
    for number, content in enumerate((b"", b"hello", IMAGES[:1].tobytes(), b"")):
        (tmp_path / "class1" / f"x{number}.png").write_bytes(content)
    with pytest.raises(FormatError) as refused:
        open_data(tmp_path)
    assert "cannot be read: x0.png (empty), x1.png (not a PNG" in str(refused.value)
    assert "x2.png" in str(refused.value) and str(refused.value).endswith(" and 1 more")
    for path in (tmp_path / "class1").glob("x*"):
        path.unlink()
    Image.new("1", (9000, 9000)).save(tmp_path / "class2" / "bomb.png")
    with pytest.raises(FormatError, match=r"bomb\.png \(too many pixels"):
        open_data(tmp_path)


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    folder, secret = save_classes(tmp_path / "in"), tmp_path / "secret.png"
    Image.fromarray(IMAGES[0]).save(secret)
    link = folder / "class1" / "zz.png"
    link.symlink_to(next((folder / "class1").glob("*.png")))
    assert open_data(folder).arrays["x_train"].shape == (61, 28, 28)
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(FormatError, match=r"has zz\.png, a link out of the folder, which is not followed"):
        open_data(folder)
    link.unlink()
    (folder / "class11").symlink_to(tmp_path)
    with pytest.raises(FormatError, match="has the folder class11 by a link, which is not followed"):
        open_data(folder)


def test_folders_without_classes_are_refused(tmp_path: Path) -> None:
    for names, words in (
        (["a.png"], "holds no data set that is known"),
        (["test/a/1.png", "b/1.png"], "has the folder test, and none called train"),
        (["train/1.png", "test/a/1.png"], "has no folder of a class to train on; accepted: one folder"),
        (["train/a/1.png", "val/a/1.png", "valid/a/1.png"], "has val and valid; accepted: one folder a part"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGES[0]).save(folder / name)
        with pytest.raises(FormatError, match=words):
            open_data(folder)
