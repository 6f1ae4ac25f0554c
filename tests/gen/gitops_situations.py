"""What an ApiKey can look like, as the operator itself writes it, and what GitOps tools must make of it.

Each situation has a file in deploy/argocd/testdata, for readers; `python tests/gen/gitops_situations.py` writes them anew.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script it has to find its neighbours

from gen.deliveries import NEW, imported, ledger, listing, wanting
from gen.lifecycle import HOUR, KEY, NOW, active, apikey, observed, ours, pending, record, retiring, rollout, staged, tombstone
from gen.products import OWNER, READ, consumer, found, grant, product
from gen.revocations import revocation
from keyturn.api.v1alpha1.apikey import status_to_json
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.keys.record import Limits
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.consent import ProductMissing
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import ForeignSecret, Holder, NoSecret, Observed
from keyturn.lifecycle.plan import Waiting
from keyturn.lifecycle.product_status import KeyStanding, product_status
from keyturn.lifecycle.revocation_status import RecordStanding, revocation_status

BESIDE: Final = Key(KEY.namespace, "smtp")
SEEN: Final = NOW - timedelta(milliseconds=143)
"""When the operator saw the revocation."""
TESTDATA: Final = Path(__file__).parents[2] / "deploy" / "argocd" / "testdata"
GENERATION: Final = 3
"""Of the spec that the builders' ApiKey has."""

NOTHING_FAILED: Final = Outcome()


@dataclass(frozen=True, slots=True)
class Situation:
    """One row: `seen` is what the operator looked at when it wrote the status; None: it has not looked yet."""

    name: str
    argocd: str
    kstatus: str
    seen: Observed | None
    outcome: Outcome = NOTHING_FAILED
    changed_since: bool = False
    """Whether the spec was changed after the operator looked."""

    def manifest(self) -> dict[str, Any]:
        """The ApiKey as the API server gives it out."""
        living = self.seen.apikey if self.seen else apikey()
        assert living is not None
        spec = living.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        metadata: dict[str, Any] = {
            "name": KEY.name,
            "namespace": KEY.namespace,
            "generation": GENERATION + self.changed_since,
        }
        if living.metadata.annotations:
            metadata["annotations"] = dict(living.metadata.annotations)
        whole: dict[str, Any] = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": metadata, "spec": spec}
        if self.seen:
            whole["status"] = status_to_json(conclude(self.seen, decide(self.seen), self.outcome))
        return whole


STEADY: Final = observed(record(active(1)), ours(1))
OVERLAP: Final = record(retiring(1), active(2, ago=HOUR))
RESTORED: Final = replace(OVERLAP, restored_time=NOW - HOUR)
CONFLICT: Final = observed(record(staged(1)), ForeignSecret("Secret billing is not Keyturn's"))
ACTED_ON: Final = apikey(status={"observedGeneration": GENERATION})
BAD_SCHEDULE: Final = apikey({"rotation": {"schedule": "61 0 * * *"}})
DISABLED: Final = apikey({"disabled": True})
EXPIRED: Final = apikey({"expirationTime": "2026-03-02T12:00:00Z"})
PAUSED: Final = replace(
    STEADY, apikey=apikey(annotations={"keyturn.dev/paused": "true"}, status=status_to_json(conclude(STEADY, decide(STEADY), Outcome())))
)
OFFER: Final = product(grants=[grant()])
GRANTED: Final = replace(
    record(active(1)), audience="invoices", product="billing-api/invoices", plan="basic", scopes=(READ,), limits=Limits(10, 20)
)
LOST: Final = replace(GRANTED, access_lost_time=NOW)
REFUSED: Final = replace(GRANTED, access_lost_time=NOW - HOUR, disabled=True)
NOT_TAKEN: Final = replace(tombstone(1, reason="NotReceived"), state=VersionState.REVOKED)
FORBIDDEN: Final = Outcome(failed=Waiting(Reason.PERMISSION_MISSING, "Keyturn may not create Secrets"), user_must_act=True)

