"""A Secret's key as a file in a pod, where no kubelet is: it follows the Secret late, as a mounted volume does, and is swapped whole."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http.client import HTTPException
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from gen.team import Api, SecretView
from testbed.cluster import ApiFailed, Cluster

PAUSE = 0.05


class MountedKey:
    """A file that follows a Secret's `api-key`, each time by the next of `delays` later; a thread."""

    def __init__(self, cluster: Cluster, secret_path: str, file: Path, *, delays: Sequence[float]) -> None:
        self.file = file
        self._api, self._path, self._delays = Api(cluster.login), secret_path, cycle(delays)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mounted-key", daemon=True)

    def __enter__(self) -> Self:
        self._write(SecretView(self._api.ask("GET", self._path)).token)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(15.0)
        self._api.close()

    def _follow(self) -> None:
        while not self._stop.wait(PAUSE):
            token = self._token()
            if token and token != self.file.read_text():
                self._stop.wait(next(self._delays))
                self._write(token)

    def _token(self) -> str | None:
        """What the Secret holds; None: it is gone, or the API server is: what is mounted stays."""
        try:
            found = self._api.get(self._path)
        except (ApiFailed, OSError, HTTPException):
            self._api.close()
            return None
        return SecretView(found).data.get("api-key") if found else None

    def _write(self, token: str) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(token)
        fresh.replace(self.file)
