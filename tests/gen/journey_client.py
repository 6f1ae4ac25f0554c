"""A client of an API, as people write them: it reads its key from a file, again whenever that changes, and asks without pause.

    python journey_client.py <key file, or the name of a variable> <host:port> <pause in milliseconds> <file of outcomes>

A line per request is added to that file: time, status (0: no answer), key ID, milliseconds. It retries nothing: that would hide.
The standard library is all it needs: it also runs in a pod, alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

KEY_ID_LENGTH = 12
PATIENCE = 10.0


class Key:
    """From a variable once, from a file (whose name has a slash) whenever that changes."""

    def __init__(self, where: str) -> None:
        self._file = Path(where) if "/" in where else None
        self._stamp = 0
        self._token = "" if self._file else os.environ[where]

    def read(self) -> str:
        """As it is now."""
        if self._file is not None:
            stamp = self._file.stat().st_mtime_ns
            if stamp != self._stamp:
                self._token, self._stamp = self._file.read_text().strip(), stamp
        return self._token


class Client:
    """Asks over one kept connection; one that ended is opened anew."""

    def __init__(self, key: Key, address: str) -> None:
        self._key = key
        self._connection = HTTPConnection(address, timeout=PATIENCE)

    def ask(self) -> str:
        """Send one request; answers its line."""
        token = self._key.read()
        began = time.time()
        status = self._status(token)
        key_id = token.rpartition("_")[2][:KEY_ID_LENGTH]
        return f"{began:.3f} {status} {key_id} {(time.time() - began) * 1000:.1f}"

    def _status(self, token: str) -> int:
        try:
            self._connection.request("GET", "/orders", headers={"Authorization": f"Bearer {token}"})
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self._connection.close()
            return 0
        return answer.status


def _end(*_: object) -> None:
    """The first process of a pod has no default for a signal."""
    os._exit(0)


def main() -> None:
    """Until it is ended."""
    where, address, pause, outcomes = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_DFL if os.getpid() != 1 else _end)
    client = Client(Key(where), address)
    with Path(outcomes).open("a") as written:
        while True:
            print(client.ask(), file=written, flush=True)
            time.sleep(float(pause) / 1000)


if __name__ == "__main__":
    main()
