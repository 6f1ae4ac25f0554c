"""/healthz, /readyz and /metrics: a small server that starts before the work of a process and ends after it.

/healthz is for the kubelet: 503 means that only a restart helps. /readyz: this replica has seen the cluster (a standby operator is
ready too, if it could take over). An answer's body is `ok` or the complaint.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from keyturn.base.log_output import get_logger

Complaint = Callable[[], str | None]
"""What is wrong, in a sentence; None: nothing."""

_LAG_INTERVAL: Final = 0.5
_LAG_SAMPLES: Final = 60

log = get_logger(__name__)


class ProbeServer:
    """Serves the three paths at `address` (host:port; port 0: any free one) from `start` to `stop`. `lag`: the event loop's, in seconds.

    `before_metrics`: awaited whenever somebody asks for them.
    """

    def __init__(
        self,
        address: str,
        *,
        is_unhealthy: Complaint,
        is_unready: Complaint,
        registry: CollectorRegistry,
        lag: Gauge,
        before_metrics: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._is_unhealthy = is_unhealthy
        self._is_unready = is_unready
        self._registry = registry
        self._before_metrics = before_metrics
        self._lag = lag
        self._runner: web.AppRunner | None = None
        self._lag_task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; answers the address listened at, as host:port. Raises OSError if it is taken."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host.strip("[]") or None, self._port).start()
        self._lag_task = asyncio.create_task(measure_lag(self._lag), name="event-loop-lag")
        host, port = self._runner.addresses[0][:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        log.info("Serving probes and metrics", address=address)
        return address

    async def stop(self) -> None:
        """Stop listening."""
        if self._lag_task is not None:
            self._lag_task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _answer(self._is_unhealthy())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _answer(self._is_unready())

    async def _metrics(self, _request: web.Request) -> web.Response:
        if self._before_metrics is not None:
            await self._before_metrics()
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_1_0_0})


def _answer(complaint: str | None) -> web.Response:
    return web.Response(text="ok" if complaint is None else complaint, status=200 if complaint is None else 503)


async def measure_lag(gauge: Gauge) -> None:
    """How much later than asked the loop comes back, until cancelled: what blocks it blocks every key at once."""
    samples: deque[float] = deque(maxlen=_LAG_SAMPLES)
    while True:
        before = time.monotonic()
        await asyncio.sleep(_LAG_INTERVAL)
        samples.append(max(0.0, time.monotonic() - before - _LAG_INTERVAL))
        gauge.set(max(samples))
