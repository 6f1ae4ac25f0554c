"""ApiKey: what a team asks for and keeps. The parts are in `apikey_spec.py` (asked) and `apikey_status.py` (answered).

`crd_generation.py` makes the CRD from these models and `APIKEY` below; `cluster/` turns the API server's JSON into them.
"""

from __future__ import annotations

from typing import Annotated, Final

from keyturn.api.field_types import NoneIfUnreadable
from keyturn.api.resource_kind import Column, ResourceKind
from keyturn.api.rules import ApiModel, broken_transitions
from keyturn.api.v1alpha1.apikey_delivery import Delivery, ListedDigest, SealedSpec
from keyturn.api.v1alpha1.apikey_spec import (
    ApiKeySpec,
    DeletionPolicy,
    ProductRef,
    Restrictions,
    RolloutPolicy,
    RolloutSpec,
    RolloutTarget,
    RotationPolicy,
    RotationSpec,
    SecretTemplate,
    Window,
    WorkloadKind,
)
from keyturn.api.v1alpha1.apikey_status import (
    ApiKeyStatus,
    ApprovedPower,
    EffectiveLimits,
    EffectiveQuota,
    EffectiveSettings,
    PendingWorkload,
    RolloutStatus,
    SealedKey,
    SecretRef,
    VersionStatus,
    status_to_json,
)
from keyturn.api.v1alpha1.object_meta import ObjectMeta
from keyturn.base.names import Key

__all__ = [
    "APIKEY",
    "ApiKey",
    "ApiKeySpec",
    "ApiKeyStatus",
    "ApprovedPower",
    "DeletionPolicy",
    "Delivery",
    "EffectiveLimits",
    "EffectiveQuota",
    "EffectiveSettings",
    "ListedDigest",
    "ObjectMeta",
    "PendingWorkload",
    "ProductRef",
    "Restrictions",
    "RolloutPolicy",
    "RolloutSpec",
    "RolloutStatus",
    "RolloutTarget",
    "RotationPolicy",
    "RotationSpec",
    "SealedKey",
    "SealedSpec",
    "SecretRef",
    "SecretTemplate",
    "VersionStatus",
    "Window",
    "WorkloadKind",
    "check_update",
    "status_to_json",
]


class ApiKey(ApiModel):
    """An API key that Keyturn issues into a Secret, rotates before it grows old, and retires once nothing uses it any more."""

    metadata: ObjectMeta
    """Kubernetes' metadata; the name has at most 63 characters, since it becomes a label value."""
    spec: ApiKeySpec
    """What is asked for. An empty spec ({}) works: a key for the default audience without scopes, in a Secret of the ApiKey's name,
    replaced every ninety days."""
    status: Annotated[ApiKeyStatus | None, NoneIfUnreadable] = None
    """What is. Written by Keyturn; may be deleted at any time, and comes back the same."""

    @property
    def key(self) -> Key:
        """Which ApiKey this is: namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def secret_name(self) -> str:
        """Name of the credential Secret: as asked, else the ApiKey's own."""
        return self.spec.secret_name or self.metadata.name


def check_update(old: ApiKey, new: ApiKey) -> list[str]:
    """Say what the API server would refuse in a change from old to new beyond new's own validity; empty: nothing."""
    return broken_transitions(ApiKeySpec.TRANSITION_RULES, old.spec, new.spec, path="spec")


def _condition_field(field: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{field}'


APIKEY: Final = ResourceKind(
    model=ApiKey,
    kind="ApiKey",
    plural="apikeys",
    short_name="akey",
    scope="Namespaced",
    # Incident: "whose key is this ID?" without listing the whole cluster.
    selectable_fields=(".spec.productRef.name", ".status.keyID"),
    columns=(
        Column("Ready", _condition_field("status")),
        Column("Product", ".spec.productRef.name"),
        Column("Version", ".status.activeVersion", type="integer"),
        Column("Key ID", ".status.keyID"),
        # A string: kubectl prints a `date` that lies in the future as "<invalid>".
        Column("Next Rotation", ".status.nextRotationTime"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Secret", ".status.secretRef.name", wide=True),
        Column("Plan", ".status.effective.plan", wide=True),
        Column("Last Used", ".status.lastUsedTime", type="date", wide=True),
        Column("Reason", _condition_field("reason"), wide=True),
        Column("Message", _condition_field("message"), wide=True),
    ),
)
