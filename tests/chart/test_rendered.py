"""Each value of the chart changes what it says and nothing else. What the chart makes by itself: test_kustomize.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from gen.chart import (
    CHART,
    CURRENT,
    MADE_BY_HELM,
    HelmFailed,
    Json,
    difference,
    helm,
    made,
    ports,
    rendered_chart,
    rendered_text,
)
from gen.installed import SYSTEM, settings_of
from keyturn.base.settings import Settings

OPERATOR = f"Deployment {SYSTEM}/keyturn-operator"
VERIFIER = f"Deployment {SYSTEM}/keyturn-verifier"
CHECKSUM = f"{OPERATOR}: spec.template.metadata.annotations.checksum/settings"
SETTINGS = f"ConfigMap {SYSTEM}/keyturn-settings"
POD = f"{OPERATOR}: spec.template.spec"
CONTAINER = f"{POD}.containers[0]"
PODS = (POD, f"{VERIFIER}: spec.template.spec")
SELECTOR = {"app.kubernetes.io/name": "keyturn", "app.kubernetes.io/component": "operator"}
OF_THE_OPERATOR = {
    *("keyturn-operator-secrets", "keyturn-operator-workloads", "keyturn-operator-objects"),
    *("keyturn-reserved-types", "keyturn-records"),
}
"""The policies that tell the operator from others."""
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}


DNS = ports(("UDP", 53), ("TCP", 53))
MONITOR = "monitoring.coreos.com/v1"
SCRAPED = {"matchLabels": {"app.kubernetes.io/name": "keyturn", "app.kubernetes.io/instance": "keyturn"}}


def in_both(place: str, value: object) -> Json:
    """The same in the pods of operator and verifier."""
    return {f"{pod}.{place}": value for pod in PODS}


def watched(component: str) -> Json:
    """A PodMonitor."""
    spec = {
        "selector": {"matchLabels": {**SELECTOR, "app.kubernetes.io/component": component}},
        "podMetricsEndpoints": [{"port": "probes", "interval": "1m"}],
    }
    return made("PodMonitor", MONITOR, spec, name=f"keyturn-{component}", labels={"a": "b"})


def shielded(component: str, *ingress: Json) -> Json:
    """A NetworkPolicy."""
    spec = {
        "podSelector": {"matchLabels": {**SELECTOR, "app.kubernetes.io/component": component}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [*ingress, {**ports(("TCP", "probes")), "from": [{"podSelector": {}}]}],
        "egress": [DNS, {**ports(("TCP", 443)), "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}],
    }
    return made("NetworkPolicy", "networking.k8s.io/v1", spec, name=f"keyturn-{component}")


FROM_GATEWAYS = {
    **ports(("TCP", "http"), ("TCP", "grpc")),
    "from": [{"namespaceSelector": {"matchLabels": {"keyturn.dev/gateway": "true"}}}],
}

SWITCHES: list[tuple[Json, Json]] = [
    ({"image": {"repository": "r.example/keyturn"}}, in_both("containers[0].image", f"r.example/keyturn:{CURRENT}")),
    ({"image": {"tag": "7"}}, in_both("containers[0].image", "keyturn:7")),
    ({"image": {"tag": "7", "digest": "sha256:" + "0" * 64}}, in_both("containers[0].image", "keyturn@sha256:" + "0" * 64)),
    ({"image": {"pullPolicy": "Always"}}, in_both("containers[0].imagePullPolicy", "Always")),
    ({"imagePullSecrets": [{"name": "regcred"}]}, in_both("imagePullSecrets[0].name", "regcred")),
    (
        {"recordsNamespace": {"create": False}},
        {"Namespace keyturn-verifiers": None, "ResourceQuota keyturn-verifiers/keyturn-no-pods": None},
    ),
    (
        {"crds": {"install": False}},
        {f"CustomResourceDefinition {name}.keyturn.dev": None for name in ("apikeys", "apiproducts", "apikeyrevocations")},
    ),
    ({"rbac": {"aggregateToDefaultRoles": False}}, {"ClusterRole keyturn-view": None, "ClusterRole keyturn-edit": None}),
    ({"serviceAccount": {"create": False}}, {f"ServiceAccount {SYSTEM}/keyturn-operator": None}),
    (
        {"serviceAccount": {"annotations": {"cloud": "role"}}},
        {f"ServiceAccount {SYSTEM}/keyturn-operator: metadata.annotations.cloud": "role"},
    ),
    ({"operator": {"replicas": 1}}, {f"{OPERATOR}: spec.replicas": 1}),
    ({"operator": {"resources": {"limits": {"memory": "1Gi"}}}}, {f"{CONTAINER}.resources.limits.memory": "1Gi"}),
    ({"operator": {"priorityClassName": "system-cluster-critical"}}, {f"{POD}.priorityClassName": "system-cluster-critical"}),
    ({"operator": {"nodeSelector": {"disk": "ssd"}}}, {f"{POD}.nodeSelector.disk": "ssd"}),
    (
        {"operator": {"tolerations": [{"key": "a", "operator": "Exists"}]}},
        {f"{POD}.tolerations[0].{k}": v for k, v in (("key", "a"), ("operator", "Exists"))},
    ),
    ({"operator": {"affinity": {"nodeAffinity": {"x": "y"}}}}, {f"{POD}.affinity.nodeAffinity.x": "y"}),
    ({"operator": {"annotations": {"a": "b"}}}, {f"{OPERATOR}: metadata.annotations.a": "b"}),
    ({"operator": {"podLabels": {"a": "b"}}}, {f"{OPERATOR}: spec.template.metadata.labels.a": "b"}),
    ({"operator": {"podAnnotations": {"a": "b"}}}, {f"{OPERATOR}: spec.template.metadata.annotations.a": "b"}),
    ({"operator": {"extraEnv": [{"name": "A", "value": "b"}]}}, {f"{CONTAINER}.env[1].name": "A", f"{CONTAINER}.env[1].value": "b"}),
    ({"operator": {"podDisruptionBudget": {"enabled": False}}}, {f"PodDisruptionBudget {SYSTEM}/keyturn-operator": None}),
    (
        {"operator": {"podDisruptionBudget": {"maxUnavailable": "50%"}}},
        {f"PodDisruptionBudget {SYSTEM}/keyturn-operator: spec.maxUnavailable": "50%"},
    ),
    ({"metrics": {"service": {"enabled": False}}}, {f"Service {SYSTEM}/keyturn-operator": None}),
    ({"metrics": {"service": {"annotations": {"a": "b"}}}}, {f"Service {SYSTEM}/keyturn-operator: metadata.annotations.a": "b"}),
    (
        {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}, "interval": "30s"}}},
        {
            f"ServiceMonitor {SYSTEM}/keyturn-operator": made(
                "ServiceMonitor", MONITOR, {"selector": SCRAPED, "endpoints": [{"port": "metrics", "interval": "30s"}]}, labels={"a": "b"}
            )
        },
    ),
    (
        {"metrics": {"podMonitor": {"enabled": True, "labels": {"a": "b"}, "interval": "1m"}}},
        {f"PodMonitor {SYSTEM}/keyturn-{component}": watched(component) for component in ("operator", "verifier")},
    ),
    (
        {"networkPolicy": {"enabled": True, "metricsFrom": [{"podSelector": {}}], "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [443]}}},
        {
            f"NetworkPolicy {SYSTEM}/keyturn-operator": shielded("operator"),
            f"NetworkPolicy {SYSTEM}/keyturn-verifier": shielded("verifier", FROM_GATEWAYS),
        },
    ),
]


@pytest.fixture(scope="module")
def default() -> dict[str, Json]:
    return rendered_chart()


@pytest.mark.parametrize(("values", "expected"), SWITCHES, ids=[json.dumps(values) for values, _ in SWITCHES])
def test_a_value_changes_what_it_says_and_nothing_else(default: dict[str, Json], values: Json, expected: Json) -> None:
    assert difference(default, rendered_chart(values)) == expected


def test_the_service_account_has_one_name_everywhere(default: dict[str, Json]) -> None:
    changes = difference(default, rendered_chart({"serviceAccount": {"name": "robot"}}))
    account = f"ServiceAccount {SYSTEM}/"
    assert changes.pop(account + "keyturn-operator") is None
    assert changes.pop(account + "robot")["metadata"]["name"] == "robot"
    bindings = [name for name in default if "RoleBinding" in name and "keyturn-operator" in name]
    policies = {name for name in changes if name.startswith("ValidatingAdmissionPolicy ")}
    assert {name.partition(":")[0].split()[1] for name in policies} == OF_THE_OPERATOR, "test_policies.py looks into them"
    rest = {name: value for name, value in changes.items() if name not in policies}
    assert rest == {f"{POD}.serviceAccountName": "robot", **{f"{name}: subjects[0].name": "robot" for name in bindings}}


def test_a_common_label_is_on_every_object_and_pod(default: dict[str, Json]) -> None:
    changes = difference(default, rendered_chart({"commonLabels": {"team": "a"}}))
    pods = {f"{deployment}: spec.template.metadata.labels.team": "a" for deployment in (OPERATOR, VERIFIER)}
    assert changes == {f"{name}: metadata.labels.team": "a" for name in default} | pods


def test_a_setting_reaches_the_operator_and_restarts_it(default: dict[str, Json]) -> None:
    settings = {"rotationInterval": "720h", "rotationBurst": 3_000_000, "rotationRate": 0.5, "logFormat": "console"}
    after = rendered_chart({"settings": settings})
    changes = difference(default, after)
    assert changes.pop(CHECKSUM) != default[OPERATOR]["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
    assert changes.keys() == {
        f"{SETTINGS}: data.KEYTURN_{each}" for each in ("ROTATION_INTERVAL", "ROTATION_BURST", "ROTATION_RATE", "LOG_FORMAT")
    }
    wanted = {"rotation_interval": "720h", "rotation_burst": 3_000_000, "rotation_rate": 0.5, "log_format": "console"}
    before = settings_of(default.values()).model_dump(mode="json")
    assert settings_of(after.values()) == Settings.model_validate({**before, **wanted})


def test_every_setting_of_the_operator_can_be_set() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    values = {name: field["default"] for name, field in schema.items()}
    settings = settings_of(rendered_chart({"settings": values}).values())
    assert settings.model_dump(mode="json") == {**Settings().model_dump(mode="json"), "probe_address": "0.0.0.0:8080"}
    own = {"namespace", "recordsNamespace", "watchNamespaces", "rootSecret", "probeAddress", "secretAccess", "admissionPolicies"}
    assert {re.sub("([A-Z])", r"_\1", name).lower() for name in {*schema, *own}} == set(Settings.model_fields)


def test_a_spread_has_the_selector_that_it_brings_or_the_operators() -> None:
    own = {"matchLabels": {"a": "b"}}
    after = rendered_chart({"operator": {"topologySpreadConstraints": [SPREAD, {**SPREAD, "labelSelector": own}]}})
    spread = after[OPERATOR]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread == [
        {**SPREAD, "labelSelector": {"matchLabels": SELECTOR}},
        {**SPREAD, "labelSelector": own},
    ]


def test_pods_need_not_be_spread() -> None:
    pod = rendered_chart({"operator": {"topologySpreadConstraints": []}})[OPERATOR]["spec"]["template"]["spec"]
    assert "topologySpreadConstraints" not in pod


def test_alerts_are_the_file_word_for_word(default: dict[str, Json]) -> None:
    changes = difference(default, rendered_chart({"metrics": {"prometheusRule": {"enabled": True, "labels": {"a": "b"}}}}))
    spec = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    expected = made("PrometheusRule", MONITOR, spec, labels={"a": "b"})
    expected["metadata"]["name"] = "keyturn"
    assert changes == {f"PrometheusRule {SYSTEM}/keyturn": expected}


def test_every_dashboard_is_a_configmap_with_the_file_word_for_word(default: dict[str, Json]) -> None:
    values = {"enabled": True, "labels": {"grafana_dashboard": "yes"}, "annotations": {"folder": "Keys"}}
    changes = difference(default, rendered_chart({"metrics": {"dashboards": values}}))
    expected: dict[str, Any] = {}
    for file in sorted((CHART / "files" / "dashboards").glob("*.json")):
        name = f"keyturn-dashboard-{file.stem}"
        labels = {**MADE_BY_HELM, "grafana_dashboard": "yes"}
        metadata = {"name": name, "namespace": SYSTEM, "labels": labels, "annotations": {"folder": "Keys"}}
        expected[f"ConfigMap {SYSTEM}/{name}"] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {file.name: file.read_text()},
        }
    assert changes == expected


def test_crds_are_those_of_the_project_and_stay_when_helm_uninstalls(default: dict[str, Json]) -> None:
    for file in (CHART.parents[1] / "crds").glob("*.yaml"):
        crd = yaml.safe_load(file.read_text())
        made_by_helm = default[f"CustomResourceDefinition {crd['metadata']['name']}"]
        assert made_by_helm == {**crd, "metadata": {**crd["metadata"], "labels": {**MADE_BY_HELM, **crd["metadata"]["labels"]}}}
        assert made_by_helm["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_only_secret_that_the_chart_makes_is_empty() -> None:
    everything = {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}, "serviceMonitor": {"enabled": True}}
    objects = rendered_chart({"metrics": everything, "networkPolicy": {"enabled": True}, "rootSecret": {"existingSecret": "our-root"}})
    (canary,) = [each for each in objects.values() if each["kind"] == "Secret"]
    assert set(canary) == {"apiVersion", "kind", "metadata", "type"}
    assert "randAlpha" not in "".join(file.read_text() for file in (CHART / "templates").iterdir())


def test_the_notes_say_so_where_the_crds_are_missing() -> None:
    dry_run = ("install", "keyturn", str(CHART), "--namespace", SYSTEM, "--dry-run=client")
    said = "The CustomResourceDefinitions are NOT installed"
    assert said in helm(*dry_run, values={"crds": {"install": False}})
    assert said not in helm(*dry_run, values={})


def test_the_notes_say_what_the_operator_may_read() -> None:
    def notes(values: Json) -> str:
        return helm("install", "keyturn", str(CHART), "--namespace", SYSTEM, "--dry-run=client", values=values)

    assert "right to READ" not in notes({})
    assert "READ every Secret of the cluster. With rbac.mode guarded it has not." in notes({"rbac": {"mode": "watch"}})
    named = {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a"]}
    assert "right to READ" not in notes(named)
    assert "READ every Secret of these namespaces. It has not where" in notes({**named, "policies": {"enabled": False}})


def test_the_same_values_give_the_same_bytes() -> None:
    values = {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}, "commonLabels": {"b": "1", "a": "2"}}
    assert rendered_text(values) == rendered_text(values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a"]},
        {"metrics": {"podMonitor": {"enabled": True}, "dashboards": {"enabled": True}}, "networkPolicy": {"enabled": True}},
    ],
    ids=["defaults", "namespaced", "monitoring"],
)
def test_helm_lint_has_nothing_to_say(values: Json) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), values=values)


def test_an_older_kubernetes_is_refused() -> None:
    assert "0 chart(s) failed" in helm("lint", "--kube-version", "1.33.0", str(CHART))
    helm("template", str(CHART), "--kube-version", "v1.33.0-gke.100")
    with pytest.raises(HelmFailed, match=r"kubeVersion: >=1.33.0-0 which is incompatible with Kubernetes v1.32.9"):
        helm("template", str(CHART), "--kube-version", "1.32.9")
