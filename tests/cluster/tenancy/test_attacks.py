"""What a tenant tries to get more than was granted: each attack is refused by whom it should be, or helps nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.installed import Installed
from gen.market import AUDIENCES, PRIVATE, Market
from gen.operator_process import OperatorProcess
from gen.team import Api
from gen.tenant_attacks import HONEST, REFUSED, Attack
from gen.verifier_process import VerifierProcess
from testbed.cluster import ApiFailed


@pytest.fixture(scope="module")
def market(installed: Installed, api: Api, operator: OperatorProcess, verifier: VerifierProcess) -> Iterator[Market]:
    """Everybody has what he was granted: an honest key that reads."""
    with Market.open(installed, api, operator=operator, verifier=verifier) as market:
        for owner, audience in zip(market.owners, (*AUDIENCES, PRIVATE), strict=True):
            owner.offers(offer(market, audience))
        for tenant in market.tenants:
            tenant.asks_for(HONEST, {"productRef": market.owners[0].reference, "rotation": {"policy": "Manual", "gracePeriod": "1s"}})
        market.settle()
        yield market


def offer(market: Market, audience: str) -> dict[str, object]:
    """Two plans; every tenant's honest key was granted the small one."""
    grants = [{"namespace": tenant.namespace, "apiKey": HONEST, "plan": "basic"} for tenant in market.tenants]
    return {
        "audience": audience,
        "scopes": [{"name": scope} for scope in ("read", "write", "pay")],
        "plans": [{"name": "basic", "scopes": ["read"]}, {"name": "full"}],
        "defaultPlan": "basic",
        "access": {"namespaces": {"from": "All"}, "accessLostDelay": "0s", "grants": grants},
    }


@pytest.mark.parametrize("attack", REFUSED, ids=str)
def test_an_attack_is_refused(market: Market, attack: Attack) -> None:
    with pytest.raises(ApiFailed) as refused:
        attack.run(market.tenants[0], market)
    assert refused.value.status in {403, 422}
    assert attack.refused_by in str(refused.value)


def test_the_attacks_took_nothing_from_anybody(market: Market) -> None:
    for attack in REFUSED:
        with pytest.raises(ApiFailed):
            attack.run(market.tenants[1], market)
    market.settle()
