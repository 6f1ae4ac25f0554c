"""A server of a benchmark as a process of its own: it prints its port and serves until it is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]


@contextmanager
def running(module: str, kind: str, keys: int) -> Iterator[tuple[int, int]]:
    """One of a module's servers, knowing so many keys: its process id and its port."""
    process = subprocess.Popen([sys.executable, "-m", module, kind, str(keys)], cwd=TESTS, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdout.close()
    finally:
        process.kill()
        process.wait()
