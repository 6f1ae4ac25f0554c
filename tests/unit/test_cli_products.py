"""products, approve and whocan: what is granted, what is refused, whole tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.apikey_json import NOW, Json, apikey, at, condition, steady
from gen.products import FULL, OWNER, READ, REFUND, WRITE, product
from keyturn.api.v1alpha1.apiproduct import ApiProduct
from keyturn.base.errors import KeyturnError
from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.apikeys.description import Description
from keyturn.cli.apikeys.description_text import render_description
from keyturn.cli.apikeys.gitops_traces import keeper_of
from keyturn.cli.apikeys.waiting import Look, Progress
from keyturn.cli.failure import failure_of
from keyturn.cli.products.apiproduct_view import GrantView, decode_product_view, product_named
from keyturn.cli.products.approval import Approval, ApprovalGoal, CannotApproveError, Words, approval_for
from keyturn.cli.products.product_access import ProductAccess, access_json, holders_of, render_holders
from keyturn.cli.products.product_listing import render_products, shared_audiences
from keyturn.cluster.api_errors import NotFound

KEY = Key("team-a", "billing")
REF = {"productRef": {"name": "invoices", "namespace": OWNER}}
HERS = {"namespace": "team-b", "apiKey": "other", "plan": "full", "note": "of a later version"}
STORED: Json = {
    "metadata": {"name": "invoices", "namespace": OWNER, "creationTimestamp": at(days=-3, hours=-4)},
    "spec": {
        "audience": "invoices",
        "contact": "#invoices",
        "scopes": [{"name": READ}, {"name": WRITE}],
        "plans": [{"name": "basic", "scopes": [READ]}, {"name": "full", "approval": "Manual"}],
        "access": {
            "namespaces": {"from": "All"},
            "grants": [{"namespace": "team-a", "apiKey": "billing", "plan": "basic", "scopes": [READ]}, {**HERS}],
        },
    },
    "status": {"keys": {"ready": 12, "pending": 1, "disabled": 0}, "conditions": [condition("Ready", "True", "AcceptsKeys", "ok")]},
}


def asking(**spec: object) -> ApiKeyView:
    return decode_apikey(apikey(spec={**REF, **spec}))


def approved(
    asked: ApiKeyView | None = None,
    *,
    of: ApiProduct | None = None,
    held: tuple[Json, ...] = (),
    labels: Json | None = None,
    **words: Any,  # noqa: ANN401  any of the words
) -> Approval:
    return approval_for(Words(KEY, **words), of or product(), held, asked=asked, labels=labels)


# ------------------------------------------------------------------------------------------------------------------ approve


@pytest.mark.parametrize(
    ("asked", "words", "plan", "scopes"),
    [
        ({}, {}, "basic", None),
        ({"plan": "full"}, {}, "full", None),
        ({"plan": "full", "scopes": [WRITE]}, {}, "full", [WRITE]),
        ({"plan": "full", "scopes": []}, {}, "full", []),
        ({"plan": "full", "scopes": [READ, WRITE]}, {"scopes": (READ,)}, "full", [READ]),
        ({"plan": "basic"}, {"plan": "full", "scopes": (REFUND,)}, "full", [REFUND]),
    ],
)
def test_a_key_is_granted_what_it_asks_for_unless_the_approver_says_otherwise(
    asked: Json, words: Json, plan: str, scopes: list[str] | None
) -> None:
    wanted: Json = {"namespace": "team-a", "apiKey": "billing", "plan": plan}
    assert approved(asking(**asked), **words).grant == wanted | ({} if scopes is None else {"scopes": scopes})


def test_grants_of_others_stay_as_they_were_and_in_their_places() -> None:
    mine = {"namespace": "team-a", "apiKey": "billing", "plan": "basic", "scopes": [READ]}
    first = approved(asking(plan="full"), held=(HERS,))
    assert (first.all_grants, first.replaces, first.changes_nothing) == ((HERS, first.grant), None, False)
    second = approved(asking(plan="full"), held=(mine, HERS))
    assert second.all_grants == (second.grant, HERS)
    assert second.replaces == GrantView("team-a", "billing", "basic", (READ,))
    assert approved(asking(scopes=[READ]), held=(mine, HERS)).changes_nothing


@pytest.mark.parametrize(
    ("asked", "words", "complaint"),
    [
        ({}, {"plan": "gold"}, "ApiProduct billing-api/invoices offers no plan gold: give --plan with one of basic, full"),
        ({"plan": "gold"}, {}, "ApiProduct billing-api/invoices offers no plan gold: give --plan with one of basic, full"),
        (
            {"scopes": [WRITE]},
            {},
            f"Plan basic of ApiProduct billing-api/invoices does not offer {WRITE}; plan full would: --plan full. It offers {READ}",
        ),
        ({}, {"scopes": ("x",)}, f"Plan basic of ApiProduct billing-api/invoices does not offer x. It offers {READ}: --scopes"),
        ({"productRef": None}, {}, "ApiKey team-a/billing refers to no product, so there is nothing to approve"),
        ({"productRef": {"name": "invoices"}}, {}, "refers to ApiProduct team-a/invoices and not to billing-api/invoices"),
    ],
)
def test_a_grant_that_would_give_nothing_is_refused_with_what_to_write(asked: Json, words: Json, complaint: str) -> None:
    with pytest.raises(CannotApproveError) as refused:
        approved(asking(**asked), **words)
    assert complaint in failure_of(refused.value).sentence


def test_a_product_without_a_default_plan_wants_one_named() -> None:
    with pytest.raises(CannotApproveError, match="has no default plan: give --plan with one of basic, full"):
        approved(asking(), of=product(defaultPlan=None))


def test_an_approver_is_told_what_else_keeps_the_key_from_its_power() -> None:
    assert approved(asking()).notes == ()
    assert approved(None, of=product(approval="Automatic")).notes == (
        "plan basic approves by itself: the grant counts where that becomes Manual",
    )
    outside = approved(asking(), of=product(admitted={"from": "Same"}))
    assert [note.partition(". ")[0] for note in outside.notes] == ["a grant alone is not enough"]
    by_label = product(admitted={"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}})
    assert approved(asking(), of=by_label).notes == (), "labels that may not be read accuse nobody"
    assert len(approved(asking(), of=by_label, labels={}).notes) == 1
    assert approved(asking(), of=by_label, labels={"tier": "gold"}).notes == ()
    assert approved(asking(plan="full", scopes=[WRITE, READ]), plan="basic", scopes=(READ,)).notes == (
        "the ApiKey asks for plan full: it has plan basic once its spec.plan says so",
        f"the ApiKey also asks for {WRITE}: that goes on waiting",
    )


def test_an_approver_who_takes_a_plan_in_force_away_is_told() -> None:
    """Who thought to narrow a key by another plan's grant cut it off: its own plan had no grant any more."""
    in_force = decode_apikey(apikey(spec={**REF, "plan": "full"}, status={"effective": {"plan": "full"}}))
    assert approved(in_force, plan="basic").notes == (
        "the ApiKey asks for plan full: it has plan basic once its spec.plan says so, and loses plan full until then",
    )
    by_itself = approved(in_force, of=product(approval="Automatic"), plan="basic").notes
    assert not any("loses" in note for note in by_itself)


