"""Where what was built or unpacked is kept: outside the checkout, shared by all checkouts of this user, and safe to delete."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """$KEYTURN_CACHE, else $XDG_CACHE_HOME/keyturn, else ~/.cache/keyturn; made if need be."""
    own, shared = os.environ.get("KEYTURN_CACHE"), os.environ.get("XDG_CACHE_HOME")
    folder = Path(own) if own else Path(shared) / "keyturn" if shared else Path.home() / ".cache" / "keyturn"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def say(sentence: str) -> None:
    """Tell the person who waits; on standard error, since standard output is for data."""
    sys.stderr.write(f"testbed: {sentence}\n")
    sys.stderr.flush()


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Hold the lock `name` against every other process that shares the cache. The kernel lets go of it if we are killed."""
    folder = cache_folder() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is busy with {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Stopwatch:
    """How long something took, for people: 3.8 s."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._start

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s"
