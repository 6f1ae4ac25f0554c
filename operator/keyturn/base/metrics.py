"""Every metric of the operator, defined once, in a registry of our own. Served at /metrics by `base/probe_server.py`.

Every label value that is known beforehand starts at 0: an alert on `increase(…)` must see the first event, not miss it
because the series was born with it. Names and labels are API: docs/reference/metrics.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector

from keyturn.base.key_metrics import KeyMetrics
from keyturn.base.log_output import redactions
from keyturn.base.names import POLICIES
from keyturn.base.version_state import Cause

REGISTRY: Final = CollectorRegistry()


class RunResult(StrEnum):
    """How one run of a reconcile ended."""

    DONE = "done"
    """It returned."""
    CONFLICT = "conflict"
    """Somebody wrote first, or the outcome of a write is unknown: looked at again at once, then after a short while."""
    RETRY = "retry"
    """It passes by itself: backed off."""
    USER_MUST_ACT = "user_must_act"
    """Nothing to do until something changes."""
    BUG = "bug"
    """Any other exception: traceback in the log, backed off."""


STEP_KINDS: Final = ("Stage", "SaveRecord", "Deliver", "Seal", "RenderSecret", "Annotate", "Announce")
"""The names of the steps in `lifecycle/plan.py`; a test holds the two together."""
DEAD_REASONS: Final = (
    "Superseded",
    "OverlapLimit",
    "NeverDelivered",
    "SecretLost",
    "SecretTampered",
    "MinVersion",
    "Revoked",
    "Expired",
    "ApiKeyDeleted",
    "OldRecordRestored",
    "NotListed",
    "Elsewhere",
    "NotReceived",
    "CiphertextLost",
    "Leaked",
    "OwnerLeft",
    "PolicyViolation",
    "HoneytokenHit",
    "Other",
)
"""Why a version ends, as lifecycle/ words it in the record's tombstones."""
STEP_RESULTS: Final = ("done", "conflict", "failed")
EVENT_RESULTS: Final = ("posted", "refused")
AUDIT_RESULTS: Final = ("written", "failed")
NO_ANSWER: Final = "none"

RECONCILES: Final = Counter("keyturn_reconcile", "Reconciles by how they ended", ["result"], registry=REGISTRY)
RECONCILE_SECONDS: Final = Histogram(
    "keyturn_reconcile_duration_seconds",
    "How long a reconcile took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
STEPS: Final = Counter("keyturn_steps", "Writes to the cluster by kind of step and result", ["kind", "result"], registry=REGISTRY)
API_REQUESTS: Final = Counter(
    "keyturn_api_requests", "Requests to the API server; code none: no answer", ["verb", "resource", "code"], registry=REGISTRY
)
ROTATIONS: Final = Counter("keyturn_rotations", "Key versions minted, by cause", ["cause"], registry=REGISTRY)
VERSIONS_DEAD: Final = Counter("keyturn_versions_dead", "Key versions that ended: Retired or Revoked", ["reason"], registry=REGISTRY)
KEYS: Final = KeyMetrics()
SECRET_CONFLICTS: Final = Counter(
    "keyturn_secret_conflicts", "Times an ApiKey's Secret turned out to be somebody else's", registry=REGISTRY
)
SECRET_EDITS_UNDONE: Final = Counter(
    "keyturn_secret_edits_undone", "Edits beside the key, by others, that were undone in credential Secrets", registry=REGISTRY
)
RECORDS_DAMAGED: Final = Counter("keyturn_records_damaged", "Verifier records that could not be read or verified", registry=REGISTRY)
ROOT_SECRET_MISSING: Final = Counter(
    "keyturn_root_secret_missing", "Times the root secret was found to be gone while this process ran", registry=REGISTRY
)
RECORDS_RECOVERED: Final = Counter(
    "keyturn_records_recovered",
    "Records older than what verifiers or the operator knew, put right: a backup was restored",
    registry=REGISTRY,
)
EVENTS: Final = Counter("keyturn_events", "Kubernetes Events by result", ["result"], registry=REGISTRY)
AUDIT_LINES: Final = Counter("keyturn_audit_lines", "Audit lines by result", ["result"], registry=REGISTRY)
QUEUE_DEPTH: Final = Gauge("keyturn_queue_depth", "ApiKeys that wait for a worker", registry=REGISTRY)
QUEUE_SCHEDULED: Final = Gauge("keyturn_queue_scheduled", "ApiKeys that wait for their time", registry=REGISTRY)
QUEUE_RUNNING: Final = Gauge("keyturn_queue_running", "ApiKeys being worked on", registry=REGISTRY)
QUEUE_FAILING: Final = Gauge("keyturn_queue_failing", "ApiKeys whose last reconcile failed", registry=REGISTRY)
VERIFIERS: Final = Gauge("keyturn_verifiers", "Verifiers whose Lease runs", registry=REGISTRY)
VERIFIER_LAG: Final = Gauge(
    "keyturn_verifiers_lag_seconds", "How long the verifier furthest behind has had a record to apply", registry=REGISTRY
)
LEADER: Final = Gauge("keyturn_leader", "1 while this process leads", registry=REGISTRY)
TERMS_BROKEN: Final = Counter("keyturn_terms_broken", "Terms of leading that a bug ended", registry=REGISTRY)
CLOCK_SKEW: Final = Gauge("keyturn_clock_skew_seconds", "Own clock minus the API server's", registry=REGISTRY)
EVENT_LOOP_LAG: Final = Gauge("keyturn_event_loop_lag_seconds", "Longest delay of the event loop in the last 30 seconds", registry=REGISTRY)
FENCE_INTACT: Final = Gauge(
    "keyturn_fence_intact",
    "1 while an admission policy of the fence is in force, 0 while it is not; NaN where it is not looked at",
    ["policy"],
    registry=REGISTRY,
)
LOG_REDACTIONS: Final = Gauge(
    "keyturn_log_redactions", "Things that looked like a key, kept out of the log; above 0 is a bug", registry=REGISTRY
)


def count_request(verb: str, resource: str, status: int) -> None:
    """One request to the API server; a status of 0 is none."""
    _api_requests(verb, resource, status).inc()


def count_run(result: RunResult, seconds: float) -> None:
    """One reconcile."""
    RECONCILES.labels(result=result.value).inc()
    RECONCILE_SECONDS.observe(seconds)


@cache  # finding a labelled counter takes a lock and ten microseconds
def _api_requests(verb: str, resource: str, status: int) -> Counter:
    return API_REQUESTS.labels(verb=verb, resource=resource, code=str(status) if status else NO_ANSWER)


def _start_at_zero() -> None:
    known: tuple[tuple[Counter, str, Iterable[str]], ...] = (
        (RECONCILES, "result", RunResult),
        (ROTATIONS, "cause", Cause),
        (VERSIONS_DEAD, "reason", DEAD_REASONS),
        (EVENTS, "result", EVENT_RESULTS),
        (AUDIT_LINES, "result", AUDIT_RESULTS),
    )
    for counter, label, values in known:
        for value in values:
            counter.labels(**{label: str(value)})
    for kind, result in product(STEP_KINDS, STEP_RESULTS):
        STEPS.labels(kind=kind, result=result)
    for policy in POLICIES:
        FENCE_INTACT.labels(policy=policy).set(float("nan"))
    LOG_REDACTIONS.set_function(lambda: float(redactions.caught))


_start_at_zero()
REGISTRY.register(KEYS)
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)
