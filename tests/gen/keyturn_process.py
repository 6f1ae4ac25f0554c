"""A long-running `keyturn` command as a process of its own: started, frozen, killed, and read from outside.

It ends with the process that started it, however that one ends. `operator_process.py` and `verifier_process.py` say which command.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Final, Self

from testbed.processes import Group

PATIENCE: Final = 30.0
PAUSE: Final = 0.05


class KeyturnProcess:
    """One `keyturn <command>`."""

    def __init__(self, *, environment: Mapping[str, str], folder: Path, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = (*command,) if command[0].startswith("/") else (*_command(), *command)
        self.folder = folder
        self.stdout = folder / "stdout"
        self.stderr = folder / "stderr"
        self._environment = dict(environment)
        self._group = Group(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @classmethod
    def launch(
        cls, command: Sequence[str], *, settings: Mapping[str, str], kubeconfig: Path, name: str, environment: Mapping[str, str]
    ) -> Self:
        """Start one and do not wait for it. `settings`: by field. `command`: after `keyturn`, or a whole one by an absolute path."""
        inherited = {variable: value for variable, value in os.environ.items() if not variable.startswith("KEYTURN_")}
        process = cls(
            environment={
                **inherited,
                "KUBECONFIG": str(kubeconfig),
                **{f"KEYTURN_{field.upper()}": value for field, value in settings.items()},
                **environment,
            },
            folder=Path(mkdtemp(prefix=f"keyturn-{name}-")),
            name=name,
            command=command,
        )
        process.restart()
        return process

    def setting(self, field: str) -> str:
        """What it was started with."""
        return self._environment[f"KEYTURN_{field.upper()}"]

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Frozen counts as running."""
        return self._process is not None and self._process.poll() is None

    def restart(self) -> None:
        """Start it (again) with the same settings; its output is appended to."""
        if self.is_running:
            raise RuntimeError(f"{self.name} runs already")
        self._log_start = self.stderr.stat().st_size if self.stderr.exists() else 0
        with self.stdout.open("ab") as audit, self.stderr.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=audit,
                stderr=log,
                env=self._environment,
                process_group=self._group.identity,
            )

    def stop(self, *, patience: float = 15.0) -> int:
        """Ask it to end (SIGTERM); answers its exit status."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return process.wait(patience)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def wait_exit(self, *, patience: float = PATIENCE) -> int:
        """Wait until it ends by itself; answers its exit status."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.wait(patience)

    def close(self) -> None:
        """End it for certain and remove its files."""
        self._group.kill()
        if self._process is not None:
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until(self, is_so: Callable[[], bool], *, what: str, patience: float = PATIENCE) -> Self:
        """Wait for something about it; raise with the end of its log when that does not come, or when it dies."""
        end = time.monotonic() + patience
        while not is_so():
            if not self.is_running or time.monotonic() > end:
                state = "waited too long for it" if self.is_running else "it ended before it came"
                raise TimeoutError(f"{self.name} {what}: {state}; the end of its log:\n{self.tail()}")
            time.sleep(PAUSE)
        return self

    @property
    def probe_address(self) -> str | None:
        """Host and port of /healthz, /readyz, /metrics; None: not served yet."""
        served = [line for line in self.log_since_start() if line.get("message") == "Serving probes and metrics"]
        return str(served[-1]["address"]) if served else None

    def ask(self, path: str) -> tuple[int, str]:
        """Ask the probe server: HTTP status and text; (0, "") where nobody answers."""
        address = self.probe_address
        if address is None:
            return 0, ""
        connection = HTTPConnection(address, timeout=5.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Its metrics, by series as Prometheus writes them: `keyturn_steps_total{kind="Stage",result="done"}`."""
        lines = [line.rpartition(" ") for line in self.ask("/metrics")[1].splitlines() if line and not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that carry these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = {series: value for series, value in self.metrics().items() if series.partition("{")[0] == name}
        return sum(value for series, value in found.items() if all(label in series for label in wanted))

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged so far, since it was first started."""
        return json_lines(self.stderr)

    def tail(self, *, about: str = "", count: int = 25) -> str:
        """The end of its log; `about`: only lines that contain this."""
        lines = self.stderr.read_text(errors="replace").splitlines() if self.stderr.exists() else []
        return "\n".join([line for line in lines if about in line][-count:])

    def output(self) -> bytes:
        """Every byte it has written."""
        return self.stdout.read_bytes() + self.stderr.read_bytes()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} is not running; the end of its log:\n{self.tail()}")
        return self._process

    def messages(self) -> set[str]:
        """What it has logged since it was last started, without the fields."""
        return {str(line.get("message")) for line in self.log_since_start()}

    def log_since_start(self) -> list[dict[str, Any]]:
        """What it has logged since it was last started."""
        return json_lines(self.stderr, offset=self._log_start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _command() -> list[str]:
    script = Path(sys.executable).with_name("keyturn")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from keyturn.cli.main import main; main()"]


def json_lines(file: Path, *, offset: int = 0) -> list[dict[str, Any]]:
    """The complete lines of a file that are JSON objects."""
    if not file.exists():
        return []
    with file.open("rb") as reader:
        reader.seek(offset)
        whole = reader.read().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
