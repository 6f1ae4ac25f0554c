"""A client of an API, as people write them: it reads its key from a file, again whenever that changes, and asks without pause.

    python journey_client.py <key file> <host:port> <pause in milliseconds>

A line per request goes to standard output: time, status (0: no answer), key ID, milliseconds. It retries nothing: that would hide.
The standard library is all it needs: it also runs in a pod, alone.
"""

from __future__ import annotations

import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

KEY_ID_LENGTH = 12
PATIENCE = 10.0


class Client:
    """Asks over one kept connection; one that ended is opened anew."""

    def __init__(self, key_file: Path, address: str) -> None:
        self._key_file, self._address = key_file, address
        self._connection = HTTPConnection(address, timeout=PATIENCE)
        self._stamp = 0
        self._token = ""

    def ask(self) -> str:
        """Send one request; answers its line."""
        self._read_key()
        began = time.time()
        status = self._status()
        key_id = self._token.rpartition("_")[2][:KEY_ID_LENGTH]
        return f"{began:.3f} {status} {key_id} {(time.time() - began) * 1000:.1f}"

    def _read_key(self) -> None:
        stamp = self._key_file.stat().st_mtime_ns
        if stamp != self._stamp:
            self._token = self._key_file.read_text().strip()
            self._stamp = stamp

    def _status(self) -> int:
        try:
            self._connection.request("GET", "/orders", headers={"Authorization": f"Bearer {self._token}"})
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self._connection.close()
            return 0
        return answer.status


def main() -> None:
    """Until it is ended."""
    key_file, address, pause = sys.argv[1:]
    client = Client(Path(key_file), address)
    while True:
        print(client.ask(), flush=True)
        time.sleep(float(pause) / 1000)


if __name__ == "__main__":
    main()
