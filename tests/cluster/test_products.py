"""ApiProducts on a real API server: the owner's word is what a gateway is told, also when he takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gen.operator_process import OperatorProcess
from gen.product_owner import READ, WRITE, Owner
from gen.team import Api, Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import ApiFailed, Cluster, wait_until

Json = dict[str, Any]
PATH = "/verify?audience=invoices"


@pytest.fixture(scope="module")
def verifier(plane: Cluster, shared_operator: OperatorProcess) -> Iterator[VerifierProcess]:
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    with VerifierProcess.start(plane, records_namespace=records, namespace=system) as verifier:
        yield verifier.wait_ready()


def asks(owner: Owner, **spec: Any) -> Json:  # noqa: ANN401
    return {"productRef": {"name": "invoices", "namespace": owner.namespace}, **spec}


def grants(team: Team, *names: str, plan: str = "basic", **more: Any) -> Json:  # noqa: ANN401
    given = [{"namespace": team.namespace, "apiKey": name, "plan": plan, **more} for name in names]
    return {"namespaces": {"from": "All"}, "accessLostDelay": "1s", "grants": given}


def status(verifier: VerifierProcess, token: str, path: str) -> int:
    return verifier.check(token, path=path).status


def wait_for(verifier: VerifierProcess, token: str, path: str, wanted: int) -> None:
    wait_until(lambda: status(verifier, token, path) == wanted, patience=20, what=f"{path} to be answered {wanted}")


def test_a_key_waits_for_its_grant_and_has_just_what_was_granted(team: Team, owner: Owner, verifier: VerifierProcess) -> None:
    owner.says(keyPrefix="acme")
    team.apply_apikey("billing", asks(owner))
    team.wait_says("billing", "Approved", "False", "ProductUnavailable")
    owner.says(keyPrefix="acme", access={"namespaces": {"from": "All"}})
    team.wait_says("billing", "Approved", "False", "PendingApproval")
    assert team.find_secret("billing") is None
    owner.says(keyPrefix="acme", access=grants(team, "billing"))
    team.wait_ready("billing")
    token = team.secret("billing").token
    assert token.startswith("acme_")
    answered = verifier.check(token, path=f"{PATH}&scope={READ}")
    assert (answered.status, answered.headers["x-keyturn-scopes"], answered.headers["x-keyturn-plan"]) == (200, READ, "basic")
    assert status(verifier, token, f"{PATH}&scope={WRITE}") == 403
    assert status(verifier, token, "/verify?audience=other") == 401
    assert status(verifier, token, "/verify") == 401
    told = team.status("billing")
    assert told["approved"] | {"time": ""} == {"plan": "basic", "scopes": [READ], "by": f"{owner.namespace}/invoices", "time": ""}
    assert told["effective"]["plan"] == "basic"


def test_wider_power_waits_and_narrower_is_there_at_once(team: Team, owner: Owner, verifier: VerifierProcess) -> None:
    owner.says(access=grants(team, "billing", plan="full", scopes=[READ]))
    team.apply_apikey("billing", asks(owner, plan="full", scopes=[READ, WRITE]))
    team.wait_ready("billing")
    token = team.secret("billing").token
    team.wait_says("billing", "Approved", "Unknown", "PendingWidening")
    assert (status(verifier, token, f"{PATH}&scope={READ}"), status(verifier, token, f"{PATH}&scope={WRITE}")) == (200, 403)
    owner.says(access=grants(team, "billing", plan="full"))
    wait_for(verifier, token, f"{PATH}&scope={WRITE}", 200)
    team.wait_says("billing", "Approved", "True", "Granted")
    owner.says(access=grants(team, "billing", plan="full"), scopes=(READ,), plans=[{"name": "basic"}, {"name": "full"}])
    wait_for(verifier, token, f"{PATH}&scope={WRITE}", 403)
    assert status(verifier, token, f"{PATH}&scope={READ}") == 200


def test_a_namespace_that_loses_its_label_loses_its_keys_after_the_delay_and_has_them_back(
    team: Team, owner: Owner, api: Api, verifier: VerifierProcess
) -> None:
    here = f"/api/v1/namespaces/{team.namespace}"
    access = {"approval": "Automatic", "accessLostDelay": "1s"}
    owner.says(access={**access, "namespaces": {"from": "Selector", "selector": {"matchLabels": {"invoices": "yes"}}}})
    team.apply_apikey("billing", asks(owner))
    team.wait_says("billing", "Stalled", "True", "ProductUnavailable")
    api.merge(here, {"metadata": {"labels": {"invoices": "yes"}}})
    team.wait_ready("billing")
    token = team.secret("billing").token
    wait_for(verifier, token, PATH, 200)
    api.merge(here, {"metadata": {"labels": {"invoices": None}}})
    team.wait_says("billing", "Approved", "False", "AccessLost")
    wait_for(verifier, token, PATH, 401)
    team.wait_says("billing", "Disabled", "True", "AccessLost")
    api.merge(here, {"metadata": {"labels": {"invoices": "yes"}}})
    wait_for(verifier, token, PATH, 200)
    team.wait_says("billing", "Ready", "True", "Issued")
    assert team.secret("billing").token == token


def test_a_deleted_product_takes_its_keys_along_and_brings_them_back(team: Team, owner: Owner, verifier: VerifierProcess) -> None:
    owner.says(access=grants(team, "billing"))
    team.apply_apikey("billing", asks(owner))
    team.wait_ready("billing")
    token = team.secret("billing").token
    wait_until(lambda: owner.counts() == {"ready": 1, "pending": 0, "disabled": 0}, patience=20, what="the key to be counted")
    owner.withdraws()
    team.wait_says("billing", "Approved", "False", "AccessLost")
    assert status(verifier, token, PATH) == 200, "its product is gone, and so is the delay that it wanted: the operator's holds"
    owner.says(access=grants(team, "billing"))
    team.wait_says("billing", "Approved", "True", "Granted")
    assert status(verifier, token, PATH) == 200


def test_the_youngest_key_of_too_many_waits_for_an_older_one_to_go(team: Team, owner: Owner) -> None:
    owner.says(access={"namespaces": {"from": "All"}, "approval": "Automatic", "maxKeysPerNamespace": 2})
    for name in ("first", "second"):
        team.apply_apikey(name, asks(owner))
        team.wait_ready(name)
    team.apply_apikey("third", asks(owner))
    team.wait_says("third", "Stalled", "True", "TooManyKeys")
    wait_until(lambda: owner.counts() == {"ready": 2, "pending": 0, "disabled": 1}, patience=20, what="three keys to be counted")
    team.delete_apikey("first")
    team.wait_ready("third")


def test_what_is_settled_is_not_written_again(team: Team, owner: Owner, api: Api) -> None:
    owner.says(access=grants(team, "billing"))
    team.apply_apikey("billing", asks(owner))
    team.wait_ready("billing")
    wait_until(lambda: owner.counts().get("ready") == 1, patience=20, what="the key to be counted")
    marks, product = team.marks("billing"), api.ask("GET", owner.path)["metadata"]["resourceVersion"]
    team.annotate_apikey("billing", "team.example.com/note", "look again")
    wait_until(lambda: team.apikey("billing")["metadata"]["resourceVersion"] != marks[0], patience=5, what="the note to be there")
    owner.says(access=grants(team, "billing"), description="the same, in other words")
    wait_until(
        lambda: api.ask("GET", owner.path)["status"]["observedGeneration"] == 2, patience=20, what="the new generation to be observed"
    )
    assert team.marks("billing")[1:] == marks[1:]
    assert api.ask("GET", owner.path)["metadata"]["resourceVersion"] != product


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"audience": "default"}, "audience default is that of every key without a product"),
        ({"defaultPlan": "gold"}, "defaultPlan must name one of plans"),
        ({"plans": [{"name": "basic", "scopes": ["nonsense"]}]}, "a plan may only offer scopes that the product declares"),
        ({"access": {"namespaces": {"from": "Selector"}}}, "selector goes with from: Selector"),
        ({"plans": [{"name": "basic", "limits": {"burst": 3}}]}, "add requestsPerSecond or remove burst"),
    ],
)
def test_a_product_that_cannot_be_is_refused_with_what_to_do(owner: Owner, team: Team, spec: Json, complaint: str) -> None:
    with pytest.raises(ApiFailed, match=complaint):
        owner.says(**spec)
    owner.says()
    with pytest.raises(ApiFailed, match="audience is immutable"):
        owner.says(audience="elsewhere")
    assert team.namespace


def test_whoever_names_an_audience_that_is_anothers_gives_no_keys_for_it_until_it_is_free(
    team: Team, owner: Owner, verifier: VerifierProcess, api: Api
) -> None:
    """A tenant who may create products names the audience of somebody else's API, and approves a key for himself."""
    owner.says(access=grants(team, "billing"))
    team.apply_apikey("billing", asks(owner))
    team.wait_ready("billing")
    rival = Owner(api, team.namespace)
    rival.says(access={"approval": "Automatic"})
    while rival.created() == owner.created():  # of one second the name would decide
        rival.withdraws()
        rival.says(access={"approval": "Automatic"})
    team.apply_apikey("stolen", {"productRef": {"name": "invoices"}})
    told = team.wait_says("stolen", "Approved", "False", "AudienceTaken")
    assert f"{owner.namespace}/invoices" in told["message"]
    assert team.find_secret("stolen") is None
    wait_until(lambda: rival.says_of_itself("Ready") == ("False", "AudienceTaken"), patience=20, what="the rival to say so")
    assert status(verifier, team.secret("billing").token, PATH) == 200
    owner.withdraws()
    team.wait_ready("stolen")
    wait_until(lambda: rival.says_of_itself("Ready") == ("True", "AcceptsKeys"), patience=20, what="the rival to have it")
    wait_for(verifier, team.secret("stolen").token, PATH, 200)
    rival.withdraws()
