"""What a user asks for in an ApiKey. The docstring under a field is what `kubectl explain` prints.

House rule: unset means inherit (ApiKey, plan, ApiProduct, the operator's settings); what is in force stands in
`status.effective`. Only an enum whose meaning can never change has a default in the schema.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, Strict, StringConstraints

from keyturn.api.cidr import CIDR_RULES
from keyturn.api.field_types import INT32, SUBDOMAIN_PATTERN, Boolean, DropsNulls, GoDuration, Time, VersionNumber, WholeNumber
from keyturn.api.rules import ApiModel, ListOf, Obeys, Rule, TransitionRule
from keyturn.api.secret_rules import ANNOTATION_RULES, DATA_RULES, LABEL_RULES, LABEL_VALUE_PATTERN
from keyturn.api.v1alpha1.apikey_delivery import Delivery, ListedDigest, SealedSpec

Scope = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern="^[a-z0-9][a-z0-9._:/-]*$")]
Cidr = Annotated[str, Field(max_length=43, json_schema_extra={"format": "cidr"}), Obeys(CIDR_RULES)]
Cron = Annotated[str, StringConstraints(min_length=9, max_length=128)]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=LABEL_VALUE_PATTERN)]


class RotationPolicy(StrEnum):
    """Who starts rotations."""

    AUTOMATIC = "Automatic"
    """The calendar: interval or schedule."""
    MANUAL = "Manual"
    """People only: trigger, the CLI, revocations."""


class RolloutPolicy(StrEnum):
    """Whether workloads are restarted."""

    AUTOMATIC = "Automatic"
    """Keyturn restarts what references the Secret."""
    DISABLED = "Disabled"
    """Something else does, or the application re-reads the file."""


class WorkloadKind(StrEnum):
    """What can be rolled out."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    ROLLOUT = "Rollout"
    """Argo Rollouts."""


class DeletionPolicy(StrEnum):
    """What becomes of the key when the ApiKey is deleted."""

    REVOKE = "Revoke"
    """Every version is revoked, the Secret is deleted."""
    RETAIN = "Retain"
    """Secret and record stay in force."""


class ProductRef(ApiModel):
    """Names an ApiProduct."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the ApiProduct."""
    namespace: Annotated[str, Field(max_length=63)] | None = None
    """Namespace of the ApiProduct; unset: the ApiKey's own. In another namespace the product must admit this one: see its spec.access."""


class Restrictions(ApiModel):
    """From where the key may be used."""

    allowed_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=64), ListOf()] | None = None
    """Networks the key is accepted from, for example 10.20.0.0/16 or 2001:db8::/48; a single address is 192.0.2.7/32.
    Unset or empty: from everywhere. Verifiers compare the address that the gateway reports."""