@pytest.mark.parametrize(
    ("status", "spec", "look"),
    [
        ({"conditions": []}, {}, Look(Progress.UNDER_WAY, "waits for the operator")),
        (
            {"conditions": [condition("Approved", "False", "PendingApproval", "ask")]},
            {},
            Look(Progress.UNDER_WAY, "ask (PendingApproval)"),
        ),
        (
            {"conditions": [condition("Approved", "True", "Granted", "as before")], "approved": {"plan": "basic", "scopes": [READ]}},
            {},
            Look(Progress.UNDER_WAY, "as before (Granted)"),
        ),
        (
            {"conditions": [condition("Approved", "True", "Granted")], "approved": {"plan": "full", "scopes": [WRITE, READ]}},
            {"scopes": [READ]},
            Look(Progress.DONE, f"approved (plan full, scopes {READ})"),
        ),
        (
            {"conditions": [condition("Approved", "False", "AccessLost", "gone")]},
            {"plan": "basic"},
            Look(Progress.HOPELESS, "it asks for plan basic and was granted plan full"),
        ),
    ],
    ids=["not seen", "waits", "the grant before", "done", "another plan"],
)
def test_an_approval_is_waited_for_until_the_key_has_just_that(status: Json, spec: Json, look: Look) -> None:
    goal = ApprovalGoal("team-a", "billing", plan="full", scopes=(READ, WRITE))
    assert goal.verdict(decode_apikey(apikey(spec={**REF, **spec}, status=steady(**status)))) == look
    paused = apikey(spec=REF, annotations={"keyturn.dev/paused": "true"})
    assert goal.verdict(decode_apikey(paused)).progress is Progress.HOPELESS


