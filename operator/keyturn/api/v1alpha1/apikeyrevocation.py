"""ApiKeyRevocation: the emergency brake. Which keys end, why, and how soon; it is written once and never changed.

What it does to a record decides `lifecycle/revocation.py`; `controller/revocations.py` brings it there and writes the status.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, Strict, StringConstraints

from keyturn.api.field_types import INT32, Generation, GoDuration, NoneIfUnreadable, Time, WholeNumber
from keyturn.api.resource_kind import Column, ResourceKind
from keyturn.api.rules import ApiModel, ListOf, Rule, TransitionRule
from keyturn.api.v1alpha1.condition import Condition
from keyturn.api.v1alpha1.object_meta import ObjectMeta

RevokedKeyID = Annotated[str, StringConstraints(min_length=6, max_length=32, pattern="^[A-Za-z0-9]+$")]
NamespaceName = Annotated[str, Field(min_length=1, max_length=63)]
ObjectName = Annotated[str, Field(min_length=1, max_length=63)]
Count = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1, json_schema_extra=INT32), WholeNumber]

REQUESTER_LENGTH: Final = 256
CREATION_PRECISION: Final = timedelta(seconds=1)
"""A creationTimestamp is cut to whole seconds; what was minted within that second was minted before, as far as anybody can tell."""


class RevocationMode(StrEnum):
    """How soon the keys end."""

    IMMEDIATE = "Immediate"
    """At once. Whoever uses them is turned away until he has the new key."""
    REPLACE = "Replace"
    """Once the new key is delivered and its consumers have moved, at the latest after replaceWithin."""


class RevocationReason(StrEnum):
    """Why keys are revoked."""

    LEAKED = "Leaked"
    """Somebody may know it who should not."""
    SUPERSEDED = "Superseded"
    """Another key takes its place."""
    OWNER_LEFT = "OwnerLeft"
    """Whoever had it is not there any more."""
    POLICY_VIOLATION = "PolicyViolation"
    """It was used as it must not be."""
    HONEYTOKEN_HIT = "HoneytokenHit"
    """It was bait, and somebody took it."""
    OTHER = "Other"
    """The note says."""


class RevokedApiKey(ApiModel):
    """Names an ApiKey, also one that is gone."""

    namespace: NamespaceName
    """Its namespace."""
    name: ObjectName
    """Name of it, as in metadata.name."""
    uid: Annotated[str, Field(min_length=1, max_length=36)] | None = None
    """Of this very ApiKey; unset: whichever had or has that name."""


class RevokedProduct(ApiModel):
    """Names an ApiProduct, also one that is gone."""

    namespace: NamespaceName
    """Its namespace."""
    name: ObjectName
    """Name of it, as in metadata.name."""


class RevocationMatch(ApiModel):
    """Which keys are meant: those for which all of this is true."""

    product_ref: RevokedProduct | None = None
    """Those of an ApiProduct."""
    namespace: NamespaceName | None = None
    """Those of a namespace."""
    minted_before: Time | None = None
    """Those minted before then, say before the backup that leaked. Never those minted after this revocation, whatever stands here."""

    RULES: ClassVar = (
        Rule["RevocationMatch"](
            "has(self.productRef) || has(self.namespace) || has(self.mintedBefore)",
            "an empty match would mean every key there is: give productRef, namespace or mintedBefore",
            lambda self: self.product_ref is not None or self.namespace is not None or self.minted_before is not None,
        ),
    )


class ApiKeyRevocationSpec(ApiModel):
    """Which keys end, and how. Cannot be changed: create another revocation."""

    key_ids: Annotated[tuple[RevokedKeyID, ...], Field(min_length=1, max_length=1000), ListOf()] | None = None
    """Key IDs: the twelve characters after the prefix of a key, as in status.keyID and in every log."""
    api_key_ref: RevokedApiKey | None = None
    """Every version of one ApiKey that was minted before this revocation was created."""
    match: RevocationMatch | None = None
    """Every version of many ApiKeys that was minted before this revocation was created."""
    mode: RevocationMode = RevocationMode.IMMEDIATE
    """Immediate: refused everywhere at once, and replaced. Replace: replaced at once, and refused once the consumers have moved."""
    replace_within: GoDuration | None = None
    """With mode Replace: how long after the creation of this revocation the keys end at the latest. Unset: --replace-within."""
    reason: RevocationReason
    """Leaked, Superseded, OwnerLeft, PolicyViolation, HoneytokenHit or Other. Stands in records, Events and the audit log for good."""
    note: Annotated[str, Field(max_length=1024)] | None = None
    """For people: what happened, and where to read on."""
    requested_by: Annotated[str, Field(max_length=REQUESTER_LENGTH)] | None = None
    """Who asked for it: whoever creates it, as the API server knows them, or unset. A policy lets only GitOps name somebody else."""

    RULES: ClassVar = (
        Rule["ApiKeyRevocationSpec"](
            "[has(self.keyIDs), has(self.apiKeyRef), has(self.match)].filter(x, x).size() == 1",
            "say which keys end by exactly one of keyIDs, apiKeyRef and match",
            lambda self: sum(part is not None for part in (self.key_ids, self.api_key_ref, self.match)) == 1,
        ),
        Rule["ApiKeyRevocationSpec"](
            "!has(self.replaceWithin) || self.mode == 'Replace'",
            "replaceWithin belongs to mode Replace: remove it, or write mode: Replace",
            lambda self: self.replace_within is None or self.mode is RevocationMode.REPLACE,
            ".replaceWithin",
        ),
    )
    TRANSITION_RULES: ClassVar = (
        TransitionRule["ApiKeyRevocationSpec"](
            "self == oldSelf",
            "a revocation cannot be changed: create another one",
            lambda old, new: old == new,
        ),
    )


class ApiKeyRevocationStatus(ApiModel):
    """What was done. May be deleted: Keyturn writes it again, but a latency is then measured to that moment."""

    observed_generation: Generation | None = None
    """Generation of the spec that this speaks of."""
    revoked_versions: Count | None = None
    """How many key versions that it means have ended since it was created."""
    remaining_versions: Count | None = None
    """How many live still that it means."""
    dead_before_versions: Count | None = None
    """How many were dead when it was created: of keyIDs all, otherwise those that were revoked for the same reason."""
    unknown_key_ids: Annotated[tuple[Annotated[str, Field(max_length=32)], ...], Field(max_length=100), ListOf()] | None = None
    """Of keyIDs, those that no record knows, live or dead; the first hundred."""
    latency: Annotated[str, Field(max_length=32)] | None = None
    """From when the operator saw this revocation, or from the end of the second in its creationTimestamp where that was earlier,
    until every live verifier was known to refuse the keys."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListOf(keys=("type",))] = ()
    """Complete: every key that is meant is dead, and every live verifier knows."""


