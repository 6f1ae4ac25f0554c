"""Delivery None: keys that were made elsewhere open the API, and never come near the cluster."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gen.person import BIN
from gen.team import StartTeam, Team
from gen.team_verifier import team_verifier
from gen.verifier_process import VerifierProcess
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.mint import Minted, mint
from testbed.cluster import ApiFailed

FINE, UNAUTHORIZED = 200, 401
FOREIGN = "sk_live_51HxQzLkdIwHu7ixiNq2Vn8fGb0tYpWc"
NEXT_FOREIGN = "sk_live_9bWq7RtYpLmZ3xKc5vN1sD8fGhJ2kQeA"
OVERLAP = {"gracePeriod": "1s", "overlapLimit": "60s", "quietPeriod": "0s"}


@pytest.fixture(scope="module")
def team(start_module_team: StartTeam) -> Team:
    return start_module_team({"propagation_delay": "60s", "propagation_timeout": "5s"})


@pytest.fixture(scope="module")
def verifier(team: Team) -> Iterator[VerifierProcess]:
    with team_verifier(team) as verifier:
        yield verifier


def listing(*keys: str | Minted, **spec: object) -> dict[str, object]:
    """A spec for keys, by their digests alone."""
    listed = [{"digest": key.digest, "keyID": key.key_id} if isinstance(key, Minted) else {"digest": digest_token(key)} for key in keys]
    return {"delivery": "None", "digests": listed, "rotation": OVERLAP, **spec}


def answers(verifier: VerifierProcess, *tokens: str) -> list[int]:
    return [verifier.check(token).status for token in tokens]


def accepted_in(verifier: VerifierProcess, team: Team, *tokens: str, statuses: list[int]) -> None:
    """Wait until the verifier answers so."""
    team.wait_until(lambda: answers(verifier, *tokens) == statuses, about="", what=f"the verifier answers {statuses}")


def test_a_key_of_our_own_form_is_accepted_under_its_id(team: Team, verifier: VerifierProcess) -> None:
    minted = mint("kt")
    team.apply_apikey("minted", listing(minted))
    status = team.wait_ready("minted")
    assert (status["keyID"], "secretRef" in status) == (minted.key_id, False)
    assert verifier.check(minted.plaintext.reveal()).status == FINE
    assert team.find_secret("minted") is None


def test_one_that_was_listed_without_its_id_is_told_so_and_another_one_works_as_told(team: Team, verifier: VerifierProcess) -> None:
    token = mint("kt").plaintext.reveal()
    team.apply_apikey("nameless", listing(token))
    team.wait_ready("nameless")
    assert "list it with its keyID" in team.condition("nameless", "Ready")["message"]
    assert answers(verifier, token) == [UNAUTHORIZED]
    another = mint("kt")
    team.apply_apikey("nameless", listing(token, another))
    team.wait_ready("nameless", version=2)
    assert answers(verifier, another.plaintext.reveal()) == [FINE]


def test_a_key_of_any_other_form_is_accepted_under_an_id_of_its_digest(team: Team, verifier: VerifierProcess) -> None:
    team.apply_apikey("foreign", listing(FOREIGN))
    assert team.wait_ready("foreign")["keyID"] == derived_key_id(digest_token(FOREIGN))
    assert answers(verifier, FOREIGN, FOREIGN + "x", FOREIGN[:-1]) == [FINE, UNAUTHORIZED, UNAUTHORIZED]
    told = verifier.check(FOREIGN).headers
    assert told["x-keyturn-key-id"] == derived_key_id(digest_token(FOREIGN))


def test_the_next_key_is_appended_and_the_one_before_lives_on_for_a_while(team: Team, verifier: VerifierProcess) -> None:
    first, second = "rotated-elsewhere-0123456789-a", "rotated-elsewhere-0123456789-b"
    team.apply_apikey("rotated", listing(first))
    team.wait_ready("rotated")
    team.apply_apikey("rotated", listing(first, second, rotation={**OVERLAP, "gracePeriod": "5s"}))
    team.wait_states("rotated", {1: "Retiring", 2: "Active"})
    assert answers(verifier, first, second) == [FINE, FINE]
    team.wait_states("rotated", {1: "Retired", 2: "Active"})
    accepted_in(verifier, team, first, second, statuses=[UNAUTHORIZED, FINE])


def test_a_key_taken_off_the_list_ends_at_once_and_for_good(team: Team, verifier: VerifierProcess) -> None:
    first, second = "taken-off-the-list-0123456789-a", "taken-off-the-list-0123456789-b"
    team.apply_apikey("listed", listing(first))
    team.wait_ready("listed")
    team.apply_apikey("listed", listing(second))
    team.wait_ready("listed", version=2)
    accepted_in(verifier, team, first, second, statuses=[UNAUTHORIZED, FINE])
    team.apply_apikey("listed", listing(first))
    team.wait_says("listed", "Stalled", "True", "DigestEnded")
    accepted_in(verifier, team, first, second, statuses=[UNAUTHORIZED, UNAUTHORIZED])


def test_one_key_cannot_stand_in_two_apikeys(team: Team, verifier: VerifierProcess) -> None:
    team.apply_apikey("first", listing(NEXT_FOREIGN))
    team.wait_ready("first")
    team.apply_apikey("second", listing(NEXT_FOREIGN))
    told = team.wait_says("second", "Stalled", "True", "DigestElsewhere")
    assert f"{team.namespace}/first" in told["message"]
    assert answers(verifier, NEXT_FOREIGN) == [FINE]


def test_a_key_whose_apikey_was_deleted_is_dead_in_every_apikey_and_stays_so(team: Team, verifier: VerifierProcess) -> None:
    moved = "moved-from-one-name-to-another-0123456789"
    team.apply_apikey("before", listing(moved))
    team.wait_ready("before")
    team.delete_apikey("before")
    accepted_in(verifier, team, moved, statuses=[UNAUTHORIZED])
    team.apply_apikey("after", listing(moved))
    told = team.wait_says("after", "Stalled", "True", "DigestEnded")
    assert f"{team.namespace}/before" in told["message"]
    assert "Make another one" in told["message"]
    team.apply_apikey("before", listing(moved))
    team.wait_says("before", "Stalled", "True", "DigestEnded")
    team.operator.stop()
    team.operator.restart()
    team.apply_apikey("later", listing(moved))
    team.wait_says("later", "Stalled", "True", "DigestEnded")
    assert answers(verifier, moved) == [UNAUTHORIZED]


def test_another_namespace_is_not_told_whose_a_key_is_or_was(namespace: str, module_team: Team) -> None:
    """By an operator that serves both."""
    told, stranger = [], replace(module_team, namespace=namespace)
    for name, key in (("living", "a-neighbours-living-key-0123456789"), ("dead", "a-neighbours-dead-key-0123456789")):
        module_team.apply_apikey(name, listing(key))
        module_team.wait_ready(name)
        if name == "dead":
            module_team.delete_apikey(name)
            module_team.wait_states(name, {1: "Revoked"})
        stranger.apply_apikey(f"not-{name}", listing(key))
        says = stranger.wait_says(f"not-{name}", "Stalled", "True", "DigestElsewhere")["message"]
        assert stranger.find_record(f"not-{name}") is None
        told.append(says.replace(derived_key_id(digest_token(key)), "…"))
    assert told[0] == told[1]
    assert module_team.namespace not in told[0]


def test_a_retained_key_lives_on_without_its_apikey_and_is_taken_over_by_its_name_alone(team: Team, verifier: VerifierProcess) -> None:
    kept = "kept-while-its-apikey-is-away-0123456789"
    team.apply_apikey("kept", listing(kept, deletionPolicy="Retain"))
    team.wait_ready("kept")
    team.delete_apikey("kept")
    team.wait_until(lambda: team.record("kept").retained, about="kept", what="the key is retained")
    team.apply_apikey("renamed", listing(kept))
    team.wait_says("renamed", "Stalled", "True", "DigestElsewhere")
    team.apply_apikey("kept", listing(kept))
    team.wait_ready("kept")
    assert answers(verifier, kept) == [FINE]


def test_the_key_id_of_somebody_else_cannot_be_claimed(team: Team, verifier: VerifierProcess) -> None:
    theirs = team.issue("theirs")
    team.apply_apikey("claiming", {"delivery": "None", "digests": [{"digest": digest_token("whatever"), "keyID": theirs.key_id}]})
    team.wait_says("claiming", "Stalled", "True", "DigestElsewhere")
    assert answers(verifier, theirs.token) == [FINE]


def test_a_revoked_key_does_not_come_back_by_its_digest(team: Team, verifier: VerifierProcess) -> None:
    """Incident: somebody lists the digest of a key that was revoked by its ID, under no ID or another one."""
    leaked = team.issue("leaky", {"rotation": {"policy": "Manual"}})
    spec = {"reason": "Leaked", "keyIDs": [leaked.key_id]}
    body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": team.namespace}, "spec": spec}
    team.api.ask("POST", "/apis/keyturn.dev/v1alpha1/apikeyrevocations", body)
    accepted_in(verifier, team, leaked.token, statuses=[UNAUTHORIZED])
    team.apply_apikey("revived", listing(leaked.token))
    team.wait_ready("revived")
    assert answers(verifier, leaked.token) == [UNAUTHORIZED]


def test_the_plaintext_is_nowhere(team: Team, verifier: VerifierProcess) -> None:
    secret = "nobody-ever-sees-this-0123456789"
    team.apply_apikey("silent", listing(secret))
    team.wait_ready("silent")
    assert verifier.check(secret).status == FINE
    stored = team.raw_record("silent")
    assert stored is not None
    said = team.operator.output() + verifier.output() + json.dumps([team.apikey("silent"), team.events("silent")]).encode()
    said += base64.b64decode(stored.raw["data"]["record"])
    assert digest_token(secret).encode() in said
    assert secret.encode() not in said


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"delivery": "None"}, "digests"),
        ({"digests": [{"digest": digest_token("x")}]}, "digests"),
        (listing("x", "x"), "twice"),
        (listing("x", secretName="x"), "secretName"),
        (listing("x", rotation={"interval": "720h"}), "calendar"),
        (listing("x", minVersion=2), "minVersion"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(team: Team, wrong: dict[str, object], word: str) -> None:
    with pytest.raises(ApiFailed) as refused:
        team.apply_apikey("wrong", wrong)
    assert word in str(refused.value)


def test_delivery_stays_what_it_is(team: Team) -> None:
    team.apply_apikey("fixed")
    with pytest.raises(ApiFailed) as refused:
        team.apply_apikey("fixed", listing("x"))
    assert "immutable" in str(refused.value)


@pytest.mark.parametrize("key_id", ["", "abcdefghijkl"], ids=["under its own key ID", "under one that it was given"])
def test_who_found_an_imported_key_ends_it_by_the_key_alone(team: Team, verifier: VerifierProcess, key_id: str) -> None:
    found, name = f"found-in-a-public-repository-0123456789-{key_id}", f"found{key_id}"
    listed = {"digest": digest_token(found), **({"keyID": key_id} if key_id else {})}
    team.apply_apikey(name, {**listing(), "digests": [listed]})
    team.wait_ready(name)
    accepted_in(verifier, team, found, statuses=[FINE])
    words = [str(BIN / "keyturn"), "leak", "--records-namespace", team.records_namespace, "--kubeconfig", str(team.cluster.kubeconfig)]
    done = subprocess.run(words, input=found, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert found not in done.stdout + done.stderr
    accepted_in(verifier, team, found, statuses=[UNAUTHORIZED])
    team.wait_says(name, "Stalled", "True", "DigestEnded")
    stranger = subprocess.run(words, input="nobody-has-this-key-0123456789", capture_output=True, text=True, check=False, timeout=60)
    assert (stranger.returncode, "Nor is it one that was imported" in stranger.stderr) == (1, True)
