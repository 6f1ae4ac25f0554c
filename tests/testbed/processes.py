"""Processes that cannot outlive us: every plane has a process group, led by a watchdog that sees our end. `plane.py` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from testbed import watchdog


class Component:
    """One program of a plane. It can be killed, frozen and started again with the same arguments, ports and data."""

    def __init__(
        self,
        name: str,
        *,
        group: Group,
        command: Sequence[str | Path],
        log: Path,
        environment: dict[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._group, self._command, self._environment = group, [str(word) for word in command], environment
        self._inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process, for example to account for its CPU time."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Frozen counts as running."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it (again); its log is appended to."""
        if self.is_running:
            raise RuntimeError(f"{self.name} runs already")
        self._process = self._group.spawn(self._command, log=self.log, environment=self._environment, inherited=self._inherited)

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        while not self._is_stopped():  # each of its threads must hear of it
            time.sleep(0.001)

    def _is_stopped(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self, number: signal.Signals = signal.SIGKILL, *, patience: float = 30.0) -> None:
        """End it and wait until it is gone, `patience` seconds at most."""
        process = self._running()
        process.send_signal(number)
        process.wait(patience)

    def complain_if_dead(self) -> None:
        """Raise with the end of its log if it is not running."""
        if not self.is_running:
            tail = self.log.read_text(errors="replace").splitlines()[-8:]
            raise RuntimeError(f"{self.name} ended by itself; the end of {self.log}:\n" + "\n".join(tail))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} is not running; see {self.log}")
        return self._process


class Group:
    """A process group with its watchdog. `doomed`: the folders the watchdog removes after a death of ours."""

    def __init__(self, *doomed: Path) -> None:
        command = [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), *map(str, doomed)]
        self._watchdog = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0, cwd="/")
        self.identity = self._watchdog.pid
        self._children: list[subprocess.Popen[bytes]] = []

    def spawn(
        self, command: Sequence[str], *, log: Path, environment: dict[str, str] | None = None, inherited: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with this group. A terminal's Ctrl-C does not reach it. `inherited`: file descriptors it gets."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self.identity,
                env=environment,
                pass_fds=inherited,
            )
        self._children.append(process)
        return process

    def kill(self) -> None:
        """End all of it, now; data on disk is as after a power cut without loss of what was written."""
        with suppress(ProcessLookupError):
            os.killpg(self.identity, signal.SIGKILL)
        for process in (*self._children, self._watchdog):
            process.wait()
        if self._watchdog.stdin:
            self._watchdog.stdin.close()

    def release(self) -> None:
        """Let the processes live on after us; end them later with `kill_group`."""
        if self._watchdog.stdin:
            self._watchdog.stdin.write(b"k")
            self._watchdog.stdin.close()
        self._watchdog.wait()


def kill_group(identity: int, *, folder: Path) -> bool:
    """End a released group, but only if one of its processes names `folder` on its command line: numbers are used again."""
    if not any(str(folder) in _command_line(pid) for pid in members(identity)):
        return False
    with suppress(ProcessLookupError):
        for _ in range(500):
            os.killpg(identity, signal.SIGKILL)
            time.sleep(0.01)
    return True


def members(group: int) -> list[int]:
    """The process ids of a group, its watchdog among them."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _group_of(pid) == group]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
