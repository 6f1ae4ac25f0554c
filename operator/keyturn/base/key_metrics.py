"""What all ApiKeys together are like, for people on call: counted when it is asked for, so it cannot drift. Part of `metrics.REGISTRY`.

One label value a key is given only to keys with an end by intent, near that end: those a person has to find by name. Its labels are
`apikey_namespace` and `apikey`, since Prometheus gives `namespace` to where the operator runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from keyturn.base.names import Key

LATE_AFTER: Final = timedelta(minutes=15)
"""A rotation later than this counts as overdue: back-off, a restart and a full queue take less."""
END_SHOWN_BEFORE: Final = timedelta(days=30)
END_SHOWN_AFTER: Final = timedelta(days=1)
READY_REASONS: Final = ("Issued", "Imported", "RestoreDetected", "Disabled")
UNREADY_REASONS: Final = ("AwaitingReceipt", "Issuing", "PendingApproval", "PropagationPending", "NamespaceTerminating")
UNKNOWN_REASONS: Final = ("Paused",)
STALLED_REASONS: Final = (
    "AccessLost",
    "AdmissionDenied",
    "AudienceTaken",
    "DigestElsewhere",
    "DigestEnded",
    "DigestOutOfOrder",
    "Expired",
    "GracePeriodTooLong",
    "GracePeriodTooShort",
    "IntervalTooShort",
    "InvalidSchedule",
    "InvalidSpec",
    "MinVersionTooHigh",
    "NotReceived",
    "PermissionMissing",
    "PlanUnknown",
    "ProductUnavailable",
    "RecipientInvalid",
    "RecordDamaged",
    "RecordTooNew",
    "RootSecretMissing",
    "ScopeNotInPlan",
    "SecretConflict",
    "SecretContested",
    "TemplateInvalid",
    "TooManyDigests",
    "TooManyKeys",
    "TooManyRepairs",
    "UnknownSigner",
    "UnknownTimeZone",
    "WorkloadRefused",
)
"""Reasons that are there at 0 before they occur; a test holds them and the documentation of conditions together."""
END_LABELS: Final = ("apikey_namespace", "apikey")


@dataclass(frozen=True, slots=True)
class KeyNumbers:
    """The ApiKeys at one moment; by default none."""

    ready: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many have condition Ready with this status and reason."""
    stalled: Mapping[str, int] = field(default_factory=dict)
    """How many wait for a person, by reason."""
    rollouts_stalled: int = 0
    retiring: int = 0
    overdue: int = 0
    overdue_seconds: float = 0.0
    ends: Mapping[Key, float] = field(default_factory=dict)
    """Unix times of the planned ends that are near."""


class KeyMetrics(Collector):
    """The gauges over all ApiKeys. Zeros until somebody says how to count, and again when nobody does any more."""

    def __init__(self) -> None:
        self._count: Callable[[], KeyNumbers] = KeyNumbers

    def count_with(self, count: Callable[[], KeyNumbers]) -> None:
        """From now on, this knows."""
        self._count = count

    def forget(self) -> None:
        """Who stands by knows of no key: what was true at the end of a term is somebody else's to tell."""
        self._count = KeyNumbers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One scrape."""
        now = self._count()
        yield _by_ready(now.ready)
        yield _by_stalled(now.stalled)
        yield _one("keyturn_rollouts_stalled", "ApiKeys whose rollout does not finish: their old key lives on", now.rollouts_stalled)
        yield _one("keyturn_versions_retiring", "Replaced key versions that are still accepted", now.retiring)
        yield _one(
            "keyturn_rotations_overdue", "ApiKeys whose scheduled rotation is over 15 minutes late; windows and pacing count", now.overdue
        )
        yield _one(
            "keyturn_rotation_overdue_seconds", "How late the latest scheduled rotation is; windows and pacing count", now.overdue_seconds
        )
        ends = GaugeMetricFamily(
            "keyturn_apikey_expiration_timestamp_seconds",
            "When spec.expirationTime ends an ApiKey; from 30 days before to a day after",
            labels=END_LABELS,
        )
        for key, end in now.ends.items():
            ends.add_metric((key.namespace, key.name), end)
        yield ends


def _one(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)


def _by_ready(found: Mapping[tuple[str, str], int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("keyturn_apikeys", "ApiKeys by status and reason of condition Ready", labels=("ready", "reason"))
    known = [
        *product(("True",), READY_REASONS),
        *product(("False",), (*UNREADY_REASONS, *STALLED_REASONS)),
        *product(("Unknown",), UNKNOWN_REASONS),
    ]
    for labels, count in {**dict.fromkeys(known, 0), **found}.items():
        family.add_metric(labels, count)
    return family


def _by_stalled(found: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "keyturn_apikeys_stalled", "ApiKeys that wait for a person (condition Stalled), by reason", labels=("reason",)
    )
    for reason, count in {**dict.fromkeys(STALLED_REASONS, 0), **found}.items():
        family.add_metric((reason,), count)
    return family
