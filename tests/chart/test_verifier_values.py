"""Each value of the verifier changes what it says and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from gen.chart import CHART, Json, difference, helm, made, ports, rendered_chart
from gen.installed import RECORDS, SYSTEM, VERIFIER, verifier_settings_of
from keyturn.cli.references.chart_files import VERIFIERS_OWN_VALUES
from keyturn.verifier.issuers import parse_issuers
from keyturn.verifier.service.settings import VerifierSettings

DEPLOYMENT = f"Deployment {SYSTEM}/{VERIFIER}"
SERVICE = f"Service {SYSTEM}/{VERIFIER}"
POD = f"{DEPLOYMENT}: spec.template.spec"
CONTAINER = f"{POD}.containers[0]"
CHECKSUM = f"{DEPLOYMENT}: spec.template.metadata.annotations.checksum/settings"
SELECTOR = {"app.kubernetes.io/name": "keyturn", "app.kubernetes.io/component": "verifier"}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}

SWITCHES: list[tuple[Json, Json]] = [
    ({"replicas": 5}, {f"{DEPLOYMENT}: spec.replicas": 5}),
    ({"serviceAccount": {"create": False}}, {f"ServiceAccount {SYSTEM}/{VERIFIER}": None}),
    ({"serviceAccount": {"annotations": {"cloud": "role"}}}, {f"ServiceAccount {SYSTEM}/{VERIFIER}: metadata.annotations.cloud": "role"}),
    ({"resources": {"limits": {"memory": "1Gi"}}}, {f"{CONTAINER}.resources.limits.memory": "1Gi"}),
    (
        {"snapshotVolume": {"hostPath": {"path": "/var/lib/keyturn"}}},
        {f"{POD}.volumes[0].hostPath.path": "/var/lib/keyturn", f"{POD}.volumes[0].emptyDir.sizeLimit": None},
    ),
    ({"priorityClassName": "system-cluster-critical"}, {f"{POD}.priorityClassName": "system-cluster-critical"}),
    ({"nodeSelector": {"disk": "ssd"}}, {f"{POD}.nodeSelector.disk": "ssd"}),
    (
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
        {f"{POD}.tolerations[0].{k}": v for k, v in (("key", "a"), ("operator", "Exists"))},
    ),
    ({"affinity": {"nodeAffinity": {"x": "y"}}}, {f"{POD}.affinity.nodeAffinity.x": "y"}),
    ({"annotations": {"a": "b"}}, {f"{DEPLOYMENT}: metadata.annotations.a": "b"}),
    ({"podLabels": {"a": "b"}}, {f"{DEPLOYMENT}: spec.template.metadata.labels.a": "b"}),
    ({"podAnnotations": {"a": "b"}}, {f"{DEPLOYMENT}: spec.template.metadata.annotations.a": "b"}),
    ({"extraEnv": [{"name": "A", "value": "b"}]}, {f"{CONTAINER}.env[1].name": "A", f"{CONTAINER}.env[1].value": "b"}),
    ({"podDisruptionBudget": {"enabled": False}}, {f"PodDisruptionBudget {SYSTEM}/{VERIFIER}": None}),
    ({"podDisruptionBudget": {"maxUnavailable": "50%"}}, {f"PodDisruptionBudget {SYSTEM}/{VERIFIER}: spec.maxUnavailable": "50%"}),
    ({"service": {"annotations": {"a": "b"}}}, {f"{SERVICE}: metadata.annotations.a": "b"}),
    ({"service": {"trafficDistribution": "PreferSameZone"}}, {f"{SERVICE}: spec.trafficDistribution": "PreferSameZone"}),
    (
        {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 7, "targetCpuUtilization": 50}},
        {
            f"{DEPLOYMENT}: spec.replicas": None,
            f"HorizontalPodAutoscaler {SYSTEM}/{VERIFIER}": made(
                "HorizontalPodAutoscaler",
                "autoscaling/v2",
                {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": VERIFIER},
                    "minReplicas": 3,
                    "maxReplicas": 7,
                    "metrics": [
                        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
                    ],
                },
                name=VERIFIER,
            ),
        },
    ),
]


@pytest.fixture(scope="module")
def default() -> dict[str, Json]:
    return rendered_chart()


@pytest.mark.parametrize(("values", "changes"), SWITCHES, ids=[json.dumps(values) for values, _ in SWITCHES])
def test_a_value_changes_what_it_says_and_nothing_else(default: dict[str, Json], values: Json, changes: dict[str, Any]) -> None:
    assert difference(default, rendered_chart({"verifier": values})) == changes


def test_two_verifiers_stand_apart_and_a_drain_takes_one_of_them(default: dict[str, Json]) -> None:
    """What stands between a node's end and every request's; test_kustomize.py holds deploy/ to the same."""
    spec = default[DEPLOYMENT]["spec"]
    assert spec["replicas"] == 2
    assert spec["selector"] == {"matchLabels": SELECTOR}
    assert spec["template"]["metadata"]["labels"].items() >= SELECTOR.items()
    apart = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": SELECTOR}}
    places = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    assert spec["template"]["spec"]["topologySpreadConstraints"] == [{**apart, "topologyKey": place} for place in places]
    budget = default[f"PodDisruptionBudget {SYSTEM}/{VERIFIER}"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": SELECTOR}}


def test_only_pods_in_namespaces_labelled_for_gateways_may_ask_and_everybody_may_scrape() -> None:
    policy = rendered_chart({"networkPolicy": {"enabled": True}})[f"NetworkPolicy {SYSTEM}/{VERIFIER}"]["spec"]
    gateways = [{"namespaceSelector": {"matchLabels": {"keyturn.dev/gateway": "true"}}}]
    assert policy["podSelector"] == {"matchLabels": SELECTOR}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{**ports(("TCP", "http"), ("TCP", "grpc")), "from": gateways}, ports(("TCP", "probes"))]


def test_without_the_verifier_nothing_of_it_is_there(default: dict[str, Json]) -> None:
    everything: Json = {"networkPolicy": {"enabled": True}, "metrics": {"podMonitor": {"enabled": True}}}
    off = {"enabled": False, "autoscaling": {"enabled": True}}
    changes = difference(default, rendered_chart({"verifier": off}))
    assert changes == dict.fromkeys([name for name in default if f"/{VERIFIER}" in name])
    assert len(changes) == 10
    assert not any(f"/{VERIFIER}" in name for name in rendered_chart({**everything, "verifier": off}))


def test_the_service_account_has_one_name_everywhere(default: dict[str, Json]) -> None:
    changes = difference(default, rendered_chart({"verifier": {"serviceAccount": {"name": "robot"}}}))
    assert changes.pop(f"ServiceAccount {SYSTEM}/{VERIFIER}") is None
    assert changes.pop(f"ServiceAccount {SYSTEM}/robot")["metadata"]["name"] == "robot"
    bindings = {f"RoleBinding {namespace}/{VERIFIER}: subjects[0].name": "robot" for namespace in (SYSTEM, RECORDS)}
    assert changes == {f"{POD}.serviceAccountName": "robot", **bindings}


def test_a_setting_reaches_the_verifier_and_restarts_it(default: dict[str, Json]) -> None:
    after = rendered_chart({"verifier": {"settings": {"trustedHops": 2, "keyHeaders": "x-our-key"}}})
    changes = difference(default, after)
    assert changes.pop(CHECKSUM) != default[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
    assert changes.keys() == {f"ConfigMap {SYSTEM}/{VERIFIER}-settings: data.KEYTURN_{each}" for each in ("TRUSTED_HOPS", "KEY_HEADERS")}
    before = verifier_settings_of(default.values())
    assert verifier_settings_of(after.values()) == before.model_copy(update={"trusted_hops": 2, "key_headers": "x-our-key"})


def test_every_setting_of_the_verifier_can_be_set(default: dict[str, Json]) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["verifier"]["properties"]["settings"]["properties"]
    settings = verifier_settings_of(
        rendered_chart({"verifier": {"settings": {name: it["default"] for name, it in schema.items()}}}).values()
    )
    assert settings == verifier_settings_of(default.values()).model_copy(update={"log_format": VerifierSettings().log_format})
    known = {re.sub("([A-Z])", r"_\1", name).lower() for name in schema}
    assert (known | VERIFIERS_OWN_VALUES, known & VERIFIERS_OWN_VALUES) == (set(VerifierSettings.model_fields), set())


def test_a_spread_has_the_selector_that_it_brings_or_the_verifiers() -> None:
    own = {"matchLabels": {"a": "b"}}
    after = rendered_chart({"verifier": {"topologySpreadConstraints": [SPREAD, {**SPREAD, "labelSelector": own}]}})
    spread = after[DEPLOYMENT]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread == [{**SPREAD, "labelSelector": {"matchLabels": SELECTOR}}, {**SPREAD, "labelSelector": own}]


def test_the_network_policy_lets_in_the_gateways_that_are_named_and_out_where_it_must() -> None:
    issuer = {**ports(("TCP", 8443)), "to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}]}
    values: Json = {"enabled": True, "gatewaysFrom": [{"podSelector": {}}], "verifierEgress": [issuer]}
    policy = rendered_chart({"networkPolicy": values})[f"NetworkPolicy {SYSTEM}/{VERIFIER}"]["spec"]
    assert policy["ingress"][0]["from"] == [{"podSelector": {}}]
    assert policy["egress"][-1] == issuer


def test_tls_and_the_gateways_ca_are_mounted_and_named_in_the_settings(default: dict[str, Json]) -> None:
    after = rendered_chart({"verifier": {"tls": {"secretName": "verifier-tls", "gatewayCaSecretName": "gateways-ca"}}})
    settings = verifier_settings_of(after.values())
    files = (settings.tls_certificate, settings.tls_key, settings.gateway_ca)
    assert files == ("/etc/keyturn/tls/tls.crt", "/etc/keyturn/tls/tls.key", "/etc/keyturn/gateway-ca/ca.crt")
    pod = after[DEPLOYMENT]["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    assert (mounts["tls"], mounts["gateway-ca"]) == ("/etc/keyturn/tls", "/etc/keyturn/gateway-ca")
    secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert secrets == {"tls": "verifier-tls", "gateway-ca": "gateways-ca"}
    protocols = {name: [port.get("appProtocol") for port in after[name]["spec"]["ports"]] for name in (SERVICE, f"{SERVICE}-pods")}
    assert protocols == {SERVICE: ["https", "https", None], f"{SERVICE}-pods": ["https", "https"]}
    assert [port.get("appProtocol") for port in default[SERVICE]["spec"]["ports"]] == ["http", "kubernetes.io/h2c", None]


def test_issuers_are_a_file_that_the_verifier_can_read_and_a_change_restarts_it() -> None:
    issuer = {"name": "corp", "issuer": "https://id.example.com", "audiences": ["https://api.example.com"]}
    after = rendered_chart({"verifier": {"issuers": [issuer]}})
    (read,) = parse_issuers(yaml.safe_load(after[f"ConfigMap {SYSTEM}/{VERIFIER}-issuers"]["data"]["issuers.yaml"]))
    assert (read.name, read.issuer, read.audiences) == ("corp", "https://id.example.com", ("https://api.example.com",))
    mounts = {each["name"]: each["mountPath"] for each in after[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert f"{mounts['issuers']}/issuers.yaml" == verifier_settings_of(after.values()).issuers
    other = rendered_chart({"verifier": {"issuers": [{**issuer, "name": "other"}]}})
    assert f"{DEPLOYMENT}: spec.template.metadata.annotations.checksum/issuers" in difference(after, other)


def test_the_notes_say_how_to_ask_or_that_there_is_nobody_to_ask() -> None:
    def notes(values: Json) -> str:
        return helm("install", "keyturn", str(CHART), "--namespace", SYSTEM, "--dry-run=client", values=values)

    assert f"http://{VERIFIER}.{SYSTEM}:8080/verify" in notes({})
    assert """go-template='{{index .data "api-key" | base64decode}}')""" in notes({})
    assert f"https://{VERIFIER}.{SYSTEM}:8080/verify" in notes({"verifier": {"tls": {"secretName": "verifier-tls"}}})
    assert "The verifier is NOT installed" in notes({"verifier": {"enabled": False}})
