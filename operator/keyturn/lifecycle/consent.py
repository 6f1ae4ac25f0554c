"""What an ApiProduct lets an ApiKey have: `ApiKey x what is known of its product -> Consent`. Pure; `power.py` writes it into the record.

What a key has is what it asks for, within what is approved, within the plan, within the product. It follows from what stands in the
cluster now, so nothing need be remembered: what is narrowed anywhere is gone at the next look, and what is asked for beyond the approved
waits while the rest is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.apiproduct_spec import Approval, Grant, OnAccessLost, Plan
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.keys.record import Record
from keyturn.lifecycle.admission import admits, labels_hidden, needs_labels
from keyturn.lifecycle.audience import taken_by
from keyturn.lifecycle.held_power import Power, has_key, limits_of, power_in, product_of_key, quota_of, staleness_of, what_is_left
from keyturn.lifecycle.plan import Waiting

AUTOMATIC: Final = "automatic"
"""Who approved, where the product does so by itself."""


@dataclass(frozen=True, slots=True)
class ProductFound:
    """The ApiProduct, and what else decides whether it admits the ApiKey."""

    product: ApiProduct
    namespace_labels: Mapping[str, str] | None
    """Of the ApiKey's namespace; None: they may not be read here."""
    audience_owner: Key | None = None
    """The product that has its audience; None: itself."""
    older_siblings: int = 0
    """ApiKeys of the namespace that refer to the same product and come before this one."""


@dataclass(frozen=True, slots=True)
class ProductMissing:
    """There is no such ApiProduct."""


@dataclass(frozen=True, slots=True)
class ProductUnknown:
    """Nobody can say what the product is now: what was approved stays, and nothing new is."""

    why: Waiting


ProductSeen = ProductFound | ProductMissing | ProductUnknown


@dataclass(frozen=True, slots=True)
class Consent:
    """What the key may have now, and why it does not have all it asks for."""

    power: Power
    """In force now; where access is lost, what is left of the power it had."""
    approved_by: str | None = None
    """Namespace/name of the product whose grant it is, AUTOMATIC, or None where there is nothing to approve."""
    approved_scopes: tuple[str, ...] = ()
    pending: Waiting | None = None
    """What waits for the API's owner."""
    problem: Waiting | None = None
    """What a person must change in the ApiKey or the product."""
    may_mint: bool = True
    """Whether versions may be minted with this power."""
    access_lost: Waiting | None = None
    """The product does not let the key have anything any more."""
    lost_delay: timedelta | None = None
    """After how long a key without access is refused; None: never."""
    is_known: bool = True
    """False: what the record says of access stands, since nobody can tell."""
    plan: Plan | None = None
    """Whose rotation defaults hold."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a plan would let the key have."""

    plan: Plan
    scopes: tuple[str, ...]
    by: str


def consent_for(apikey: ApiKey, seen: ProductSeen | None, *, record: Record | None, settings: Settings) -> Consent:
    """What the key may have. `record`: what it has; None: nothing yet."""
    if apikey.spec.product_ref is None:
        return _without_product(apikey)
    held = power_in(record)
    name = product_name(apikey)
    if isinstance(seen, ProductFound):
        return _of_product(apikey, seen, record=record, settings=settings)
    if isinstance(seen, ProductMissing):
        message = f"spec.productRef: ApiProduct {name} does not exist: create it, or ask its owner. Which there are: keyturn products -A"
        why = Waiting(Reason.PRODUCT_UNAVAILABLE, message)
        if not has_key(record):
            return Consent(held, problem=why, may_mint=False)
        return _lost(why, held, delay=settings.access_lost_delay if product_of_key(record) == name else timedelta(0))
    why = seen.why if seen is not None else Waiting(Reason.PRODUCT_UNAVAILABLE, f"ApiProduct {name} was not read yet")
    return _unknown(why, held, name=name, record=record)


def _unknown(why: Waiting, held: Power, *, name: str, record: Record | None) -> Consent:
    """Nobody can say what the product lets the key have: what it has of that product stands, and nothing of another one."""
    if has_key(record) and held.product != name:
        return _lost(why, held, delay=timedelta(0))
    return Consent(held, problem=why, may_mint=False, is_known=False)


def prefix_for(seen: ProductSeen | None, *, settings: Settings) -> str:
    """How a new key begins."""
    own = seen.product.spec.key_prefix if isinstance(seen, ProductFound) else None
    return own or settings.key_prefix


def product_name(apikey: ApiKey) -> str:
    """Namespace/name of the product that the ApiKey refers to; empty without one."""
    ref = apikey.spec.product_ref
    return f"{ref.namespace or apikey.metadata.namespace}/{ref.name}" if ref is not None else ""


