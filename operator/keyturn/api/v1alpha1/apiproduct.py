"""ApiProduct: which API there is, what its keys may do, and who may have one. The asked part is in `apiproduct_spec.py`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, Strict

from keyturn.api.field_types import INT32, Generation, NoneIfUnreadable, WholeNumber
from keyturn.api.resource_kind import Column, ResourceKind
from keyturn.api.rules import ApiModel, ListOf
from keyturn.api.v1alpha1.apiproduct_spec import ApiProductSpec
from keyturn.api.v1alpha1.condition import Condition
from keyturn.api.v1alpha1.object_meta import ObjectMeta
from keyturn.base.names import Key

KeyCount = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1, json_schema_extra=INT32), WholeNumber]


class KeyCounts(ApiModel):
    """How many ApiKeys refer to the product."""

    ready: KeyCount = 0
    """Those with a key that is accepted."""
    pending: KeyCount = 0
    """Those that wait: for a grant, or for what they ask for beyond theirs."""
    disabled: KeyCount = 0
    """Those whose key is refused: disabled, expired, or without access."""


class ApiProductStatus(ApiModel):
    """What is. May be deleted at any time: Keyturn writes it again."""

    observed_generation: Generation | None = None
    """Generation of the spec that this speaks of."""
    keys: KeyCounts | None = None
    """How many ApiKeys refer to the product."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListOf(keys=("type",))] = ()
    """Ready: ApiKeys may refer to the product. Stalled while true: something of it cannot be used, and says what."""


class ApiProduct(ApiModel):
    """An API whose keys Keyturn manages: what they may do, in which plans, and who may have one."""

    metadata: ObjectMeta
    """Kubernetes' metadata."""
    spec: ApiProductSpec
    """Which API there is."""
    status: Annotated[ApiProductStatus | None, NoneIfUnreadable] = None
    """What is. Written by Keyturn."""

    @property
    def key(self) -> Key:
        """Which ApiProduct this is: namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)


APIPRODUCT: Final = ResourceKind(
    model=ApiProduct,
    kind="ApiProduct",
    plural="apiproducts",
    short_name="aprod",
    scope="Namespaced",
    columns=(
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Audience", ".spec.audience"),
        Column("Approval", ".spec.access.approval"),
        Column("Keys", ".status.keys.ready", type="integer"),
        Column("Pending", ".status.keys.pending", type="integer"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
        Column("Disabled", ".status.keys.disabled", type="integer", wide=True),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
    ),
)
