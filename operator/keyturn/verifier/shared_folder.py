"""Keys for an application, from the folder that a verifier in the same pod keeps (`keyturn verifier --app-folder`). No clock of its own.

    guard = guard_from("/run/keyturn", audience="orders")

Before it: `service/app_folder.py`, in the other process. After it: `guard.py`, which is asked for every request.

What stands in the folder is believed only on account of the operator's signatures. Each request looks whether the file grew, which costs
a few microseconds, and reads what is new in it: no thread, no timer, no connection, so that it works in any framework, server or worker.
What is used is told back to the verifier, which would report an old key as unused otherwise, and the operator would end it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

from keyturn.base.clock import Clock, utc_now
from keyturn.base.log_output import get_logger
from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.keys.verification_keys import DATA_KEY, VerificationKeys, VerificationKeysDamaged
from keyturn.verifier.guard import Guard, Tokens
from keyturn.verifier.limits import Limiter, LocalLimiter
from keyturn.verifier.live_key import LiveKey
from keyturn.verifier.presented import Sources
from keyturn.verifier.snapshot import Heard, Vanished, is_header, read_entry
from keyturn.verifier.store import OfferedRecord, Store
from keyturn.verifier.verdicts import CheckVerdict

SNAPSHOT: Final = "snapshot"
KEYS: Final = DATA_KEY
USES: Final = "uses"
LARGEST_USES: Final = 1024 * 1024
"""Bytes that wait for a verifier: one that is gone must not fill the volume."""
CAUGHT_UP_SECONDS: Final = 120.0
"""How long ago the cluster may have been heard from where "nobody has this key" is still said: a quiet one says a word every minute."""
RETIRING_TOLD_EVERY: Final = 1.0
TOLD_EVERY: Final = 60.0
"""Seconds between two words about the use of one key: an old one's delays its end, the others' are only dated, by the day."""
MOST_TOLD: Final = 10_000

log = get_logger(__name__)


def guard_from(
    folder: Path | str,
    *,
    audience: str = DEFAULT_AUDIENCE,
    scopes: tuple[str, ...] = (),
    sources: Sources | None = None,
    limiter: Limiter | None = None,
    tokens: Tokens | None = None,
    on_verdict: Callable[[CheckVerdict], None] | None = None,
    clock: Clock = utc_now,
) -> Guard:
    """The door of an API whose keys stand in that folder. Without `limiter`, the limits of the keys' own plans count, in this process."""
    view = SharedFolder(Path(folder), clock=clock)
    return Guard(
        view,
        clock,
        audience=audience,
        scopes=scopes,
        sources=sources or Sources(),
        on_verdict=on_verdict,
        on_use=view.note_use,
        limiter=limiter or LocalLimiter(),
        tokens=tokens,
    )


