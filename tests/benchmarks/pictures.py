"""How well a run reads digits as people bring them: scenes × digits, read correctly, flagged, blank.

mnist-exp experiment=fast_cnn seed=100 hydra.run.dir=fast
python tests/benchmarks/pictures.py fast --data mnist.npz
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from mnist_exp.evaluation.framing import DIGITS, BlankImage, frame
from mnist_exp.evaluation.pictures import read_pictures
from mnist_exp.evaluation.side_by_side import shows_several
from mnist_exp.runs.run import read_run
from mnist_exp.training import loading
from tests.evaluation.scenes import KINDS, Scene, blank_pages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished training on MNIST")
    parser.add_argument("--data", type=Path, required=True, help="an .npz file with Keras' keys")
    parser.add_argument("--digits", type=int, default=100, help="the first so many test images")
    parser.add_argument("--scenes", default="", help="only those whose name holds this")
    chosen = parser.parse_args()
    network = loading.load_network(read_run(chosen.run))
    with np.load(chosen.data, allow_pickle=False) as arrays:
        images, labels = arrays["x_test"][: chosen.digits], arrays["y_test"][: chosen.digits]
    right = int((loading.predict(network, list(images)).argmax(axis=1) == labels).sum())
    print(f"unaltered: {right} of {len(labels)} read correctly\n")
    print("| scene | read correctly | flagged | called blank | unreadable | silently wrong |")
    print("|---|--:|--:|--:|--:|--:|")
    for kind, scenes in KINDS.items():
        for name, scene in scenes.items():
            if chosen.scenes in f"{kind}: {name}":
                measure(f"{kind}: {name}", scene, images, labels, network)
    measure_blank_pages()


def measure(
    name: str, scene: Scene, images: NDArray[np.uint8], labels: NDArray[np.uint8], network: object
) -> None:
    """Draws, reads and counts one scene, and prints its row."""
    generator = np.random.default_rng(5)
    with TemporaryDirectory() as folder:
        paths = []
        for number, image in enumerate(images):
            path = Path(folder) / f"{number:03}.{scene.ending}"
            paths.append(scene.write(scene.draw(image, generator), path))
        read, unread = read_pictures(paths, 28, DIGITS, 0)
    blank = sum("blank" in each.reason for each in unread)
    flagged = right = silent = 0
    found = loading.predict(network, [each.image for each in read]).argmax(axis=1) if read else []
    for picture, answer in zip(read, found, strict=True):
        is_right = answer == labels[int(picture.path.stem)]
        is_flagged = picture.has_surroundings or shows_several(picture.image)
        right += is_right
        flagged += is_flagged
        silent += not is_right and not is_flagged
    print(f"| {name} | {right} | {flagged} | {blank} | {len(unread) - blank} | {silent} |", flush=True)


def measure_blank_pages() -> None:
    """Prints which empty pages are not called blank."""
    for name, page in blank_pages(np.random.default_rng(5)).items():
        try:
            frame(np.rint(255 * page).astype(np.float32) / np.float32(255))
        except BlankImage:
            continue
        print(f"an empty page, {name}: not called blank")


if __name__ == "__main__":
    main()
