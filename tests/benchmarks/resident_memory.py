"""How much memory a process and its children hold, as Linux counts it."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

_PROCESSES = Path("/proc")
# A process that ends while it is looked at has no files, or files that cannot be read.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


class Resident(NamedTuple):
    """The memory that a process holds.

    Attributes:
        all_bytes: Its resident set.
        share_bytes: The same, where each page that several processes share counts in equal parts.
    """

    all_bytes: int
    share_bytes: int


def descendants(pid: int) -> list[int]:
    """Lists the children of a process, their children, and so on."""
    children = defaultdict(list)
    for path in _PROCESSES.glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except _GONE:
            continue
        # The name, in brackets, may hold spaces; the state and the parent follow it.
        parent = int(text.rpartition(")")[2].split()[1])
        children[parent].append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children[each]
    return found[1:]


def resident(pid: int) -> Resident:
    """Reads what a process holds; nothing for one that is gone."""
    try:
        text = (_PROCESSES / str(pid) / "smaps_rollup").read_text()
    except _GONE:
        return Resident(0, 0)
    lines = (line.split() for line in text.splitlines()[1:])
    kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines}
    return Resident(1024 * kilobytes["Rss"], 1024 * kilobytes["Pss"])
