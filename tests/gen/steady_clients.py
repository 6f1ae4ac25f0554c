"""Clients that ask without pause over connections they keep, at whichever verifier is ready: as gateways behind a Service do.

with SteadyClients(token, [first, second]) as clients:
    clients.use([second, third])
assert clients.failures == []
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

from gen.verifier_process import VerifierProcess


class SteadyClients:
    """Each in a thread of its own; one more looks at /readyz, as the kubelet does."""

    def __init__(self, token: str, verifiers: Sequence[VerifierProcess], *, count: int = 4) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._verifiers = tuple(verifiers)
        self._ready = tuple(str(verifier.address) for verifier in verifiers)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]
        self._threads.append(threading.Thread(target=self._look))

    def use(self, verifiers: Sequence[VerifierProcess]) -> None:
        """From now on these."""
        self._verifiers = tuple(verifiers)

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            ready = [verifier.address for verifier in self._verifiers if verifier.ask("/readyz")[0] == 200]
            self._ready = tuple(address for address in ready if address is not None)

    def _ask(self, number: int) -> None:
        connection: HTTPConnection | None = None
        while not self._stop.is_set():
            ready = self._ready
            connection = connection or HTTPConnection(ready[number % len(ready)], timeout=20)
            failure, closes = self._once(connection)
            with self._lock:
                self.answered += 1
                if failure:
                    self.failures.append(failure)
            if closes:
                connection.close()
                connection = None
            time.sleep(0.002)
        if connection is not None:
            connection.close()

    def _once(self, connection: HTTPConnection) -> tuple[str, bool]:
        try:
            connection.request("GET", "/verify", headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            return repr(error), True
        return "" if answer.status == 200 else f"{answer.status} {body!r}", answer.will_close

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
