"""Ends a plane whose owner is gone, however it went. Started by `processes.py` as a program of its own; standard library only.

Usage: watchdog.py OWNER-PID [FOLDER], with a pipe from the owner as standard input. It leads the process group of all the plane's
processes. When the owner ends (the kernel closes the pipe, also after kill -9) it kills the group and removes FOLDER. One byte on the
pipe means: let them live.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def main() -> None:
    """Wait for the owner's end, then clear up."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # these are meant for the plane, and must not leave it alone
    owner, folders = int(sys.argv[1]), sys.argv[2:]
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    with suppress(ProcessLookupError):  # a fork of the owner may hold the pipe open; its process id tells the truth
        poll.register(os.pidfd_open(owner), select.POLLIN)
    if any(fd == 0 for fd, _ in poll.poll()) and os.read(0, 1):
        return
    group = os.getpgrp()
    if os.fork() == 0:  # the one that clears up must not be in the group it kills
        os.setpgid(0, 0)
        _kill(group)
        for folder in folders:
            _remove(folder)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        for _ in range(500):
            os.killpg(group, signal.SIGKILL)  # frozen ones die of it too
            time.sleep(0.01)


def _remove(folder: str) -> None:
    """Also a control group: its files cannot be removed, the folder can, as soon as its last process is gone."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
