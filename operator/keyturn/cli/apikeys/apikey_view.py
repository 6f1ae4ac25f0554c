"""An ApiKey as the commands show it, read leniently: also an object that is older than a rule of today's must be shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.base.clock import parse_time
from keyturn.base.names import PAUSED_ANNOTATION, ROTATE_ANNOTATION
from keyturn.base.version_state import VersionState
from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of

Raw = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ConditionView:
    """One condition."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One key version."""

    number: int
    key_id: str
    state: str
    staged_time: datetime | None
    active_time: datetime | None
    not_after: datetime | None
    end_time: datetime | None
    end_reason: str


@dataclass(frozen=True, slots=True)
class ApprovedView:
    """What the product's owner lets the key have."""

    plan: str
    scopes: tuple[str, ...]
    by: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class SealedView:
    """A version that waits for its person. The ciphertext is no secret, and of no use without their identity."""

    key_id: str
    version: int
    recipient: str
    ciphertext: str
    expiration_time: datetime | None


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """What the commands know of an ApiKey. Absent texts are empty."""

    namespace: str
    name: str
    uid: str
    created: datetime | None
    generation: int
    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    product: str
    """Name of the product; empty: none."""
    product_namespace: str
    """Where the product is; empty without one."""
    asked_plan: str
    asked_scopes: tuple[str, ...] | None
    """None: whatever the plan offers."""
    delivery: str
    """Secret, Sealed or None."""
    recipient: str
    """For whom a sealed key is; empty: for no person."""
    secret_name: str
    """Empty: there is no Secret of this key."""
    disabled: bool
    rotation: tuple[tuple[str, str], ...]
    """The texts of spec.rotation as written: interval, schedule, timeZone, policy, gracePeriod …"""
    targets: tuple[tuple[str, str], ...]
    """Kind and name of each of spec.rollout.targets."""
    expiration_time: datetime | None
    has_status: bool
    observed_generation: int
    active_version: int
    key_id: str
    sealed: SealedView | None
    plan: str
    """The plan in force."""
    approved: ApprovedView | None
    effective: tuple[tuple[str, str], ...]
    limits: tuple[int, int] | None
    """Requests a second, and at once; None: no limit."""
    last_rotation_time: datetime | None
    next_rotation_time: datetime | None
    last_used_time: datetime | None
    conditions: tuple[ConditionView, ...]
    versions: tuple[VersionView, ...]
    rollout_summary: str
    rollout_key_id: str
    """Which version is rolled out; empty: none."""
    rollout_start: datetime | None

    def condition(self, type_: str) -> ConditionView | None:
        """The condition of that type, if it was written yet."""
        return next((condition for condition in self.conditions if condition.type == type_), None)

    def holds(self, type_: str) -> ConditionView | None:
        """The condition of that type if it is True."""
        found = self.condition(type_)
        return found if found is not None and found.status == "True" else None

    def in_state(self, state: VersionState) -> tuple[VersionView, ...]:
        """The versions in one state, lowest number first."""
        return tuple(sorted((each for each in self.versions if each.state == state), key=lambda each: each.number))

    @property
    def full_product(self) -> str:
        """Namespace/name of the product; empty without one."""
        return f"{self.product_namespace}/{self.product}" if self.product else ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes in force: those that are approved, as far as they are asked for."""
        approved = self.approved.scopes if self.approved is not None else ()
        return approved if self.asked_scopes is None else tuple(scope for scope in approved if scope in self.asked_scopes)

    @property
    def is_paused(self) -> bool:
        """Whether the operator leaves it alone."""
        return dict(self.annotations).get(PAUSED_ANNOTATION, "").lower() == "true"

    @property
    def rotate_requested_at(self) -> str:
        """The annotation that `keyturn rotate` writes."""
        return dict(self.annotations).get(ROTATE_ANNOTATION, "")


def decode_apikey(raw: Raw) -> ApiKeyView:
    """Read the API server's JSON; what has another shape counts as absent."""
    metadata, spec, status = mapping_of(raw, "metadata"), mapping_of(raw, "spec"), mapping_of(raw, "status")
    rollout, product = mapping_of(status, "rollout"), mapping_of(spec, "productRef")
    return ApiKeyView(
        namespace=text_of(metadata, "namespace"),
        name=text_of(metadata, "name"),
        uid=text_of(metadata, "uid"),
        created=_time(metadata, "creationTimestamp"),
        generation=_number(metadata, "generation"),
        labels=tuple(texts_of(metadata, "labels").items()),
        annotations=tuple(texts_of(metadata, "annotations").items()),
        product=text_of(product, "name"),
        product_namespace=(text_of(product, "namespace") or text_of(metadata, "namespace")) if product else "",
        asked_plan=text_of(spec, "plan"),
        asked_scopes=list_of_texts(spec, "scopes"),
        delivery=text_of(spec, "delivery") or Delivery.SECRET,
        recipient=text_of(mapping_of(spec, "sealed"), "recipient"),
        secret_name=_secret_name(metadata, spec),
        disabled=spec.get("disabled") is True,
        rotation=tuple(texts_of(spec, "rotation").items()),
        targets=tuple((text_of(each, "kind"), text_of(each, "name")) for each in objects_of(mapping_of(spec, "rollout"), "targets")),
        expiration_time=_time(spec, "expirationTime"),
        has_status=bool(status),
        observed_generation=_number(status, "observedGeneration"),
        active_version=_number(status, "activeVersion"),
        key_id=text_of(status, "keyID"),
        sealed=_sealed(mapping_of(status, "sealed")),
        plan=text_of(mapping_of(status, "effective"), "plan"),
        approved=_approved(mapping_of(status, "approved")),
        effective=tuple(texts_of(status, "effective").items()),
        limits=_limits(mapping_of(mapping_of(status, "effective"), "limits")),
        last_rotation_time=_time(status, "lastRotationTime"),
        next_rotation_time=_time(status, "nextRotationTime"),
        last_used_time=_time(status, "lastUsedTime"),
        conditions=tuple(map(_condition, objects_of(status, "conditions"))),
        versions=tuple(map(_version, objects_of(status, "versions"))),
        rollout_summary=text_of(rollout, "summary"),
        rollout_key_id=text_of(rollout, "keyID"),
        rollout_start=_time(rollout, "startTime"),
    )


