"""The real operator as a process of its own, with short times: started, frozen, killed, and read from outside.

    with OperatorProcess.start(plane, settings={"settle": "500ms"}, records_namespace="records") as operator:
        operator.wait_ready()
        operator.metrics()["keyturn_leader"], operator.audit_lines(), operator.log_lines()

It ends with the process that started it, however that one ends.
"""

from __future__ import annotations

import json
import os
import secrets
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

from testbed.cluster import Cluster
from testbed.processes import Group

SHORT_TIMES: Final[Mapping[str, str]] = {
    "propagation_delay": "100ms",
    "settle": "200ms",
    "minimum_interval": "1s",
    "minimum_grace_period": "200ms",
    "minimum_rotation_spacing": "100ms",
    "orphan_wait": "1s",
    "lease_duration": "2s",
    "sweep_interval": "1s",
    "request_timeout": "5s",
    "rotation_rate": "1000",
    "rotation_burst": "1000",
    "namespace_rotation_rate": "1000",
    "namespace_rotation_burst": "1000",
    "log_format": "json",
    "log_level": "debug",
}
"""Settings by their field's name in base/settings.py."""
PATIENCE: Final = 30.0
PAUSE: Final = 0.05


class OperatorProcess:
    """One `keyturn operator`. Made by `OperatorProcess.start`."""

    def __init__(self, *, environment: Mapping[str, str], folder: Path, name: str, command: Sequence[str] = ()) -> None:
        self.name = name
        self._command = (*command,) or (*_command(), "operator")
        self.folder = folder
        self.stdout = folder / "stdout"
        self.stderr = folder / "stderr"
        self._environment = dict(environment)
        self._group = Group(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @classmethod
    def start(
        cls,
        plane: Cluster,
        *,
        settings: Mapping[str, str] | None = None,
        records_namespace: str,
        namespace: str | None = None,
        kubeconfig: Path | None = None,
        name: str = "operator",
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> Self:
        """Start one and do not wait for it. `settings`: by field, over SHORT_TIMES; `namespace`: its own, by default "<records>-system".

        `command`: what runs it in place of `keyturn operator`.
        """
        wanted = {**SHORT_TIMES, "records_namespace": records_namespace, "namespace": namespace or f"{records_namespace}-system"}
        wanted |= settings or {}
        inherited = {variable: value for variable, value in os.environ.items() if not variable.startswith("KEYTURN_")}
        operator = cls(
            environment={
                **inherited,
                "KUBECONFIG": str(kubeconfig or plane.kubeconfig),
                **{f"KEYTURN_{field.upper()}": value for field, value in wanted.items()},
                **(environment or {}),
            },
            folder=Path(mkdtemp(prefix=f"keyturn-{name}-")),
            name=name,
            command=command,
        )
        operator.restart()
        return operator

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

    def wait_ready(self, *, patience: float = PATIENCE) -> Self:
        """Wait until /readyz says ok and it leads (a standby never does)."""
        return self.wait_until(lambda: self.ask("/readyz") == (200, "ok") and self.leads, patience=patience, what="to lead and be ready")

    def wait_until(self, is_so: Callable[[], bool], *, what: str, patience: float = PATIENCE) -> Self:
        """Wait for something about it; raise with the end of its log when that does not come, or when it dies."""
        end = time.monotonic() + patience
        while not is_so():
            if not self.is_running or time.monotonic() > end:
                state = "waited too long for it" if self.is_running else "it ended before it came"
                raise TimeoutError(f"operator {self.name} {what}: {state}; the end of its log:\n{self.tail()}")
            time.sleep(PAUSE)
        return self

    @property
    def leads(self) -> bool:
        """Whether it is the leader and at work."""
        return self.metrics().get("keyturn_leader") == 1.0 and "Operator started" in self._messages()

    @property
    def probe_address(self) -> str | None:
        """Host and port of /healthz, /readyz, /metrics; None: not served yet."""
        served = [line for line in self._log_since_start() if line.get("message") == "Serving probes and metrics"]
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

    def audit_lines(self, namespace: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
        """What it has written to the audit log so far, about all ApiKeys or about some."""
        lines = _json_lines(self.stdout)
        about = {"namespace": namespace, "name": name}
        return [line for line in lines if all(value in (None, line.get(field)) for field, value in about.items())]

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged so far, since it was first started."""
        return _json_lines(self.stderr)

    def tail(self, *, about: str = "", count: int = 25) -> str:
        """The end of its log; `about`: only lines that contain this."""
        lines = self.stderr.read_text(errors="replace").splitlines() if self.stderr.exists() else []
        return "\n".join([line for line in lines if about in line][-count:])

    def output(self) -> bytes:
        """Every byte it has written."""
        return self.stdout.read_bytes() + self.stderr.read_bytes()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"operator {self.name} is not running; the end of its log:\n{self.tail()}")
        return self._process

    def _messages(self) -> set[str]:
        return {str(line.get("message")) for line in self._log_since_start()}

    def _log_since_start(self) -> list[dict[str, Any]]:
        return _json_lines(self.stderr, offset=self._log_start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def unique_name(prefix: str) -> str:
    """A name nobody else on this cluster has, for namespaces."""
    return f"{prefix}-{secrets.token_hex(4)}"


def _command() -> list[str]:
    script = Path(sys.executable).with_name("keyturn")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from keyturn.cli.main import main; main()"]


def _json_lines(file: Path, *, offset: int = 0) -> list[dict[str, Any]]:
    """The complete lines of a file that are JSON objects."""
    if not file.exists():
        return []
    with file.open("rb") as reader:
        reader.seek(offset)
        whole = reader.read().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]
