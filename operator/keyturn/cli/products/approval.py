"""What `keyturn approve` grants: ApiProduct x ApiKey x the approver's words -> Approval. Pure; `approve_command.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.api.v1alpha1.apiproduct_spec import Approval as Mode
from keyturn.api.v1alpha1.apiproduct_spec import Plan
from keyturn.api.v1alpha1.conditions import ConditionType
from keyturn.base.errors import KeyturnError
from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.cli.apikeys.hindrances import unpause_line
from keyturn.cli.apikeys.waiting import Look, Progress
from keyturn.cli.products.apiproduct_view import GrantView, decode_grant
from keyturn.lifecycle.admission import admits, needs_labels

Raw = Mapping[str, object]


class CannotApproveError(KeyturnError):
    """The grant would give nothing. The message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the approver says. Unset: what the ApiKey asks for."""

    apikey: Key
    plan: str | None = None
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A grant, and what an approver wants to know of it."""

    grant: dict[str, object]
    """As it stands in spec.access.grants."""
    scopes: tuple[str, ...]
    """What the key may have by it."""
    all_grants: tuple[Raw, ...]
    """The product's, with this one in the place of the one it replaces."""
    replaces: GrantView | None
    notes: tuple[str, ...]

    @property
    def changes_nothing(self) -> bool:
        """Whether the product says so already."""
        return self.replaces == decode_grant(self.grant)


def approval_for(
    words: Words, product: ApiProduct, grants: Sequence[Raw], *, asked: ApiKeyView | None, labels: Mapping[str, str] | None
) -> Approval:
    """The grant. `grants`: the product's, raw; `asked`: the ApiKey as far as it was seen; `labels`: its namespace's, if they may be read.

    Raises CannotApproveError for what the product does not offer.
    """
    if asked is not None and asked.full_product != str(product.key):
        raise CannotApproveError(_other_product(asked, product))
    plan = _plan(words, product, asked)
    wanted = words.scopes if words.scopes is not None else asked.asked_scopes if asked is not None else None
    offered = product.spec.scopes_of(plan)
    beyond = [scope for scope in wanted or () if scope not in offered]
    if beyond:
        raise CannotApproveError(_not_offered(product, plan, beyond))
    where = words.apikey
    grant: dict[str, object] = {"namespace": where.namespace, "apiKey": where.name, "plan": plan.name}
    if wanted is not None:
        grant["scopes"] = list(wanted)
    held = [decode_grant(each) for each in grants]
    replaced = next((each for each in held if each.key == where), None)
    kept = [grant if each.key == where else raw for each, raw in zip(held, grants, strict=True)]
    return Approval(
        grant=grant,
        scopes=offered if wanted is None else tuple(scope for scope in offered if scope in wanted),
        all_grants=tuple(kept if replaced is not None else [*kept, grant]),
        replaces=replaced,
        notes=tuple(_notes(words, product, plan, asked=asked, granted=wanted, labels=labels)),
    )


def grant_text(plan: str, scopes: Sequence[str] | None) -> str:
    """A grant in words."""
    if scopes is None:
        return f"plan {plan}, all its scopes"
    return f"plan {plan}, " + (f"scopes {', '.join(scopes)}" if scopes else "no scopes")


@dataclass(frozen=True, slots=True)
class ApprovalGoal:
    """What `keyturn approve --wait` waits for: the operator says that the key has what was granted."""

    namespace: str
    name: str
    plan: str
    scopes: tuple[str, ...]
    word: str = "approved"

    def verdict(self, view: ApiKeyView) -> Look:
        """Decide by one look. A refusal may still speak of the time before the grant: it is told, and waited on."""
        if view.is_paused:
            return Look(Progress.HOPELESS, "paused by the annotation keyturn.dev/paused; remove it: " + unpause_line(view))
        said, approved = view.condition(ConditionType.APPROVED), view.approved
        has_it = approved is not None and (approved.plan, sorted(approved.scopes)) == (self.plan, sorted(self.scopes))
        if has_it and said is not None and said.status != "False":
            return Look(Progress.DONE, f"approved ({grant_text(self.plan, view.scopes)})")
        if view.asked_plan not in {"", self.plan}:
            return Look(Progress.HOPELESS, f"it asks for plan {view.asked_plan} and was granted plan {self.plan}")
        return Look(Progress.UNDER_WAY, f"{said.message} ({said.reason})" if said is not None else "waits for the operator")


def _plan(words: Words, product: ApiProduct, asked: ApiKeyView | None) -> Plan:
    name = words.plan or (asked.asked_plan if asked is not None else "")
    plan = product.spec.plan(name or None)
    if plan is None:
        there_is = f"ApiProduct {product.key} offers no plan {name}" if name else f"ApiProduct {product.key} has no default plan"
        raise CannotApproveError(f"{there_is}: give --plan with one of {', '.join(each.name for each in product.spec.plans)}")
    return plan


def _other_product(asked: ApiKeyView, product: ApiProduct) -> str:
    where = f"ApiKey {asked.namespace}/{asked.name}"
    if not asked.product:
        return f"{where} refers to no product, so there is nothing to approve: create it anew with keyturn create --product {product.key}"
    return (
        f"{where} refers to ApiProduct {asked.full_product} and not to {product.key}: approve it there, with --product {asked.full_product}"
    )


def _not_offered(product: ApiProduct, plan: Plan, beyond: Sequence[str]) -> str:
    offered = ", ".join(product.spec.scopes_of(plan)) or "none"
    wider = [each.name for each in product.spec.plans if set(beyond) <= set(product.spec.scopes_of(each))]
    hint = f"; plan {' and plan '.join(wider)} would: --plan {wider[0]}" if wider else ""
    return f"Plan {plan.name} of ApiProduct {product.key} does not offer {', '.join(beyond)}{hint}. It offers {offered}: --scopes"


def _notes(
    words: Words,
    product: ApiProduct,
    plan: Plan,
    *,
    asked: ApiKeyView | None,
    granted: Sequence[str] | None,
    labels: Mapping[str, str] | None,
) -> Iterator[str]:
    if not _wants_grant(plan, product):
        yield f"plan {plan.name} approves by itself: the grant counts where that becomes Manual"
    if labels is not None or not needs_labels(product):
        refused = admits(product, namespace=words.apikey.namespace, labels=labels or {})
        if refused is not None:
            yield f"a grant alone is not enough. {refused.message}"
    if asked is None:
        return
    if asked.asked_plan not in {"", plan.name}:
        yield f"the ApiKey asks for plan {asked.asked_plan}: it has plan {plan.name} once its spec.plan says so{_lost(asked, product)}"
    missing = [scope for scope in asked.asked_scopes or () if granted is not None and scope not in granted]
    if missing:
        yield f"the ApiKey also asks for {', '.join(missing)}: that goes on waiting"


def _lost(asked: ApiKeyView, product: ApiProduct) -> str:
    """What becomes of a key whose plan in force stands in no grant any more: there is one for each ApiKey."""
    in_force = next((each for each in product.spec.plans if each.name == asked.plan == asked.asked_plan), None)
    return f", and loses plan {in_force.name} until then" if in_force is not None and _wants_grant(in_force, product) else ""


def _wants_grant(plan: Plan, product: ApiProduct) -> bool:
    return (plan.approval or product.spec.access.approval) is not Mode.AUTOMATIC
