"""What would end badly is refused in words, before anything is on the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gen.chart import CURRENT, HelmFailed, Json, Release
from gen.installed import SYSTEM
from gen.operator_process import unique_name
from gen.team import Api
from testbed.cluster import Cluster, wait_until
from testbed.plane import Plane

VERSION_LABEL = "app.kubernetes.io/version"
NAMED: Json = {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a", "team-b"]}


@pytest.fixture(scope="module")
def installed(release: Release) -> Release:
    release.install()
    return release


@pytest.fixture
def other(plane: Plane) -> Release:
    """A release in a namespace that does not exist yet."""
    return Release(plane, name="second", namespace=unique_name("other"))


def refusal(release: Release, values: Json | None = None, *options: str) -> str:
    """The complaint about an install; the namespace it would have made is not there."""
    with pytest.raises(HelmFailed) as refused:
        release.install(values, *options)
    assert not release.cluster.answers(f"/api/v1/namespaces/{release.namespace}"), "refused before anything was made"
    return str(refused.value)


class CrdVersion:
    """The version that the CRD on the cluster tells."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def set(self, version: str) -> None:
        self.cluster.kubectl("label", "crd", "apikeys.keyturn.dev", f"{VERSION_LABEL}={version}", "--overwrite", "--field-manager=helm")

    def get(self) -> str:
        crd = json.loads(self.cluster.kubectl("get", "crd", "apikeys.keyturn.dev", "-o", "json"))
        return crd["metadata"]["labels"][VERSION_LABEL]


@pytest.fixture
def crd_version(installed: Release) -> Iterator[CrdVersion]:
    version = CrdVersion(installed.cluster)
    yield version
    version.set(CURRENT)
    installed.upgrade({}, "--force-conflicts")


def test_a_second_installation_is_refused(installed: Release, other: Release) -> None:
    said = "Keyturn is installed already, as release keyturn in namespace keyturn-system: two would manage the same ApiKeys"
    assert said in refusal(other)
    assert said in refusal(other, NAMED)
    assert said in refusal(other, {"recordsNamespace": {"name": "elsewhere"}, "crds": {"install": False}})
    with pytest.raises(HelmFailed, match=r"Upgrade that one \(helm upgrade keyturn -n keyturn-system"):
        Release(installed.cluster, name="second").install()


def test_a_downgrade_of_the_crds_is_refused(installed: Release, crd_version: CrdVersion) -> None:
    crd_version.set("9.0.0")
    with pytest.raises(
        HelmFailed, match=rf"apikeys.keyturn.dev on this cluster is of version 9.0.0, newer than this chart's \({CURRENT}\)"
    ):
        installed.upgrade()
    installed.upgrade({"crds": {"install": False}})
    assert crd_version.get() == "9.0.0"


def test_older_crds_are_upgraded_or_asked_for(installed: Release, crd_version: CrdVersion) -> None:
    crd_version.set("0.0.1")
    with pytest.raises(HelmFailed, match=r"is of version 0.0.1, older than this chart .*kubectl apply --server-side -f crds/"):
        installed.upgrade({"crds": {"install": False}})
    installed.upgrade({}, "--force-conflicts")
    assert crd_version.get() == CURRENT


def test_records_do_not_move(installed: Release) -> None:
    with pytest.raises(
        HelmFailed, match=r"recordsNamespace.name is elsewhere, and the records of this installation are in keyturn-verifiers"
    ):
        installed.upgrade({"recordsNamespace": {"name": "elsewhere"}})


def test_a_namespace_that_is_not_there_is_named(installed: Release) -> None:
    with pytest.raises(HelmFailed, match="Namespace team-z does not exist: kubectl create namespace team-z"):
        installed.upgrade({"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a", "team-z"]})


def test_monitors_need_the_prometheus_operator_and_nothing_is_changed_without(installed: Release, api: Api) -> None:
    before = api.ask("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/keyturn-settings")
    with pytest.raises(HelmFailed, match=r'no matches for kind "PodMonitor".*\nensure CRDs are installed first'):
        installed.upgrade({"metrics": {"podMonitor": {"enabled": True}}, "settings": {"rotationInterval": "1h"}})
    assert api.ask("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/keyturn-settings") == before


def test_another_groups_short_name_is_no_hindrance(installed: Release, plane: Plane) -> None:
    """kubectl then takes `apikeys` and `akey` for whichever group comes first, so all that we tell people to type is the full name."""
    plane.kubectl("apply", "-f", "-", input=json.dumps(foreign_crd()))
    wait_until(lambda: plane.answers("/apis/example.com/v1/apikeys"), patience=20.0, what="the other group's resource")
    notes = installed.upgrade()
    (line,) = [line.split() for line in notes.splitlines() if "get api" in line]
    assert line == ["kubectl", "-n", "default", "get", "apikeys.keyturn.dev", "billing"]
    applied = notes.partition("kubectl apply -f - <<EOF\n")[2].partition("EOF")[0]
    plane.kubectl("apply", "-f", "-", input=applied)
    assert plane.kubectl("-n", "default", "get", "apikeys.keyturn.dev", "billing", "-o", "name") == "apikey.keyturn.dev/billing\n"
    plane.kubectl("delete", "crd", "apikeys.example.com")
    plane.kubectl("delete", "-n", "default", "apikeys.keyturn.dev", "billing")


def foreign_crd() -> Json:
    names = {"kind": "ApiKey", "plural": "apikeys", "singular": "apikey", "shortNames": ["akey"]}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "apikeys.example.com"}, "spec": spec}


def test_the_notes_say_what_to_back_up(installed: Release) -> None:
    assert "Back up Secret keyturn-root" in installed.upgrade()
