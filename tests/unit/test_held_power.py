"""What is left of a key's power where its product gives it nothing any more: the lesser of what it had and what is on offer now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gen.lifecycle import HOUR, NOW
from gen.products import BASIC, FULL, READ, REFUND, WRITE, consumer, found, grant, ledger, product, settled
from keyturn.base.names import Key
from keyturn.keys.record import Limits, PeriodQuota
from keyturn.lifecycle.consent import ProductFound

RIVAL = Key("mallory", "invoices")


KEEPS = {"onAccessLost": "Keep"}


@pytest.mark.parametrize(
    ("plans", "scopes", "limits"),
    [
        ([BASIC, FULL], (READ,), Limits(10, 20)),
        ([{**BASIC, "limits": {"requestsPerSecond": 3}}, FULL], (READ,), Limits(3, 3)),
        ([{**BASIC, "limits": {"requestsPerSecond": 99, "burst": 5}}, FULL], (READ,), Limits(10, 5)),
        ([{**BASIC, "limits": None}, FULL], (READ,), Limits(10, 20)),
        ([{**BASIC, "scopes": [WRITE]}, FULL], (), Limits(10, 20)),
        ([FULL, {"name": "slow", "limits": {"requestsPerSecond": 4}}, {"name": "bursts", "limits": {"requestsPerSecond": 7, "burst": 1}}],
         (), Limits(4, 1)),
    ],
    ids=["as it was", "lowered", "raised", "without limits", "with other scopes", "gone"],
)  # fmt: skip
def test_what_a_key_keeps_is_the_lesser_of_what_it_had_and_what_its_plan_is_now(
    plans: list[dict[str, Any]], scopes: tuple[str, ...], limits: Limits
) -> None:
    """The owner lowered a plan and withdrew the grant: the key went on as fast as before, and with Keep it did so for ever."""
    kept = settled(ledger(), consumer(), found(product(plans=plans, defaultPlan=None, access=KEEPS)), now=NOW)
    assert (kept.scopes, kept.limits) == (scopes, limits)


@pytest.mark.parametrize(
    ("held", "now", "left"),
    [
        (None, None, None),
        (None, ("Day", 7), ("Day", 7)),
        (("Day", 7), None, ("Day", 7)),
        (("Day", 7), ("Day", 5), ("Day", 5)),
        (("Hour", 7), ("Day", 100), ("Day", 100)),
        (("Month", 700), ("Day", 100), ("Month", 700)),
        (("Year", 700), ("Hour", 1), ("Year", 700)),
    ],
)
def test_so_it_is_with_its_quota(held: tuple[str, int] | None, now: tuple[str, int] | None, left: tuple[str, int] | None) -> None:
    quota = {"quota": {"requests": now[1], "period": now[0]}} if now else {}
    had = replace(ledger(), quota=PeriodQuota(held[1], held[0]) if held else None)
    kept = settled(had, consumer(), found(product(plans=[{**BASIC, **quota}], access=KEEPS)))
    assert kept.quota == (PeriodQuota(left[1], left[0]) if left else None)


def test_how_old_a_verifiers_view_may_be_is_the_products_to_say_also_then() -> None:
    kept = settled(ledger(), consumer(), found(product(access=KEEPS, verification={"maxStaleness": "1m"})))
    assert kept.max_staleness_seconds == 60
    assert settled(kept, consumer(), found(product(access=KEEPS))).max_staleness_seconds is None


def test_a_key_keeps_no_scope_that_was_taken_out_of_its_grant_or_that_it_does_not_ask_for_any_more() -> None:
    had = ledger(plan="full", scopes=(READ, WRITE, REFUND))
    elsewhere = found(product(grants=[grant("full", scopes=[READ, WRITE])], admitted={"from": "Same"}, access=KEEPS))
    assert settled(had, consumer(plan="full"), elsewhere).scopes == (READ, WRITE)
    assert settled(had, consumer(plan="full", scopes=[WRITE]), elsewhere).scopes == (WRITE,)


@pytest.mark.parametrize("labels", ["", "hidden"])
@pytest.mark.parametrize("other", [found(product(audience="orders", access=KEEPS)), found(product(access=KEEPS), audience_owner=RIVAL)])
def test_a_key_of_another_audience_than_its_products_or_of_one_that_is_taken_is_refused_at_once(other: ProductFound, labels: str) -> None:
    """A product of the same name made anew, or an older one of the same audience: its gateways may be somebody else's."""
    if labels:
        by_label = {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}
        narrow = product(audience=other.product.spec.audience, admitted=by_label, access=KEEPS)
        other = replace(other, product=narrow, namespace_labels=None)
    refused = settled(ledger(), consumer(), other)
    assert refused.disabled
    assert settled(refused, consumer(), other, now=NOW + HOUR, off=True).disabled
    back = settled(refused, consumer(), found(product(grants=[grant()])))
    assert (back.disabled, back.audience, back.scopes) == (False, "invoices", (READ,))
