"""Installing beside or over what kubectl installed, and without any right on cluster-scoped objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.chart import CHART, HelmFailed, Json, Release, helm, remove_crds
from gen.installed import EVERYWHERE, NAMESPACED, RECORDS, SYSTEM
from testbed.plane import Plane

NAMED: Json = {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a", "team-b"]}
WITHOUT_CLUSTER: Json = {
    "rbac": {"mode": "namespaced", "clusterRoles": False},
    "crds": {"install": False},
    "recordsNamespace": {"create": False},
    "watchNamespaces": ["team-a", "team-b"],
}
JANE = "jane"


@pytest.fixture
def kubectl_installed(plane: Plane, request: pytest.FixtureRequest) -> Iterator[Path]:
    """One of the folders of deploy/, applied."""
    folder: Path = request.param
    plane.kubectl("apply", "--server-side", "-k", str(folder))
    yield folder
    plane.kubectl("delete", "-k", str(folder), "--ignore-not-found", "--wait=false")
    remove_crds(plane)
    plane.kubectl("delete", "-k", str(folder), "--ignore-not-found", "--wait=true", "--timeout=120s")


@pytest.mark.parametrize(
    ("kubectl_installed", "values"),
    [(EVERYWHERE, {}), pytest.param(NAMESPACED, NAMED, marks=pytest.mark.slow)],
    indirect=["kubectl_installed"],
)
def test_beside_what_kubectl_installed_it_is_refused_and_over_it_it_is_taken(plane: Plane, kubectl_installed: Path, values: Json) -> None:
    """The namespaced one is slow, and nothing else about it differs much."""
    assert kubectl_installed
    with pytest.raises(HelmFailed, match="Keyturn is installed already, in namespace keyturn-system: two would manage the same ApiKeys"):
        Release(plane, namespace="elsewhere").install(values)
    assert not plane.answers("/api/v1/namespaces/elsewhere")
    release = Release(plane)
    with pytest.raises(HelmFailed, match="invalid ownership metadata"):
        release.install(values)
    release.install(values, "--take-ownership", "--force-conflicts")
    release.run("uninstall", "--wait")
    assert plane.answers(f"/api/v1/namespaces/{RECORDS}")
    assert plane.answers("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apikeys.keyturn.dev")


@pytest.fixture
def jane(plane: Plane) -> Iterator[tuple[str, ...]]:
    """Somebody who may do in four namespaces what the operator needs, and nothing on the cluster: helm's options that make one her."""
    plane.kubectl("apply", "--server-side", "-f", str(EVERYWHERE.parent / "crds"))
    for namespace in (SYSTEM, RECORDS):
        plane.create_namespace(namespace)
    for namespace in (SYSTEM, RECORDS, "team-a", "team-b"):
        plane.kubectl("-n", namespace, "create", "rolebinding", JANE, "--clusterrole=cluster-admin", f"--user={JANE}")
    yield ("--kube-as-user", JANE)
    plane.kubectl("delete", "namespace", SYSTEM, RECORDS, "--wait=true", "--timeout=120s")
    remove_crds(plane)


def test_without_rights_on_the_cluster_one_is_told_what_to_set_and_then_can_install(plane: Plane, jane: tuple[str, ...]) -> None:
    release = Release(plane)
    with pytest.raises(HelmFailed) as refused:
        release.install({}, *jane)
    assert "Set rbac.clusterRoles, crds.install and recordsNamespace.create to false" in str(refused.value)
    assert 'User "jane" cannot get resource "clusterrolebindings"' in str(refused.value)
    assert helm("list", "--namespace", SYSTEM, "--short", kubeconfig=plane.kubeconfig) == ""
    assert plane.kubectl("-n", SYSTEM, "get", "deployments", "-o", "name") == ""
    release.run("install", str(CHART), "--wait", *jane, values=WITHOUT_CLUSTER)
    granted = plane.kubectl("auth", "can-i", "patch", "secrets", "-n", "team-a", f"--as=system:serviceaccount:{SYSTEM}:keyturn-operator")
    assert granted == "yes\n"
    release.run("uninstall", "--wait", *jane)