@pytest.mark.parametrize(
    ("metadata", "keeper"),
    [
        ({}, ""),
        ({"labels": {"argocd.argoproj.io/instance": "apis"}}, "Argo CD"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apis"}}, "Flux"),
        ({"annotations": {"meta.helm.sh/release-name": "apis"}}, "Helm"),
        ({"managedFields": [{"manager": "keyturn"}, {"manager": "argocd-controller"}]}, "Argo CD"),
        ({"managedFields": [{"manager": "keyturn-approve"}, {"manager": "kubectl"}]}, ""),
    ],
)
def test_who_keeps_an_object_as_git_has_it_shows(metadata: Json, keeper: str) -> None:
    assert keeper_of({"metadata": metadata}) == keeper


# ------------------------------------------------------------------------------------------------------------------- tables


def test_products_are_listed_for_people_and_for_a_pipe() -> None:
    unseen = {
        "metadata": {"name": "new", "namespace": OWNER},
        "spec": {"audience": "new", "plans": [{"name": "a", "approval": "Automatic"}]},
    }
    views = [decode_product_view(STORED), decode_product_view(unseen)]
    table = render_products(views, now=NOW, wide=True, everywhere=True, for_terminal=True)
    assert click.unstyle(table) == (
        "NAMESPACE     NAME       AUDIENCE   PLANS        APPROVAL    ADMITS              KEYS   PENDING   DISABLED   AGE    "
        "SCOPES                         GRANTS   CONTACT     MESSAGE\n"
        "billing-api   invoices   invoices   basic,full   Manual      all namespaces      12     1         0          3d4h   "
        "invoices:read,invoices:write   2        #invoices   ok\n"
        "billing-api   new        new        a            Automatic   its own namespace   -      -         -          -      "
        "-                              0        -           -"
    )
    piped = render_products(views[:1], now=NOW, wide=False, everywhere=False, for_terminal=False)
    assert piped == "invoices\tinvoices\tbasic,full\tManual\tall namespaces\t12\t1\t0\t2026-11-21T08:00:00Z"


def test_an_audience_that_two_namespaces_name_is_noticed() -> None:
    """A gateway asks for an audience: a tenant who may create products could name the one of somebody else."""
    same = decode_product_view(STORED)
    sibling, rival = replace(same, name="invoices-v2"), replace(same, namespace="shop")
    assert shared_audiences([same, sibling, replace(rival, audience="other")]) == []
    assert shared_audiences([same, rival]) == [
        "audience invoices is named by billing-api/invoices and shop/invoices: the oldest has it, the others give no keys"
    ]


def test_who_may_approve_is_mixed_where_plans_differ() -> None:
    mixed = {"spec": {"plans": [{"name": "a", "approval": "Automatic"}, {"name": "b"}]}}
    assert decode_product_view(mixed).approval == "Mixed"


def test_a_selector_reads_as_kubectl_takes_it() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["gold", "silver"]},
        {"key": "zone", "operator": "NotIn", "values": ["test"]},
        {"key": "team", "operator": "Exists"},
        {"key": "banned", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"invoices": "yes"}, "matchExpressions": expressions}
    stored = {"spec": {"access": {"namespaces": {"from": "Selector", "selector": selector}}}}
    assert decode_product_view(stored).admitted == "invoices=yes,tier in (gold,silver),zone notin (test),team,!banned"