SITUATIONS: Final = (
    Situation("not-seen-yet", "Progressing", "Current", None),
    Situation("first-issue", "Progressing", "InProgress", observed(record(staged(1)), held=(1,))),
    Situation("steady", "Healthy", "Current", STEADY),
    Situation("rollout-under-way", "Healthy", "Current", observed(OVERLAP, ours(2))),
    Situation("rollout-stalled", "Healthy", "Current", observed(OVERLAP, ours(2), rollout=rollout(pending()))),
    Situation("grace", "Healthy", "Current", observed(OVERLAP, ours(2), rollout=rollout())),
    Situation("restored-from-a-backup", "Healthy", "Current", observed(RESTORED, ours(2), rollout=rollout())),
    Situation("next-version-staged", "Healthy", "Current", observed(record(active(1), staged(2)), ours(1), of=ACTED_ON, held=(2,))),
    Situation("lost-secret", "Progressing", "InProgress", observed(record(active(1), staged(2, seconds_ago=1)), NoSecret(), held=(2,))),
    Situation("changed", "Progressing", "InProgress", STEADY, changed_since=True),
    Situation("secret-conflict", "Degraded", "Failed", CONFLICT),
    Situation("secret-conflict-and-changed", "Progressing", "InProgress", CONFLICT, changed_since=True),
    Situation(
        "secret-conflict-and-the-key-works", "Degraded", "Failed", observed(record(active(1)), ForeignSecret("It is immutable", works=True))
    ),
    Situation("bad-schedule", "Degraded", "Failed", observed(of=BAD_SCHEDULE)),
    Situation("bad-schedule-and-the-key-works", "Degraded", "Failed", observed(record(active(1)), ours(1), of=BAD_SCHEDULE)),
    Situation("no-product", "Degraded", "Failed", observed(of=consumer(), product=ProductMissing())),
    Situation("waits-for-approval", "Suspended", "InProgress", observed(of=consumer(), product=found(product()))),
    Situation("widening-waits", "Healthy", "Current", observed(GRANTED, ours(1), of=consumer(plan="full"), product=found(OFFER))),
    Situation("access-lost", "Degraded", "Failed", observed(LOST, ours(1), of=consumer(), product=ProductMissing())),
    Situation("access-lost-and-refused", "Degraded", "Failed", observed(REFUSED, ours(1), of=consumer(), product=ProductMissing())),
    Situation("permission-missing", "Degraded", "Failed", observed(), FORBIDDEN),
    Situation("expired", "Degraded", "Failed", observed(replace(record(dead=(tombstone(1),)), expiration_time=NOW), ours(1), of=EXPIRED)),
    Situation("disabled", "Suspended", "Current", observed(replace(record(active(1)), disabled=True), ours(1), of=DISABLED)),
    Situation("waits-for-its-person", "Suspended", "InProgress", observed(ledger(staged(1, seconds_ago=60)), of=wanting(of=1))),
    Situation(
        "rotation-waits-for-its-person", "Healthy", "Current", observed(ledger(active(1), staged(2, seconds_ago=60)), of=wanting(of=2))
    ),
    Situation("nobody-took-it", "Degraded", "Failed", observed(ledger(dead=(NOT_TAKEN,)), of=wanting())),
    Situation("made-elsewhere", "Healthy", "Current", observed(ledger(imported(1, NEW, VersionState.ACTIVE)), of=listing(NEW))),
    Situation("made-elsewhere-for-another", "Degraded", "Failed", observed(of=listing(NEW), elsewhere={NEW: Holder(BESIDE)})),
    Situation("paused", "Suspended", "Current", PAUSED),
    Situation("paused-and-changed", "Suspended", "InProgress", PAUSED, changed_since=True),
)


@dataclass(frozen=True, slots=True)
class ProductSituation:
    """The same for an ApiProduct: `seen` by the operator or not yet, changed since or not."""

    name: str
    argocd: str
    kstatus: str
    seen: bool = True
    changed_since: bool = False
    owner: Key | None = None
    """The older product that has its audience."""

    def manifest(self) -> dict[str, Any]:
        """The ApiProduct as the API server gives it out."""
        of = product(grants=[grant()])
        told = product_status(of, (KeyStanding.READY, KeyStanding.PENDING), owner=self.owner, now=NOW).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        return {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ApiProduct",
            "metadata": {"name": "invoices", "namespace": OWNER, "generation": 1 + self.changed_since},
            "spec": of.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
            **({"status": told} if self.seen else {}),
        }


PRODUCT_SITUATIONS: Final = (
    ProductSituation("product-not-seen-yet", "Progressing", "Current", seen=False),
    ProductSituation("product-ready", "Healthy", "Current"),
    ProductSituation("product-changed", "Progressing", "InProgress", changed_since=True),
    ProductSituation("product-stalled", "Degraded", "Failed", owner=Key("billing-api", "bills")),
)


@dataclass(frozen=True, slots=True)
class RevocationSituation:
    """The same for an ApiKeyRevocation of one key: `standing` of its record, and verifiers that may still accept it."""

    name: str
    argocd: str
    kstatus: str
    standing: RecordStanding | None = None
    behind: tuple[str, ...] = ()
    seen: bool = True

    def manifest(self) -> dict[str, Any]:
        """The ApiKeyRevocation as the API server gives it out."""
        of = revocation({"keyIDs": ["Qm8sT2fLx0Za"]}, name="leaked")
        told = revocation_status(of, [self.standing] if self.standing is not None else [], behind=self.behind, seen=SEEN, now=NOW)
        return {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ApiKeyRevocation",
            "metadata": {"name": "leaked", "generation": 1, "creationTimestamp": "2026-03-02T11:59:59Z"},
            "spec": {"keyIDs": ["Qm8sT2fLx0Za"], "mode": "Immediate", "reason": "Leaked"},
            **({"status": told.model_dump(mode="json", by_alias=True, exclude_none=True)} if self.seen else {}),
        }


_KNOWN: Final = frozenset({"Qm8sT2fLx0Za"})
REVOCATION_SITUATIONS: Final = (
    RevocationSituation("revocation-not-seen-yet", "Progressing", "Current", seen=False),
    RevocationSituation("revocation-under-way", "Progressing", "InProgress", RecordStanding(_KNOWN, live=1)),
    RevocationSituation("revocation-replaces", "Progressing", "InProgress", RecordStanding(_KNOWN, live=1, end=NOW + HOUR)),
    RevocationSituation("revocation-not-confirmed", "Progressing", "InProgress", RecordStanding(_KNOWN, ended=1), behind=("verifier-1",)),
    RevocationSituation("revocation-complete", "Healthy", "Current", RecordStanding(_KNOWN, ended=1)),
    RevocationSituation("revocation-of-nothing", "Healthy", "Current"),
)


def files() -> dict[str, str]:
    """Every file of deploy/argocd/testdata by name."""
    every = (*SITUATIONS, *PRODUCT_SITUATIONS, *REVOCATION_SITUATIONS)
    return {f"{each.name}.yaml": yaml.safe_dump(each.manifest(), sort_keys=False, width=140) for each in every}


if __name__ == "__main__":
    for _name, _text in files().items():
        (TESTDATA / _name).write_text(_text)