def time_of(text: str) -> datetime | None:
    """An instant; None if the text is none."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def list_of_texts(raw: Raw, name: str) -> tuple[str, ...] | None:
    """A list of texts; None if it is absent or something else."""
    value = raw.get(name)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else None


def _secret_name(metadata: Raw, spec: Raw) -> str:
    if text_of(spec, "delivery") not in {"", Delivery.SECRET}:
        return ""
    return text_of(spec, "secretName") or text_of(metadata, "name")


def _sealed(raw: Raw) -> SealedView | None:
    if not raw:
        return None
    return SealedView(
        text_of(raw, "keyID"), _number(raw, "version"), text_of(raw, "recipient"), text_of(raw, "ciphertext"), _time(raw, "expirationTime")
    )


def _approved(raw: Raw) -> ApprovedView | None:
    if not raw:
        return None
    return ApprovedView(text_of(raw, "plan"), list_of_texts(raw, "scopes") or (), text_of(raw, "by"), _time(raw, "time"))


def _condition(raw: Raw) -> ConditionView:
    return ConditionView(
        text_of(raw, "type"), text_of(raw, "status"), text_of(raw, "reason"), text_of(raw, "message"), _time(raw, "lastTransitionTime")
    )


def _version(raw: Raw) -> VersionView:
    return VersionView(
        number=_number(raw, "number"),
        key_id=text_of(raw, "keyID"),
        state=text_of(raw, "state"),
        staged_time=_time(raw, "stagedTime"),
        active_time=_time(raw, "activeTime"),
        not_after=_time(raw, "notAfter"),
        end_time=_time(raw, "endTime"),
        end_reason=text_of(raw, "endReason"),
    )


def _time(raw: Raw, name: str) -> datetime | None:
    return time_of(text_of(raw, name))


def _limits(raw: Raw) -> tuple[int, int] | None:
    return (_number(raw, "requestsPerSecond"), _number(raw, "burst")) if raw else None


def _number(raw: Raw, name: str) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) else 0
