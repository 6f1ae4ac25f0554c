"""What an API owner declares in an ApiProduct. The docstring under a field is what `kubectl explain` prints.

House rule as for ApiKeys: unset means inherit. List items have no defaults in the schema: behind Argo CD those drift.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, Strict, StringConstraints

from keyturn.api.field_types import INT32, DropsNulls, GoDuration, LargeCount, WholeNumber
from keyturn.api.rules import ApiModel, ListOf, Rule, TransitionRule
from keyturn.api.secret_rules import LABEL_VALUE_PATTERN
from keyturn.api.v1alpha1.apikey_spec import Scope
from keyturn.base.names import DEFAULT_AUDIENCE

NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
PREFIX_PATTERN = "^[a-z0-9]+(_[a-z0-9]+)?$"
AUDIENCE_PATTERN = "^[a-z0-9]([-a-z0-9./:]*[a-z0-9])?$"

PlanName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=NAME_PATTERN)]
ScopeName = Annotated[str, Field(max_length=128)]
Url = Annotated[str, StringConstraints(max_length=2048, pattern="^https?://[^ ]+$")]
Text128 = Annotated[str, Field(max_length=128)]
Text512 = Annotated[str, Field(max_length=512)]
ObjectName = Annotated[str, Field(min_length=1, max_length=63)]
Count = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1, json_schema_extra=INT32), WholeNumber]


class Approval(StrEnum):
    """Who lets a key have what it asks for."""

    MANUAL = "Manual"
    """A person, by a grant."""
    AUTOMATIC = "Automatic"
    """The product: whoever is admitted has what the plan offers."""


class AdmittedNamespaces(StrEnum):
    """From which namespaces ApiKeys may refer to the product."""

    SAME = "Same"
    """The product's own."""
    SELECTOR = "Selector"
    """Those whose labels fit."""
    ALL = "All"
    """Every one."""


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class OnAccessLost(StrEnum):
    """What becomes of a key that the product no longer admits."""

    DISABLE = "Disable"
    """It is refused after accessLostDelay, until it is admitted again."""
    KEEP = "Keep"
    """It keeps the power it had, as far as plan and product still offer that."""


class QuotaPeriod(StrEnum):
    """Over what time a quota counts."""

    HOUR = "Hour"
    DAY = "Day"
    MONTH = "Month"


class Documentation(ApiModel):
    """Where the API is described."""

    open_api_url: Url | None = None
    """Its OpenAPI document."""
    docs_url: Url | None = None
    """Its pages for people."""


class ProductScope(ApiModel):
    """Something that a key may be allowed to do."""

    name: Scope
    """What routes and ApiKeys call it, for example invoices:read."""
    description: Text512 | None = None
    """What it allows, for people who approve."""


class PlanLimits(ApiModel):
    """How often a key may be used, each verifier by itself."""

    requests_per_second: Count | None = None
    """Requests a second over time. Unset: no limit."""
    burst: Count | None = None
    """Requests at once after a while without any. Unset: as many as in one second."""

    RULES: ClassVar = (
        Rule["PlanLimits"](
            "!has(self.burst) || has(self.requestsPerSecond)",
            "burst is what may come at once within requestsPerSecond: add requestsPerSecond or remove burst",
            lambda self: self.burst is None or self.requests_per_second is not None,
            ".burst",
        ),
    )


class PlanQuota(ApiModel):
    """How much a key may be used in a period."""

    requests: LargeCount
    """Requests in one period."""
    period: QuotaPeriod
    """Hour, Day or Month, in UTC."""


class PlanRotation(ApiModel):
    """Defaults of rotation for keys of the plan; an ApiKey's own rotation wins."""

    interval: GoDuration | None = None
    """How old a key may become: 720h is thirty days. Unset: the operator's."""
    grace_period: GoDuration | None = None
    """How long a replaced key lives on at least. Unset: 24h, or half of overlapLimit where that is less."""
    overlap_limit: GoDuration | None = None
    """How long a replaced key lives on at most. Unset: 168h, or half of interval where that is less."""

    RULES: ClassVar = (
        Rule["PlanRotation"](
            "!has(self.gracePeriod) || !has(self.overlapLimit) || duration(self.gracePeriod) <= duration(self.overlapLimit)",
            "gracePeriod is the least and overlapLimit the most a replaced key lives on: lower gracePeriod or raise overlapLimit",
            lambda self: self.grace_period is None or self.overlap_limit is None or self.grace_period <= self.overlap_limit,
            ".gracePeriod",
        ),
        Rule["PlanRotation"](
            "!has(self.interval) || !has(self.overlapLimit) || duration(self.overlapLimit) < duration(self.interval)",
            "overlapLimit must be less than interval, since a rotation has to end before the next one starts: lower overlapLimit",
            lambda self: self.interval is None or self.overlap_limit is None or self.overlap_limit < self.interval,
            ".overlapLimit",
        ),
    )


