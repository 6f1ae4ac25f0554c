"""Names that verifiers report, as anybody with a verifier's token may write them: one that is none is nobody's."""

from __future__ import annotations

import json
from typing import Final

from gen.team import StartTeam
from keyturn.base import names

NOT_BILLING: Final = ("billing?x", "billing#", "x/../billing", "../apikeys/billing", "billing%3Fx", "Billing", "..")


def test_a_report_about_a_name_that_is_none_writes_into_nobody_s_status(start_team: StartTeam) -> None:
    """It became a URL: the real ApiKey answered, was kept under the other name, and was told that its template is invalid."""
    team = start_team()
    for name in ("billing", "orders"):
        team.apply_apikey(name)
        team.wait_ready(name)
    before = team.apikey("billing")
    about_none = [{"name": f"{team.namespace}.{name}", "serial": 1, "highest": 0, "live": []} for name in NOT_BILLING]
    seen_last = {"name": f"{team.namespace}.orders", "serial": team.record("orders").serial + 1, "highest": 7, "live": []}
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: names.NEWER_RECORDS}
    metadata = {"name": "verifier-newer-x", "labels": labels, "annotations": {names.REPLICA_ANNOTATION: "x"}}
    data = {"format": "1", "records": "".join(f"{json.dumps(line)}\n" for line in (*about_none, seen_last))}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    team.api.ask("POST", f"/api/v1/namespaces/{team.records_namespace}/configmaps", body)
    team.wait_ready("orders", version=8)
    team.request_rotation("orders", "and whatever was queued beside it has run")
    team.wait_until(lambda: team.status("orders").get("activeVersion", 0) > 8, about="orders", what="it is rotated")
    assert team.apikey("billing") == before
    refused = [line for line in team.operator.log_lines() if "Invalid" in json.dumps(line)]
    assert refused == []
