"""`mode=export`: a finished run's network in other tools' formats, proved equal."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from mnist_exp.config.overrides import plain_key
from mnist_exp.config.parsing import none_given, read_request, refuse_unused
from mnist_exp.config.requests import ExportOptions
from mnist_exp.config.schema import Text
from mnist_exp.data.fingerprints import load_own_data, own_data_node
from mnist_exp.evaluation.splits import choose_data
from mnist_exp.evaluation.work import quietly
from mnist_exp.exports.formats import CARD, choose_formats
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs import files
from mnist_exp.runs.finding import choose_run, read_finished
from mnist_exp.runs.writer import claim_folder

_DATA_PATH = "data.path"


class ExportRequest(Struct, frozen=True, kw_only=True):
    """What `mode=export` reads of a configuration.

    Attributes:
        run: `latest`, `best` (by validation accuracy), a directory; null when not given.
        runs_dir: The folder that the export's own folder is made in, and runs are looked for in.
        data: The command line's data node, of which `path` counts where it was typed.
    """

    run: str | None
    runs_dir: Text
    export: ExportOptions
    data: dict[str, Any]
    typed: list[str] = []


def accept(tree: dict[str, Any], typed: Sequence[str]) -> ExportRequest:
    """Checks a request.

    Raises:
        ConfigError: A key is not accepted, is of no use here, or is missing; or an extra is.
    """
    accepted = f"run, export.format, runs_dir, {_DATA_PATH}"
    refuse_unused(typed, "export", "takes a finished run's network as it is", accepted, also=[_DATA_PATH])
    request = read_request({**tree, "typed": list(typed)}, ExportRequest)
    for key, value in (("run", request.run), ("export.format", request.export.format)):
        if not value:
            raise none_given(key, request.runs_dir, "mode=export", "run=latest", "export.format=onnx")
    choose_formats(request.export.format or "")
    return request


def run(request: ExportRequest, terminal: Terminal, given: Path | None) -> None:
    """Exports a finished run's network, and proves every format on the run's own test images.

    Args:
        given: The folder to use; None for a new one.

    Raises:
        ConfigError: There is no such run, its images are not here, or a format cannot express its network.
        RunError: A format is not equal to the network, or a file could not be written.
    """
    run, config = read_finished(choose_run(str(request.run), Path(request.runs_dir)))
    path = request.data["path"] if _DATA_PATH in map(plain_key, request.typed) else None
    images = load_own_data(run, choose_data(own_data_node(run, path), {}, []), terminal.download_progress)
    label = f"export_{config.model.name}"
    with quietly():
        # Imported here, as the network needs TensorFlow: a wrong request is refused before.
        from mnist_exp.exports import writing
        from mnist_exp.report.console import render_parts
        from mnist_exp.report.export import export_document
        from mnist_exp.report.html import write_page
        from mnist_exp.training import loading

        loading.start_as(run, config)
        formats = choose_formats(request.export.format or "")
        with _removed_on_failure(claim_folder(Path(request.runs_dir), label, given)) as folder:
            card = writing.export(run, config, formats, images, folder, terminal.print)
            document = export_document(card, str(folder))
            write_page(folder, document)
            # The last: a folder that has one is proved.
            files.write_json(folder / CARD, card)
    terminal.print(render_parts(document.parts))


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[Path]:
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
