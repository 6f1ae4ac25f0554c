"""Something that a term rests on dies of a bug: that shows, it passes, and no report of a verifier brings it about."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Final

import pytest

from gen.operator_process import OperatorProcess
from gen.team import Api, StartTeam
from keyturn.base import names
from testbed.plane import Plane

WITH_A_BUG: Final = """
import keyturn.controller.key_use as key_use
from keyturn.cli.main import main

def read_days(text, *, now, read=key_use.read_days):
    if "shop.bug" in text:
        raise ZeroDivisionError
    return read(text, now=now)

key_use.read_days = read_days
main()
"""
"""`keyturn`, and a bug that a report about the ApiKey shop/bug brings about."""
REVOCATIONS: Final = "/apis/keyturn.dev/v1alpha1/apikeyrevocations"


class Report:
    """A report of use, as anybody with a verifier's token may write one."""

    def __init__(self, api: Api, records_namespace: str, name: str = "verifier-use-x-0") -> None:
        self._api, self._name = api, name
        self._all = f"/api/v1/namespaces/{records_namespace}/configmaps"

    def write(self, **data: str) -> None:
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.USE_REPORT}
        metadata = {"name": self._name, "labels": labels, "annotations": {names.REPLICA_ANNOTATION: "x"}}
        self._api.ask("POST", self._all, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"format": "1", **data}})

    def delete(self) -> None:
        self._api.delete(f"{self._all}/{self._name}")


@pytest.mark.parametrize("data", [{"retiring": "abcdefghijkl 9999-12-31T23:59:59Z\n"}, {"days": "shop.billing 9999-12-31\n"}])
def test_a_report_of_the_year_9999_stops_nothing(start_team: StartTeam, data: dict[str, str]) -> None:
    """It ended the watch of reports, in every term of every replica, and with it issue, rotation and revocation."""
    team = start_team()
    team.apply_apikey("billing")
    team.wait_ready("billing")
    Report(team.api, team.records_namespace).write(**data)
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.operator.stop()
    team.operator.restart()
    team.operator.wait_ready()
    leaked = team.secret("billing").key_id
    body = {"metadata": {"name": team.namespace}, "spec": {"keyIDs": [leaked], "reason": "Leaked"}}
    team.api.ask("POST", REVOCATIONS, {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", **body})
    team.wait_until(lambda: leaked not in team.accepted("billing"), about="billing", what="the leaked key is refused")
    assert "A task died of a bug" not in team.operator.messages()


def test_a_replica_whose_terms_end_by_a_bug_says_so_and_goes_on_when_its_cause_is_gone(start_team: StartTeam, quiet_plane: Plane) -> None:
    """One hung before its first list, another in the middle of a term: neither may look like one that works."""
    team = start_team()
    report = Report(team.api, team.records_namespace)
    settings = {"lease_duration": "6s", "watch_namespaces": team.namespace, "namespace": team.system_namespace}
    program = (sys.executable, "-c", WITH_A_BUG, "operator")
    team.operator.stop()
    with ExitStack() as ends:
        replicas = [
            ends.enter_context(
                OperatorProcess.start(quiet_plane, records_namespace=team.records_namespace, settings=settings, name=name, command=program)
            )
            for name in ("one", "other")
        ]
        for replica in replicas:
            replica.wait_until(lambda replica=replica: replica.ask("/readyz") == (200, "ok"), patience=60.0, what="to be ready")
        team.apply_apikey("billing")
        team.wait_ready("billing", patience=60.0)
        report.write(days="shop.bug 2026-11-30\n")
        for replica in replicas:
            _tells_of_the_bug(replica)
            assert replica.ask("/healthz") == (200, "ok"), "a restart cures nothing"
        report.delete()
        team.request_rotation("billing")
        team.wait_ready("billing", version=2, patience=90.0)
        for replica in replicas:
            replica.wait_until(lambda replica=replica: replica.ask("/readyz") == (200, "ok"), patience=120.0, what="to be ready again")
            replica.stop()


def _tells_of_the_bug(replica: OperatorProcess) -> None:
    told: list[tuple[int, str]] = []

    def tells() -> bool:
        told.append(replica.ask("/readyz"))
        return "terms ended by a bug" in told[-1][1]

    replica.wait_until(tells, patience=90.0, what="to have two terms broken")
    status, words = told[-1]
    assert status == 503
    assert "configmaps died of ZeroDivisionError (about verifier-use-x-0)" in words
    died = [line for line in replica.log_lines() if line["message"] == "A task died of a bug"]
    assert all("in read_days" in line["exception"] for line in died)
    pauses = [line["seconds"] for line in replica.log_lines() if line["message"] == "A bug ended the term"]
    assert pauses[:2] == [1.0, 2.0]
    assert replica.metric("keyturn_terms_broken_total") >= len(pauses)
