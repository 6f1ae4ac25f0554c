"""Backup and recovery where the admission policies are in force: the ledger is lost whole, and stood up again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from gen.fence import RECORDS, REVOCATIONS, SYSTEM, WHO_BREAKS_GLASS, revocation
from gen.installed import EVERYWHERE, Installed
from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from keyturn.base.clock import utc_now
from keyturn.base.plaintext import SecretBytes
from keyturn.cli.main import run_cli
from keyturn.keys.age_envelope import encrypt_to
from keyturn.keys.backup import Backup, encode_backup
from testbed.plane import Plane

BREAK_GLASS = ("--as", "restorer", "--as-group", "system:masters", "--as-group", "keyturn:break-glass")
ROOT = f"/api/v1/namespaces/{SYSTEM}/secrets/keyturn-root"


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("backup"))


@pytest.fixture
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()


@dataclass(slots=True)
class Safe:
    """A key pair, and the terminal of whoever has it."""

    team: Team
    folder: Path
    recipient: str

    @property
    def file(self) -> Path:
        return self.folder / "keyturn.age"

    @property
    def identity(self) -> Path:
        return self.folder / "safe.txt"

    def runs(self, *arguments: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            answered = run_cli([*arguments, *(["--kubeconfig", str(self.team.cluster.kubeconfig)] if "--verify" not in arguments else [])])
        assert answered == code, err.getvalue()
        return out.getvalue() if code == 0 else err.getvalue()

    def back_up(self) -> None:
        self.runs("backup", "--recipient", self.recipient, "-o", str(self.file))

    def installation(self) -> str:
        return json.loads(self.runs("backup", "--verify", str(self.file), "--identity", str(self.identity)))["installation"]

    def recover(self, *arguments: str, code: int = 0) -> str:
        return self.runs("recover", "--backup", str(self.file), "--identity", str(self.identity), *arguments, code=code)


@pytest.fixture
def safe(installed: Installed, api: Api, operator: OperatorProcess, namespace: str, tmp_path: Path) -> Safe:
    identity = pyrage.x25519.Identity.generate()
    safe = Safe(installed.team(api, operator, namespace), tmp_path, str(identity.to_public()))
    safe.identity.write_text(f"# public key: {safe.recipient}\n{identity}\n")
    return safe


def break_glass(team: Team, *arguments: str) -> None:
    team.cluster.kubectl(*WHO_BREAKS_GLASS, *arguments)


def test_a_ledger_that_was_lost_whole_is_stood_up_again_and_no_key_changes(safe: Safe) -> None:
    """Root secret, records, public keys and revocations are gone. The operator is stopped meanwhile, as the page says."""
    team = safe.team
    for name in ("billing", "orders"):
        team.issue(name)
    leaked = team.secret("orders").key_id
    team.api.ask("POST", REVOCATIONS, {**revocation("leak"), "spec": {"keyIDs": [leaked], "reason": "Leaked"}})
    team.wait_ready("orders", version=2)
    before = {name: team.secret(name).raw["metadata"]["resourceVersion"] for name in ("billing", "orders")}
    safe.back_up()
    contents = json.loads(safe.runs("backup", "--verify", str(safe.file), "--identity", str(safe.identity)))
    assert contents["recordsNotBelieved"] == []
    assert contents["newestSerial"] == max(team.record(name).serial for name in before)
    assert contents["revocations"] >= 1
    team.operator.kill()
    break_glass(team, "-n", RECORDS, "delete", "secret", "-l", "app.kubernetes.io/managed-by=keyturn")
    break_glass(team, "-n", SYSTEM, "delete", "secret/keyturn-root", "configmap/keyturn-verification-keys")
    team.api.delete(f"{REVOCATIONS}/leak")
    assert "docs/how-to/break-glass.md" in safe.recover(code=4), "the policies are in force"
    assert team.raw_record("billing") is None
    safe.recover("--dry-run", *BREAK_GLASS)
    assert team.raw_record("billing") is None, "a dry run changes nothing"
    safe.recover(*BREAK_GLASS)
    assert team.api.get(f"{REVOCATIONS}/leak") is not None
    team.operator.restart()
    team.operator.wait_ready()
    for name in before:
        team.wait_ready(name, version=1 if name == "billing" else 2)
        assert team.accepted(name) == {team.secret(name).key_id}
    assert leaked not in team.accepted("orders")
    assert {name: team.secret(name).raw["metadata"]["resourceVersion"] for name in before} == before, "no key was touched"


def test_a_record_that_is_newer_than_the_backup_is_left_alone(safe: Safe) -> None:
    team = safe.team
    team.issue("billing", {"rotation": {"gracePeriod": "5m"}})
    safe.back_up()
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)
    team.operator.kill()
    before = team.raw_record("billing")
    safe.recover(*BREAK_GLASS)
    after = team.raw_record("billing")
    assert before is not None
    assert after is not None
    assert after.resource_version == before.resource_version


def test_a_backup_that_somebody_else_made_for_the_same_safe_is_refused(safe: Safe) -> None:
    """The root secret is gone, and a stranger's is offered: the published keys tell whose records count here."""
    team = safe.team
    team.issue("billing")
    safe.back_up()
    team.operator.kill()
    right, installation = safe.file.read_bytes(), safe.installation()
    break_glass(team, "-n", SYSTEM, "delete", "secret/keyturn-root")
    root = {"root": SecretBytes("root secret", b"s" * 32)}
    strange = Backup(created=utc_now(), root=root, records=(), published={}, revocations=())
    safe.file.write_bytes(encrypt_to([safe.recipient], encode_backup(strange)))
    try:
        assert f"the public keys of the cluster are of {installation}." in safe.recover(*BREAK_GLASS, code=1)
        assert team.api.get(ROOT) is None
    finally:
        safe.file.write_bytes(right)
        safe.recover(*BREAK_GLASS)
    assert team.api.get(ROOT) is not None


def test_another_root_secret_is_never_written_over(safe: Safe) -> None:
    team = safe.team
    team.issue("billing")
    safe.back_up()
    team.operator.kill()
    right = team.api.ask("GET", ROOT)
    break_glass(team, "-n", SYSTEM, "delete", "secret/keyturn-root")
    other = {**right, "metadata": {"name": "keyturn-root"}, "data": {"root": "A" * 43 + "="}}
    break_glass(team, "-n", SYSTEM, "create", "secret", "generic", "keyturn-root", "--type=keyturn.dev/root", "--from-literal=root=x")
    try:
        assert "the root Secret of the cluster is of one that cannot be read." in safe.recover(*BREAK_GLASS, code=1)
    finally:
        break_glass(team, "-n", SYSTEM, "delete", "secret/keyturn-root")
        safe.recover(*BREAK_GLASS)
    assert team.api.ask("GET", ROOT)["data"] == right["data"] != other["data"]
