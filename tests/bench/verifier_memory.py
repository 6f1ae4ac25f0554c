"""What 100,000 keys take: in the store alone, and of a whole verifier that has read them from an API server."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Final

from bench.accounting import memory_kib
from bench.report import Report, Row
from bench.server_process import TESTS
from bench.verifier_scene import NOBODYS, scene
from gen import verifying
from gen.many_keys import record
from keyturn.verifier.store import Store

KEYS: Final = 100_000
STORE_MB: Final = 40.0
PROCESS_MB: Final = 120.0
_KB_IN_MB: Final = 1000 / 1.024


def measure(report: Report, *, quick: bool) -> None:
    """The store in a process of its own; then the real thing."""
    keys = KEYS // 10 if quick else KEYS
    words = [sys.executable, "-m", "bench.verifier_memory", str(keys)]
    store = float(subprocess.run(words, cwd=TESTS, check=True, capture_output=True, text=True).stdout)
    with scene(keys) as here, here.verifier() as verifier:
        after, peak = (memory_kib(verifier.pid, peak=peak) / _KB_IN_MB for peak in (False, True))
        held = verifier.metric("keyturn_verifier_records")
        with here.verifier(records_namespace=NOBODYS) as another:
            idle = memory_kib(another.pid) / _KB_IN_MB
    if held != keys:
        raise RuntimeError(f"the verifier holds {held:.0f} records of {keys}")
    share = keys / KEYS
    report.add(
        Row(f"memory of {keys} records in the store", store, "MB", STORE_MB * share, how="growth of the process, records taken one by one"),
        Row("  of a whole verifier that read them", after, "MB", PROCESS_MB, how="resident, from a real API server"),
        Row("  of one that knows none", idle, "MB", how="the interpreter and the modules"),
        Row("  at its highest, while it read them", peak, "MB"),
    )


def _store_of(keys: int) -> float:
    """Megabytes by which this process grows with a store of so many."""
    store = Store(verifying.RING.verification_keys)
    store.take(verifying.offered(record(keys)))  # whatever the first one loads
    gc.collect()
    before = memory_kib(_OWN)
    for number in range(keys):
        store.take(verifying.offered(record(number)))
    gc.collect()
    return (memory_kib(_OWN) - before) / _KB_IN_MB


_OWN: Final = "self"

if __name__ == "__main__":
    print(_store_of(int(sys.argv[1])))