def _without_product(apikey: ApiKey) -> Consent:
    """The default audience, and no scopes: plans and scopes are a product's."""
    asked = [name for name, value in (("plan", apikey.spec.plan), ("scopes", apikey.spec.scopes)) if value]
    if not asked:
        return Consent(Power())
    fields = " and ".join(f"spec.{name}" for name in asked)
    message = f"{fields}: these are an ApiProduct's to give. Add spec.productRef by creating the ApiKey anew, or remove {fields}"
    return Consent(Power(), problem=Waiting(Reason.PRODUCT_UNAVAILABLE, message), may_mint=False)


def _of_product(apikey: ApiKey, seen: ProductFound, *, record: Record | None, settings: Settings) -> Consent:
    product, held = seen.product, power_in(record)
    was_approved_here = (held.product, held.audience) == (str(product.key), product.spec.audience) and held.plan is not None
    taken = taken_by(product, seen.audience_owner)
    if taken is None and needs_labels(product) and seen.namespace_labels is None:
        left = _left(apikey, product, held)
        return _unknown(labels_hidden(product), left, name=str(product.key) if was_approved_here else "", record=record)
    refused = taken or admits(product, namespace=apikey.metadata.namespace, labels=seen.namespace_labels or {})
    wanted = product.spec.plan(apikey.spec.plan)
    offers = [offer for plan in _candidates(product, wanted, held.plan) if (offer := _offer(apikey, product, plan)) is not None]
    if refused is None and offers and not _is_one_too_many(product, seen, record):
        return _in_force(apikey, product, offers[0], wanted=wanted)
    why = refused or (_too_many(product) if offers else _why_nothing(apikey, product, wanted))
    if not has_key(record):
        return _not_yet(why, product)
    if not was_approved_here:  # taken over from an ApiKey of another product, or the product is another one of its name
        return _lost(why, _nothing_of(product), delay=timedelta(0))
    return _lost(why, _left(apikey, product, held), delay=timedelta(0) if taken is not None else _lost_delay(product, settings))


def _left(apikey: ApiKey, product: ApiProduct, held: Power) -> Power:
    """What a key keeps until it is refused: never more than it asks for, nor than is granted or, without a grant, on offer now."""
    plan = next((plan for plan in product.spec.plans if plan.name == held.plan), None)
    offer = _offer(apikey, product, plan) if plan is not None else None
    offered = offer.scopes if offer is not None else product.spec.scopes_of(plan) if plan is not None else ()
    asked = apikey.spec.scopes
    return what_is_left(held, product, scopes=[scope for scope in offered if asked is None or scope in asked])


def _candidates(product: ApiProduct, wanted: Plan | None, held: str | None) -> Iterable[Plan]:
    """The plan that is asked for; until that is approved, the one the key has."""
    had = next((plan for plan in product.spec.plans if plan.name == held), None)
    return [plan for plan in dict.fromkeys((wanted, had)) if plan is not None]


def _offer(apikey: ApiKey, product: ApiProduct, plan: Plan) -> _Offer | None:
    """What is approved for the key in that plan; None: nothing."""
    offered = product.spec.scopes_of(plan)
    if (plan.approval or product.spec.access.approval) is Approval.AUTOMATIC:
        return _Offer(plan, offered, AUTOMATIC)
    grant = grant_for(apikey, product)
    if grant is None or grant.plan != plan.name:
        return None
    scopes = offered if grant.scopes is None else tuple(scope for scope in offered if scope in grant.scopes)
    return _Offer(plan, scopes, str(product.key))


def grant_for(apikey: ApiKey, product: ApiProduct) -> Grant | None:
    """The product owner's consent for that ApiKey."""
    wanted = (apikey.metadata.namespace, apikey.metadata.name)
    return next((grant for grant in product.spec.access.grants or () if (grant.namespace, grant.api_key) == wanted), None)


def _in_force(apikey: ApiKey, product: ApiProduct, offer: _Offer, *, wanted: Plan | None) -> Consent:
    asked = apikey.spec.scopes
    scopes = offer.scopes if asked is None else tuple(scope for scope in offer.scopes if scope in asked)
    return Consent(
        Power(
            audience=product.spec.audience,
            product=str(product.key),
            plan=offer.plan.name,
            scopes=scopes,
            limits=limits_of(offer.plan),
            max_staleness_seconds=staleness_of(product),
            quota=quota_of(offer.plan),
        ),
        approved_by=offer.by,
        approved_scopes=offer.scopes,
        pending=_pending(apikey, product, offer, wanted=wanted),
        problem=_plan_problem(apikey, product, wanted) or _scope_problem(apikey, product, wanted),
        plan=offer.plan,
    )