class Plan(ApiModel):
    """What keys of one kind may do, and how often."""

    name: PlanName
    """What ApiKeys call it in spec.plan."""
    display_name: Text128 | None = None
    """A name for people."""
    scopes: Annotated[tuple[ScopeName, ...], Field(max_length=64), ListOf()] | None = None
    """What keys of the plan may ask for, and what they have where they ask for nothing. Unset: all of the product's scopes."""
    limits: PlanLimits | None = None
    """How often a key may be used. Unset: as often as the verifiers' default allows."""
    quota: PlanQuota | None = None
    """How much a key may be used in a period: declared here, not counted yet. Unset: as much as it likes."""
    rotation: PlanRotation | None = None
    """Defaults of rotation."""
    approval: Approval | None = None
    """Who lets a key have the plan. Unset: access.approval."""


class LabelExpression(ApiModel):
    """One condition on a namespace's labels."""

    key: Annotated[str, Field(min_length=1, max_length=316)]
    """Name of the label."""
    operator: SelectorOperator
    """In, NotIn, Exists or DoesNotExist."""
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=64), ListOf()] | None = None
    """For In and NotIn: the values."""

    RULES: ClassVar = (
        Rule["LabelExpression"](
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "values goes with In and NotIn: write at least one there, and none with Exists and DoesNotExist",
            lambda self: (self.operator in {SelectorOperator.IN, SelectorOperator.NOT_IN}) == bool(self.values),
            ".values",
        ),
    )


class NamespaceSelector(ApiModel):
    """Labels of namespaces; all of it must fit."""

    match_labels: (
        Annotated[
            dict[str, Annotated[str, StringConstraints(max_length=63, pattern=LABEL_VALUE_PATTERN)]], Field(max_length=16), DropsNulls
        ]
        | None
    ) = None
    """Labels with these values."""
    match_expressions: (
        Annotated[tuple[LabelExpression, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})] | None
    ) = None
    """Further conditions."""


class NamespaceAccess(ApiModel):
    """From which namespaces ApiKeys may refer to the product: Gateway API's allowedRoutes."""

    from_: Annotated[AdmittedNamespaces, Field(alias="from")] = AdmittedNamespaces.SAME
    """Same: the product's own. Selector: those whose labels fit. All: every one."""
    selector: NamespaceSelector | None = None
    """With from: Selector, which labels fit."""

    RULES: ClassVar = (
        Rule["NamespaceAccess"](
            "(self.from == 'Selector') == has(self.selector)",
            "selector goes with from: Selector, and from: Selector needs one",
            lambda self: (self.from_ is AdmittedNamespaces.SELECTOR) == (self.selector is not None),
            ".selector",
        ),
    )


class Grant(ApiModel):
    """The owner's consent for one ApiKey. In Git, the owner's pull request is the approval."""

    namespace: ObjectName
    """Namespace of the ApiKey."""
    api_key: ObjectName
    """Name of the ApiKey."""
    plan: PlanName
    """The plan it may have."""
    scopes: Annotated[tuple[ScopeName, ...], Field(max_length=64), ListOf()] | None = None
    """Which of the plan's scopes it may have. Unset: all that the plan offers."""