class SharedFolder:
    """A View (`check.py`) of the folder as it stands now, for any number of threads. Without a usable folder no key is known: 503."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._snapshot, self._keys, self._clock = folder / SNAPSHOT, folder / KEYS, clock
        self._uses = _Uses(folder / USES)
        self._store = Store(VerificationKeys(()))
        self._seen: tuple[int, int] | None = None
        """Which file was read, by its inode, and up to where."""
        self._last_line = b""
        self._taken: set[int] = set()
        """Lines that need not be read again when the file is written anew, by their hash."""
        self._problem: str | None = None
        self._lock = Lock()
        self._catch_up()

    @property
    def live(self) -> Mapping[str, LiveKey]:
        """Every version that may be accepted, by key ID, after a look at the file."""
        self._catch_up()
        return self._store.live

    @property
    def imported(self) -> Mapping[bytes, LiveKey]:
        """Those of them that were made elsewhere, by digest."""
        self._catch_up()
        return self._store.imported

    @property
    def heard(self) -> float:
        """When the verifier beside us last heard from the cluster, in unix seconds."""
        return self._store.heard

    @property
    def is_caught_up(self) -> bool:
        """Whether a key that is not known here does not exist."""
        return self._store.is_complete and self._clock().timestamp() - self._store.heard <= CAUGHT_UP_SECONDS

    def complaint(self) -> str | None:
        """Why no key can be checked; None: nothing. For a readiness probe: what was known once goes on counting until it is stale."""
        self._catch_up()
        return None if self._store.is_complete else self._problem

    def note_use(self, key_id: str) -> None:
        """Tell the verifier beside us: for `Guard.on_use`."""
        every = RETIRING_TOLD_EVERY if key_id in self._store.retiring else TOLD_EVERY
        self._uses.note(key_id, now=self._clock().timestamp(), every=every)

    def _catch_up(self) -> None:
        try:
            if _state_of(self._snapshot.stat()) == self._seen:
                return
            with self._lock, self._snapshot.open("rb") as file:
                self._read(file)
        except OSError as error:
            self._complain(f"{self._snapshot} cannot be read: {error.strerror}")

    def _read(self, file: BinaryIO) -> None:
        inode, size = _state_of(os.fstat(file.fileno()))
        if self._seen == (inode, size):
            return
        if self._goes_on(file, inode):
            self._take(file, known=frozenset())
        elif self._begins(file) and self._take_keys():
            # Where something had vanished, the same line as before may say that it is back.
            known, self._taken = frozenset(() if self._store.vanished else self._taken), set()
            self._take(file, known=known)
        else:
            return
        self._seen = (inode, file.tell())

    def _goes_on(self, file: BinaryIO, inode: int) -> bool:
        """Whether it is the file that was read, only longer. An inode's number may be used again, so its last line must be there too."""
        if self._seen is None or self._seen[0] != inode:
            return False
        file.seek(self._seen[1] - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _begins(self, file: BinaryIO) -> bool:
        file.seek(0)
        self._last_line = file.readline()
        if is_header(self._last_line):
            return True
        self._complain(f"{self._snapshot} is no snapshot of a format that is known here")
        return False

    def _take_keys(self) -> bool:
        try:
            keys = VerificationKeys.from_data({DATA_KEY: self._keys.read_text()})
        except (OSError, ValueError, VerificationKeysDamaged) as error:
            self._complain(f"{self._keys} cannot be read: {error}")
            return False
        if keys != self._store.keys:
            self._store.keys = keys
            self._taken = set()  # a record that nobody vouched for may be a good one now
        return True

    def _take(self, file: BinaryIO, *, known: frozenset[int]) -> None:
        """Everything up to the last whole line. A file is in its place only when all of the cluster's records are in it."""
        now = self._clock().timestamp()
        heard = self._store.heard
        for line in file:
            if not line.endswith(b"\n"):
                file.seek(-len(line), os.SEEK_CUR)
                break
            self._last_line = line
            self._taken.add(hash(line))
            if hash(line) not in known:
                heard = self._take_line(line, now) or heard
        self._store.heard = heard
        self._store.is_complete = True
        self._complain(None)

    def _take_line(self, line: bytes, now: float) -> float | None:
        """When the cluster was heard from, if the line says so: the last of them counts."""
        match read_entry(line):
            case OfferedRecord() as offered:
                self._store.take(offered)
            case Heard(at):
                return min(at, now)
            case Vanished(record_name, at):
                self._store.note_vanished(record_name, at=min(at, now))
            case _:
                log.warning("A line of the snapshot cannot be read", file=str(self._snapshot))
        return None

    def _complain(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            log.error("Keys cannot be checked", problem=problem)
        self._problem = problem


class _Uses:
    """One line for each use that is worth a word, appended to a file that the verifier takes away every second."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told: dict[str, float] = {}
        self._failed = False

    def note(self, key_id: str, *, now: float, every: float) -> None:
        if abs(now - self._told.get(key_id, float("-inf"))) < every:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[key_id] = now
        try:
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o660)
            try:
                if os.fstat(file).st_size < LARGEST_USES:
                    os.write(file, key_id.encode() + b"\n")
            finally:
                os.close(file)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("Use cannot be told, so that an old key may end early", file=str(self._file), problem=error.strerror)
            self._failed = True


def _state_of(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_ino, stat.st_size
