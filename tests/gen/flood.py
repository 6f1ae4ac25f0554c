"""A tenant who makes ApiKeys in a loop where he may have three, beside others who have one each and use it.

open_fair(market)
flood(market.tenants[0], market.owners[1].reference, many=400)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from gen.market import AUDIENCES, PRIVATE, Market
from gen.operator_process import OperatorProcess
from gen.team import Api
from gen.tenancy import Tenant

Json = dict[str, Any]

HANDS: Final = 6
MOST: Final = 3
"""Keys that a namespace may have of the second product."""


def offer(audience: str, **access: object) -> Json:
    """An ApiProduct that everybody may have keys of."""
    scopes = [{"name": scope} for scope in ("read", "write", "pay")]
    rules = {"namespaces": {"from": "All"}, "approval": "Automatic", "accessLostDelay": "0s", **access}
    return {"audience": audience, "scopes": scopes, "plans": [{"name": "basic"}], "access": rules}


def open_fair(market: Market) -> None:
    """Everybody may have keys of the first product, and has one, `used`; and three of the second."""
    for owner, audience in zip(market.owners, (*AUDIENCES, PRIVATE), strict=True):
        owner.offers(offer(audience, **({"maxKeysPerNamespace": MOST} if audience == AUDIENCES[1] else {})))
    for tenant in market.tenants:
        tenant.asks_for("used", {"productRef": market.owners[0].reference, "rotation": {"gracePeriod": "1s"}})
    market.settle()


def flood(tenant: Tenant, reference: Json, *, many: int) -> None:
    """So many ApiKeys, as fast as the API server takes them."""
    numbers = iter(range(many))

    def work() -> None:
        api = Api(tenant.user.login)
        for number in numbers:
            body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": f"flood-{number}"}}
            api.ask("POST", tenant.apikeys_path, {**body, "spec": {"productRef": reference, "rollout": {"policy": "Disabled"}}})
        api.close()

    with ThreadPoolExecutor(HANDS) as hands:
        for done in [hands.submit(work) for _ in range(HANDS)]:
            done.result()


def ask_for_a_rotation(tenant: Tenant) -> int:
    """Of the key that he uses; answers the version that he waits for."""
    version = tenant.team.secret("used").version
    tenant.changes("used", {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": f"after {version}"}}})
    return version + 1


def memory_mib(operator: OperatorProcess) -> float:
    """Resident, now."""
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
