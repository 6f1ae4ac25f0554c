"""Delivery Sealed: a person takes a key once, encrypted to them, and nothing of it stays behind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from gen.team import Json, StartTeam, Team
from gen.team_verifier import team_verifier
from gen.verifier_process import VerifierProcess
from keyturn.keys.age_envelope import AgeIdentity

FINE, UNAUTHORIZED = 200, 401
OVERLAP = {"gracePeriod": "1s", "overlapLimit": "60s", "quietPeriod": "0s"}
SETTINGS = {"propagation_delay": "60s", "propagation_timeout": "5s", "sealed_wait": "15s"}


@pytest.fixture(scope="module")
def team(start_module_team: StartTeam) -> Team:
    return start_module_team(SETTINGS)


@pytest.fixture(scope="module")
def verifier(team: Team) -> Iterator[VerifierProcess]:
    with team_verifier(team) as verifier:
        yield verifier


class Person:
    """Who takes a key: an identity of age, and what it opens."""

    def __init__(self, team: Team, name: str) -> None:
        self.team, self.name, self.identity = team, name, AgeIdentity.generate()

    def spec(self, **more: object) -> dict[str, object]:
        return {"delivery": "Sealed", "sealed": {"recipient": self.identity.recipient}, "rotation": OVERLAP, **more}

    def ask(self, **more: object) -> None:
        self.team.apply_apikey(self.name, self.spec(**more))

    def wait_sealed(self, *, version: int = 1) -> Json:
        return self.team.wait_until(lambda: self._sealed(version), about=self.name, what=f"version {version} is sealed")

    def _sealed(self, version: int) -> Json | None:
        sealed: Json = self.team.status(self.name).get("sealed", {})
        return sealed if sealed.get("version", 0) >= version else None

    def open(self, sealed: Json) -> str:
        return self.identity.decrypt(sealed["ciphertext"].encode()).reveal().decode()

    def acknowledge(self, sealed: Json) -> None:
        self.team.annotate_apikey(self.name, "keyturn.dev/received", sealed["keyID"])

    def take(self, *, version: int = 1) -> str:
        """All of it."""
        sealed = self.wait_sealed(version=version)
        token = self.open(sealed)
        self.acknowledge(sealed)
        self.team.wait_ready(self.name, version=sealed["version"])
        return token


def test_a_person_takes_a_key_and_nothing_of_it_stays(team: Team, verifier: VerifierProcess) -> None:
    anna = Person(team, "anna")
    anna.ask()
    sealed = anna.wait_sealed()
    team.wait_says("anna", "Ready", "False", "AwaitingReceipt")
    token = anna.open(sealed)
    assert verifier.check(token).status == FINE  # known everywhere before she can have it
    anna.acknowledge(sealed)
    status = team.wait_ready("anna")
    assert (status["keyID"], "sealed" in status, "secretRef" in status) == (sealed["keyID"], False, False)
    assert (team.find_secret("anna"), verifier.check(token).status) == (None, FINE)
    stored = team.raw_record("anna")
    assert stored is not None
    said = team.operator.output() + verifier.output() + base64.b64decode(stored.raw["data"]["record"])
    said += json.dumps([sealed, team.apikey("anna"), team.events("anna")]).encode() + team.operator.ask("/metrics")[1].encode()
    assert sealed["keyID"].encode() in said
    assert token.encode() not in said
    assert [line["change"] for line in team.operator.audit_lines(team.namespace, "anna")] == ["Staged", "Activated"]
    assert team.event_reasons("anna") == ["Normal/AwaitingReceipt", "Normal/Issued"]


def test_nobody_else_can_open_it(team: Team, verifier: VerifierProcess) -> None:
    bela = Person(team, "bela")
    bela.ask()
    ciphertext = bela.wait_sealed()["ciphertext"]
    assert verifier.is_running
    with pytest.raises(ValueError, match="cannot be decrypted"):
        AgeIdentity.generate().decrypt(ciphertext.encode())


def test_a_key_that_nobody_takes_is_revoked_and_another_comes_when_asked_for(team: Team, verifier: VerifierProcess) -> None:
    carl = Person(team, "carl")
    carl.ask()
    token = carl.open(carl.wait_sealed())
    team.wait_says("carl", "Stalled", "True", "NotReceived", patience=40.0)
    assert "sealed" not in team.status("carl")
    team.wait_until(lambda: verifier.check(token).status == UNAUTHORIZED, about="carl", what="the key is refused")
    team.request_rotation("carl")
    assert verifier.check(carl.take(version=2)).status == FINE


def test_a_rotation_leaves_the_old_key_alone_until_the_new_one_is_taken(team: Team, verifier: VerifierProcess) -> None:
    dora = Person(team, "dora")
    dora.ask()
    first = dora.take()
    team.request_rotation("dora")
    sealed = dora.wait_sealed(version=2)
    assert team.states("dora") == {1: "Active", 2: "Staged"}
    second = dora.open(sealed)
    dora.acknowledge(sealed)
    team.wait_states("dora", {1: "Retired", 2: "Active"})
    team.wait_until(
        lambda: [verifier.check(token).status for token in (first, second)] == [UNAUTHORIZED, FINE], about="dora", what="the old one ends"
    )


def test_a_wiped_status_costs_a_version_and_no_more(team: Team, verifier: VerifierProcess) -> None:
    erik = Person(team, "erik")
    erik.ask()
    lost = erik.open(erik.wait_sealed())
    team.api.merge(f"{team.apikey_path('erik')}/status", {"status": None})
    found = erik.take(version=2)
    assert [verifier.check(token).status for token in (lost, found)] == [UNAUTHORIZED, FINE]


def test_a_status_wiped_later_comes_back_and_nothing_else_happens(team: Team, verifier: VerifierProcess) -> None:
    fred = Person(team, "fred")
    fred.ask()
    fred.take()
    before = team.states("fred")
    team.api.merge(f"{team.apikey_path('fred')}/status", {"status": None})
    team.wait_ready("fred")
    assert (team.states("fred"), verifier.is_running) == (before, True)


@pytest.mark.parametrize("moment", ["before it is sealed", "while it waits", "after it was taken"])
def test_an_operator_that_dies_at_any_moment_loses_nobodys_key(start_team: StartTeam, moment: str) -> None:
    team = start_team({**SETTINGS, "propagation_delay": "1s", "sealed_wait": "60s", "lease_duration": "1s"})
    gina = Person(team, "gina")
    gina.ask()
    sealed: Json = {}
    if moment == "before it is sealed":
        team.wait_until(lambda: team.states("gina") == {1: "Staged"}, about="gina", what="it is staged")
    else:
        sealed = gina.wait_sealed()
    team.operator.kill()
    if moment == "after it was taken":
        gina.acknowledge(sealed)
    team.operator.restart()
    team.operator.wait_ready()
    if moment == "before it is sealed":
        gina.take(version=2)
        assert team.states("gina") == {1: "Revoked", 2: "Active"}
        return
    if moment == "while it waits":
        gina.acknowledge(sealed)
    team.wait_ready("gina")
    assert (team.states("gina"), team.accepted("gina")) == ({1: "Active"}, {sealed["keyID"]})
