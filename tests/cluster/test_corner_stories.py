"""Corners: labels that somebody took off or put on, one Secret for two ApiKeys, and two namespaces with one operator."""

from __future__ import annotations

import base64
import time

from gen.operator_process import OperatorProcess, unique_name
from gen.team import Api, Team
from testbed.plane import Plane

TWO = {"secretName": "shared"}


def test_a_secret_that_was_hidden_from_the_watch_is_replaced_and_watched_again(team: Team) -> None:
    """The label is the one by which records are told from credential Secrets; with it the watch lost the Secret for good."""
    team.issue("billing", {"rotation": {"gracePeriod": "1s"}})
    team.api.merge(team.secret_path("billing"), {"metadata": {"labels": {"keyturn.dev/namespace": "x"}}})
    team.wait_ready("billing", version=2)
    assert "keyturn.dev/namespace" not in team.secret("billing").labels
    team.api.delete(team.secret_path("billing"))
    team.wait_ready("billing", version=3)


def test_a_record_that_lost_its_labels_gets_them_back(team: Team) -> None:
    """It is no longer in any list, and it stands in the way of a new one: the operator tried to create it for ever."""
    before = team.issue("billing")
    team.api.merge(team.record_path("billing"), {"metadata": {"labels": None}})
    team.request_rotation("billing", "wake up")
    team.wait_until(
        lambda: (found := team.raw_record("billing")) and found.labels.get("keyturn.dev/namespace"), about="billing", what="it has labels"
    )
    team.wait_ready("billing", version=2)
    assert before.key_id in team.accepted("billing")


def test_of_two_apikeys_with_one_secret_name_the_first_keeps_it_and_is_still_looked_after(team: Team) -> None:
    team.apply_apikey("first", TWO)
    team.wait_ready("first")
    team.apply_apikey("second", TWO)
    team.wait_says("second", "Stalled", "True", "SecretConflict")
    token = base64.b64encode(b"forged").decode()
    team.api.merge(team.secret_path("shared"), {"data": {"api-key": token}})
    team.wait_ready("first", version=2)
    assert team.secret("shared").key_id in team.accepted("first")
    assert team.says("second", "Ready") == ("False", "SecretConflict")


def test_an_operator_for_two_namespaces_keeps_the_keys_of_both_over_a_restart(quiet_plane: Plane) -> None:
    """The list of one namespace's Secrets once took the other's for deleted: each start replaced every key there."""
    namespaces, records = (unique_name("t"), unique_name("t")), unique_name("records")
    for namespace in namespaces:
        quiet_plane.create_namespace(namespace)
    api = Api(quiet_plane.login)
    with OperatorProcess.start(quiet_plane, settings={"watch_namespaces": ",".join(namespaces)}, records_namespace=records) as operator:
        teams = [
            Team(quiet_plane, api, each, operator, records_namespace=records, system_namespace=f"{records}-system") for each in namespaces
        ]
        tokens = [team.issue("billing").token for team in teams]
        operator.stop()
        operator.restart()
        operator.wait_ready()
        time.sleep(1.0)
        assert [team.states("billing") for team in teams] == [{1: "Active"}, {1: "Active"}]
        assert [team.secret("billing").token for team in teams] == tokens
    api.close()
