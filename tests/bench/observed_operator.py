"""The real operator with a window into it: `python observed_operator.py`, in place of `keyturn operator`, settings by environment.

SIGUSR1 writes what no metric tells to the file $KEYTURN_BENCH_WINDOW: asyncio tasks, timers, when the last reconcile ended. With
$KEYTURN_BENCH_TAP every write is noted in that file, for the bare loop to make the very same. $KEYTURN_BENCH_PROFILE: cProfile.
Observing changes nothing in what the operator does.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from keyturn.base import metrics
from keyturn.base.metrics import RunResult
from keyturn.cli.main import run_cli
from keyturn.cluster.client import Client

WINDOW: Final = "KEYTURN_BENCH_WINDOW"
TAP: Final = "KEYTURN_BENCH_TAP"
PROFILE: Final = "KEYTURN_BENCH_PROFILE"


class Runs:
    """How many reconciles ended, and when the last one did (unix seconds)."""

    def __init__(self) -> None:
        self.count = 0
        self.last_time = 0.0
        self._count_run = metrics.count_run
        metrics.count_run = self.note

    def note(self, result: RunResult, seconds: float) -> None:
        self.count += 1
        self.last_time = time.time()
        self._count_run(result, seconds)


def show(runs: Runs, file: Path) -> None:
    """Write the window's view; whole or not at all."""
    loop = asyncio.get_running_loop()
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]
    view = {"tasks": len(asyncio.all_tasks(loop)), "timers": len(timers), "runs": runs.count, "last_run_time": runs.last_time}
    new = file.with_suffix(".new")
    new.write_text(json.dumps(view))
    new.rename(file)


def tap_writes(file: Path) -> None:
    """Note every write of ours, but for the Lease's."""
    send = Client.request_bytes
    out = file.open("a", buffering=1)

    async def tapped(
        self: Client,
        method: str,
        path: str,
        *,
        payload: bytes | None = None,
        query: Mapping[str, str] | None = None,
        **rest: Any,  # noqa: ANN401 - the rest goes through as it is
    ) -> bytes:
        if method != "GET" and "/leases" not in path and payload is not None:
            accept, content_type = rest.get("accept") or "application/json", rest.get("content_type", "application/json")
            line = {"method": method, "path": path, "query": dict(query or {}), "payload": payload.decode()}
            out.write(json.dumps({**line, "accept": accept, "content_type": content_type}) + "\n")
        return await send(self, method, path, payload=payload, query=query, **rest)

    Client.request_bytes = tapped


def main() -> int:
    if window := os.environ.get(WINDOW):
        runs = Runs()
        signal.signal(signal.SIGUSR1, lambda *_: show(runs, Path(window)))
    if tap := os.environ.get(TAP):
        tap_writes(Path(tap))
    if profile := os.environ.get(PROFILE):
        profiler = cProfile.Profile(time.process_time)  # other work on the machine is not its own
        profiler.enable()
        try:
            return run_cli(["operator"])
        finally:
            profiler.dump_stats(profile)
    return run_cli(["operator"])


if __name__ == "__main__":
    sys.exit(main())
