"""The other two ways to install: with exactly the rights that each gives, a key is issued, rotated, repaired, and there after a restart.

The usual one is in test_installed.py and test_guarded.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gen.fence import WHO_BREAKS_GLASS
from gen.installed import NAMESPACED, WATCHING, Installed, assert_nothing_was_refused
from gen.operator_process import OperatorProcess, unique_name
from gen.team import Api
from keyturn.base import names
from keyturn.base.settings import SecretAccess
from testbed.plane import Plane

MODES = {"watch": WATCHING, "namespaced": NAMESPACED}
ACCESS = {"watch": SecretAccess.WATCH, "namespaced": SecretAccess.GUARDED}


@pytest.fixture(scope="module", params=MODES)
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Installed:
    installed = Installed.install(plane, MODES[request.param], scratch=tmp_path_factory.mktemp(request.param))
    assert installed.settings.secret_access is ACCESS[request.param]
    return installed


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        assert_nothing_was_refused(operator)
        operator.stop()  # the next one need not wait until its Lease is over


def test_a_key_lives_and_is_looked_after_with_the_rights_of_the_mode(installed: Installed, api: Api, operator: OperatorProcess) -> None:
    team, key = installed.team(api, operator, "team-a"), unique_name("key")
    first = team.issue(key, {"rotation": {"gracePeriod": "1s"}, "secretTemplate": {"keepPrevious": True}})
    team.request_rotation(key)
    team.wait_ready(key, version=2)
    assert team.secret(key).data["previous-api-key"] == first.token
    team.wait_states(key, {1: "Retired", 2: "Active"})
    second = team.secret(key)
    patch = ("patch", "secret", key, "--patch", '{"data": {"extra": "eA=="}}')
    team.cluster.kubectl("-n", team.namespace, *WHO_BREAKS_GLASS, *patch)
    team.wait_until(lambda: "extra" not in team.secret(key).data, about=key, what="the edit is undone")
    assert team.secret(key).token == second.token
    api.delete(team.secret_path(key))
    team.wait_ready(key, version=3)
    team.wait_states(key, {1: "Retired", 2: "Retired", 3: "Active"})
    operator.stop()
    operator.restart()
    operator.wait_ready()
    team.request_rotation(key, "after the restart")
    team.wait_ready(key, version=4)
    team.delete_apikey(key)
    team.wait_until(lambda: team.states(key)[4] == "Revoked", about=key, what="the key is revoked")


def test_every_policy_is_looked_at_in_the_mode(operator: OperatorProcess) -> None:
    """Also where the operator may read all Secrets: its token could run code without the one about workloads."""
    operator.wait_until(
        lambda: {operator.metric("keyturn_fence_intact", policy=policy) for policy in names.POLICIES} == {1}, what="to see all of the fence"
    )
