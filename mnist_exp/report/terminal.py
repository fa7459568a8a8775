"""Where text goes: the screen, `train.log` and stderr, each in the form it can bear.

Nothing that a user wrote is read as markup, and nothing but a terminal receives control characters.
"""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mnist_exp.errors import ExperimentError
from mnist_exp.report.epoch_lines import EpochLines
from mnist_exp.report.streams import Log, Output, PlainText, replace_unencodable, silence
from mnist_exp.runs.records import EpochMetrics
from mnist_exp.words import duration, size, without_control

PLAIN_WIDTH = 100

_REDRAWS_PER_SECOND = 2
_NO_READER = (errno.EPIPE, errno.EIO)
"""Of a pager that was left, and of a terminal that was closed."""
_OUTPUT_LOST = (*_NO_READER, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Screen(Console):
    """A console whose reader may go away: the run continues, its log whole; `failure` is None until then."""

    failure: OSError | None = None

    def on_broken_pipe(self) -> None:
        """Says nothing more; called while the error is handled."""
        self.quiet = True
        error = sys.exception()
        assert isinstance(error, OSError)
        self.failure = error
        silence(sys.stdout)


class Terminal:
    """The screen, the log and stderr.

    On a terminal, output is coloured (NO_COLOR is honoured) and training shows a live bar, a search
    a live table. Off a terminal and in the log it is plain text, 100 columns wide whatever the
    environment says.

    Args:
        stdout: Where output goes; the process's by default.
        stderr: Where error lines go; the process's by default.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        for stream in (self._stdout, self._stderr):
            replace_unencodable(stream)
        on_terminal = self._stdout.isatty()
        self._screen = (
            _colour_console(self._stdout)
            if on_terminal
            else _plain_console(cast(TextIO, Output(self._stdout)))
        )
        self._live = on_terminal and not self._screen.is_dumb_terminal
        self._kept = StringIO()
        self._log_file: TextIO = self._kept
        self._log = _plain_console(self._kept)
        self._live_part: Progress | Live | None = None
        self._downloads: dict[str, int] = {}

    @property
    def is_live(self) -> bool:
        """Whether the screen is a terminal that can redraw lines."""
        return self._live

    def print(self, *renderables: RenderableType) -> None:
        """Shows renderables on the screen and in the log. Strings are shown as they are."""
        for renderable in renderables:
            # Not cropped: a command to copy may be longer than the screen; all else keeps to its width.
            self._screen.print(renderable, crop=False)
            self._log.print(renderable, crop=False)
        try:
            self._screen.file.flush()
        except BrokenPipeError:
            self._screen.on_broken_pipe()
        self._log.file.flush()

    def error(self, line: str) -> None:
        """Writes one line to stderr and the log; line breaks in it become spaces."""
        self._end_live_part()
        plain = " ".join(without_control(line).split())
        for stream in (self._stderr, self._log.file):
            try:
                stream.write(f"{plain}\n")
                stream.flush()
            except OSError:
                silence(stream)

    @property
    def has_lost_output(self) -> bool:
        """Whether something that is read could not be written to standard output."""
        return self._screen.failure is not None and self._screen.failure.errno not in _NO_READER

    @property
    def has_lost_reader(self) -> bool:
        """Whether nobody reads standard output any more."""
        return self._screen.failure is not None

    def download_progress(self, file_name: str, num_bytes: int, total: int) -> None:
        """Shows a download: a line when a file begins, then tenths on a terminal; `total` 0 is unknown."""
        if file_name not in self._downloads:
            self.print(f"downloading {file_name}" + (f" ({size(total)})" if total else ""))
            self._downloads[file_name] = 0
        tenths = 10 * num_bytes // total if total else 0
        if self._live and tenths > self._downloads[file_name]:
            self._downloads[file_name] = tenths
            self._screen.print(f"  {10 * tenths}%", end="\n" if tenths == 10 else "\r")

    def attach_log(self, log: str | Path | TextIO) -> None:
        """Sends what was shown so far, and everything from now on, to a log as plain text."""
        file = Path(log).open("a", encoding="utf-8") if isinstance(log, str | Path) else log  # noqa: SIM115
        self._log = _plain_console(cast(TextIO, Log(file)))
        self._log.file.write(self._kept.getvalue())
        self._log.file.flush()
        self._kept = StringIO()
        self._log_file = file

    def close(self) -> None:
        """Closes the log, and says so where output was lost that something reads."""
        if self.has_lost_output:
            self.error(f"mnist-exp: {_describe_loss(self._screen.failure)}")
        with suppress(OSError):
            self._log_file.close()

    @contextmanager
    def training_progress(self, epochs: int, first_epoch: int = 1) -> Iterator["EpochProgress"]:
        """Shows training: a line an epoch and, on a terminal, a bar with the time left."""
        bar = _progress_bar(self._screen) if self._live else None
        progress = EpochProgress(self, epochs, first_epoch, bar)
        try:
            with self._drawing(bar):
                yield progress
        finally:
            progress.finish()

    @contextmanager
    def live_view(self, render: Callable[[], RenderableType]) -> Iterator[None]:
        """Shows a view below the printed lines and keeps it up to date; off a terminal it shows nothing.

        `render` is called twice a second from a thread of its own. It must be
        quick, must not raise, and must not wait for a lock that is held while printing.
        """
        view = None
        if self._live:
            view = Live(
                get_renderable=render, console=self._screen, transient=True,
                refresh_per_second=_REDRAWS_PER_SECOND,
            )  # fmt: skip
        with self._drawing(view):
            yield

    @contextmanager
    def _drawing(self, part: Progress | Live | None) -> Iterator[None]:
        """Keeps the part of the screen that redraws itself on it, until an error or the end."""
        self._live_part = part
        try:
            if part is not None:
                part.start()
                part.refresh()
            yield
        finally:
            self._end_live_part()

    def _end_live_part(self) -> None:
        if self._live_part is not None:
            self._live_part.stop()
            self._live_part = None


@contextmanager
def tolerating_lost_output() -> Iterator[None]:
    """Ends the block when what it prints by other ways than a `Terminal` is lost.

    Raises:
        ExperimentError: Something reads it; nothing is raised where a reader went away.
    """
    try:
        yield
    except OSError as error:
        # Hydra opens files by name; only a stream that cannot be written has none.
        if error.filename is not None or error.errno not in _OUTPUT_LOST:
            raise
        silence(sys.stdout)
        if error.errno not in _NO_READER:
            raise ExperimentError(_describe_loss(error)) from error


def _describe_loss(failure: OSError | None) -> str:
    return f"standard output: {failure.strerror if failure else 'lost'}."


class EpochProgress:
    """Lines and bar of one training; made by `Terminal.training_progress`."""

    def __init__(self, terminal: Terminal, epochs: int, first_epoch: int, bar: Progress | None) -> None:
        self._terminal = terminal
        self._lines = EpochLines(epochs, first_epoch, thin=not terminal.is_live)
        self._bar = bar
        self._epochs = epochs
        if bar is not None:
            self._task = bar.add_task("training", total=epochs, completed=first_epoch - 1, left="")

    def epoch(self, row: EpochMetrics, is_best: bool) -> None:
        """Shows a finished epoch."""
        self._terminal.print(*self._lines.add(row, is_best))
        if self._bar is not None:
            left = self._lines.typical_duration * (self._epochs - row.epoch)
            self._bar.update(self._task, completed=row.epoch, left=f"{duration(left)} left")

    def finish(self) -> None:
        """Shows the last epoch if thinning had left it out."""
        self._terminal.print(*self._lines.rest())


def _plain_console(stream: TextIO) -> _Screen:
    return _Screen(
        file=cast(TextIO, PlainText(stream)), width=PLAIN_WIDTH, force_terminal=False,
        force_interactive=False,
        force_jupyter=False, color_system=None, no_color=True, markup=False, emoji=False, highlight=False,
    )  # fmt: skip


def _colour_console(stream: TextIO) -> _Screen:
    file = cast(TextIO, Output(stream))
    return _Screen(file=file, markup=False, emoji=False, highlight=False)


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None, style="bright_black", complete_style="cyan", finished_style="cyan"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", style="cyan", markup=False),
        console=console, transient=True, refresh_per_second=_REDRAWS_PER_SECOND, expand=True,
    )  # fmt: skip
