"""Uninstalling while a thousand keys are there, and deleting every namespace afterwards: nothing hangs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gen.chart import Release, remove_crds, rendered_chart
from gen.installed import RECORDS, SYSTEM, Installed, log_in, serves_apikeys
from gen.team import Api, Team
from testbed.cluster import wait_until
from testbed.plane import Plane

KEYS = 1000
HURRIED = {"request_timeout": "30s", "lease_duration": "60s", "log_level": "info"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_hangs_when_all_goes_with_a_thousand_keys(release: Release, plane: Plane, api: Api, tmp_path: Path) -> None:
    """Slow: a thousand keys are issued first."""
    release.install()
    wait_until(lambda: serves_apikeys(plane), patience=20.0, what="the CRDs to be served")
    installed = Installed(plane, list(rendered_chart().values()), log_in(plane, tmp_path))
    with installed.start_operator(HURRIED).wait_ready() as operator:
        team = Team(plane, api, "team-a", operator, records_namespace=RECORDS, system_namespace=SYSTEM)
        create(team)
        wait_until(lambda: secrets(plane, "team-a") >= KEYS, patience=400.0, what="a Secret for each", pause=2.0)
        release.run("uninstall", "--wait")
    assert secrets(plane, "team-a") == secrets(plane, RECORDS) == KEYS, "every key is still there, and accepted"
    plane.kubectl("delete", "namespace", "team-a", "team-b", SYSTEM, RECORDS, "--timeout=300s")
    remove_crds(plane)


def create(team: Team) -> None:
    """A connection for each hundred."""

    def hundred(first: int) -> None:
        api = Api(team.cluster.login)
        for number in range(first, first + 100):
            api.apply(team.apikey_path(f"key-{number}"), {
                "apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey",
                "metadata": {"name": f"key-{number}", "namespace": team.namespace}, "spec": {},
            })  # fmt: skip
        api.close()

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(hundred, range(0, KEYS, 100)))


def secrets(plane: Plane, namespace: str) -> int:
    """How many of Keyturn's Secrets are in a namespace."""
    names = plane.kubectl("-n", namespace, "get", "secrets", "-l", "app.kubernetes.io/managed-by=keyturn", "-o", "name")
    return len(names.splitlines())
