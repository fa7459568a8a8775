"""Which images, where from, and what is done to them."""

from typing import Literal

from mnist_exp.config.schema.values import Count, Name, Node, Seed


class MirrorConfig(Node, frozen=True):
    """A public place to download a data set from.

    Attributes:
        url: The folder's address, with a slash at its end.
        files: File name to `algorithm:hex digest`.
    """

    url: str
    files: dict[str, str]


class DataConfig(Node, frozen=True):
    """Which images, where they come from, and how the validation images are set apart.

    Attributes:
        name: The data set's name in manifests and messages.
        path: An `.npz` file with Keras' keys or a folder with the four IDX files;
            null looks at the environment variable `path_variable`, then at `places`.
        path_variable: Environment variable that stands in for `path`; null for none.
        places: Files or folders to look at when no path is given; `~` is the home
            folder, `{keras}` is Keras' own folder.
        mirrors: Where to download from when nothing is found, tried in order.
        on_missing: `sample` falls back to the bundled digits, `error` refuses.
        validation: Number of training images set apart for validation (0 for none), or
            `test` to validate on the test images, as the original study did: every number
            that comes out of such a run is then marked as chosen on test images.
        split_seed: Seed of the stratified choice of validation images.
        class_names: Name of each label, 0 upwards.
        train_sha256: Fingerprint of the canonical training images and labels; null when
            there is none.
        test_sha256: The same for the test images and labels.
        preprocessing: `deskew` makes slanted things upright; see `mnist_exp.training.preprocessing`.
            Runs from before there was such a key are read as `none`.
    """

    name: Name
    path: str | None
    path_variable: str | None
    places: list[str]
    mirrors: list[MirrorConfig]
    on_missing: Literal["sample", "error"]
    validation: Count | Literal["test"]
    split_seed: Seed
    class_names: list[str]
    train_sha256: str | None
    test_sha256: str | None
    preprocessing: Literal["none", "deskew"] = "none"
