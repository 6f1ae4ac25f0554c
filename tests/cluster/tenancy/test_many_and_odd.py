"""ApiKeys without end, and of every odd shape that the API server takes: the operator goes on for everybody, and comes to rest."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from gen.flood import ask_for_a_rotation, flood, memory_mib, open_fair
from gen.market import Market
from gen.operator_process import OperatorProcess
from testbed.cluster import ApiFailed

Json = dict[str, Any]

MANY: Final = 400
"""A hundred for each of the workers that one namespace may have."""
ODD: Final[tuple[Json, ...]] = (
    {"secretTemplate": {"data": {f"entry-{number}": "$(API_KEY)" + "\u00fc" * 8000 for number in range(16)}}},
    {"secretTemplate": {"annotations": {f"example.com/{number}": "x" * 4096 for number in range(32)}}},
    {"secretTemplate": {"data": {"nested": "$(API_KEY)$(API_KEY)$($(KEY_ID))$(PREVIOUS_API_KEY)"}, "keepPrevious": True}},
    {"secretName": "x" * 253},
    {"secretName": "a.b-c.d"},
    {"displayName": "\U0001f511" * 128, "description": "\u202e\u0007" * 512, "contact": "\ud7ff" * 256},
    {"rotation": {"trigger": '","versions":[{"' * 15}},
    {"rotation": {"schedule": "0 0 29 2 *", "timeZone": "Europe/Berlin"}},
    {"rotation": {"interval": "99999h", "gracePeriod": "1s"}},
    {"expirationTime": "2999-12-31T23:59:59.999999999+14:00"},
    {"rollout": {"targets": [{"kind": "Deployment", "name": f"no-{number}"} for number in range(16)]}},
    {"minVersion": 10**9},
)


@pytest.fixture
def fair(market: Market) -> Market:
    """Everybody may have keys of the first product, and has one; and three of the second."""
    open_fair(market)
    return market


def at_rest(market: Market) -> dict[str, str]:
    """What everything looks like when nothing has changed for a while."""
    before = market.marks()
    for _ in range(20):
        time.sleep(1.0)
        after = market.marks()
        if after == before:
            return after
        before = after
    raise AssertionError("it does not come to rest")


def test_a_flood_of_apikeys_gets_no_more_keys(fair: Market, operator: OperatorProcess) -> None:
    """Those beyond maxKeysPerNamespace wait without a record, and cost a little memory each."""
    before, noisy = memory_mib(operator), fair.tenants[0]
    flood(noisy, fair.owners[1].reference, many=MANY)
    fair.settle(patience=90.0)
    records = noisy.team.api.ask(
        "GET", f"/api/v1/namespaces/{noisy.team.records_namespace}/secrets?labelSelector=keyturn.dev/namespace%3D{noisy.namespace}"
    )
    assert (len(noisy.apikeys()), len(records["items"])) == (1 + MANY, 1 + 3)
    noisy.team.wait_until(lambda: operator.metric("keyturn_queue_depth") == 0, about="", what="the queue to be empty", patience=90.0)
    assert memory_mib(operator) - before < 30 + MANY * 0.03, "30 KiB for each, and something for busy connections"
    noisy.user.ask("DELETE", noisy.apikeys_path)


def test_what_one_tenant_piled_up_is_not_worked_off_before_anothers_key(fair: Market, operator: OperatorProcess) -> None:
    """The operator was away. In the list that it starts with, all of one tenant's stand before the other's one key that is due."""
    noisy, *_, quiet = sorted(fair.tenants, key=lambda tenant: tenant.namespace)
    operator.stop()
    flood(noisy, fair.owners[1].reference, many=MANY)
    version = ask_for_a_rotation(quiet)
    operator.restart()
    quiet.team.wait_ready("used", version=version, patience=60.0)
    worked_off = sum("status" in apikey for name, apikey in noisy.apikeys().items() if name.startswith("flood"))
    assert worked_off < MANY / 2
    fair.settle(patience=90.0)
    noisy.user.ask("DELETE", noisy.apikeys_path)


def test_whatever_shape_an_apikey_has_the_others_go_on(fair: Market, operator: OperatorProcess) -> None:
    tenant, bugs = fair.tenants[0], operator.metric("keyturn_reconcile_total", result="bug")
    for number, spec in enumerate(ODD):
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": f"odd-{number}"}}
        tenant.user.ask("POST", tenant.apikeys_path, {**body, "spec": {"rollout": {"policy": "Disabled"}, **spec}})
    managers = [
        {"manager": f"m{number}", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z"} for number in range(500)
    ]
    with_fields = [{**each, "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {}}}} for each in managers]
    noted = {"example.com/note": "x" * 200_000, "keyturn.dev/paused": "no" * 1000, "keyturn.dev/x": "\u2028" * 1000}
    tenant.asks_for("odd-annotated", {}, annotations=noted, labels={f"l{number}": "x" for number in range(500)})
    tenant.changes("odd-annotated", {"metadata": {"managedFields": with_fields, "finalizers": [f"example.com/{n}" for n in range(50)]}})
    tenant.changes("odd-annotated", {"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "Pod", "name": "x" * 200, "uid": "no-such-uid", "controller": True, "blockOwnerDeletion": True}
    ]}})  # fmt: skip
    tenant.changes("odd-annotated", {"metadata": {"finalizers": None, "ownerReferences": None}})
    fair.settle()
    assert (operator.is_running, operator.metric("keyturn_reconcile_total", result="bug")) == (True, bugs)


def test_nothing_is_written_about_what_is_settled(fair: Market) -> None:
    """Each tenant touches all that he has, and what Keyturn writes stays as it is."""
    tenant = fair.tenants[0]
    for number in range(5):
        tenant.asks_for(f"calm-{number}", {"productRef": fair.owners[number % 2].reference})
    fair.settle()
    before = at_rest(fair)
    for each in fair.tenants:
        for name in each.apikeys():
            each.changes(name, {"metadata": {"annotations": {"note": "look again"}}})
    time.sleep(1.5)
    assert fair.marks() == before


def test_a_megabyte_is_not_taken(fair: Market) -> None:
    with pytest.raises(ApiFailed, match=r"annotations|too large"):
        fair.tenants[0].asks_for("odd", {}, annotations={"keyturn.dev/rotate-requested-at": "x" * 1_000_000})
