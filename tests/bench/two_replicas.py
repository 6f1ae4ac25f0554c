"""What two replicas ask of the API server while nothing happens: leader and standby, guarded, with the settings that deploy/ delivers.

Counted by the API server itself, of which the same minutes without any operator are taken off: it asks things of itself, too.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.accounting import Requests, all_requests_so_far
from bench.scenery import create_apikeys, names
from gen.installed import EVERYWHERE, Installed
from gen.operator_process import OperatorProcess
from testbed.cache import say
from testbed.plane import Plane, bare

NAMESPACE: Final = "bench-replicas"
PATIENCE: Final = 1800.0
REST: Final = 60.0
"""Seconds: whatever a start does once is over."""
MEASURED: Final = 240.0
"""Seconds."""
QUICK: Final = {"propagation_delay": "0s", "namespace_workers": "64", "sweep_interval": "5m", "fence_check_interval": "1m"}
"""Of the operator that issues the keys, before the two that are measured."""


def requests_a_second(*, keys: int, seconds: float) -> dict[tuple[str, str], float]:
    """By verb and resource; a watch counts where it ends, also one of the API server's own."""
    with Plane.start(bare()) as plane, TemporaryDirectory() as scratch:
        installed = Installed.install(plane, EVERYWHERE, scratch=Path(scratch))
        plane.create_namespace(NAMESPACE)
        _issue(plane, installed, keys)
        with installed.start_operator_as_delivered(name="leader") as leader:
            leader.wait_ready(patience=PATIENCE)
            with installed.start_operator_as_delivered(name="standby") as standby:
                leader.wait_until(lambda: _is_settled(leader, keys), what="to know that all is settled", patience=PATIENCE)
                time.sleep(REST)
                say(f"two replicas beside {keys} settled keys for {seconds:.0f} s")
                asked = _meanwhile(plane, seconds)
                if not leader.leads or standby.leads:
                    raise RuntimeError("the lead changed hands meanwhile")
        say("the same time without them")
        by_itself = _meanwhile(plane, seconds)
    return {what: (count - by_itself[what]) / seconds for what, count in asked.items() if count != by_itself[what]}


def _issue(plane: Plane, installed: Installed, keys: int) -> None:
    say(f"issuing {keys} keys")
    with installed.start_operator(QUICK) as operator:
        operator.wait_ready()
        create_apikeys(plane, NAMESPACE, names(keys), spec={})
        operator.wait_until(lambda: _is_settled(operator, keys), what="to have issued all keys", patience=PATIENCE)
        operator.stop()


def _is_settled(operator: OperatorProcess, keys: int) -> bool:
    return operator.metric("keyturn_apikeys", ready="True", reason="Issued") == keys and operator.metric("keyturn_queue_depth") == 0


def _meanwhile(plane: Plane, seconds: float) -> Requests:
    before = all_requests_so_far(plane.metrics())
    time.sleep(seconds)
    return all_requests_so_far(plane.metrics()) - before
