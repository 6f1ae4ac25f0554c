"""One team's namespace as its people see it: they apply ApiKeys and workloads, wait, and look at what the cluster holds.

team.apply_apikey("billing", {"rotation": {"gracePeriod": "1s"}})
team.wait_ready("billing")
assert team.accepted("billing") == {team.secret("billing").key_id}
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from gen.operator_process import OperatorProcess
from keyturn.base.clock import utc_now
from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.keys.verification_keys import VerificationKeys
from testbed.cluster import ApiFailed, Cluster, Login

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE: Final = 30.0
PAUSE: Final = 0.05
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
APIKEYS: Final = "/apis/keyturn.dev/v1alpha1"


class Api:
    """The API server over one kept connection, as the cluster's administrator, or as whom the administrator impersonates."""

    def __init__(self, login: Login, *, user: str = "", group: str = "") -> None:
        self.login = login
        self._as = {"Impersonate-User": user, "Impersonate-Group": group} if user else {}
        self._parts = urlsplit(login.url)
        self._connection: HTTPSConnection | None = None

    def ask(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Json:
        """One request; raise ApiFailed for an error."""
        try:
            status, text = self._once(method, path, body, content_type)
        except (HTTPException, OSError):  # the server closed the kept connection
            self.close()
            status, text = self._once(method, path, body, content_type)
        if status >= HTTPStatus.BAD_REQUEST:
            raise ApiFailed(status, text)
        return json.loads(text)

    def get(self, path: str) -> Json | None:
        """What stands there, or None."""
        try:
            return self.ask("GET", path)
        except ApiFailed as failure:
            if failure.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def delete(self, path: str) -> None:
        """Delete it; nothing to do where it is gone."""
        try:
            self.ask("DELETE", path)
        except ApiFailed as failure:
            if failure.status != HTTPStatus.NOT_FOUND:
                raise

    def merge(self, path: str, patch: object) -> Json:
        """A JSON merge patch."""
        return self.ask("PATCH", path, patch, content_type=MERGE)

    def apply(self, path: str, body: object) -> Json:
        """Server-side apply as the team: fields left out since the last time go away."""
        return self.ask("PATCH", f"{path}?fieldManager=team&force=true", body, content_type=APPLY)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _once(self, method: str, path: str, body: object, content_type: str) -> tuple[int, str]:
        if self._connection is None:
            self._connection = HTTPSConnection(self._parts.netloc, timeout=10.0, context=self.login.tls)
        bearer = {"Authorization": f"Bearer {self.login.token}"} if self.login.token else {}
        headers = {"Content-Type": content_type, "Accept": "application/json", **bearer, **self._as}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()


@dataclass(frozen=True, slots=True)
class SecretView:
    """A Secret with its data decoded."""

    raw: Json

    @property
    def data(self) -> dict[str, str]:
        return {name: base64.b64decode(value).decode() for name, value in self.raw.get("data", {}).items()}

    @property
    def labels(self) -> dict[str, str]:
        return self.raw["metadata"].get("labels", {})

    @property
    def annotations(self) -> dict[str, str]:
        return self.raw["metadata"].get("annotations", {})

    @property
    def token(self) -> str:
        return self.data["api-key"]

    @property
    def key_id(self) -> str:
        return self.annotations["keyturn.dev/key-id"]

    @property
    def version(self) -> int:
        return int(self.annotations["keyturn.dev/version"])

    @property
    def resource_version(self) -> str:
        return str(self.raw["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True)
class Team:
    """A namespace and the operator that serves it."""

    cluster: Cluster
    api: Api
    namespace: str
    operator: OperatorProcess
    records_namespace: str
    system_namespace: str

    def apikey_path(self, name: str) -> str:
        return f"{APIKEYS}/namespaces/{self.namespace}/apikeys/{name}"

    def secret_path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets/{name}"

    def record_path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.records_namespace}/secrets/{self.namespace}.{name}"

    def apply_apikey(self, name: str, spec: Mapping[str, object] | None = None, *, annotations: Mapping[str, str] | None = None) -> Json:
        """Create it, or make it exactly so."""
        metadata = {"name": name, "namespace": self.namespace, "annotations": dict(annotations or {})}
        body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": metadata, "spec": dict(spec or {})}
        return self.api.apply(self.apikey_path(name), body)

    def annotate_apikey(self, name: str, annotation: str, value: str | None) -> Json:
        """As `kubectl annotate` does; None takes it off."""
        return self.api.merge(self.apikey_path(name), {"metadata": {"annotations": {annotation: value}}})

    def request_rotation(self, name: str, value: str = "now") -> Json:
        """What `keyturn rotate` does."""
        return self.annotate_apikey(name, "keyturn.dev/rotate-requested-at", value)

    def delete_apikey(self, name: str) -> None:
        self.api.delete(self.apikey_path(name))

    def apikey(self, name: str) -> Json:
        found = self.api.get(self.apikey_path(name))
        if found is None:
            raise LookupError(f"there is no ApiKey {self.namespace}/{name}")
        return found

    def status(self, name: str) -> Json:
        return self.apikey(name).get("status", {})

    def condition(self, name: str, kind: str) -> Json:
        """One condition; empty where it is absent."""
        return next((each for each in self.status(name).get("conditions", ()) if each["type"] == kind), {})

    def says(self, name: str, kind: str) -> tuple[str, str]:
        """A condition's status and reason; both empty where it is absent."""
        found = self.condition(name, kind)
        return found.get("status", ""), found.get("reason", "")

    def find_secret(self, name: str) -> SecretView | None:
        found = self.api.get(self.secret_path(name))
        return None if found is None else SecretView(found)

    def secret(self, name: str) -> SecretView:
        found = self.find_secret(name)
        if found is None:
            raise LookupError(f"there is no Secret {self.namespace}/{name}")
        return found

    def raw_record(self, name: str) -> SecretView | None:
        """The record's Secret, not yet believed."""
        found = self.api.get(self.record_path(name))
        return None if found is None else SecretView(found)

    def verification_keys(self) -> VerificationKeys:
        """What verifiers get: the published public keys."""
        published = self.api.ask("GET", f"/api/v1/namespaces/{self.system_namespace}/configmaps/keyturn-verification-keys")
        return VerificationKeys.from_data(published["data"])

    def find_record(self, name: str) -> Record | None:
        """The record, if there is one whose signature holds."""
        stored = self.raw_record(name)
        if stored is None:
            return None
        data, signature = (base64.b64decode(stored.raw["data"][part]) for part in ("record", "signature"))
        verdict = verify_record(
            data, signature=signature, keys=self.verification_keys(), expected=Key(self.namespace, name), installation=None
        )
        return verdict.record if isinstance(verdict, Genuine) else None

    def record(self, name: str) -> Record:
        found = self.find_record(name)
        if found is None:
            raise LookupError(f"there is no genuine record of {self.namespace}/{name}")
        return found

    def states(self, name: str) -> dict[int, str]:
        """Every version the record knows, dead ones included, with its state."""
        record = self.record(name)
        return {each.number: str(each.state) for each in (*record.dead, *record.versions)}

    def accepted(self, name: str) -> set[str]:
        """The key IDs a verifier accepts now."""
        record = self.find_record(name)
        return set() if record is None else accepted_key_ids(record, now=utc_now())

    def events(self, name: str) -> list[Json]:
        """The Events about an ApiKey, oldest first."""
        selector = f"involvedObject.kind%3DApiKey,involvedObject.name%3D{name}"
        listed = self.api.ask("GET", f"/api/v1/namespaces/{self.namespace}/events?fieldSelector={selector}")
        return sorted(listed["items"], key=lambda event: event["eventTime"])

    def event_reasons(self, name: str) -> list[str]:
        """`Normal/Issued`, `Warning/SecretConflict`, in order."""
        return [f"{event['type']}/{event['reason']}" for event in self.events(name)]

    def audit(self, name: str) -> list[str]:
        """The changes that the audit log tells of an ApiKey, in order."""
        return [line["change"] for line in self.operator.audit_lines(self.namespace, name)]

    def marks(self, name: str, *, secret: str | None = None) -> tuple[str, str, str]:
        """resourceVersion of ApiKey, Secret and record: they stay where nothing is written."""
        found = self.find_secret(secret or name), self.raw_record(name)
        versions = [each.resource_version if each else "" for each in found]
        return (self.apikey(name)["metadata"]["resourceVersion"], versions[0], versions[1])

    def wait_until(self, is_so: Callable[[], T | None], *, about: str, what: str, patience: float = PATIENCE) -> T:
        """Ask again and again until the answer counts as true; what cannot be looked up is not so yet."""
        end = time.monotonic() + patience
        while True:
            try:
                answer = is_so()
            except LookupError:
                answer = None
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"waited {patience:.0f} s until {what}\n{self._picture_of(about)}")
            time.sleep(PAUSE)

    def wait_ready(self, name: str, *, version: int = 1, patience: float = PATIENCE) -> Json:
        """Wait until a version is Active and the key Ready; answers the status."""
        return self.wait_until(
            lambda: self._ready_status(name, version), about=name, what=f"version {version} of {name} is in force", patience=patience
        )

    def wait_says(self, name: str, kind: str, status: str, reason: str, *, patience: float = PATIENCE) -> Json:
        """Wait for a condition; answers it."""
        return self.wait_until(
            lambda: self.condition(name, kind) if self.says(name, kind) == (status, reason) else None,
            about=name, what=f"{name} says {kind}={status} ({reason})", patience=patience,
        )  # fmt: skip

    def wait_states(self, name: str, states: Mapping[int, str], *, patience: float = PATIENCE) -> None:
        """Wait until the record has exactly these versions in these states, and the status shows the live ones."""
        self.wait_until(lambda: self.states(name) == states, about=name, what=f"the versions of {name} are {states}", patience=patience)

    def wait_event(self, name: str, reason: str, *, patience: float = PATIENCE) -> Json:
        """Wait for an Event `Type/Reason`; answers it."""
        return self.wait_until(
            lambda: next((e for e in self.events(name) if f"{e['type']}/{e['reason']}" == reason), None),
            about=name, what=f"there is an Event {reason}", patience=patience,
        )  # fmt: skip

    def issue(self, name: str, spec: Mapping[str, object] | None = None) -> SecretView:
        """Apply an ApiKey and wait for its first key."""
        self.apply_apikey(name, spec)
        self.wait_ready(name)
        return self.secret(str((spec or {}).get("secretName", name)))

    def create(self, manifest: Json) -> Json:
        """Create anything this file can name a path for: a Secret, a pod, a workload, a Job."""
        return self.api.ask("POST", self._collection(manifest["kind"]), manifest)

    def workload(self, kind: str, name: str) -> Json:
        return self.api.ask("GET", f"{self._collection(kind)}/{name}")

    def change_workload(self, kind: str, name: str, patch: Json) -> Json:
        return self.api.merge(f"{self._collection(kind)}/{name}", patch)

    def pods(self, app: str) -> dict[str, Json]:
        """The pods with the label app, by name; those on their way out too."""
        listed = self.api.ask("GET", f"{self._collection('Pod')}?labelSelector=app%3D{app}")
        return {pod["metadata"]["name"]: pod for pod in listed["items"]}

    def start(self, *manifests: Json, pods: int = 1) -> None:
        """Create workloads and wait until each has its pods running."""
        for manifest in manifests:
            self.create(manifest)
        for manifest in manifests:
            app = manifest["metadata"]["name"]
            self.wait_until(lambda app=app: self._running(app) >= pods, about="", what=f"the pods of {app} run")

    def _running(self, app: str) -> int:
        return sum(pod["status"].get("phase") == "Running" for pod in self.pods(app).values())

    def _collection(self, kind: str) -> str:
        return f"{_FOLDERS[kind]}/namespaces/{self.namespace}/{kind.lower()}s"

    def _ready_status(self, name: str, version: int) -> Json | None:
        apikey = self.apikey(name)
        status = apikey.get("status", {})
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
        return status if ready and status.get("activeVersion") == version else None

    def _picture_of(self, name: str) -> str:
        if not name:
            return self.operator.tail()
        status = json.dumps((self.api.get(self.apikey_path(name)) or {}).get("status"), indent=1)
        record = self.find_record(name)
        return f"status: {status}\nrecord: {record}\nlog:\n{self.operator.tail(about=name)}\n{self.operator.tail(count=8)}"


StartTeam = Callable[..., Team]
"""The fixture `start_team`: operator settings by field in, a namespace served by an operator of its own out."""
_FOLDERS: Final = {
    "Pod": "/api/v1", "Secret": "/api/v1", "Job": "/apis/batch/v1",
    "Deployment": "/apis/apps/v1", "StatefulSet": "/apis/apps/v1", "DaemonSet": "/apis/apps/v1",
}  # fmt: skip


def accepted_key_ids(record: Record, *, now: datetime) -> set[str]:
    """What a verifier accepts by this record: the live versions before their end, unless the whole key is over or disabled."""
    if record.disabled or (record.expiration_time is not None and record.expiration_time <= now):
        return set()
    live = (VersionState.STAGED, VersionState.ACTIVE, VersionState.RETIRING)
    return {each.key_id for each in record.versions if each.state in live and (each.not_after is None or each.not_after > now)}


def workload(kind: str, name: str, *, secret: str | None = "billing", **spec: object) -> Json:
    """A Deployment, StatefulSet or DaemonSet whose one container takes the key from a Secret; None: from nowhere."""
    labels = {"app": name}
    usual: Json = {} if kind == "DaemonSet" else {"replicas": 1}
    if kind == "StatefulSet":
        usual["serviceName"] = name
    template = {"metadata": {"labels": labels}, "spec": pod_spec(secret)}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **usual, **spec},
    }


def bare_pod(name: str, *, secret: str = "billing") -> Json:
    """A pod that nobody would start again."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": pod_spec(secret)}


def job(name: str, *, secret: str = "billing") -> Json:
    """A Job whose pod finds no node: kwok would have it succeed at once."""
    spec = {**pod_spec(secret), "restartPolicy": "Never", "nodeSelector": {"no": "such-node"}}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


def pod_spec(secret: str | None) -> Json:
    """One container, with the key in its environment; gone without delay when it is told to go."""
    reference = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "api-key"}}}
    container = {"name": "main", "image": "web:1", "env": [reference] if secret else []}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


def foreign_secret(name: str, **more: object) -> Json:
    """A Secret somebody made by hand."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": {"password": "x"}, **more}
