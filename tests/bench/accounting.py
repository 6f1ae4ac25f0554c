"""What was spent: CPU seconds by the kernel's clocks, memory from /proc, requests by the API server's own metrics."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Final

_REQUEST: Final = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE"})
_NOBODYS: Final = frozenset(
    {"leases", "apiservices", "flowschemas", "prioritylevelconfigurations", "services", "endpoints", "endpointslices"}
)
"""What the API server asks of itself, and the Lease of the operator: a matter of time, not of keys."""

Requests = Counter[tuple[str, str]]
"""Verb (as the API server's metric writes it) and resource, with its subresource: how many."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far. By the clock that clock_getcpuclockid(3) names: /proc counts in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)


def memory_kib(pid: int | str, *, peak: bool = False) -> int:
    """Resident memory of a process (`self`: this one), now or at its highest."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def requests_so_far(metrics: str) -> Requests:
    """Every request for a key, or for many, answered since the API server started, without watches."""
    everything = all_requests_so_far(metrics)
    counted = {(verb, what): count for (verb, what), count in everything.items() if verb != "WATCH"}
    return Counter({(verb, what): count for (verb, what), count in counted.items() if what.partition("/")[0] not in {"", *_NOBODYS}})


def all_requests_so_far(metrics: str) -> Requests:
    """Every request answered since the API server started, also its own; a watch is answered when it ends."""
    found: Requests = Counter()
    for text, value in _REQUEST.findall(metrics):
        labels = dict(_LABEL.findall(text))
        name = f"{labels['resource']}/{labels['subresource']}" if labels["subresource"] else labels["resource"]
        found[labels["verb"], name] += int(float(value))
    return found


def writes_in(requests: Requests) -> int:
    return sum(count for (verb, _), count in requests.items() if verb in _WRITES)


def reads_in(requests: Requests) -> int:
    """Reads of single objects and lists that came once a key; the few lists of a start are not told apart here."""
    return sum(count for (verb, _), count in requests.items() if verb not in _WRITES)
