"""What the demo plays on: a control plane of its own, kubectl and keyturn on the PATH, the operator with short times."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.__main__ import own_folder
from testbed.binaries import search_path
from testbed.cluster import wait_until
from testbed.plane import Plane, end_left_plane
from testbed.processes import Component

NAME: Final = "demo"
SETTINGS: Final[Mapping[str, str]] = {
    "KEYTURN_SECRET_ACCESS": "watch",
    "KEYTURN_ADMISSION_POLICIES": "none",
    "KEYTURN_PROPAGATION_DELAY": "1s",
    "KEYTURN_SETTLE": "3s",
    "KEYTURN_MINIMUM_GRACE_PERIOD": "1s",
    "KEYTURN_MINIMUM_ROTATION_SPACING": "1s",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A running cluster with a running operator."""

    plane: Plane
    operator: Component
    environment: Mapping[str, str]

    @property
    def audit_log(self) -> Path:
        """The operator's audit lines."""
        return Path(self.environment["KEYTURN_AUDIT_LOG"])

    def stop_operator(self) -> None:
        """As a kubelet does it: SIGTERM, and it releases its Lease."""
        if self.operator.is_running:
            self.operator.kill(signal.SIGTERM)


@contextmanager
def plane(*, keep: bool) -> Iterator[Plane]:
    """The control plane; `keep`: it lives on after us if nothing went wrong, in a folder that `stop` finds."""
    folder = own_folder(NAME) if keep else None
    if folder is not None:
        end_left_plane(folder)
        folder.mkdir(parents=True)
    running = Plane.start(folder=folder)
    try:
        yield running
    except BaseException:
        running.stop()
        raise
    if keep:
        running.leave()
    else:
        running.stop()


def environment_of(running: Plane) -> dict[str, str]:
    """The shell in which the demo types."""
    tools = os.pathsep.join([str(Path(sys.executable).parent), search_path(["kubectl"])])
    own = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_") or name == "KEYTURN_CACHE"}
    audit = {"KEYTURN_AUDIT_LOG": str(running.folder / "audit.log")}
    return {**own, **audit, "KUBECONFIG": str(running.kubeconfig), "PATH": tools}


def start_operator(running: Plane, environment: Mapping[str, str]) -> Stage:
    """Start `keyturn operator` beside the control plane and wait until it leads."""
    log = running.folder / "log" / "operator.log"
    keyturn = Path(sys.executable).with_name("keyturn")
    operator = Component("operator", group=running._group, command=[keyturn, "operator"], log=log, environment={**environment, **SETTINGS})
    operator.start()

    def leads() -> bool:
        operator.complain_if_dead()
        return "Operator started" in log.read_text(errors="replace")

    wait_until(leads, patience=60.0, what=f"the operator; its log is {log}")
    return Stage(plane=running, operator=operator, environment=environment)


def stop_kept() -> bool:
    """End what an earlier demo of this checkout left running; whether there was one."""
    return end_left_plane(own_folder(NAME))


def shell_lines(stage: Stage) -> str:
    """What to type to stand where the demo stood."""
    tools = stage.environment["PATH"].split(os.pathsep)[:2]
    return "\n".join(
        [
            f"export KUBECONFIG={shlex.quote(stage.environment['KUBECONFIG'])}",
            f'export PATH={shlex.quote(os.pathsep.join(tools))}:"$PATH"',
        ]
    )
