"""One process of several: a whole verifier, with watch, store, Lease and snapshot of its own. `supervisor.py` starts it.

Only the doors are shared, and what the replica says of itself is gathered by the supervisor, at the other end of standard input.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping

import uvloop

from keyturn.base.probe_server import Complaint
from keyturn.verifier.service import metrics
from keyturn.verifier.service.doors import Doors
from keyturn.verifier.service.processes.door_board import DoorBoard
from keyturn.verifier.service.processes.parent_link import ParentLink
from keyturn.verifier.service.processes.shared_door import SharedDoor
from keyturn.verifier.service.processes.worker_process import Assignment
from keyturn.verifier.service.run import run
from keyturn.verifier.service.settings import VerifierSettings


class AmongOthers:
    """The place of a worker."""

    def __init__(self, assignment: Assignment) -> None:
        self._process = assignment.process
        self._http = socket.socket(fileno=assignment.http)
        self._grpc = socket.socket(fileno=assignment.grpc) if assignment.grpc is not None else None
        self._board = DoorBoard(assignment.board, doors=2, processes=assignment.settings.processes)

    @property
    def log_fields(self) -> Mapping[str, object]:
        """In every line."""
        return {"process": self._process}

    def doors(self, *, is_ready: Callable[[], bool]) -> Doors:
        """Its share of them."""
        http = SharedDoor(self._http, self._board, (0, self._process), is_ready=is_ready)
        return Doors(http, SharedDoor(self._grpc, self._board, (1, self._process), is_ready=is_ready) if self._grpc is not None else None)

    def probes(self, *, is_unready: Complaint) -> ParentLink:
        """Who wants to know."""
        channel = socket.socket(fileno=sys.stdin.fileno())
        return ParentLink(channel, is_unready=is_unready, registry=metrics.REGISTRY, lag=metrics.EVENT_LOOP_LAG)


def own_settings(assignment: Assignment, *, host: str) -> VerifierSettings:
    """What two processes must not share has the process's number: the Lease's name, and the snapshot's."""
    settings, number = assignment.settings, assignment.process
    return settings.model_copy(
        update={
            "identity": f"{settings.identity or host}-{number}",
            "snapshot": f"{settings.snapshot}.{number}" if settings.snapshot else "",
        }
    )


def main(words: list[str]) -> int:
    """Live; answers the exit status."""
    assignment = Assignment.model_validate_json(words[0])
    settings = own_settings(assignment, host=socket.gethostname().lower())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, AmongOthers(assignment)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
