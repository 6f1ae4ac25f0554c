"""Argo CD beside a cluster of ours: its repository server and application controller as processes, a Git server, and Applications.

    argo = ArgoCD.start(plane)
    argo.git.push({"team/key.yaml": text})
    argo.create_application("team", path="team", namespace="team")
    argo.wait("team", sync="Synced", health="Healthy")

All of it ends with the plane. `argocd_programs.py` has the command lines.
"""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection
from typing import Any, Final, Self

from testbed.argocd_programs import NAMESPACE, Programs, install, log_in
from testbed.cache import Stopwatch, say
from testbed.cluster import ApiFailed, OwnCluster, wait_until
from testbed.git_server import BRANCH, GitServer
from testbed.redis import start_redis

Json = dict[str, Any]

REFRESH: Final = "argocd.argoproj.io/refresh"
SELF_HEALING: Final = {"automated": {"prune": True, "selfHeal": True}}
PATIENCE: Final = 60.0


class ArgoCD:
    """A running Argo CD. Made by `ArgoCD.start`."""

    def __init__(self, plane: OwnCluster, programs: Programs, git: GitServer) -> None:
        self.plane, self.git = plane, git
        self._programs = programs

    @classmethod
    def start(cls, plane: OwnCluster) -> Self:
        """Install its resources and configuration, with what deploy/argocd adds, and start it."""
        watch = Stopwatch()
        install(plane)
        programs = Programs(plane, redis=start_redis(plane), kubeconfig=log_in(plane))
        argo = cls(plane, programs, GitServer(plane))
        programs.start()
        say(f"Argo CD ready after {watch}")
        return argo

    def create_application(self, name: str, *, path: str, namespace: str, options: tuple[str, ...] = (), **metadata: object) -> None:
        """An Application of a folder in the repository; it syncs, heals and prunes by itself. `options`: `ServerSideApply=true`."""
        source = {"repoURL": self.git.url, "targetRevision": BRANCH, "path": path}
        policy = {**SELF_HEALING, "syncOptions": list(options), "retry": {"limit": 5, "backoff": {"duration": "1s"}}}
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
            "spec": {
                "project": "default",
                "source": source,
                "destination": {"server": self.plane.url, "namespace": namespace},
                "syncPolicy": policy,
            },
        }
        self.plane.login.ask("POST", _APPLICATIONS, body=body)

    def delete_application(self, name: str, *, cascade: bool = False) -> None:
        """Without `cascade` what it brought stays, as with `argocd app delete --cascade=false`."""
        finalizers = ["resources-finalizer.argocd.argoproj.io"] if cascade else None
        self._patch(name, {"metadata": {"finalizers": finalizers}})
        self.plane.login.ask("DELETE", f"{_APPLICATIONS}/{name}")
        wait_until(lambda: not self.plane.answers(f"{_APPLICATIONS}/{name}"), patience=PATIENCE, what=f"Application {name} to be gone")

    def application(self, name: str) -> Json:
        return json.loads(self.plane.login.ask("GET", f"{_APPLICATIONS}/{name}", timeout=PATIENCE))  # it may name a thousand resources

    def refresh(self, name: str, *, kind: str = "normal", patience: float = PATIENCE) -> None:
        """Look at Git now, and wait until it was compared; `hard`: also render anew."""
        self._patch(name, {"metadata": {"annotations": {REFRESH: kind}}})
        wait_until(
            lambda: REFRESH not in self.application(name)["metadata"].get("annotations", {}),
            patience=patience,
            what=f"{name} to be refreshed",
        )

    def wait(
        self, name: str, *, sync: str = "Synced", health: str = "Healthy", revision: str | None = None, patience: float = PATIENCE
    ) -> Json:
        """Wait until an Application says so (of a commit); answers its status."""

        def is_so() -> bool:
            status = self.application(name).get("status", {})
            there = (status.get("sync", {}).get("status"), status.get("health", {}).get("status"))
            return there == (sync, health) and revision in {None, status["sync"].get("revision")}

        try:
            wait_until(is_so, patience=patience, what=f"Application {name} to be {sync} and {health}")
        except TimeoutError as late:
            status = self.application(name).get("status", {})
            shown = {part: status.get(part) for part in ("sync", "health", "conditions", "resources", "operationState")}
            raise TimeoutError(f"{late}; it says {json.dumps(shown, indent=1)[:4000]}") from None
        return self.application(name)["status"]

    def wait_created(self, name: str, *, patience: float = PATIENCE) -> None:
        """Wait until there is an Application of this name, made by another one."""
        wait_until(lambda: self.plane.answers(f"{_APPLICATIONS}/{name}"), patience=patience, what=f"an Application {name}")

    def wait_operation(self, name: str, message: str, *, patience: float = PATIENCE) -> None:
        """Wait until a sync says that it is at this point."""

        def is_so() -> bool:
            return message in self.application(name).get("status", {}).get("operationState", {}).get("message", "")

        wait_until(is_so, patience=patience, what=f"the sync of {name} to say: {message}")

    def says(self, name: str) -> tuple[str, str]:
        """Its sync and health, right now."""
        return _said(self.application(name))

    def says_of_all(self) -> dict[str, tuple[str, str]]:
        """The same of every Application by name, in one look."""
        listed = json.loads(self.plane.login.ask("GET", _APPLICATIONS, timeout=PATIENCE))["items"]
        return {each["metadata"]["name"]: _said(each) for each in listed}

    def syncs(self, name: str) -> list[str]:
        """The commit of each sync so far, oldest first; one that puts back what somebody changed names the same commit again."""
        return [each["revision"] for each in self.application(name)["status"].get("history", ())]

    def health_of(self, application: str, kind: str, name: str) -> Json:
        """What the Application tells of one resource in it: `status` and `message`."""
        tree = json.loads(self._ask_server("GET", f"/api/v1/applications/{application}/resource-tree"))
        return next(node["health"] for node in tree["nodes"] if (node["kind"], node["name"]) == (kind, name))

    def actions_on(self, application: str, resource: Json) -> set[str]:
        """The names of the actions that a person is offered on a resource."""
        answer = json.loads(self._ask_server("GET", f"/api/v1/applications/{application}/resource/actions?{_query(resource)}"))
        return {action["name"] for action in answer.get("actions", ()) if not action.get("disabled")}

    def run_action(self, application: str, resource: Json, action: str) -> None:
        """What a click on it does."""
        self._ask_server("POST", f"/api/v1/applications/{application}/resource/actions/v2", {**_reference(resource), "action": action})

    def reconciles(self) -> dict[str, int]:
        """How often the controller has compared Applications with Git so far, by name of the Application's project and target."""
        text = self._programs.controller_metrics()
        return {match[1]: int(float(match[2])) for match in re.finditer(r"^argocd_app_reconcile_count\{(.*?)\} (\S+)$", text, re.MULTILINE)}

    def _patch(self, name: str, patch: object) -> None:
        self.plane.login.ask("PATCH", f"{_APPLICATIONS}/{name}", body=patch, content_type="application/merge-patch+json")

    def _ask_server(self, method: str, path: str, body: object = None) -> str:
        connection = HTTPConnection(self._programs.server(), timeout=30.0)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiFailed(answer.status, text)
        return text


_APPLICATIONS: Final = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications"


def _said(application: Json) -> tuple[str, str]:
    status = application.get("status", {})
    return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")


def _reference(resource: Json) -> dict[str, str]:
    group, _, version = str(resource["apiVersion"]).rpartition("/")
    metadata = resource["metadata"]
    place = {"namespace": metadata["namespace"], "resourceName": metadata["name"]}
    return {**place, "group": group, "version": version, "kind": resource["kind"]}


def _query(resource: Json) -> str:
    return "&".join(f"{name}={value}" for name, value in _reference(resource).items())
