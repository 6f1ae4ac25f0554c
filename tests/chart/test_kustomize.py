"""The chart and deploy/ make the same objects, but for what is listed here."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from gen.chart import Json, by_name, difference, rendered_chart
from gen.installed import (
    ACCOUNT,
    DEPLOY,
    EVERYWHERE,
    NAMESPACED,
    SYSTEM,
    VERIFIER,
    WATCHING,
    granted_rights,
    settings_of,
    verifier_settings_of,
)
from keyturn.controller.rights import argo_rights, fence_rights, needed_rights
from keyturn.verifier.service import rights
from testbed.binaries import program

WATCH: Json = {"rbac": {"mode": "watch"}}
NAMED: Json = {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a", "team-b"]}
NAMED_WITHOUT_FENCE: Json = {**NAMED, "policies": {"enabled": False}}
WITHOUT_CLUSTER: Json = {
    "rbac": {"mode": "namespaced", "clusterRoles": False},
    "crds": {"install": False},
    "recordsNamespace": {"create": False},
    "watchNamespaces": ["team-a", "team-b"],
}
IDS = ["guarded", "watch", "namespaced", "namespaced without a fence", "without cluster rights"]

MADE_BY_CREATE_NAMESPACE = "Namespace keyturn-system"
"""`helm install --create-namespace` makes it: a release cannot hold the namespace that it is kept in."""
MADE_BY_EVERY_CLUSTER = "ServiceAccount keyturn-verifiers/default"
"""Helm would own it, delete it with the release, and find it again as somebody else's. `kubectl apply` takes it as it finds it."""
HELMS_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/version")
RESTARTS_PODS = "checksum/settings"
"""Where kustomize gives the ConfigMap a name made from its content, which is cut off here."""


def kustomized(folder: Path) -> dict[str, Json]:
    text = subprocess.run([program("kubectl"), "kustomize", folder], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\b(keyturn(?:-verifier)?-settings)-[a-z0-9]{10}\b", r"\1", text)
    return comparable(yaml.safe_load_all(text))


def comparable(objects: Iterable[Json]) -> dict[str, Json]:
    named = by_name(objects)
    for name in (MADE_BY_CREATE_NAMESPACE, MADE_BY_EVERY_CLUSTER):
        named.pop(name, None)
    for each in named.values():
        for label in HELMS_LABELS:
            each["metadata"].get("labels", {}).pop(label, None)
    for deployment in (ACCOUNT, VERIFIER):
        metadata = named[f"Deployment {SYSTEM}/{deployment}"]["spec"]["template"]["metadata"]
        if metadata.get("annotations", {}).keys() == {RESTARTS_PODS}:
            del metadata["annotations"]
    return named


def overlay(tmp_path: Path, *components: Path) -> Path:
    entry = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(EVERYWHERE, tmp_path.resolve())],
        "components": [os.path.relpath(each, tmp_path.resolve()) for each in components],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(entry))
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "values"), [(EVERYWHERE, {}), (WATCHING, WATCH), (NAMESPACED, NAMED)], ids=["guarded", "watch", "namespaced"]
)
def test_chart_and_kustomize_make_the_same_objects(folder: Path, values: Json) -> None:
    assert difference(kustomized(folder), comparable(rendered_chart(values).values())) == {}


def test_the_network_policy_is_the_same_too(tmp_path: Path) -> None:
    chart = comparable(rendered_chart({"networkPolicy": {"enabled": True}}).values())
    assert difference(kustomized(overlay(tmp_path, DEPLOY / "network-policy")), chart) == {}


@pytest.mark.parametrize("values", [{}, WATCH, NAMED, NAMED_WITHOUT_FENCE, WITHOUT_CLUSTER], ids=IDS)
def test_what_is_granted_is_exactly_what_the_operator_asks_for(values: Json) -> None:
    objects = list(rendered_chart(values).values())
    settings = settings_of(objects)
    assert granted_rights(objects) == {*needed_rights(settings), *fence_rights(settings), *argo_rights(settings)}


def test_another_root_secret_is_named_in_the_rights_and_in_the_settings() -> None:
    objects = list(rendered_chart({"rootSecret": {"existingSecret": "our-root"}}).values())
    settings = settings_of(objects)
    assert settings.root_secret == "our-root"
    assert granted_rights(objects) == {*needed_rights(settings), *fence_rights(settings), *argo_rights(settings)}


@pytest.mark.parametrize("values", [{}, WATCH, NAMED, NAMED_WITHOUT_FENCE, WITHOUT_CLUSTER], ids=IDS)
def test_what_is_granted_is_exactly_what_the_verifier_asks_for(values: Json) -> None:
    objects = list(rendered_chart(values).values())
    assert granted_rights(objects, account=VERIFIER) == set(rights.needed_rights(verifier_settings_of(objects)))
