"""What a command needs of the world to run: a console, a clock, a way to a cluster. Tests give their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyturn.base.clock import Clock, utc_now
from keyturn.base.errors import KeyturnError
from keyturn.cli.console import Console
from keyturn.cli.place import Place

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

TIMEOUT: Final = timedelta(seconds=30)

Connect = Callable[[Place], Awaitable["Client"]]


@dataclass(frozen=True, slots=True)
class Deps:
    """The world of a command."""

    console: Console
    clock: Clock
    connect: Connect


async def connect(place: Place) -> Client:
    """A client of the cluster; nothing is sent yet. Raises NoClusterAccess."""
    from keyturn.cluster.client import Client

    return await Client.connect(timeout=TIMEOUT, kubeconfig=place.kubeconfig, context=place.context)


def run_with_deps(work: Callable[[Deps], Coroutine[object, object, int]]) -> int:
    """Run a command's `run` against the real world; what fails becomes a sentence and an exit code."""
    deps = Deps(Console.of_process(), utc_now, connect)
    try:
        return asyncio.run(work(deps))
    except KeyturnError as error:
        from keyturn.cli.failure import failure_of

        failure = failure_of(error)
        deps.console.complain(failure.sentence)
        return failure.code
