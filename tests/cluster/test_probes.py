"""The probe server, asked over HTTP."""

from __future__ import annotations

import aiohttp

from keyturn.base.metrics import EVENT_LOOP_LAG, REGISTRY
from keyturn.base.probe_server import ProbeServer


async def test_probes_and_metrics_are_served() -> None:
    trouble: list[str] = []
    server = ProbeServer(
        "127.0.0.1:0",
        is_unhealthy=lambda: None,
        is_unready=lambda: trouble[0] if trouble else None,
        registry=REGISTRY,
        lag=EVENT_LOOP_LAG,
    )
    address = await server.start()

    async def ask(path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as answer:
            return answer.status, await answer.text()

    try:
        assert await ask("/healthz") == (200, "ok")
        assert await ask("/readyz") == (200, "ok")
        trouble.append("Caches are not synced")
        assert await ask("/readyz") == (503, "Caches are not synced")
        status, text = await ask("/metrics")
        assert status == 200
        assert "keyturn_leader 0.0" in text
    finally:
        await server.stop()
