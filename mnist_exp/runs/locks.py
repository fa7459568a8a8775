"""Who is at work in a folder: a lock on its log, which the system gives back when the process ends.

A log is never replaced, as other files are, and can be locked on network file systems, as folders
cannot.
"""

import fcntl
import os
import time
from pathlib import Path

_PAUSES_S = (0.05, 0.1, 0.2)


class Taken(Exception):  # noqa: N818 - not an error by itself
    """Another process holds the lock."""


def take(path: Path) -> int:
    """Takes a lock for this process alone.

    Args:
        path: A log; made where it is missing.

    Returns:
        The descriptor to close.

    Raises:
        Taken: Another process holds it.
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    for pause_s in (*_PAUSES_S, None):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if pause_s is None:
                os.close(descriptor)
                raise Taken from None
            # Someone may just be asking whether it is taken.
            time.sleep(pause_s)
        except OSError:
            # Some network file systems have no locks; the work is worth more than its lock.
            break
    return descriptor


def is_taken(path: Path) -> bool:
    """Says whether some process holds a lock; where nobody can know, yes.

    Args:
        path: A log; nobody holds one that is missing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
