"""products, approve and whocan against a real API server with an operator beside them: what an approver writes is what a key has."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
import yaml

from gen.person import Answer, Person
from gen.product_owner import READ, WRITE, Owner
from gen.team import Api, Json, Team
from keyturn.base.clock import utc_now
from keyturn.cli.console import Console
from keyturn.cli.deps import Deps, connect
from keyturn.cli.place import Place
from keyturn.cli.products.approve_command import Options, run
from testbed.cluster import Cluster, wait_until

EVERYBODY = {"namespaces": {"from": "All"}}
PATIENCE = 30.0


@pytest.fixture
def person(plane: Cluster, team: Team) -> Person:
    return Person(plane, team.namespace, plane.kubeconfig)


@pytest.fixture
def approver(plane: Cluster, team: Team, owner: Owner, tmp_path: Path) -> Person:
    """Somebody who may change the products of one namespace, and see nothing of the tenants'."""
    own = owner.namespace
    plane.kubectl("-n", own, "create", "serviceaccount", "approver")
    plane.kubectl("-n", own, "create", "role", "approver", "--verb=get,list,patch", "--resource=apiproducts.keyturn.dev")
    plane.kubectl("-n", own, "create", "rolebinding", "approver", "--role=approver", f"--serviceaccount={own}:approver")
    return Person(plane, team.namespace, plane.kubeconfig).as_service_account("approver", of=own, folder=tmp_path)


def grants_of(api: Api, owner: Owner) -> list[Json]:
    return api.ask("GET", owner.path)["spec"].get("access", {}).get("grants", [])


def creates(person: Person, owner: Owner, *more: str, name: str = "billing") -> None:
    answer = person.runs("create", name, "--product", f"{owner.namespace}/invoices", *more)
    assert answer == Answer(0, f"apikey/{name} created\n", "")


def test_an_approved_key_has_what_was_asked_for_and_is_waited_for(person: Person, team: Team, owner: Owner, api: Api) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner, "--plan", "full", "--scopes", f"{READ},{WRITE}")
    team.wait_says("billing", "Approved", "False", "PendingApproval")
    what = f"plan full, scopes {READ}, {WRITE} (ApiProduct {owner.namespace}/invoices)"
    assert person.runs("approve", "billing", "--dry-run") == Answer(0, f"apikey/billing approved: {what} (server dry run)\n", "")
    assert grants_of(api, owner) == []
    answer = person.runs("approve", "billing", "--wait")
    assert (answer.code, answer.out.splitlines()) == (
        0,
        [f"apikey/billing approved: {what}", f"apikey/billing approved (plan full, scopes {READ}, {WRITE})"],
    )
    assert grants_of(api, owner) == [{"namespace": team.namespace, "apiKey": "billing", "plan": "full", "scopes": [READ, WRITE]}]
    assert "keyturn-approve" in {entry["manager"] for entry in api.ask("GET", owner.path)["metadata"]["managedFields"]}
    team.wait_ready("billing")
    again = person.runs("approve", "billing")
    assert again == Answer(0, f"apikey/billing was approved before: {what}\n", "")


