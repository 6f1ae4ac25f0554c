"""A stopwatch at the finish: watches the ApiKeys of a namespace as a user would, and notes when each first looked done.

Lines are searched, not decoded, so that watching costs next to nothing; both sides of a comparison pay it alike.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from testbed.cluster import Login

IsDone = Callable[[bytes], bool]
SILENCE: Final = 4.0
"""Seconds without an event after which the collection is read anew."""
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
        self._closed = False
        self.lists = 0
        """Its own reads of the collection, to be taken off the API server's count."""
        self.done: dict[str, float] = {}
        self._tls, self._parts = login.tls, urlsplit(login.url)
        self._path = f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/apikeys"
        self._connection, answer = self._watch()
        self._thread = threading.Thread(target=self._follow, args=(answer,), daemon=True)
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

    def _watch(self) -> tuple[HTTPSConnection, HTTPResponse]:
        """List, note what is done already, and watch from there."""
        connection = HTTPSConnection(self._parts.hostname or "", self._parts.port, context=self._tls, timeout=SILENCE)
        connection.request("GET", self._path)
        self.lists += 1
        listed = json.loads(connection.getresponse().read())
        self._note([json.dumps(item, separators=(",", ":"), sort_keys=True).encode() for item in listed["items"]])
        connection.request("GET", f"{self._path}?watch=true&resourceVersion={listed['metadata']['resourceVersion']}")
        return connection, connection.getresponse()

    def _follow(self, answer: HTTPResponse) -> None:
        while not self._closed:
            with suppress(TimeoutError, OSError, HTTPException, ValueError):
                self._read(answer)
            if not self._closed:
                # Quiet, or stalled: about one stream in twenty stopped in mid-flow on a busy machine while the world went on.
                self._connection.close()
                self._connection, answer = self._watch()

    def _read(self, answer: HTTPResponse) -> None:
        pending = b""
        while chunk := answer.read1(1 << 20):
            *lines, pending = (pending + chunk).split(b"\n")
            self._note(lines)

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
        self._closed = True
        if self._connection.sock is not None:
            self._connection.sock.shutdown(SHUT_RDWR)  # wakes the thread; closing would wait for its read
        self._thread.join(SILENCE)
