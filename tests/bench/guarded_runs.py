"""The operator without the right to read Secrets beside one that watches them: same account, same policies, same cluster, in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench import runs
from bench.runs import Meter, Spent
from bench.scenery import BenchOperator, Place, create_apikeys, names, operator_at
from gen.scene_fence import fenced, log_in_fenced
from testbed.plane import Plane

MINUTE: Final = 60.0
PRODUCTION: Final = {"secret_look_rate": "4", "secret_look_interval": "1m", "fence_check_interval": "1m"}


@contextmanager
def fenced_operator(plane: Plane, place: Place, *, access: str) -> Iterator[BenchOperator]:
    """An operator with a token of its own and all rights, whom the policies keep from foreign Secrets: they cost both modes the same."""
    system = f"{place.records}-system"
    with fenced(plane, namespace=system, records_namespace=place.records):
        folder = plane.folder / system
        folder.mkdir()
        kubeconfig = log_in_fenced(plane, folder, namespace=system)
        with operator_at(plane, place, settings={**PRODUCTION, "secret_access": access}, kubeconfig=kubeconfig) as operator:
            yield operator


def issue_and_rotate(plane: Plane, place: Place, *, access: str, keys: int) -> tuple[Spent, Spent]:
    """A thousand keys, there before the operator."""
    create_apikeys(plane, place.namespace, names(keys))
    meter = Meter(plane)
    with fenced_operator(plane, place, access=access) as operator:
        return runs.issue(plane, place, operator, meter, keys=keys), runs.rotate(plane, place, operator, keys=keys)


def requests_a_second(plane: Plane, place: Place, *, keys: int) -> float:
    """All that a guarded operator asks for in a minute of a settled world: looks, Lease, lists and watches."""
    with fenced_operator(plane, place, access="guarded") as operator:
        operator.wait_ready()
        runs.grow(plane, place, operator, steps=[*range(1000, keys, 1000), keys])
        time.sleep(MINUTE)  # until those that were written first are due
        before, began = operator.metric("keyturn_api_requests_total"), time.monotonic()
        time.sleep(MINUTE)
        return (operator.metric("keyturn_api_requests_total") - before) / (time.monotonic() - began)
