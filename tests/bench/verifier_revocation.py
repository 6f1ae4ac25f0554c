"""How long a revoked key is still accepted: from the API server's answer to the operator's write until the verifier refuses it."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from statistics import median
from typing import Final

from bench.http_load import VERIFY, Load, answers_of, asking
from bench.report import Report, Row
from bench.verifier_scene import Scene, port_of, scene
from gen.many_keys import token

RECORDS: Final = 10_000
RATE: Final = 1_000.0
PATIENCE: Final = 10.0
WARM_UP: Final = 2.0


def measure(report: Report, *, quick: bool) -> None:
    """One key after the other, while others are asked about."""
    samples = 50 if quick else 500
    first = RECORDS - samples
    with scene(RECORDS) as here, here.verifier() as verifier:
        port = port_of(verifier)
        with asking(Load(port, connections=16, rate=RATE, seconds=600.0, keys=first)) as others:
            time.sleep(WARM_UP)
            took = sorted(_revoke(here, number, port) for number in range(first, RECORDS))
            others.terminate()
            answers = answers_of(others)
    rate = answers.passed / answers.seconds
    how = f"{samples} keys; from the API server's answer to the first refusal, at {rate:.0f} requests a second"
    report.add(
        Row(f"revocation with {RECORDS} records, p99", took[int(samples * 0.99)] * 1000, "ms", 100, gate=False, how=how),
        Row("  p50", median(took) * 1000, "ms", how=f"worst: {took[-1] * 1000:.0f} ms"),
        Row("  other keys refused meanwhile", answers.others, "", 0, exactly=True),
    )


def _revoke(here: Scene, number: int, port: int) -> float:
    """Seconds. The first question is asked when the answer is here, the next when the last was answered."""
    headers = {"Authorization": f"Bearer {token(number)}"}
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        if _status(connection, headers) != 200:
            raise RuntimeError(f"key {number} was not accepted to begin with")
        written = here.write(number, serial=2, versions=())
        while _status(connection, headers) == 200:
            if time.monotonic() - written > PATIENCE:
                raise TimeoutError(f"key {number} was still accepted after {PATIENCE} s")
        return time.monotonic() - written
    finally:
        connection.close()


def _status(connection: HTTPConnection, headers: dict[str, str]) -> int:
    connection.request("GET", VERIFY, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
