"""What two rude peers take from the HTTP front, and from uvicorn: one asks and asks and reads no answer, one never ends its head.

They talk to servers that know one key. Why the front is our own: docs/decisions/0008-own-http-front.md.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Final

from bench.accounting import memory_kib
from bench.http_load import VERIFY
from bench.http_servers import FRONT, UVICORN
from bench.report import Report, Row
from bench.server_process import running
from gen.many_keys import token

MODULE: Final = "bench.http_servers"
PIPELINED: Final = 20_000
REQUEST: Final = f"GET {VERIFY} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token(0)}\r\n\r\n".encode()
PATIENCE: Final = 20.0


def measure(report: Report, *, quick: bool) -> None:
    """Each server has a process of its own for each peer."""
    requests = PIPELINED // 4 if quick else PIPELINED
    grown, waited = ({kind: does(kind) for kind in (FRONT, UVICORN)} for does in (lambda kind: _flooded(kind, requests), _held_open))
    report.add(
        Row(f"memory that {requests} requests in one pipeline take, no answer read", grown[FRONT], "MiB", 2, how="one connection"),
        Row("  of uvicorn", grown[UVICORN], "MiB"),
        Row("half a head: closed after", waited[FRONT], "s", 12, how="the whole request has to be there after 10 s"),
        Row("  by uvicorn", waited[UVICORN], "s", how=f"{PATIENCE:.0f}: not at all in that time"),
    )


def _flooded(kind: str, requests: int) -> float:
    """MiB by which the server grows while a peer sends as much as it may, for a while."""
    with running(MODULE, kind, 1) as (pid, port), socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(REQUEST)
        peer.recv(65536)
        before = memory_kib(pid)
        peer.settimeout(PATIENCE / 4)
        with suppress(TimeoutError):  # it reads no more: that is what is wanted
            peer.sendall(REQUEST * requests)
        time.sleep(1.0)
        return (memory_kib(pid, peak=True) - before) / 1024


def _held_open(kind: str) -> float:
    """Seconds until the server closes; PATIENCE if it does not."""
    with running(MODULE, kind, 1) as (_, port), socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(REQUEST[:-4])
        peer.settimeout(PATIENCE)
        start = time.monotonic()
        try:
            peer.recv(65536)
        except ConnectionError:
            pass  # closed without a word
        except TimeoutError:
            return PATIENCE
        return time.monotonic() - start
