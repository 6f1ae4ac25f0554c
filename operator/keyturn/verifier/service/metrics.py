"""Every metric of the verifier, in a registry of its own. Names and labels are API: docs/reference/metrics.md lists them.

What happens with each request is counted in plain integers and read when somebody asks: a labelled counter costs more than the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from keyturn.verifier.store import Taken
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal

REGISTRY: Final = CollectorRegistry()
ACCEPTED: Final = "accepted"

RECORDS_TAKEN: Final = Counter(
    "keyturn_verifier_records_taken", "Records offered by the watch, by what became of them", ["result"], registry=REGISTRY
)
RECORDS: Final = Gauge("keyturn_verifier_records", "Records in force, tombstones among them", registry=REGISTRY)
LIVE_KEYS: Final = Gauge("keyturn_verifier_live_keys", "Key versions that may be accepted", registry=REGISTRY)
VANISHED: Final = Gauge(
    "keyturn_verifier_records_vanished",
    "Records gone from the cluster without a word, still in force here; above 0 is an alarm",
    registry=REGISTRY,
)
SNAPSHOT_FAILURES: Final = Counter("keyturn_verifier_snapshot_failures", "Times the snapshot could not be written", registry=REGISTRY)
SNAPSHOT_WRITTEN: Final = Gauge(
    "keyturn_verifier_snapshot_written_timestamp_seconds", "When the snapshot was last written whole; 0: never", registry=REGISTRY
)
HEARD_AGE: Final = Gauge("keyturn_verifier_heard_age_seconds", "Since the API server last said anything about records", registry=REGISTRY)
CAUGHT_UP: Final = Gauge("keyturn_verifier_caught_up", "1 while a key that is not known here does not exist", registry=REGISTRY)
WAITED_FOR: Final = Gauge(
    "keyturn_verifier_waited_for", "1 while the operator gives out no key before this replica accepts it", registry=REGISTRY
)
API_REQUESTS: Final = Counter(
    "keyturn_verifier_api_requests", "Requests to the API server; code none: no answer", ["verb", "resource", "code"], registry=REGISTRY
)
USE_REPORTS: Final = Counter("keyturn_verifier_use_reports", "Reports of use written, by result", ["result"], registry=REGISTRY)
CONNECTIONS: Final = Gauge("keyturn_verifier_connections", "Open connections of gateways that ask over HTTP", registry=REGISTRY)
TURNED_AWAY: Final = Counter(
    "keyturn_verifier_connections_turned_away",
    "Connections over HTTP that were closed for what the peer did: connections (too many), head, body (too large), malformed, slow",
    ["why"],
    registry=REGISTRY,
)
CLOCK_SKEW: Final = Gauge("keyturn_verifier_clock_skew_seconds", "Own clock minus the API server's", registry=REGISTRY)
EVENT_LOOP_LAG: Final = Gauge(
    "keyturn_verifier_event_loop_lag_seconds", "Longest delay of the event loop in the last 30 seconds", registry=REGISTRY
)

ISSUER_FETCHES: Final = Counter(
    "keyturn_verifier_issuer_fetches", "Fetches of an issuer's public keys", ["issuer", "result"], registry=REGISTRY
)
ISSUER_KEYS_AGE: Final = Gauge(
    "keyturn_verifier_issuer_keys_age_seconds",
    "Since an issuer's public keys were last fetched; its tokens are not accepted after a day",
    ["issuer"],
    registry=REGISTRY,
)

PARENT_REGISTRY: Final = CollectorRegistry()
"""Of the process that keeps several others (`supervisor.py`)."""
PROCESS_STARTS: Final = Counter(
    "keyturn_verifier_process_starts",
    "Starts of each process of this replica; each beyond the first followed a death",
    ["process"],
    registry=PARENT_REGISTRY,
)
PARENT_EVENT_LOOP_LAG: Final = Gauge(
    "keyturn_verifier_event_loop_lag_seconds", "Longest delay of the event loop in the last 30 seconds", registry=PARENT_REGISTRY
)


class Verdicts(Collector):
    """How requests were decided: `keyturn_verifier_requests_total{verdict}`."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = dict.fromkeys([ACCEPTED, *Refusal], 0)

    def count(self, verdict: CheckVerdict) -> None:
        """One request."""
        self._counts[ACCEPTED if isinstance(verdict, Accepted) else verdict.refusal] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For Prometheus."""
        family = CounterMetricFamily("keyturn_verifier_requests", "Requests by verdict", labels=["verdict"])
        for verdict, count in self._counts.items():
            family.add_metric([str(verdict)], count)
        yield family


VERDICTS: Final = Verdicts()


def count_request(verb: str, resource: str, status: int) -> None:
    """One request to the API server; a status of 0 is none."""
    API_REQUESTS.labels(verb=verb, resource=resource, code=str(status) if status else "none").inc()


def read_when_asked(gauges: Iterable[tuple[Gauge, Callable[[], float]]]) -> None:
    """Let gauges read what they show."""
    for gauge, read in gauges:
        gauge.set_function(read)


def show_issuers(names: Iterable[str], *, age: Callable[[str], float]) -> None:
    """Start at 0 for every issuer."""
    for name in names:
        for result in ("fetched", "failed"):
            ISSUER_FETCHES.labels(issuer=name, result=result)
        ISSUER_KEYS_AGE.labels(issuer=name).set_function(partial(age, name))


for _taken in Taken:
    RECORDS_TAKEN.labels(result=_taken.value)
for _result in ("done", "failed"):
    USE_REPORTS.labels(result=_result)
for _why in ("connections", "head", "body", "malformed", "slow"):
    TURNED_AWAY.labels(why=_why)
REGISTRY.register(VERDICTS)
for _registry in (REGISTRY, PARENT_REGISTRY):
    ProcessCollector(registry=_registry)
    GCCollector(registry=_registry)
