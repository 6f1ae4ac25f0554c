"""What Keyturn answers in an ApiKey's status: a projection of the verifier record that may be deleted at any time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from keyturn.api.field_types import Generation, IssuedNumber, LargeCount, StatusTime
from keyturn.api.rules import ApiModel, ListOf
from keyturn.api.v1alpha1.condition import Condition
from keyturn.base.version_state import VersionState

KeyID = Annotated[str, Field(max_length=32)]
LengthText = Annotated[str, Field(max_length=32)]
Word = Annotated[str, Field(max_length=64)]


class SecretRef(ApiModel):
    """Names a Secret in the ApiKey's namespace."""

    name: Annotated[str, Field(max_length=253)] | None = None
    """Name of the Secret."""


class ApprovedPower(ApiModel):
    """The power that was approved."""

    plan: Annotated[str, Field(max_length=63)] | None = None
    """Name of the approved plan."""
    scopes: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=64), ListOf()] = ()
    """The approved scopes."""
    by: Annotated[str, Field(max_length=256)] | None = None
    """Who approved it: the name of a grant or of a person."""
    time: StatusTime | None = None
    """When it was approved."""


class EffectiveLimits(ApiModel):
    """How often the key may be used, each verifier by itself, as its plan says."""

    requests_per_second: LargeCount
    """Requests a second over time."""
    burst: LargeCount
    """Requests at once after a while without any."""


class EffectiveQuota(ApiModel):
    """How much the key may be used in a period, as its plan says. It stands in the record, and nobody counts it yet."""

    requests: LargeCount
    """Requests in one period."""
    period: Word
    """Hour, Day or Month, in UTC."""


class EffectiveSettings(ApiModel):
    """What is in force after inheritance."""

    plan: Annotated[str, Field(max_length=63)] | None = None
    """Name of the plan."""
    rotation_interval: LengthText | None = None
    """How old a key becomes before it is rotated; absent where a schedule or people decide."""
    grace_period: LengthText | None = None
    """How long a replaced key lives on at least."""
    overlap_limit: LengthText | None = None
    """How long a replaced key lives on at most."""
    quiet_period: LengthText | None = None
    """How long a replaced key must have been unused before it ends."""
    limits: EffectiveLimits | None = None
    """How often the key may be used; absent: no limit."""
    quota: EffectiveQuota | None = None
    """How much the key may be used in a period: declared by the plan, not counted yet."""
    policies: Annotated[tuple[Annotated[str, Field(max_length=253)], ...], Field(max_length=8), ListOf()] = ()
    """Names of the policies that narrowed the spec."""


class SealedKey(ApiModel):
    """A version that waits for its person. Alone in the status it is no projection: lost, it is made anew."""

    key_id: KeyID
    """Public ID of the version: what keyturn.dev/received has to say."""
    version: IssuedNumber
    """Number of the version."""
    recipient: Annotated[str, Field(max_length=62)]
    """The public key it is encrypted to."""
    ciphertext: Annotated[str, Field(max_length=2048)]
    """The key, encrypted in the armored form of age: `age --decrypt -i <file>` prints it."""
    expiration_time: StatusTime
    """When it is revoked if nobody has said that they have it."""


class VersionStatus(ApiModel):
    """One generation of the key."""

    number: IssuedNumber
    """Number of the version, counted from 1, never used twice."""
    key_id: KeyID
    """Public ID of the version: the part of the key that logs and reports show."""
    state: VersionState
    """Staged: accepted, not yet in the Secret. Active: in the Secret. Retiring: replaced, still accepted. Retired: ended as planned.
    Revoked: ended by intent."""
    staged_time: StatusTime | None = None
    """When it was made."""
    active_time: StatusTime | None = None
    """When the Secret began to hold it."""
    not_after: StatusTime | None = None
    """When it ends at the latest. Never moves to a later time."""
    end_time: StatusTime | None = None
    """When it ended."""
    end_reason: Word | None = None
    """Why it ended, in a word."""


class PendingWorkload(ApiModel):
    """A workload that still uses the replaced key."""

    kind: Annotated[str, Field(max_length=63)] | None = None
    """Kind of the workload, for example Deployment."""
    name: Annotated[str, Field(max_length=253)] | None = None
    """Name of the workload."""
    reason: Word | None = None
    """What it waits for, in a word: for example OnDelete, Paused, OldPodsTerminating."""


class RolloutStatus(ApiModel):
    """The rollout of the active version."""

    key_id: KeyID | None = None
    """Public ID of the version that is rolled out."""
    start_time: StatusTime | None = None
    """When the rollout began, or will begin. A pod that starts from then on has this version."""
    summary: Annotated[str, Field(max_length=256)] | None = None
    """How far it is, in words: 3 of 4 done; waiting for StatefulSet/db (OnDelete)."""
    pending: Annotated[tuple[PendingWorkload, ...], Field(max_length=20, json_schema_extra={"x-kubernetes-list-type": "atomic"})] = ()
    """Workloads that are not done, at most 20."""


class ApiKeyStatus(ApiModel):
    """What is. May be deleted at any time: Keyturn writes it again and does nothing else."""

    observed_generation: Generation | None = None
    """Generation of the spec that was last fully acted on, or that waits for its user."""
    observed_trigger: Annotated[str, Field(max_length=253)] | None = None
    """The rotation.trigger that was last acted on."""
    active_version: IssuedNumber | None = None
    """Number of the version that is in force: the one that the Secret holds, if there is a Secret."""
    key_id: KeyID | None = None
    """Public ID of that version. Whose key is this? kubectl get apikeys -A --field-selector status.keyID=<ID>."""
    secret_ref: SecretRef | None = None
    """The Secret that holds the key."""
    sealed: SealedKey | None = None
    """Of delivery Sealed: the version that waits for its person. Absent once they have it."""
    approved: ApprovedPower | None = None
    """The power the key has now; a wider spec waits for approval beside it."""
    effective: EffectiveSettings | None = None
    """What is in force after inheritance from plan, product and settings."""
    versions: Annotated[tuple[VersionStatus, ...], Field(max_length=24), ListOf(keys=("number",))] = ()
    """All live versions and the last revisionHistoryLimit ended ones."""
    rollout: RolloutStatus | None = None
    """How far the workloads are with the active version."""
    last_rotation_time: StatusTime | None = None
    """When the Secret last got a new key."""
    next_rotation_time: StatusTime | None = None
    """When the next rotation is due; absent if none is planned."""
    last_used_time: StatusTime | None = None
    """The day the key was last used, as far as verifiers report."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListOf(keys=("type",))] = ()
    """What holds and what does not: Ready, Approved, Disabled, PreviousVersionActive, RolloutComplete; Reconciling and Stalled only while
    true. The documentation of conditions lists every reason with what to do."""

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it was written yet."""
        return next((condition for condition in self.conditions if condition.type == type_), None)


def status_to_json(status: ApiKeyStatus) -> dict[str, object]:
    """Write a status as the API server stores it: camelCase, absent fields and empty lists left out, times in whole seconds."""
    return status.model_dump(mode="json", by_alias=True, exclude_defaults=True)
