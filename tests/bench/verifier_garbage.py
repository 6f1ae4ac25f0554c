"""Guesses without end, as many as the verifier can answer: its memory stays as it is, and whoever has a key is answered."""

from __future__ import annotations

import time
from typing import Final

from bench.accounting import cpu_seconds, memory_kib
from bench.http_load import Load, answers_of, ask, asking
from bench.report import Report, Row
from bench.verifier_scene import port_of, scene

RECORDS: Final = 1_000
SECONDS: Final = 10.0
WARM_UP: Final = 2.0
RATE: Final = 100.0
"""Requests a second with good keys meanwhile."""


def measure(report: Report, *, quick: bool) -> None:
    """Every guess is another one."""
    seconds = SECONDS / 5 if quick else SECONDS
    with scene(RECORDS) as here, here.verifier() as verifier:
        port = port_of(verifier)
        quiet = ask(Load(port, connections=4, rate=RATE, seconds=seconds, keys=RECORDS))
        with asking(Load(port, connections=64, seconds=seconds + 2 * WARM_UP, keys=0)) as guessing:
            time.sleep(WARM_UP)
            memory, cpu = memory_kib(verifier.pid), cpu_seconds(verifier.pid)
            good = ask(Load(port, connections=4, rate=RATE, seconds=seconds, keys=RECORDS))
            grown, busy = memory_kib(verifier.pid) - memory, (cpu_seconds(verifier.pid) - cpu) / good.seconds
            guesses = answers_of(guessing)
    rate = guesses.others / guesses.seconds
    missing = max(0, int(RATE * seconds) - 1 - good.passed)  # each that is due is sent, and waited for
    report.add(
        Row("garbage at saturation: growth of memory", grown / 1024, "MiB", 1, how=f"{rate:.0f} guesses a second for {seconds:.0f} s"),
        Row("  guesses that passed", guesses.passed, "", 0, exactly=True, how=f"of {guesses.others}; the verifier took {busy:.2f} cores"),
        Row("  good keys refused or not answered", good.others + missing, "", 0, exactly=True, how=f"of {good.passed}"),
        Row("  good keys, p99", good.p99, "ms", how=f"p50 {good.p50:.1f} ms; without garbage {quiet.p50:.1f} and {quiet.p99:.1f} ms"),
    )