def test_holders_are_keys_and_grants_together() -> None:
    view = decode_product_view(STORED)
    status = steady(
        effective={"plan": "basic"},
        approved={"plan": "basic", "scopes": [READ]},
        lastUsedTime=at(days=-1),
        conditions=[condition("Ready", "True", "Issued"), condition("Approved", "True", "Granted")],
    )
    stranger = apikey("stranger", spec={"productRef": {"name": "invoices"}}, status=status)
    keys = [apikey(spec=REF, status=status), apikey("young", spec=REF), stranger]
    holders = holders_of(view, map(decode_apikey, keys))
    assert click.unstyle(render_holders(holders, now=NOW, for_terminal=True)) == (
        "NAMESPACE   NAME      READY     PLAN    SCOPES          APPROVAL   LAST USED   GRANT\n"
        "team-a      billing   True      basic   invoices:read   Granted    yesterday   basic: invoices:read\n"
        "team-a      young     Unknown   -       -               Unknown    -           -\n"
        "team-b      other     -         -       -               NoApiKey   -           full"
    )
    told = access_json(ProductAccess(view, holders, None, (Key("shop", "invoices"),), ("a thing",)))
    assert list(told) == [
        "apiVersion", "kind", "namespace", "name", "audience", "approval", "admits", "admittedNamespaces", "sameAudience",
        "keys", "notSeen",
    ]  # fmt: skip
    assert told["sameAudience"] == ["shop/invoices"]
    keys_told = told["keys"]
    assert isinstance(keys_told, list)
    assert [list(each) == list(keys_told[0]) for each in keys_told] == [True] * 3
    assert keys_told[0] == {
        "namespace": "team-a",
        "name": "billing",
        "exists": True,
        "ready": True,
        "keyID": "Qm8sT2fLx0Za",
        "plan": "basic",
        "scopes": [READ],
        "askedPlan": None,
        "askedScopes": None,
        "approval": "Granted",
        "approved": True,
        "lastUsedTime": at(days=-1),
        "grant": {"plan": "basic", "scopes": [READ]},
    }
    assert (keys_told[2]["exists"], keys_told[2]["grant"]) == (False, {"plan": "full", "scopes": None})


def test_a_description_tells_what_is_in_force_and_what_is_asked_for_beyond() -> None:
    waits = condition("Approved", "Unknown", "PendingWidening", "Plan full waits for a grant")
    status = steady(
        effective={"plan": "basic", "limits": {"requestsPerSecond": 10, "burst": 20}},
        approved={"plan": "basic", "scopes": [READ], "by": f"{OWNER}/invoices", "time": at(hours=-3)},
        conditions=[condition("Ready", "True", "Issued"), waits],
    )
    key = decode_apikey(apikey(spec={**REF, "plan": FULL["name"], "scopes": [READ, WRITE]}, status=status))
    text = click.unstyle(render_description(Description(key, None, None, None, (), (), ()), now=NOW))
    assert (
        "Product:       billing-api/invoices\n"
        "Plan:          basic; asks for full\n"
        "Scopes:        invoices:read; asks also for invoices:write\n"
        "Limits:        10 requests a second, 20 at once\n"
        "Approval:      PendingWidening: Plan full waits for a grant (by billing-api/invoices, since 3h)\n"
    ) in text


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_a_product_of_any_shape_can_be_listed(value: object) -> None:
    names = ("scopes", "plans", "access", "audience")
    views = [decode_product_view({"metadata": value, "spec": value}), decode_product_view({"spec": dict.fromkeys(names, value)})]
    assert len(render_products(views, now=NOW, wide=True, everywhere=True, for_terminal=True).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("invoices", Key("here", "invoices")),
        ("billing-api/invoices", Key("billing-api", "invoices")),
        ("apiproduct/invoices", Key("here", "invoices")),
        ("apiproduct.keyturn.dev/invoices", Key("here", "invoices")),
    ],
)
def test_a_product_is_named_as_people_write_it(text: str, meant: Key) -> None:
    assert product_named(text, namespace="here") == meant


@pytest.mark.parametrize("text", ["", "/", "/invoices", "billing-api/", "a/b/c"])
def test_what_names_no_product_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no name of an ApiProduct: write invoices"):
        product_named(text, namespace="here")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotFound("list apiproducts a: 404 NotFound: 404 page not found"), "This cluster has no ApiProducts"),
        (
            NotFound('get apiproducts a/b: 404 NotFound: apiproducts.keyturn.dev "b" not found'),
            'apiproducts.keyturn.dev "b" not found. To see what there is: keyturn products -A',
        ),
    ],
)
def test_a_product_that_is_not_there_is_told_with_what_to_do(error: KeyturnError, sentence: str) -> None:
    assert failure_of(error).sentence.startswith(sentence)