class Access(ApiModel):
    """Who may have keys."""

    approval: Approval = Approval.MANUAL
    """Manual: each key waits for a grant. Automatic: whoever is admitted has what the plan offers."""
    namespaces: NamespaceAccess = NamespaceAccess()
    """From which namespaces."""
    grants: Annotated[tuple[Grant, ...], Field(max_length=512), ListOf(keys=("namespace", "api_key"))] | None = None
    """Who was let have what. `keyturn approve` writes one, or prints it for Git."""
    max_keys_per_namespace: Annotated[int, Strict(), Field(ge=1, le=10_000, json_schema_extra=INT32), WholeNumber] | None = None
    """How many ApiKeys of one namespace may have a key, retained ones included; who came first has one. Unset: any number."""
    on_access_lost: OnAccessLost = OnAccessLost.DISABLE
    """What becomes of a key that is not admitted any more, or whose grant or product is gone. Disable: after accessLostDelay it is
    refused, until it is admitted again. Keep: while the product is there, it keeps what it had, as far as plan and product still offer
    that."""
    access_lost_delay: GoDuration | None = None
    """How long such a key still works, so that a slip with a label is no outage. Unset: 15m."""


class Verification(ApiModel):
    """How verifiers treat keys of the product."""

    max_staleness: GoDuration | None = None
    """How old a verifier's view may be before it answers 503 for these keys. Unset: 15m."""


class ApiProductSpec(ApiModel):
    """Which API there is."""

    display_name: Text128 | None = None
    """A name for people."""
    description: Annotated[str, Field(max_length=4096)] | None = None
    """What the API does, for people."""
    contact: Annotated[str, Field(max_length=256)] | None = None
    """Whom to ask: an address, a channel, a team."""
    documentation: Documentation | None = None
    """Where the API is described."""
    audience: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=AUDIENCE_PATTERN)]
    """What gateways ask for: a key of another product is a 401 there. Immutable, since it stands in every signed record. Not default,
    which keys without a product have."""
    key_prefix: Annotated[str, StringConstraints(min_length=2, max_length=16, pattern=PREFIX_PATTERN)] | None = None
    """How keys of the product begin, for example acme: keys of it are found by secret scanners. Unset: the operator's, kt."""
    scopes: Annotated[tuple[ProductScope, ...], Field(min_length=1, max_length=128), ListOf(keys=("name",))]
    """Everything that keys may be allowed to do."""
    plans: Annotated[tuple[Plan, ...], Field(min_length=1, max_length=16), ListOf(keys=("name",))]
    """What is on offer."""
    default_plan: PlanName | None = None
    """The plan of ApiKeys that name none. Unset: the only plan; where there are several, ApiKeys must name one."""
    access: Access = Access()
    """Who may have keys."""
    verification: Verification | None = None
    """How verifiers treat keys of the product."""

    RULES: ClassVar = (
        Rule["ApiProductSpec"](
            f"self.audience != '{DEFAULT_AUDIENCE}'",
            f"audience {DEFAULT_AUDIENCE} is that of every key without a product, so whoever may create an ApiKey would be let in:"
            " choose another name and have gateways ask for it",
            lambda self: self.audience != DEFAULT_AUDIENCE,
            ".audience",
        ),
        Rule["ApiProductSpec"](
            "!has(self.defaultPlan) || self.plans.exists(p, p.name == self.defaultPlan)",
            "defaultPlan must name one of plans",
            lambda self: self.default_plan is None or any(plan.name == self.default_plan for plan in self.plans),
            ".defaultPlan",
        ),
        Rule["ApiProductSpec"](
            "self.plans.all(p, !has(p.scopes) || p.scopes.all(s, self.scopes.exists(d, d.name == s)))",
            "a plan may only offer scopes that the product declares: add them to scopes, or take them out of the plan",
            lambda self: {scope for plan in self.plans for scope in plan.scopes or ()} <= {scope.name for scope in self.scopes},
            ".plans",
        ),
    )
    TRANSITION_RULES: ClassVar = (
        TransitionRule["ApiProductSpec"](
            "self.audience == oldSelf.audience",
            "audience is immutable, since it stands in every signed record: restore it and create another ApiProduct",
            lambda old, new: new.audience == old.audience,
            ".audience",
        ),
    )

    def plan(self, name: str | None) -> Plan | None:
        """The plan of that name; None: the default one. None if there is none."""
        wanted = name or self.default_plan or (self.plans[0].name if len(self.plans) == 1 else None)
        return next((plan for plan in self.plans if plan.name == wanted), None)

    def scopes_of(self, plan: Plan) -> tuple[str, ...]:
        """What the plan offers; never more than the product declares."""
        declared = tuple(scope.name for scope in self.scopes)
        return declared if plan.scopes is None else tuple(scope for scope in plan.scopes if scope in declared)
