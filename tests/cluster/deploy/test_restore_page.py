"""docs/how-to/restore-from-backup.md, typed from top to bottom where Keyturn is installed as its pages say, while its accident happens."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gen.age_programs import put_age_programs
from gen.fence import RECORDS, REVOCATIONS, SYSTEM, WHO_BREAKS_GLASS, revocation
from gen.installed import DEPLOY, EVERYWHERE, Installed
from gen.operator_process import OperatorProcess
from gen.person import BIN
from gen.team import Api, Team
from testbed.binaries import search_path
from testbed.plane import Plane

PAGE: Final = DEPLOY.parent / "docs" / "how-to" / "restore-from-backup.md"
DEPLOYMENT: Final = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/keyturn-operator"
SPEC: Final = {"rotation": {"gracePeriod": "1s"}}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("restore-page"))


@pytest.fixture
def team(installed: Installed, api: Api, namespace: str) -> Iterator[Team]:
    with installed.start_operator() as operator:
        yield installed.team(api, operator.wait_ready(), namespace)


class Terminal:
    """Of whoever has the safe's key."""

    def __init__(self, team: Team, folder: Path) -> None:
        self.team, self.folder = team, folder
        programs = folder / "bin"
        programs.mkdir()
        path = [str(put_age_programs(programs)), str(BIN), search_path(["kubectl"]), "/usr/bin", "/bin"]
        kubeconfig = str(team.cluster.kubeconfig)
        self.environment = {"PATH": os.pathsep.join(path), "KUBECONFIG": kubeconfig, "HOME": str(folder), "USER": "alice"}

    def types(self, command: str, *, code: int = 0) -> str:
        """What is said on both channels; what the page scales in the cluster happens to the process."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        self._scale(self.team.operator, self.team.api.ask("GET", DEPLOYMENT)["spec"]["replicas"])
        return done.stdout + done.stderr

    def keeps_the_audit_log(self) -> None:
        (self.folder / "audit.jsonl").write_bytes(self.team.operator.stdout.read_bytes())

    def _scale(self, operator: OperatorProcess, replicas: int) -> None:
        if operator.is_running and not replicas:
            operator.stop()
        elif replicas and not operator.is_running:
            operator.restart()
            operator.wait_ready()


def blocks() -> list[list[str]]:
    """The commands of every block."""
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in found]


def test_every_command_of_the_page_does_what_it_promises(team: Team, tmp_path: Path) -> None:
    terminal = Terminal(team, tmp_path)
    back_up, stop, put_back, start, clear = blocks()
    leaked = issue_and_revoke(team)
    for command in back_up:
        said = terminal.types(command)
    assert '"recordsNotBelieved": []' in said
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    terminal.keeps_the_audit_log()
    terminal.types(stop[0])
    lose_the_ledger(team)
    team.api.delete(f"{REVOCATIONS}/{leaked}")
    assert "dry run" in terminal.types(put_back[0])
    assert team.raw_record("billing") is None
    assert f"apikeyrevocation/{leaked} created" in terminal.types(put_back[1])
    for command in start:
        said = terminal.types(command)
    assert f"{team.namespace}\tbilling\t" in said
    all_is_well(team, leaked)

    refused_while_another_installation_stands_there(terminal, put_back[1])
    for command in (*clear, put_back[1], *start):
        terminal.types(command)
    all_is_well(team, leaked)


def issue_and_revoke(team: Team) -> str:
    """Name of a revocation that has ended the first key of `orders`."""
    for name in ("billing", "orders"):
        team.issue(name, SPEC)
    name = f"leak-{team.namespace}"
    spec = {"keyIDs": [team.secret("orders").key_id], "reason": "Leaked"}
    team.api.ask("POST", REVOCATIONS, {**revocation(name), "spec": spec})
    team.wait_ready("orders", version=2)
    return name


def lose_the_ledger(team: Team) -> None:
    for arguments in (
        ("-n", RECORDS, "delete", "secret", "-l", "app.kubernetes.io/managed-by=keyturn"),
        ("-n", SYSTEM, "delete", "secret/keyturn-root", "configmap/keyturn-verification-keys"),
    ):
        team.cluster.kubectl(*WHO_BREAKS_GLASS, *arguments)


def all_is_well(team: Team, leaked: str) -> None:
    """What was rotated after the backup is above every version before, what had ended stays so, and the other key was not touched."""
    team.wait_until(lambda: team.secret("billing").version > 2, about="billing", what="it goes on above what the log knows")
    team.wait_ready("orders", version=2)
    for name in ("billing", "orders"):
        team.wait_until(lambda n=name: team.accepted(n) == {team.secret(n).key_id}, about=name, what="only its own key is accepted")
        team.wait_until(lambda n=name: team.says(n, "Ready")[0] == "True", about=name, what="it is ready")
    assert team.states("orders") == {1: "Revoked", 2: "Active"}
    assert team.api.get(f"{REVOCATIONS}/{leaked}") is not None


def refused_while_another_installation_stands_there(terminal: Terminal, put_back: str) -> None:
    team = terminal.team
    terminal.keeps_the_audit_log()
    team.operator.stop()
    lose_the_ledger(team)
    team.operator.restart()
    team.operator.wait_ready()
    team.wait_says("billing", "Stalled", "True", "SecretConflict")
    said = terminal.types(put_back, code=1)
    (shown,) = re.findall(r"^(The backup is of installation).*, (the root Secret of the cluster is of)", PAGE.read_text(), re.MULTILINE)
    assert all(part in said for part in ("Nothing was changed", *shown)), said