def test_less_than_was_asked_for_is_granted_and_what_it_replaces_is_told(person: Person, team: Team, owner: Owner, api: Api) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner, "--plan", "full", "--scopes", f"{READ},{WRITE}")
    assert person.runs("approve", "billing", "--wait").code == 0
    answer = person.runs("approve", "billing", "--scopes", READ, "--wait")
    assert answer.out.splitlines()[-1] == f"apikey/billing approved (plan full, scopes {READ})"
    assert f"It replaces: plan full, scopes {READ}, {WRITE}\n" in answer.err
    assert f"Warning: the ApiKey also asks for {WRITE}: that goes on waiting\n" in answer.err
    assert grants_of(api, owner) == [{"namespace": team.namespace, "apiKey": "billing", "plan": "full", "scopes": [READ]}]
    team.wait_says("billing", "Approved", "Unknown", "PendingWidening")
    told = person.runs("describe", "billing").out
    assert f"Product:       {owner.namespace}/invoices\n" in told
    assert "Plan:          full\n" in told
    assert f"Scopes:        {READ}; asks also for {WRITE}\n" in told
    assert f"Approval:      PendingWidening: Scopes {WRITE} wait for a grant" in told
    assert person.runs("get", "-o", "wide").out.split("\t")[8:11] == ["full", READ, "PendingWidening"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--plan", "gold"], "offers no plan gold: give --plan with one of basic, full"),
        (["--scopes", WRITE], f"does not offer {WRITE}; plan full would: --plan full. It offers {READ}: --scopes"),
        (["--product", "elsewhere/other"], 'apiproducts.keyturn.dev "other" not found. To see what there is: keyturn products -A'),
    ],
    ids=["plan", "scope", "product"],
)
def test_what_the_product_does_not_offer_is_refused(person: Person, owner: Owner, api: Api, arguments: list[str], complaint: str) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner)
    answer = person.runs("approve", "billing", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert complaint in answer.err
    assert grants_of(api, owner) == []


def test_a_key_of_no_product_has_nothing_to_approve(person: Person, owner: Owner) -> None:
    owner.says()
    person.runs("create", "alone")
    for arguments in ([], ["--product", f"{owner.namespace}/invoices"]):
        answer = person.runs("approve", "alone", *arguments)
        assert (answer.code, answer.out) == (1, "")
        assert "refers to no product, so there is nothing to approve: create it anew with keyturn create --product" in answer.err


async def test_of_approvers_at_the_same_moment_none_loses_a_grant(person: Person, team: Team, owner: Owner, api: Api) -> None:
    owner.says(access=EVERYBODY)
    names = [f"key-{number}" for number in range(8)]
    for name in names:
        team.apply_apikey(name, {"productRef": {"name": "invoices", "namespace": owner.namespace}})
    place = Place(namespace=team.namespace, kubeconfig=str(person.kubeconfig))
    said = io.StringIO()
    deps = Deps(Console(said, said, is_terminal=False), utc_now, connect)
    codes = await asyncio.gather(*(run(Options(place, name, plan="full"), deps) for name in names))
    assert (codes, said.getvalue().count(" approved: ")) == ([0] * len(names), len(names))
    assert sorted(grant["apiKey"] for grant in grants_of(api, owner)) == names


def test_where_git_keeps_the_product_the_grant_is_printed_for_git(person: Person, team: Team, owner: Owner, api: Api) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner)
    api.merge(owner.path, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "apis:keyturn.dev/ApiProduct:x/invoices"}}})
    answer = person.runs("approve", "billing")
    assert answer.code == 1
    assert "Argo CD keeps ApiProduct" in answer.err
    assert "commit the grant there (--force writes it all the same)" in answer.err
    assert yaml.safe_load(answer.out) == [{"namespace": team.namespace, "apiKey": "billing", "plan": "basic"}]
    assert grants_of(api, owner) == []
    assert person.runs("approve", "billing", "-o", "json").code == 0
    owner.says(access={**EVERYBODY, "grants": yaml.safe_load(answer.out)})
    team.wait_ready("billing")
    assert person.runs("approve", "billing", "--plan", "full", "--force").code == 0
    assert [grant["plan"] for grant in grants_of(api, owner)] == ["full"]


def test_an_apply_that_says_nothing_of_grants_leaves_them(person: Person, owner: Owner, api: Api) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner)
    person.runs("approve", "billing")
    owner.says(access=EVERYBODY, description="changed in Git")
    assert len(grants_of(api, owner)) == 1


def test_an_owner_approves_without_a_right_to_see_the_tenants(approver: Person, person: Person, team: Team, owner: Owner) -> None:
    owner.says(access=EVERYBODY)
    creates(person, owner)
    blind = approver.runs("approve", "billing")
    assert (blind.code, blind.out) == (4, "")
    answer = approver.runs("approve", "billing", "--product", f"{owner.namespace}/invoices", "--scopes", READ)
    assert (answer.code, answer.out) == (
        0,
        f"apikey/billing approved: plan basic, scopes {READ} (ApiProduct {owner.namespace}/invoices)\n",
    )
    assert answer.err == f"ApiKey {team.namespace}/billing was not seen: your role does not let you read it\n"
    team.wait_ready("billing")
    assert approver.runs("rotate", "billing").code == 4
    told = json.loads(approver.runs_in(owner.namespace, "whocan", "invoices", "-o", "json").out)
    assert [(key["name"], key["exists"], key["grant"]) for key in told["keys"]] == [("billing", False, {"plan": "basic", "scopes": [READ]})]
    assert (len(told["notSeen"]), told["sameAudience"]) == (4, None)


