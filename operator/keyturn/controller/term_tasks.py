"""What a term of leading rests on: tasks of which the first that ends ends the term, also before it has begun. For `leadership.py`.

A watch or a sweep that died would leave us deciding by an old view for ever, and one that died before its first list would be waited for
for ever. So each is looked after from the moment it starts, and one that a bug ended says so: `broken_terms.py` makes that known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger

log = get_logger(__name__)


class TermBroken(KeyturnError):
    """A bug ended the term. The next one may live: whatever brought the bug about may be gone by then."""


class TermTasks:
    """Belongs to one term and one event loop."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        """Set when the first of them ended."""
        self.broken: str | None = None
        """What a bug ended, and what it was about; None: nothing."""

    def start(self, work: Coroutine[None, None, object], name: str) -> asyncio.Task[object]:
        """Start one of them. Whoever starts it cancels it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note_end)
        return task

    async def reach(self, event: asyncio.Event) -> bool:
        """Wait for an event; False: the term was over first."""
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.over.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self.over.is_set()

    def _note_end(self, task: asyncio.Task[object]) -> None:
        self.over.set()
        if task.cancelled() or (bug := task.exception()) is None:
            return
        about = ", ".join(getattr(bug, "__notes__", ()))
        log.bug("A task died of a bug", of=bug, task=task.get_name(), error=type(bug).__name__, about=about)
        if self.broken is None:
            self.broken = f"{task.get_name()} died of {type(bug).__name__}{f' ({about})' if about else ''}"
