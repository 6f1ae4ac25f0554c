"""Keyturn installed from deploy/ on a real cluster, operator and verifier run as the ServiceAccounts that deploy/ gives them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Any, Final

import yaml

from gen.fence import ACCOUNT, RECORDS, SYSTEM, missing_in_the_fence
from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from gen.verifier_process import VerifierProcess
from keyturn.base.settings import Settings
from keyturn.cluster.permissions import Right
from keyturn.verifier.service.settings import VerifierSettings
from testbed.cluster import ApiFailed, Cluster, wait_until
from testbed.plane import Plane

Json = dict[str, Any]

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
EVERYWHERE: Final = DEPLOY
NAMESPACED: Final = DEPLOY / "namespaced"
WATCHING: Final = DEPLOY / "watch"
VERIFIER: Final = "keyturn-verifier"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Installed:
    """One plane with what a folder of deploy/ says on it."""

    plane: Plane
    objects: list[Json]
    kubeconfig: Path
    """Of the operator's own account."""

    @classmethod
    def install(cls, plane: Plane, folder: Path, *, scratch: Path) -> Installed:
        """As the administrator does it, but for the other variant's bindings, which go. Ends when every policy is in force."""
        bindings = (ACCOUNT, f"{ACCOUNT}-namespaces", f"{ACCOUNT}-revocations", f"{ACCOUNT}-reading")
        plane.kubectl("delete", "clusterrolebinding", *bindings, "--ignore-not-found")
        plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(folder))
        wait_until(lambda: serves_apikeys(plane), patience=20.0, what="the CRDs to be served")
        wait_until(lambda: missing_in_the_fence(plane.login) == [], patience=20.0, what="every policy to be in force")
        return cls(plane, rendered(plane, folder), log_in(plane, scratch))

    @property
    def settings(self) -> Settings:
        """What the Deployment's pods would run with."""
        return settings_of(self.objects)

    def start_operator(self, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """The operator as its own account, with this installation's settings and short times.

        But for the Lease: on a busy machine two seconds are soon over, and what a lost lead had staged is minted again.
        """
        own = {"lease_duration": "15s", "watch_namespaces": self.settings.watch_namespaces, "secret_access": self.settings.secret_access}
        own["admission_policies"] = self.settings.admission_policies
        own |= settings or {}
        return OperatorProcess.start(self.plane, settings=own, records_namespace=RECORDS, namespace=SYSTEM, kubeconfig=self.kubeconfig)

    def start_operator_as_delivered(self, *, name: str = "operator") -> OperatorProcess:
        """The operator as its own account, with the Deployment's settings and no others, but for the port of its probes."""
        settings = {**_environment(self.objects, "keyturn-settings"), "probe_address": "127.0.0.1:0"}
        return OperatorProcess.launch(["operator"], settings=settings, kubeconfig=self.kubeconfig, name=name, environment={})

    def start_verifier(self, *, name: str = "verifier", settings: Mapping[str, str] | None = None) -> VerifierProcess:
        """A verifier as its own account."""
        return VerifierProcess.start(
            self.plane,
            records_namespace=RECORDS,
            namespace=SYSTEM,
            kubeconfig=log_in(self.plane, self.kubeconfig.parent, account=VERIFIER),
            name=name,
            settings=settings,
        )

    def team(self, api: Api, operator: OperatorProcess, namespace: str) -> Team:
        """A namespace as its people see it."""
        return Team(self.plane, api, namespace, operator, records_namespace=RECORDS, system_namespace=SYSTEM)


def assert_nothing_was_refused(operator: OperatorProcess) -> None:
    """Whether its namespaces are there it asks without a right to, and the answer does not matter; else no right was missing.

    Creations do not count: in a namespace that is going away they are refused to everybody. Where there is a fence, patches of Secrets
    neither: it tries every minute that the fence refuses one.
    """
    fenced = operator.setting("admission_policies") == "installed"

    counts = {series: count for series, count in operator.metrics().items() if series.startswith("keyturn_api_requests_total{")}
    refused = {series for series, count in counts.items() if count and 'code="403"' in series and 'verb="create"' not in series}
    tried = {'keyturn_api_requests_total{code="403",resource="secrets",verb="patch"}'} if fenced else set()
    expected = {'keyturn_api_requests_total{code="403",resource="namespaces",verb="get"}', *tried}
    assert operator.is_running, f"it ended before it was asked; the end of its log:\n{operator.tail()}"
    assert refused == expected, f"more, or less, was refused than expected: {sorted(refused ^ expected)}"


def rendered(plane: Cluster, folder: Path) -> list[Json]:
    """What `kubectl apply -k` would send."""
    return list(yaml.safe_load_all(plane.kubectl("kustomize", str(folder))))


def settings_of(objects: Iterable[Json]) -> Settings:
    """The settings of the ConfigMap, read as the operator reads its environment; its namespace is the pod's own."""
    return Settings.model_validate(_environment(objects, "keyturn-settings"))


def verifier_settings_of(objects: Iterable[Json]) -> VerifierSettings:
    """The same of the verifier."""
    return VerifierSettings.model_validate(_environment(objects, "keyturn-verifier-settings"))


def _environment(objects: Iterable[Json], config_map: str) -> Json:
    """Kustomize puts a checksum behind the ConfigMap's name."""
    data = next(each["data"] for each in objects if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith(config_map))
    return {"namespace": SYSTEM, **{name.removeprefix("KEYTURN_").lower(): value for name, value in data.items()}}


def granted_rights(objects: Iterable[Json], *, account: str = ACCOUNT) -> set[Right]:
    """Every right that the account, by default the operator's, gets by the bindings among these objects."""
    known = list(objects)
    roles = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in known}
    granted: set[Right] = set()
    for binding in known:
        if binding["kind"] not in {"RoleBinding", "ClusterRoleBinding"} or not _binds(binding, account):
            continue
        namespace, reference = binding["metadata"].get("namespace", ""), binding["roleRef"]
        role = roles[reference["kind"], namespace if reference["kind"] == "Role" else "", reference["name"]]
        granted.update(right for rule in role["rules"] or () for right in _rights_of(rule, namespace))
    return granted


def _binds(binding: Json, account: str) -> bool:
    return any((each["kind"], each.get("namespace"), each["name"]) == ("ServiceAccount", SYSTEM, account) for each in binding["subjects"])


def _rights_of(rule: Json, namespace: str) -> Iterator[Right]:
    for verb, group, resource, name in product(rule["verbs"], rule["apiGroups"], rule["resources"], rule.get("resourceNames") or [""]):
        plural, _, subresource = resource.partition("/")
        yield Right(verb, group, plural, subresource, namespace=namespace, name=name)


def log_in(plane: Plane, scratch: Path, *, account: str = ACCOUNT, namespace: str = SYSTEM) -> Path:
    """A kubeconfig of an account, by default the operator's, in the folder `scratch`."""
    token = plane.kubectl("-n", namespace, "create", "token", account).strip()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": account,
        "clusters": [{"name": "plane", "cluster": {"server": plane.url, "certificate-authority": str(plane.ca)}}],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [{"name": account, "context": {"cluster": "plane", "user": account}}],
    }  # fmt: skip
    file = scratch / f"{account}.kubeconfig"
    file.write_text(json.dumps(config))
    return file


def serves_apikeys(plane: Cluster) -> bool:
    """Whether ApiKeys can be asked for yet: a moment after their CRD was accepted."""
    try:
        return plane.answers("/apis/keyturn.dev/v1alpha1/apikeys")
    except ApiFailed as failure:
        if failure.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return False