def test_a_grant_may_come_before_its_key_and_says_what_else_is_missing(person: Person, team: Team, owner: Owner, api: Api) -> None:
    labels = {"matchLabels": {"invoices": "yes"}}
    owner.says(access={"namespaces": {"from": "Selector", "selector": labels}})
    early = person.runs("approve", "billing", "--product", f"{owner.namespace}/invoices")
    assert early.code == 0
    assert f"ApiKey {team.namespace}/billing was not seen: there is none yet\n" in early.err
    assert "Warning: a grant alone is not enough. ApiProduct" in early.err
    api.merge(f"/api/v1/namespaces/{team.namespace}", {"metadata": {"labels": {"invoices": "yes"}}})
    creates(person, owner)
    team.wait_ready("billing")
    told = json.loads(person.runs_in(owner.namespace, "whocan", "invoices", "-o", "json").out)
    assert (told["admits"], told["admittedNamespaces"]) == ("invoices=yes", [team.namespace])


def test_an_owner_sees_his_products_and_who_uses_them(person: Person, team: Team, owner: Owner) -> None:
    owner.says(access=EVERYBODY, contact="#invoices")
    creates(person, owner)
    creates(person, owner, name="waiting")
    assert person.runs("approve", "billing", "--wait").code == 0
    team.wait_ready("billing")
    wait_until(lambda: owner.counts() == {"ready": 1, "pending": 1, "disabled": 0}, patience=PATIENCE, what="both keys to be counted")
    row = person.runs_in(owner.namespace, "products", "-o", "wide").out.rstrip("\n").split("\t")
    assert row[:8] == ["invoices", "invoices", "basic,full", "Manual", "all namespaces", "1", "1", "0"]
    assert row[9:12] == [f"{READ},{WRITE}", "1", "#invoices"]
    assert f"{owner.namespace}\tinvoices\t" in person.runs_everywhere("products").out
    stored = json.loads(person.runs_in(owner.namespace, "products", "-o", "json").out)
    assert [item["metadata"]["name"] for item in stored["items"]] == ["invoices"]
    answer = person.runs_in(owner.namespace, "whocan", "invoices")
    assert answer.err.splitlines()[0] == f"ApiProduct {owner.namespace}/invoices admits all namespaces"
    assert [line.split("\t") for line in answer.out.splitlines()] == [
        [team.namespace, "billing", "True", "basic", READ, "Granted", "", "basic"],
        [team.namespace, "waiting", "False", "", "", "PendingApproval", "", ""],
    ]
    nothing = person.runs("products")
    assert nothing == Answer(0, "", f"There are no ApiProducts in namespace {team.namespace}: look everywhere with -A\n")


def test_another_namespace_that_names_the_audience_is_warned_of(person: Person, team: Team, owner: Owner, api: Api) -> None:
    owner.says(audience=f"of-{owner.namespace}")
    rival = Owner(api, team.namespace)
    rival.says(audience=f"of-{owner.namespace}")
    told = person.runs_in(owner.namespace, "whocan", "invoices").err
    assert f"Warning: audience of-{owner.namespace} is also named by {team.namespace}/invoices: the oldest has it" in told
    both = " and ".join(sorted([f"{owner.namespace}/invoices", f"{team.namespace}/invoices"]))
    assert f"Warning: audience of-{owner.namespace} is named by {both}: the oldest has it" in person.runs_everywhere("products").err
    assert person.runs_in(owner.namespace, "products").err == ""


def test_the_shell_completes_names_of_products(person: Person, owner: Owner) -> None:
    owner.says()
    name = f"{owner.namespace}/invoices\n:4\n"
    here = ["__complete", "--", "whocan", "-n", owner.namespace, "inv"]
    wait_until(lambda: person.calls("keyturn", *here).out == "invoices\n:4\n", patience=PATIENCE, what="the product's name")
    there = ["__complete", "--", "create", "x", "--product", owner.namespace]
    wait_until(lambda: person.calls("keyturn", *there).out == name, patience=PATIENCE, what="the product's whole name")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--plan", ""], ["basic", "full"]),
        (["--plan", "b"], ["basic"]),
        (["--scopes", ""], [READ]),
        (["--plan", "full", "--scopes", "invoices:"], [READ, WRITE]),
        (["--plan", "full", "--scopes", f"{READ},"], [f"{READ},{WRITE}"]),
    ],
)
def test_the_shell_completes_what_the_product_offers(person: Person, owner: Owner, words: list[str], found: list[str]) -> None:
    owner.says()
    asked = ["__complete", "--", "create", "x", "--product", f"{owner.namespace}/invoices", *words]
    wanted = "".join(f"{each}\n" for each in found) + ":4\n"
    wait_until(lambda: person.calls("keyturn", *asked).out == wanted, patience=PATIENCE, what="plans and scopes of the product")
    no_product = ["__complete", "--", "create", "x", *words]
    assert person.calls("keyturn", *no_product).out == ":4\n"