class SecretTemplate(ApiModel):
    """What the credential Secret carries beside the key."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=32), Obeys(LABEL_RULES), DropsNulls] | None = None
    """Labels for the Secret, for example team: payments. keyturn.dev/*, app.kubernetes.io/managed-by, app.kubernetes.io/instance and
    argocd.argoproj.io/* are reserved."""
    annotations: (
        Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32), Obeys(ANNOTATION_RULES), DropsNulls] | None
    ) = None
    """Annotations for the Secret. keyturn.dev/*, argocd.argoproj.io/* and kubectl.kubernetes.io/last-applied-configuration are reserved."""
    data: Annotated[dict[str, Annotated[str, Field(max_length=8192)]], Field(max_length=16), Obeys(DATA_RULES), DropsNulls] | None = None
    """Further entries of the Secret, rendered from text, for clients that want a file of their own format; for example
    config.ini: "[api]\\nkey=$(API_KEY)\\n". Four words are replaced: $(API_KEY) by the key, $(KEY_ID) by its public ID, $(VERSION) by its
    number, $(PREVIOUS_API_KEY) by the key before it, which is empty outside an overlap and needs keepPrevious. All else is kept as written;
    there are no functions and no escapes. The key itself is always in the entry api-key."""
    keep_previous: Boolean | None = None
    """true: while a replaced key is still accepted, the Secret also holds it, as previous-api-key; for clients that try both.
    Unset: false."""


class Window(ApiModel):
    """A span of time, again and again."""

    cron: Cron
    """When the window opens, in CronJob's five fields: "0 22 * * 1-5" is ten in the evening, Monday to Friday."""
    window_duration: GoDuration
    """How long it stays open, in h, m and s: 4h."""
    time_zone: Annotated[str, Field(max_length=64)] | None = None
    """IANA name of the zone cron is read in, for example Europe/Berlin; unset: UTC."""


class RotationSpec(ApiModel):
    """When the key is replaced, and how long the replaced one lives on."""

    policy: RotationPolicy | None = None
    """Automatic: by interval or schedule. Manual: only by trigger, by `keyturn rotate` or by a revocation. Unset: Automatic."""
    interval: GoDuration | None = None
    """How old a key may become, in h, m and s: 720h is thirty days ("30d" is not understood). Rotations of many keys are spread
    over a tenth of it. Give this or schedule. Unset: the product's, else the operator's (2160h, ninety days)."""
    schedule: Cron | None = None
    """When rotations are due, in CronJob's five fields: "0 3 1 * *" is three in the morning on the first of the month. Missed dates count
    as one. Give this or interval."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """IANA name of the zone schedule is read in, for example Europe/Berlin; unset: UTC."""
    windows: Annotated[tuple[Window, ...], Field(max_length=7, json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None = None
    """When rotations may start; one that falls due outside waits for the next window. Unset or empty: at any time. Revocations
    and repairs do not wait."""
    grace_period: GoDuration | None = None
    """How long the replaced key lives on at least, from the moment the Secret holds the new one: 24h. Not more than overlapLimit, less
    than interval. Unset: 24h, or half of overlapLimit where that is less."""
    overlap_limit: GoDuration | None = None
    """How long the replaced key lives on at most, whatever rollout and traffic do; it stands in the signed record, so no outage of the
    operator can prolong it. Less than interval. Unset: 168h, or half of interval where that is less."""
    quiet_period: GoDuration | None = None
    """How long the replaced key must have been unused before it ends, as far as verifiers report use; overlapLimit ends the wait.
    Unset: 1h."""
    trigger: Annotated[str, Field(max_length=253)] | None = None
    """Any text; each change of it rotates the key once, now. For rotations by Git: write a date or a ticket number."""

    @property
    def is_by_calendar(self) -> bool:
        """Whether anything here lets rotations start by themselves."""
        calendar = (self.interval, self.schedule, self.windows)
        return self.policy is RotationPolicy.AUTOMATIC or any(each is not None for each in calendar)

    RULES: ClassVar = (
        Rule["RotationSpec"](
            "!(has(self.interval) && has(self.schedule))",
            "interval and schedule exclude each other, since each says when the next rotation is due: remove one of them",
            lambda self: self.interval is None or self.schedule is None,
            ".schedule",
        ),
        Rule["RotationSpec"](
            "!has(self.timeZone) || has(self.schedule)",
            "timeZone is the zone that schedule is read in, and there is no schedule: add schedule or remove it",
            lambda self: self.time_zone is None or self.schedule is not None,
            ".timeZone",
        ),
        Rule["RotationSpec"](
            "!has(self.gracePeriod) || !has(self.overlapLimit) || duration(self.gracePeriod) <= duration(self.overlapLimit)",
            "gracePeriod is the least and overlapLimit the most a replaced key lives on: lower gracePeriod or raise overlapLimit",
            lambda self: self.grace_period is None or self.overlap_limit is None or self.grace_period <= self.overlap_limit,
            ".gracePeriod",
        ),
        Rule["RotationSpec"](
            "!has(self.interval) || !has(self.overlapLimit) || duration(self.overlapLimit) < duration(self.interval)",
            "overlapLimit must be less than interval, since a rotation has to end before the next one starts: lower overlapLimit",
            lambda self: self.interval is None or self.overlap_limit is None or self.overlap_limit < self.interval,
            ".overlapLimit",
        ),
        Rule["RotationSpec"](
            "!has(self.interval) || !has(self.gracePeriod) || duration(self.gracePeriod) < duration(self.interval)",
            "gracePeriod must be less than interval, since a rotation has to end before the next one starts: lower gracePeriod",
            lambda self: self.interval is None or self.grace_period is None or self.grace_period < self.interval,
            ".gracePeriod",
        ),
    )


class RolloutTarget(ApiModel):
    """Names a workload in the ApiKey's namespace."""

    kind: WorkloadKind
    """Deployment, StatefulSet, DaemonSet, or Rollout of Argo Rollouts."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the workload."""


class RolloutSpec(ApiModel):
    """How workloads get the new key."""

    policy: RolloutPolicy | None = None
    """Automatic: every Deployment, StatefulSet, DaemonSet and Argo Rollout in the namespace that references the Secret is restarted
    after a rotation. Disabled: nothing is; for applications that re-read the mounted file. Unset: Automatic."""
    stall_timeout: GoDuration | None = None
    """After how long an unfinished rollout is reported as stalled: condition RolloutComplete, an Event, a metric. The replaced key
    stays valid meanwhile, until overlapLimit. Unset: 10m."""
    targets: Annotated[tuple[RolloutTarget, ...], Field(max_length=16), ListOf(keys=("kind", "name"))] | None = None
    """Workloads to restart beside those found by reference, for example one that reads the Secret through the API. Each must consent by
    the annotation keyturn.dev/rollout: allow."""


class ApiKeySpec(ApiModel):
    """What is asked for."""

    display_name: Annotated[str, Field(max_length=128)] | None = None
    """A name for people, shown in reports. No meaning to Keyturn."""
    description: Annotated[str, Field(max_length=1024)] | None = None
    """What the key is for. No meaning to Keyturn."""
    contact: Annotated[str, Field(max_length=256)] | None = None
    """Whom to call when this key leaks: an address, a channel, a team. Not interpreted."""
    product_ref: ProductRef | None = None
    """The API that the key opens. Immutable. Unset: the default audience, no scopes."""
    plan: Annotated[str, Field(max_length=63)] | None = None
    """Name of one of the product's plans, which sets limits and allowed scopes. Unset: the product's defaultPlan."""
    scopes: Annotated[tuple[Scope, ...], Field(max_length=64), ListOf()] | None = None
    """What the key may do: a subset of the plan's scopes, for example invoices:read. More than was approved waits for approval, less takes
    effect at once. Unset: the plan's default scopes."""
    restrictions: Restrictions | None = None
    """From where the key may be used. Needs no approval: a team only restricts itself."""
    delivery: Delivery = Delivery.SECRET
    """Who gets the plaintext of the key. Secret: workloads, by a Secret that Keyturn keeps. Sealed: a person, once, by status.sealed,
    encrypted to spec.sealed.recipient. None: nobody here, since the key was made elsewhere; spec.digests says which it is. Immutable."""
    digests: (
        Annotated[tuple[ListedDigest, ...], Field(min_length=1, max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"})]
        | None
    ) = None
    """Of delivery None: the keys that are accepted, the newest last. Append a second to replace the first, which is then accepted for
    rotation.gracePeriod at least and rotation.overlapLimit at most. One that is taken off the list ends at once, and for good."""
    sealed: SealedSpec | None = None
    """Of delivery Sealed: for whom the key is. Who has taken it says so by the annotation keyturn.dev/received: <key ID>; until then it may
    be taken again, and after an hour (the operator's --sealed-wait) it is revoked. `keyturn create --once` does all of it."""
    secret_name: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)] | None = None
    """Name of the Secret that holds the key, in the ApiKey's namespace. It must not exist unless Keyturn made it. Immutable.
    Unset: the ApiKey's name."""
    secret_template: SecretTemplate | None = None
    """Labels, annotations and further entries of that Secret. A change of them writes the Secret anew with the same key."""
    rotation: RotationSpec | None = None
    """When the key is replaced, and how long the replaced one lives on. Unset: every ninety days, both valid for a day or longer."""
    rollout: RolloutSpec | None = None
    """How workloads that use the key get the new one. Unset: those that reference the Secret are restarted."""
    expiration_time: Time | None = None
    """When every version of the key ends, for example 2027-01-31T18:00:00Z. Verifiers know it from the start; no rotation goes beyond it.
    Unset: never."""
    disabled: Boolean | None = None
    """true: no version of the key is accepted until this is removed; the Secret stays. For planned pauses. For a leaked key use an
    ApiKeyRevocation: Git would undo this. Unset: false."""
    min_version: VersionNumber | None = None
    """Every version below this number is revoked for good; the number may only grow. To end the current version, say 3, write 4: a new one
    is issued. status.activeVersion shows the current one."""
    deletion_policy: DeletionPolicy = DeletionPolicy.REVOKE
    """What becomes of the key when this ApiKey is deleted. Revoke: it ends and its Secret is deleted. Retain: both stay, for renames
    and migrations; an ApiKey of the same name takes them over again."""
    revision_history_limit: Annotated[int, Strict(), Field(ge=1, le=20, json_schema_extra=INT32), WholeNumber] | None = None
    """How many ended versions status.versions lists. Unset: 5."""

    @property
    def speaks_of_a_secret(self) -> bool:
        """Whether anything here makes sense only where there is one."""
        return any(each is not None for each in (self.secret_name, self.secret_template, self.rollout))

    RULES: ClassVar = (
        Rule["ApiKeySpec"](
            "(self.delivery == 'None') == has(self.digests)",
            "digests are the keys of delivery None, which needs them: write both or neither",
            lambda self: (self.delivery is Delivery.NONE) == (self.digests is not None),
            ".digests",
        ),
        Rule["ApiKeySpec"](
            "(self.delivery == 'Sealed') == has(self.sealed)",
            "sealed says for whom a key of delivery Sealed is, which needs it: write both or neither",
            lambda self: (self.delivery is Delivery.SEALED) == (self.sealed is not None),
            ".sealed",
        ),
        Rule["ApiKeySpec"](
            "!has(self.digests) || self.digests.size() < 2 || (self.digests[0].digest != self.digests[1].digest"
            " && (!has(self.digests[0].keyID) || !has(self.digests[1].keyID) || self.digests[0].keyID != self.digests[1].keyID))",
            "the same key stands here twice: keep one",
            lambda self: self.digests is None or not _names_one_key_twice(self.digests),
            ".digests",
        ),
        Rule["ApiKeySpec"](
            "self.delivery == 'Secret' || (!has(self.secretName) && !has(self.secretTemplate) && !has(self.rollout))",
            "secretName, secretTemplate and rollout are about a Secret, and only delivery Secret makes one: remove them",
            lambda self: self.delivery is Delivery.SECRET or not self.speaks_of_a_secret,
            ".delivery",
        ),
        Rule["ApiKeySpec"](
            "self.delivery == 'Secret' || !has(self.rotation) || (!has(self.rotation.interval) && !has(self.rotation.schedule)"
            " && !has(self.rotation.windows) && (!has(self.rotation.policy) || self.rotation.policy == 'Manual'))",
            "only a key of delivery Secret rotates by the calendar, since a person has to take any other: remove interval, schedule,"
            " windows and policy",
            lambda self: self.delivery is Delivery.SECRET or self.rotation is None or not self.rotation.is_by_calendar,
            ".rotation",
        ),
        Rule["ApiKeySpec"](
            "self.delivery != 'None' || (!has(self.minVersion) && (!has(self.rotation) || !has(self.rotation.trigger)))",
            "Keyturn makes no key of delivery None: to replace one, append a digest; to end one, take its digest away; remove minVersion"
            " and rotation.trigger",
            lambda self: (
                self.delivery is not Delivery.NONE
                or (self.min_version is None and (self.rotation is None or self.rotation.trigger is None))
            ),
            ".digests",
        ),
    )

    TRANSITION_RULES: ClassVar = (
        TransitionRule["ApiKeySpec"](
            "self.delivery == oldSelf.delivery",
            "delivery is immutable, since who has the key cannot change: restore it and create another ApiKey",
            lambda old, new: new.delivery == old.delivery,
            ".delivery",
        ),
        TransitionRule["ApiKeySpec"](
            "has(self.productRef) == has(oldSelf.productRef) && (!has(self.productRef) || self.productRef == oldSelf.productRef)",
            "productRef is immutable, since a key must not change which API it opens: restore it and create another ApiKey",
            lambda old, new: new.product_ref == old.product_ref,
            ".productRef",
        ),
        TransitionRule["ApiKeySpec"](
            "has(self.secretName) == has(oldSelf.secretName) && (!has(self.secretName) || self.secretName == oldSelf.secretName)",
            "secretName is immutable, since the old Secret would be left behind: restore it and create another ApiKey",
            lambda old, new: new.secret_name == old.secret_name,
            ".secretName",
        ),
        TransitionRule["ApiKeySpec"](
            "!has(oldSelf.minVersion) || (has(self.minVersion) && self.minVersion >= oldSelf.minVersion)",
            "minVersion may only grow, since what was revoked stays revoked: write the old number or a higher one",
            lambda old, new: old.min_version is None or (new.min_version is not None and new.min_version >= old.min_version),
            ".minVersion",
        ),
    )


def _names_one_key_twice(listed: tuple[ListedDigest, ...]) -> bool:
    digests, key_ids = [each.digest for each in listed], [each.key_id for each in listed if each.key_id is not None]
    return len(set(digests)) < len(digests) or len(set(key_ids)) < len(key_ids)
