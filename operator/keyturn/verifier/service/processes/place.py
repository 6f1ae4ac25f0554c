"""Where a verifier lives: what it shares, and who asks how it is. `run.py` is the life itself, the same in every place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from keyturn.base.probe_server import Complaint, ProbeServer
from keyturn.verifier.service import metrics
from keyturn.verifier.service.doors import Doors, own_doors
from keyturn.verifier.service.settings import VerifierSettings


class Probes(Protocol):
    """Tells others how this process is."""

    async def start(self) -> object:
        """From now on. Raises OSError."""
        ...

    async def stop(self) -> None:
        """No more."""
        ...


class Place(Protocol):
    """Where a verifier lives: alone, or as one of several processes (`worker.py`)."""

    @property
    def log_fields(self) -> Mapping[str, object]:
        """In every line of the log."""
        ...

    def doors(self, *, is_ready: Callable[[], bool]) -> Doors:
        """Where it is asked. Raises OSError."""
        ...

    def probes(self, *, is_unready: Complaint) -> Probes:
        """Who asks how it is."""
        ...


class Alone:
    """The one process there is."""

    def __init__(self, settings: VerifierSettings) -> None:
        self._settings = settings
        self.log_fields: Mapping[str, object] = {}

    def doors(self, *, is_ready: Callable[[], bool]) -> Doors:  # noqa: ARG002  there is nobody who could be ready in its place
        """Its own."""
        return own_doors(self._settings)

    def probes(self, *, is_unready: Complaint) -> ProbeServer:
        """The kubelet and Prometheus."""
        address = self._settings.probe_address
        lag = metrics.EVENT_LOOP_LAG
        return ProbeServer(address, is_unhealthy=lambda: None, is_unready=is_unready, registry=metrics.REGISTRY, lag=lag)
