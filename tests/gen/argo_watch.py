"""What Argo CD says of its Applications all the time: looked at again and again beside a story, and judged at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gen.outcomes import Diary
from testbed.argocd import ArgoCD

PAUSE: Final = 0.2
FINE: Final = frozenset({"Healthy", "Progressing"})
"""A Deployment is Progressing, by Argo CD's own rule, while its pods are replaced: by a rollout of Keyturn's, or after a death."""


@dataclass(slots=True)
class ArgoWatch:
    """Looks from the beginning to the end of `looking`."""

    argo: ArgoCD
    diary: Diary
    looks: int = 0
    wrong: list[str] = field(default_factory=list)
    """What was said that nobody had asked for."""
    _said: dict[str, tuple[str, str]] = field(default_factory=dict)
    _pushing: set[str] = field(default_factory=set)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Meanwhile a thread looks."""
        stop = threading.Event()
        with ThreadPoolExecutor(1, "argo-watch") as threads:
            watching = threads.submit(self._look_until, stop)
            try:
                yield
            finally:
                stop.set()
            watching.result()

    @contextmanager
    def pushing(self, application: str) -> Iterator[None]:
        """Meanwhile this one may be OutOfSync: Git has something new for it."""
        self._pushing.add(application)
        yield
        self._pushing.remove(application)

    def _look_until(self, stop: threading.Event) -> None:
        while not stop.wait(PAUSE):
            self._look()

    def _look(self) -> None:
        pushing = set(self._pushing)
        for name, (sync, health) in self.argo.says_of_all().items():
            if self._said.get(name) != (sync, health):
                self._said[name] = (sync, health)
                self.diary.note(f"Argo CD says {name} is {sync} and {health}")
            if (sync != "Synced" and name not in pushing | self._pushing) or health not in FINE:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {name} {sync} {health}")
        self.looks += 1
