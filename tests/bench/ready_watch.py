"""A stopwatch at the finish: watches the ApiKeys of a namespace as a user would, and notes when each first looked done.

Lines are searched, not decoded, so that watching costs next to nothing; both sides of a comparison pay it alike.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from testbed.cluster import Login

IsDone = Callable[[bytes], bool]
_NAME: Final = re.compile(rb'"name":"([^"]+)"')


def is_ready(line: bytes) -> bool:
    """A key is issued."""
    return b'"status":"True","type":"Ready"' in line


def is_rotated(line: bytes) -> bool:
    """Version 2 is in force and version 1 has ended."""
    return b'"activeVersion":2' in line and b'"status":"False","type":"PreviousVersionActive"' in line


class ReadyWatch:
    """Use as `with ReadyWatch(...) as watch: ...; watch.wait_for(1000)`. Times are time.time(): they are held against log lines."""

    def __init__(self, login: Login, namespace: str, *, is_done: IsDone) -> None:
        self._is_done = is_done
        self._changed = threading.Condition()
        self.done: dict[str, float] = {}
        parts = urlsplit(login.url)
        path = f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/apikeys"
        version = json.loads(login.ask("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
        self._connection = HTTPSConnection(parts.hostname or "", parts.port, context=login.tls)
        self._connection.request("GET", f"{path}?watch=true&resourceVersion={version}")
        self._thread = threading.Thread(target=self._follow, args=(self._connection.getresponse(),), daemon=True)
        self._thread.start()

    def wait_for(self, count: int, *, patience: float) -> float:
        """Wait until so many are done; answers when the last of them was."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.done) >= count, timeout=patience):
                raise TimeoutError(f"{len(self.done)} of {count} ApiKeys were done after {patience:.0f} s")
            return max(self.done.values())

    def wait_for_name(self, name: str, *, patience: float = 30.0) -> float:
        """Wait for one; answers when it was done."""
        with self._changed:
            if not self._changed.wait_for(lambda: name in self.done, timeout=patience):
                raise TimeoutError(f"{name} was not done after {patience:.0f} s")
            return self.done[name]

    def _follow(self, answer: HTTPResponse) -> None:
        pending = b""
        try:
            while chunk := answer.read1(1 << 20):
                *lines, pending = (pending + chunk).split(b"\n")
                self._note(lines)
        except (OSError, HTTPException, ValueError, AttributeError):
            return  # closed

    def _note(self, lines: list[bytes]) -> None:
        now = time.time()
        with self._changed:
            for line in lines:
                name = _NAME.search(line)
                if name is not None and self._is_done(line):
                    self.done.setdefault(name[1].decode(), now)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(SHUT_RDWR)  # wakes the thread; closing would wait for its read
        self._thread.join(5.0)
        self._connection.close()
