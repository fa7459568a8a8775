"""Places at which work is done: a worker process here, or a process that a launcher lends.

The latter reads requests from one file, and writes replies to another: each file has one writer.
"""

import time
from collections.abc import Callable
from pathlib import Path

from mnist_exp.errors import RunError
from mnist_exp.processes.child import Child, explain_end
from mnist_exp.processes.messages import (
    Alive,
    Ended,
    Leave,
    Lost,
    PrepareTrials,
    Reply,
    Request,
    RunJob,
    RunTrial,
    read_reply,
    read_request,
    to_line,
)
from mnist_exp.runs.records import ErrorRecord

SIGN_OF_LIFE_S = 10.0
"""Seconds between two `Alive`."""

_MOST_GROWTH_BYTES = 400_000_000
"""A worker is replaced when it holds so much more than after its second task."""

_MOST_FAILED_STARTS = 3

_REQUESTS, _REPLIES = "requests.jsonl", "replies.jsonl"
_POLL_S = 0.1
_MOST_SILENCE_S = 60.0
"""After so many seconds without a sign of life the other side is taken for gone."""


class LocalPlace:
    """A worker process, replaced when it ends or holds too much memory; `log` gets its standard error."""

    def __init__(self, name: str = "", log: Callable[[str], None] | None = None) -> None:
        self.name, self._log = name, log
        self.child = Child()
        self._preparation: PrepareTrials | None = None
        self._is_busy = False
        self._resident: list[int] = []
        self._num_failed_starts = 0

    def send(self, request: Request) -> None:
        """Tells it to do something; a preparation is said to each process that follows, too."""
        if isinstance(request, PrepareTrials):
            self._preparation = request
        self._is_busy = self._is_busy or isinstance(request, RunJob | RunTrial)
        self.child.send(request)

    def receive(self) -> list[Reply]:
        """Takes the replies that are there; raises RunError where processes end before they did anything."""
        status = self.child.status()
        replies = self.child.receive()
        for reply in replies:
            if isinstance(reply, Ended):
                self._is_busy, self._num_failed_starts = False, 0
                self._resident.append(reply.resident_bytes)
        if status is not None:
            replies += self._replace_ended(status)
        elif self._has_grown() and not self._is_busy:
            self._replace()
        return replies

    def close(self) -> None:
        """Ends its process at once."""
        self._last_words()
        self.child.close()

    def _has_grown(self) -> bool:
        """Whether its process holds much more than when everything had been done once."""
        return len(self._resident) > 1 and self._resident[-1] - self._resident[1] > _MOST_GROWTH_BYTES

    def _replace_ended(self, status: int) -> list[Reply]:
        words = self._last_words()
        error = explain_end(status, words)
        was_busy, self._is_busy = self._is_busy, False
        if not was_busy:
            self._count_failed_start(error)
        self._replace()
        return [Lost(status=status, error=error, words=words)] if was_busy else []

    def _last_words(self) -> str:
        words = self.child.last_words()
        if self._log is not None:
            self._log(words)
        return words

    def _replace(self) -> None:
        self.close()
        self.child, self._resident = Child(), []
        if self._preparation is not None:
            self.child.send(self._preparation)

    def _count_failed_start(self, error: ErrorRecord) -> None:
        self._num_failed_starts += 1
        if self._num_failed_starts >= _MOST_FAILED_STARTS:
            raise RunError(f"workers do not start: {error.message.rstrip('.')}.", error.hint)


class Mailbox:
    """Two files, each with one writer, between this process and another that sees the same folder."""

    def __init__(self, path: Path, sends: str, receives: str) -> None:
        self.path = path
        self._sends, self._receives = path / sends, path / receives
        self._position = 0
        self._sent_at = self.heard_at = time.monotonic()

    def send(self, line: bytes) -> None:
        """Adds a line for the other side; nothing where the folder is gone."""
        try:
            with self._sends.open("ab") as file:
                file.write(line)
        except FileNotFoundError:
            return
        self._sent_at = time.monotonic()

    def receive(self) -> list[bytes]:
        """Takes the whole lines that are new, and says now and then that this side is alive."""
        if time.monotonic() - self._sent_at > SIGN_OF_LIFE_S:
            self.send(to_line(Alive()))
        try:
            with self._receives.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        if whole:
            self.heard_at = time.monotonic()
        return whole.splitlines()


class LentPlace:
    """A place that a launcher lends, seen from the searching process; it has made its folder itself.

    Attributes:
        was_given_back: Whether its process has ended, as far as the launcher knows.
        is_lost: Whether nothing more is to be expected of it.
        num_ended: How many tasks it has ended.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._mailbox = Mailbox(path, _REQUESTS, _REPLIES)
        self._is_busy = False
        self.was_given_back = self.is_lost = False
        self.num_ended = 0

    def send(self, request: Request) -> None:
        """Tells it to do something."""
        self._is_busy = self._is_busy or isinstance(request, RunTrial)
        self._mailbox.send(to_line(request))

    def receive(self) -> list[Reply]:
        """Takes the replies that are there."""
        was_given_back = self.was_given_back  # before its last reply is read
        replies = [read_reply(line) for line in self._mailbox.receive()]
        for reply in replies:
            if isinstance(reply, Ended | Lost):
                self._is_busy = False
                self.num_ended += 1
        silent_s = time.monotonic() - self._mailbox.heard_at
        if was_given_back or silent_s > _MOST_SILENCE_S:
            replies += self._write_off()
        return replies

    def close(self) -> None:
        """Lets it end what it is doing, and go."""
        self.send(Leave())

    def _write_off(self) -> list[Reply]:
        self.is_lost = True
        self.close()
        if not self._is_busy:
            return []
        message = "the process was ended" if self.was_given_back else "no sign of life for a minute"
        error = ErrorRecord(type="ProcessLost", message=message, hint="The launcher's log may say more.")
        return [Lost(status=1, error=error, words="")]


Place = LocalPlace | LentPlace


def lend_place(folder: Path, name: str, log: Callable[[str], None]) -> None:
    """Works for a searching process until it says that nothing is left, or is gone.

    Args:
        name: What records call this one; no other place has it.
        log: Told what worker processes wrote to standard error.
    """
    path = folder / name
    try:
        path.mkdir()
    except FileNotFoundError:  # the search is over
        return
    mailbox = Mailbox(path, _REPLIES, _REQUESTS)
    mailbox.send(to_line(Alive()))
    place = LocalPlace(name, log)
    try:
        while path.exists() and time.monotonic() - mailbox.heard_at < _MOST_SILENCE_S:
            for line in mailbox.receive():
                request = read_request(line)
                if isinstance(request, Leave):
                    return
                place.send(request)
            for reply in place.receive():
                mailbox.send(to_line(reply))
            time.sleep(_POLL_S)
    finally:
        place.close()
