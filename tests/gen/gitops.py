"""A team that keeps its keys in Git: a folder in the repository, an Application that syncs it into the team's namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from gen.team import Team, workload
from testbed.argocd import ArgoCD

Json = dict[str, Any]

WAVE: Final = "argocd.argoproj.io/sync-wave"
SERVER_SIDE: Final = {"options": ("ServerSideApply=true",), "annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}}


@dataclass(frozen=True, slots=True)
class Site:
    """The folder, the Application and the namespace have one name."""

    argo: ArgoCD
    team: Team

    @property
    def name(self) -> str:
        return self.team.namespace

    def push(self, *manifests: Json) -> str:
        """Make these what Git wants, beside what it wanted before; answers the commit."""
        return self.argo.git.push({self._file(each): yaml.safe_dump(each) for each in manifests})

    def take_out(self, *manifests: Json) -> str:
        """Take them out of Git."""
        return self.argo.git.push({self._file(each): None for each in manifests})

    def deploy(self, *manifests: Json, **application: Any) -> str:  # noqa: ANN401 - whatever create_application takes
        """Push and create the Application; nobody waits."""
        commit = self.push(*manifests)
        self.argo.create_application(self.name, path=self.name, namespace=self.name, **application)
        return commit

    def sync(self, commit: str, *, health: str = "Healthy") -> None:
        """Have Argo CD look at Git, and wait until what this commit wants is there."""
        self.argo.refresh(self.name)
        self.argo.wait(self.name, revision=commit, health=health)

    def key_id(self, name: str) -> str:
        return self.team.secret(name).key_id

    def pod_annotation(self, deployment: str, apikey: str) -> str | None:
        """The key ID that Keyturn wrote into a pod template."""
        template = self.team.workload("Deployment", deployment)["spec"]["template"]
        return template["metadata"].get("annotations", {}).get(f"rollout.keyturn.dev/{apikey}")

    def _file(self, manifest: Json) -> str:
        return f"{self.name}/{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"


def wanted_key(name: str = "billing", spec: Mapping[str, object] | None = None, *, wave: int = 0) -> Json:
    """An ApiKey as it stands in Git."""
    metadata: Json = {"name": name, "annotations": {WAVE: str(wave)}}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": metadata, "spec": dict(spec or {})}


def wanted_product(name: str = "invoices", *, of: str, wave: int = -1) -> Json:
    """An ApiProduct as it stands in Git, which says nothing of grants. Its audience is its namespace's own: an older product's is taken."""
    metadata: Json = {"name": name, "annotations": {WAVE: str(wave)}}
    spec = {"audience": f"{name}.{of}", "scopes": [{"name": "invoices:read"}], "plans": [{"name": "basic"}]}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiProduct", "metadata": metadata, "spec": spec}


def wanted_revocation(name: str, *, key_id: str) -> Json:
    """An ApiKeyRevocation as it stands in a folder of them; it is of no namespace."""
    spec = {"keyIDs": [key_id], "reason": "Leaked"}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": name}, "spec": spec}


def wanted_deployment(name: str = "web", *, replicas: int = 1, wave: int = 1) -> Json:
    """A Deployment that uses the key `billing`, with one pod annotation of its own, as the page on Argo CD advises."""
    manifest = workload("Deployment", name, replicas=replicas)
    manifest["metadata"]["annotations"] = {WAVE: str(wave)}
    manifest["spec"]["template"]["metadata"]["annotations"] = {"team.example.com/managed": "true"}
    return manifest
