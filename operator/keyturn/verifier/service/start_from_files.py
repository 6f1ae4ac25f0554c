"""What a verifier knows before it has asked the API server: the public keys as a mounted file, the records as its last snapshot."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

from keyturn.base.log_output import get_logger
from keyturn.keys.verification_keys import DATA_KEY, VerificationKeys, VerificationKeysDamaged
from keyturn.verifier.snapshot import Heard, NoSnapshot, Vanished, read_snapshot
from keyturn.verifier.store import OfferedRecord, Store, Taken

BREATH: Final = 20
"""Records between two chances for everything else that this event loop does."""

log = get_logger(__name__)


def keys_in_file(file: Path) -> VerificationKeys | None:
    """The public keys, if the file is there (a ConfigMap that does not exist yet mounts as nothing) and readable."""
    try:
        return VerificationKeys.from_data({DATA_KEY: file.read_text()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, VerificationKeysDamaged) as error:
        log.error("The public keys cannot be read from their file", file=str(file), problem=str(error))
        return None


async def start_from_snapshot(file: Path, store: Store, *, now: float) -> int:
    """Put every genuine record of the snapshot in force; answers how many are held. `now`: nothing was heard later than that."""
    became: Counter[str] = Counter()
    try:
        for number, entry in enumerate(read_snapshot(file), start=1):
            match entry:
                case OfferedRecord():
                    became[store.take(entry)] += 1
                case Heard(at):
                    store.heard = min(at, now)
                case Vanished(record_name, at):
                    store.note_vanished(record_name, at=min(at, now))
                case _:
                    became["unreadable"] += 1
            if number % BREATH == 0:
                await asyncio.sleep(0)
    except NoSnapshot as none:
        log.info("Starts without a snapshot", why=str(none))
        return 0
    ignored = sum(count for what, count in became.items() if what not in {Taken.APPLIED, Taken.SAME})
    log.info("Started from the snapshot", records=len(store), ignored=ignored, age_seconds=now - store.heard)
    return len(store)
