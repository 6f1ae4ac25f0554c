"""An accident's scene: a team whose operators reach the API server through a fault proxy, while the laws are held against every state.

with Scene.open(plane, folder=tmp_path) as scene:
    scene.start_operator("a")
    scene.team.apply_apikey("billing", SPEC)
    scene.rest("billing", version=1)
    scene.check("billing")
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from gen.api_call import Call
from gen.fault_proxy import Door, FaultProxy
from gen.law_watch import LawWatch
from gen.operator_process import OperatorProcess, unique_name
from gen.scene_fence import fenced
from gen.team import Api, Team
from keyturn.base.clock import utc_now
from keyturn.base.version_state import VersionState
from keyturn.cluster.events import Regarding, event_manifest
from keyturn.lifecycle.announcement import event_of
from testbed.cluster import ApiFailed, Cluster

SPEC: Final[Mapping[str, object]] = {
    "deletionPolicy": "Revoke",
    "rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "5m"},
}
SETTINGS: Final = {"lease_duration": "1s", "stall_timeout": "5m"}
PATIENCE: Final = 120.0


@dataclass(slots=True)
class Scene:
    """Made by `Scene.open`."""

    plane: Cluster
    team: Team
    proxy: FaultProxy
    laws: LawWatch
    operators: dict[str, OperatorProcess] = field(default_factory=dict)
    doors: dict[str, Door] = field(default_factory=dict)
    _ends: ExitStack = field(default_factory=ExitStack)

    @classmethod
    @contextmanager
    def open(
        cls, plane: Cluster, *, folder: Path, settings: Mapping[str, str] | None = None, own_lease: bool = False, guarded: bool = False
    ) -> Iterator[Self]:
        """A new namespace with a first operator `a`, which is started and not waited for. `guarded`: all its operators are."""
        namespace, records = unique_name("t"), unique_name("records")
        plane.create_namespace(namespace)
        system = f"{records}-system"
        access = {"secret_access": "guarded" if guarded else "watch"}
        with ExitStack() as ends:
            account = ends.enter_context(fenced(plane, namespace=system, records_namespace=records)) if guarded else None
            proxy = ends.enter_context(FaultProxy(plane, folder=folder, records_namespace=records, namespace=system, account=account))
            laws = ends.enter_context(LawWatch(plane, namespace=namespace, records_namespace=records))
            api = Api(plane.login)
            ends.callback(api.close)
            door = proxy.door("a", own_lease=own_lease)
            first = ends.enter_context(
                cls._operator(plane, door, namespace=namespace, records=records, settings={**access, **(settings or {})})
            )
            team = Team(plane, api, namespace, first, records_namespace=records, system_namespace=system)
            yield cls(plane, team, proxy, laws, operators={"a": first}, doors={"a": door}, _ends=ends)
        plane.delete_namespace(namespace)

    @staticmethod
    def _operator(plane: Cluster, door: Door, *, namespace: str, records: str, settings: Mapping[str, str]) -> OperatorProcess:
        wanted = {**SETTINGS, "watch_namespaces": namespace, **settings}
        return OperatorProcess.start(plane, settings=wanted, records_namespace=records, kubeconfig=door.kubeconfig, name=door.name)

    def add_operator(self, name: str, *, settings: Mapping[str, str] | None = None, own_lease: bool = False) -> OperatorProcess:
        """One more operator of the same installation, with a door of its own."""
        door = self.proxy.door(name, own_lease=own_lease)
        namespace, records = self.team.namespace, self.team.records_namespace
        access = {"secret_access": self.team.operator.setting("secret_access")}
        operator = self._operator(self.plane, door, namespace=namespace, records=records, settings={**access, **(settings or {})})
        self.operators[name], self.doors[name] = self._ends.enter_context(operator), door
        return operator

    def keep_going(self, is_so: Callable[[], bool], *, what: str, patience: float = PATIENCE, about: str = "") -> None:
        """Wait until it is so, as a kubelet would: an operator that ended is started again."""
        end = time.monotonic() + patience
        while not self._is(is_so):
            if time.monotonic() > end:
                picture = self.team._picture_of(about) if about else ""
                logs = "\n".join(f"--- {name}\n{operator.tail(count=12)}" for name, operator in self.operators.items())
                raise AssertionError(f"waited {patience:.0f} s until {what}\n{picture}\n{logs}")
            for operator in self.operators.values():
                if not operator.is_running:
                    operator.restart()
            time.sleep(0.1)

    @staticmethod
    def _is(is_so: Callable[[], bool]) -> bool:
        try:
            return is_so()
        except (LookupError, ApiFailed, OSError):
            return False

    def rest(self, *names: str, version: int, patience: float = PATIENCE) -> None:
        """Wait until these keys have come to rest at a version (or above it: orphans take numbers too)."""
        for name in names:
            self.keep_going(
                lambda name=name: self._is_at_rest(name, version), what=f"{name} rests at version {version}", patience=patience, about=name
            )

    def _is_at_rest(self, name: str, version: int) -> bool:
        record, secret, status = self.team.find_record(name), self.team.find_secret(name), self.team.status(name)
        if record is None or secret is None or record.active is None:
            return False
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        # An orphan that another process staged may stay beside it until the next switch: nobody knows its plaintext.
        return (
            not record.in_state(VersionState.RETIRING)
            and record.active.number == secret.version == status.get("activeVersion")
            and secret.version >= version
            and conditions.get("Ready") == "True"
            and "Reconciling" not in conditions
        )

    def rotate(self, *names: str, patience: float = PATIENCE) -> None:
        """Ask for a rotation of each and wait until they rest."""
        before = {name: self.team.secret(name).version for name in names}
        for name in names:
            self.team.request_rotation(name, str(utc_now().timestamp()))
        for name in names:
            self.rest(name, version=before[name] + 1, patience=patience)

    def audit_lines(self, name: str) -> list[dict[str, Any]]:
        """What all operators together told of an ApiKey."""
        return [line for operator in self.operators.values() for line in operator.audit_lines(self.team.namespace, name)]

    def untold(self, name: str) -> list[str]:
        """States of the record for which there is no audit line, or no Event where one is due."""
        uid = self.team.apikey(name)["metadata"]["uid"]
        about = Regarding("keyturn.dev/v1alpha1", "ApiKey", self.team.namespace, name, uid)
        lines = {(line["uid"], line["serial"]) for line in self.audit_lines(name)}
        events = {event["metadata"]["name"] for event in self.team.events(name)}
        untold = []
        for record in self.laws.life(name).records:
            if (record.uid, record.serial) not in lines:
                untold.append(f"no audit line of {record.change} (serial {record.serial})")
            text = event_of(record)
            if text is None:
                continue
            shape = {"type": text.type, "reason": text.reason, "message": text.message, "action": text.action}
            manifest: dict[str, Any] = event_manifest(regarding=about, **shape, name_seed=text.seed, now=utc_now())
            if manifest["metadata"]["name"] not in events:
                untold.append(f"no Event {text.reason} of {record.change} (serial {record.serial})")
        return untold

    def check(self, *names: str) -> None:
        """The laws held in every state, the key in the Secret works, and everything was told."""
        for name in names:
            try:
                self.keep_going(lambda name=name: not self.untold(name), what="all is told", patience=20.0)
            except AssertionError:
                raise AssertionError(f"{name}: {self.untold(name)}") from None
            key_id, accepted = self.team.secret(name).key_id, self.team.accepted(name)
            assert key_id in accepted, f"{name}: the Secret holds {key_id}, accepted are {accepted}"
        self.laws.check()

    def writes_since(self, mark: int, *, door: str = "a") -> list[Call]:
        """The writes through a door after its call number `mark`."""
        return [call for call in self.doors[door].writes() if call.number > mark]