def _pending(apikey: ApiKey, product: ApiProduct, offer: _Offer, *, wanted: Plan | None) -> Waiting | None:
    """What is on offer, is asked for and was not granted."""
    if wanted is None:
        return None
    if wanted is not offer.plan:
        message = f"Plan {wanted.name} waits for a grant; until then the key has plan {offer.plan.name}. {_how_to_grant(apikey, product)}"
        return Waiting(Reason.PENDING_WIDENING, message)
    beyond = [scope for scope in apikey.spec.scopes or () if scope not in offer.scopes and scope in product.spec.scopes_of(wanted)]
    if not beyond:
        return None
    message = f"Scopes {', '.join(beyond)} wait for a grant; the key works with the others. {_how_to_grant(apikey, product)}"
    return Waiting(Reason.PENDING_WIDENING, message)


def _plan_problem(apikey: ApiKey, product: ApiProduct, wanted: Plan | None) -> Waiting | None:
    if wanted is not None:
        return None
    offered = ", ".join(plan.name for plan in product.spec.plans)
    said, no_plan = (f"is {apikey.spec.plan}", "no such plan") if apikey.spec.plan else ("is not set", "no default plan")
    return Waiting(Reason.PLAN_UNKNOWN, f"spec.plan {said}, and ApiProduct {product.key} has {no_plan}: write one of {offered}")


def _scope_problem(apikey: ApiKey, product: ApiProduct, wanted: Plan | None) -> Waiting | None:
    if wanted is None:
        return None
    offered = product.spec.scopes_of(wanted)
    beyond = [scope for scope in apikey.spec.scopes or () if scope not in offered]
    if not beyond:
        return None
    message = f"spec.scopes: plan {wanted.name} of ApiProduct {product.key} does not offer {', '.join(beyond)}. It offers"
    return Waiting(Reason.SCOPE_NOT_IN_PLAN, f"{message} {', '.join(offered) or 'none'}")


def _why_nothing(apikey: ApiKey, product: ApiProduct, wanted: Plan | None) -> Waiting:
    unknown = _plan_problem(apikey, product, wanted)
    if unknown is not None:
        return unknown
    grant, asked = grant_for(apikey, product), wanted.name if wanted is not None else ""
    if grant is not None and product.spec.plan(grant.plan) is not None:
        asks = asked if apikey.spec.plan else f"{asked}, its default plan"
        message = f"The grant of ApiProduct {product.key} is for plan {grant.plan}, and the ApiKey asks for {asks}"
        what = f"write spec.plan: {grant.plan}, or have {asked} granted. {_how_to_grant(apikey, product)}"
        return Waiting(Reason.PENDING_APPROVAL, f"{message}: {what}")
    message = f"ApiProduct {product.key} wants its owner's consent. {_how_to_grant(apikey, product)}"
    return Waiting(Reason.PENDING_APPROVAL, message)


def _how_to_grant(apikey: ApiKey, product: ApiProduct) -> str:
    return f"Its owner grants it by: keyturn approve {apikey.metadata.name} -n {apikey.metadata.namespace} (product {product.key})"


def _not_yet(why: Waiting, product: ApiProduct) -> Consent:
    """The key has had nothing, so there is nothing to lose."""
    waits = why.reason == Reason.PENDING_APPROVAL
    return Consent(_nothing_of(product), pending=why if waits else None, problem=None if waits else why, may_mint=False)


def _nothing_of(product: ApiProduct) -> Power:
    return Power(audience=product.spec.audience, product=str(product.key))


def _lost(why: Waiting, held: Power, *, delay: timedelta | None) -> Consent:
    return Consent(held, access_lost=Waiting(Reason.ACCESS_LOST, why.message), lost_delay=delay, may_mint=False)


def _lost_delay(product: ApiProduct, settings: Settings) -> timedelta | None:
    access = product.spec.access
    if access.on_access_lost is OnAccessLost.KEEP:
        return None
    return access.access_lost_delay if access.access_lost_delay is not None else settings.access_lost_delay


def _is_one_too_many(product: ApiProduct, seen: ProductFound, record: Record | None) -> bool:
    most = product.spec.access.max_keys_per_namespace
    return most is not None and product_of_key(record) != str(product.key) and seen.older_siblings >= most


def _too_many(product: ApiProduct) -> Waiting:
    most = product.spec.access.max_keys_per_namespace
    message = f"ApiProduct {product.key} limits the keys of a namespace to {most}, and others came first: delete one, or ask its owner"
    return Waiting(Reason.TOO_MANY_KEYS, message)