class ApiKeyRevocation(ApiModel):
    """Ends keys for good, wherever they are used. Deleting it gives none of them back."""

    metadata: ObjectMeta
    """Kubernetes' metadata."""
    spec: ApiKeyRevocationSpec
    """Which keys end, and how."""
    status: Annotated[ApiKeyRevocationStatus | None, NoneIfUnreadable] = None
    """What was done. Written by Keyturn."""

    def minted_before(self, *, created: datetime) -> datetime:
        """The instant before which a version must have been minted to be meant by apiKeyRef or match."""
        latest = created + CREATION_PRECISION
        asked = self.spec.match.minted_before if self.spec.match is not None else None
        return min(asked, latest) if asked is not None else latest


APIKEYREVOCATION: Final = ResourceKind(
    model=ApiKeyRevocation,
    kind="ApiKeyRevocation",
    plural="apikeyrevocations",
    short_name="akr",
    scope="Cluster",
    columns=(
        Column("Complete", '.status.conditions[?(@.type=="Complete")].status'),
        Column("Reason", ".spec.reason"),
        Column("Mode", ".spec.mode"),
        Column("Versions", ".status.revokedVersions", type="integer"),
        Column("Latency", ".status.latency"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Message", '.status.conditions[?(@.type=="Complete")].message', wide=True),
    ),
)
