"""The accident that a ledger fears most: the whole cluster goes back to an etcd snapshot, and keys that had ended stand in it as live."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gen.operator_process import OperatorProcess, unique_name
from gen.scene_fence import fenced, log_in_fenced
from gen.team import Api, Team, workload
from gen.verifier_process import VerifierProcess
from keyturn.cli.main import run_cli
from testbed.cluster import wait_until
from testbed.plane import Plane, bare

Json = dict[str, Any]

CRDS = Path(__file__).parents[3] / "crds"
NAMES = tuple(f"billing-{number}" for number in range(10))
REVOKED = NAMES[:5]
ROUNDS = 5
SPEC = {"rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "5m"}, "rollout": {"policy": "Disabled"}}
LEASE = {"lease_duration": "5s"}


@dataclass(slots=True)
class Story:
    """A team whose keys rotate, of which some leak, and every token that its Secrets ever held."""

    plane: Plane
    team: Team
    verifier: VerifierProcess
    tokens: dict[str, list[str]] = field(default_factory=dict)
    """By ApiKey, oldest first."""
    names: tuple[str, ...] = NAMES
    revoked: tuple[str, ...] = REVOKED
    rounds: int = ROUNDS
    """How often each key rotates."""

    def note(self) -> None:
        """Write down what the Secrets hold now."""
        for name in self.names:
            token = self.team.secret(name).token
            known = self.tokens.setdefault(name, [])
            if token not in known:
                known.append(token)

    def issue(self) -> None:
        for name in self.names:
            self.team.apply_apikey(name, SPEC)
        self._settle(versions=1)

    def rotate(self) -> None:
        for turn in range(self.rounds):
            for name in self.names:
                self.team.request_rotation(name, f"turn {turn}")
            self._settle(versions=turn + 2)

    def revoke(self) -> None:
        """Five keys leaked: the brake is pulled, and its traces are in the cluster alone."""
        key_ids = [self.team.secret(name).key_id for name in self.revoked]
        body = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ApiKeyRevocation",
            "metadata": {"name": unique_name("leak")},
            "spec": {"reason": "Leaked", "requestedBy": "security", "keyIDs": key_ids},
        }
        self.team.api.ask("POST", "/apis/keyturn.dev/v1alpha1/apikeyrevocations", body)
        self._settle(versions=self.rounds + 1)
        for name, key_id in zip(self.revoked, key_ids, strict=True):
            self.team.wait_until(lambda n=name, k=key_id: self.team.secret(n).key_id != k, about=name, what="the successor is there")
        self._settle(versions=self.rounds + 1)

    def restore(self, snapshot: Path) -> None:
        self.plane.restore(snapshot)

    def accepted(self) -> set[str]:
        """Which of all tokens ever given out the verifier lets in."""
        return {token for tokens in self.tokens.values() for token in tokens if self.verifier.check(token).status == 200}

    def newest(self) -> set[str]:
        return {tokens[-1] for tokens in self.tokens.values()}

    def wait_told_apart(self) -> None:
        """Every Secret holds a key that nobody had before the restore."""
        before = {name: set(tokens) for name, tokens in self.tokens.items()}
        for name in self.names:
            self.team.wait_until(
                lambda n=name: self.team.secret(n).token not in before[n], about=name, what=f"{name} has a key of its own", patience=90.0
            )
        self._settle(versions=0)

    def _settle(self, *, versions: int) -> None:
        for name in self.names:
            self.team.wait_until(
                lambda n=name: self._rests(n, versions), about=name, what=f"{name} rests with version {versions}", patience=90.0
            )
        self.note()

    def _rests(self, name: str, versions: int) -> bool:
        secret, record = self.team.secret(name), self.team.record(name)
        live = {entry.key_id for entry in record.versions}
        return secret.version >= versions and live == {secret.key_id}


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[Plane]:
    """A plane whose past may change."""
    with Plane.start(bare(), folder=tmp_path / "plane") as plane:
        plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apikeyrevocations"), patience=20.0, what="the CRDs to be served")
        yield plane


@pytest.fixture
def story(own_plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    namespace, records = unique_name("t"), unique_name("records")
    own_plane.create_namespace(namespace)
    with ExitStack() as ends:
        settings = {**LEASE, "watch_namespaces": namespace, "audit_log": str(tmp_path / "audit.jsonl")}
        kubeconfig = None
        if getattr(request, "param", "") == "guarded":
            settings["secret_access"] = "guarded"
            ends.enter_context(fenced(own_plane, namespace=f"{records}-system", records_namespace=records))
            kubeconfig = log_in_fenced(own_plane, tmp_path, namespace=f"{records}-system")
        operator = ends.enter_context(OperatorProcess.start(own_plane, settings=settings, records_namespace=records, kubeconfig=kubeconfig))
        api = ends.enter_context(closing(Api(own_plane.login)))
        verifier = VerifierProcess.start(own_plane, records_namespace=records, settings={**LEASE, **_memory_of(request, tmp_path)})
        team = Team(own_plane, api, namespace, operator.wait_ready(), records_namespace=records, system_namespace=f"{records}-system")
        yield Story(own_plane, team, ends.enter_context(verifier).wait_ready())


def _memory_of(request: pytest.FixtureRequest, folder: Path) -> Mapping[str, str]:
    has_snapshot = getattr(request, "param", "") != "no snapshot"
    return {"snapshot": str(folder / "records.snapshot")} if has_snapshot else {}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "story",
    ["snapshot", "no snapshot", pytest.param("guarded", marks=pytest.mark.slow)],
    indirect=True,
    ids=["with a snapshot", "from memory alone", "with a guarded operator"],
)
def test_fifty_rotations_and_five_revocations_survive_an_etcd_restore_while_a_verifier_lives(story: Story, tmp_path: Path) -> None:
    """No version that had ended is accepted for a moment; each key gets a number that was never given out; and it is said."""
    team = story.team
    story.issue()
    story.plane.snapshot(tmp_path / "snapshot")
    story.rotate()
    story.revoke()
    before, numbers = story.newest(), {name: team.secret(name).version for name in NAMES}
    wait_until(lambda: story.accepted() == before, patience=20.0, what="the verifier knows all of it")
    team.operator.kill()
    story.restore(tmp_path / "snapshot")
    assert all(team.secret(name).token == story.tokens[name][0] for name in NAMES), "the store went back"
    team.operator.restart()
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        assert story.accepted() <= before, "a key that had ended is accepted"
    story.wait_told_apart()
    assert all(team.secret(name).version > numbers[name] for name in NAMES)
    current = {team.secret(name).token for name in NAMES}
    wait_until(lambda: story.accepted() == current, patience=20.0, what="the keys in the Secrets are accepted, and none besides")
    for name in NAMES:
        team.wait_event(name, "Warning/RestoreDetected")
    assert team.operator.metric("keyturn_records_recovered_total") >= len(NAMES)


def test_without_any_verifier_the_audit_log_and_a_folder_say_what_had_ended(story: Story, tmp_path: Path) -> None:
    """Nobody lived through the restore: what had ended lives again until `keyturn recover` has read what lies outside of the cluster.

    The lines of one key are lost; that it leaked is known to a folder of revocations alone.
    """
    team, audit, folder = story.team, tmp_path / "audit.jsonl", tmp_path / "revocations"
    story.names, story.revoked, story.rounds = NAMES[:2], NAMES[:1], 1
    team.create(workload("Deployment", "web", secret=NAMES[0]))
    story.issue()
    forgotten = team.issue("forgotten", SPEC).token
    story.plane.snapshot(tmp_path / "snapshot")
    story.rotate()
    story.revoke()
    leaked = keep_in_git(folder, revocation_of("forgotten", team))
    team.cluster.kubectl("create", "-f", str(folder))
    wait_until(lambda: story.verifier.check(forgotten).status == 401, patience=30.0, what="the other key to be dead")
    before, numbers = story.newest(), {name: team.secret(name).version for name in story.names}
    story.verifier.kill()
    team.operator.kill()
    lose_the_lines_of("forgotten", audit)
    story.restore(tmp_path / "snapshot")
    (tmp_path / "records.snapshot").unlink()
    story.verifier.restart()
    team.operator.restart()
    story.verifier.wait_ready()
    first = {tokens[0] for tokens in story.tokens.values()}
    wait_until(lambda: story.accepted() == first, patience=20.0, what="the keys of the backup to live again: that is the accident")
    assert story.verifier.check(forgotten).status == 200
    sources = ("--audit", str(audit), "--revocations", str(folder))
    report = json.loads(recover(team, *sources, "-o", "json"))
    assert {each["name"]: [version["keyID"] for version in each["dead"]] for each in report["apiKeys"]} == {
        name: [story.tokens[name][0][3:15]] for name in story.names
    }
    assert {each["name"]: each["highestVersion"] for each in report["apiKeys"]} == numbers
    assert {each["name"]: each["workloadsToRestart"] for each in report["apiKeys"] if each["workloadsToRestart"]} == {
        NAMES[0]: ["deployment/web"]
    }
    assert report["revocationsRestored"] == [leaked]
    story.wait_told_apart()
    assert all(team.secret(name).version > numbers[name] for name in story.names)
    current = {team.secret(name).token for name in story.names}
    wait_until(lambda: story.accepted() == current, patience=20.0, what="the keys in the Secrets are accepted, and none besides")
    assert current.isdisjoint(before)
    wait_until(lambda: story.verifier.check(forgotten).status == 401, patience=20.0, what="what the folder alone knew to be dead")
    assert recover(team, *sources) == "", "and then nothing is left to do"


def revocation_of(name: str, team: Team) -> Json:
    """What `keyturn revoke --dry-run -o json` prints."""
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ApiKeyRevocation",
        "metadata": {"name": unique_name("leak")},
        "spec": {"reason": "Leaked", "keyIDs": [team.secret(name).key_id]},
    }


def keep_in_git(folder: Path, manifest: Json) -> str:
    """Where revocations are kept; answers its name."""
    folder.mkdir()
    (folder / "leak.json").write_text(json.dumps(manifest))
    return str(manifest["metadata"]["name"])


def lose_the_lines_of(name: str, audit: Path) -> None:
    lines = audit.read_text().splitlines(keepends=True)
    audit.write_text("".join(line for line in lines if json.loads(line)["name"] != name))


def recover(team: Team, *arguments: str) -> str:
    """What `keyturn recover` prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        namespaces = ["--namespace", team.system_namespace, "--records-namespace", team.records_namespace]
        place = ["--kubeconfig", str(team.cluster.kubeconfig), *namespaces]
        assert run_cli(["recover", *arguments, *place]) == 0
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("story", ["snapshot", "guarded"], indirect=True, ids=["watching", "guarded"])
def test_an_operator_that_lives_through_a_restore_knows_what_it_has_seen(story: Story, tmp_path: Path) -> None:
    """No verifier is there to tell it."""
    team = story.team
    story.verifier.kill()
    story.issue()
    story.plane.snapshot(tmp_path / "snapshot")
    story.rotate()
    story.revoke()
    before, numbers = story.newest(), {name: team.secret(name).version for name in NAMES}
    story.restore(tmp_path / "snapshot")
    story.wait_told_apart()
    assert all(team.secret(name).version > numbers[name] for name in NAMES)
    story.verifier.restart()
    story.verifier.wait_ready()
    assert story.accepted() == {team.secret(name).token for name in NAMES}, "and none of before"
    assert story.accepted().isdisjoint(before)
