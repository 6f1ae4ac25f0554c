"""Mistakes in the values are refused with their name, before anything happens; every value is documented and used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import reduce

import pytest
import yaml

from gen.chart import CHART, HelmFailed, Json, rendered_chart
from keyturn.cli.references.chart_files import ValuePath, value_comments, with_version

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = frozenset(
    {
        "global",
        "snapshotVolume",
        "issuers",
        "nodeAffinity",
        "podAffinity",
        "podAntiAffinity",
        "configMapKeyRef",
        "secretKeyRef",
        "fieldRef",
        "resourceFieldRef",
    }
)
"""Whose inside is Kubernetes' own, which checks it, or another chart's."""


def places(values: Json, above: ValuePath = ()) -> Iterator[ValuePath]:
    """Where values stand: what has no comment of its own is gone into."""
    for name, value in values.items():
        path = (*above, name)
        if isinstance(value, dict) and path not in value_comments(VALUES):
            yield from places(value, path)
        else:
            yield path


def schema_of(path: ValuePath) -> Json:
    return reduce(lambda part, name: part["properties"][name], path, SCHEMA)


PLACES = list(places(yaml.safe_load(VALUES)))


@pytest.mark.parametrize("path", PLACES, ids=".".join)
def test_a_value_is_documented_and_its_schema_says_the_same(path: ValuePath) -> None:
    comment = value_comments(VALUES)[path]
    assert comment
    assert schema_of(path)["description"] == comment


@pytest.mark.parametrize("path", PLACES, ids=".".join)
def test_a_value_is_used_by_a_template(path: ValuePath) -> None:
    templates = "\n".join(file.read_text() for file in (CHART / "templates").iterdir())
    assert re.search(rf"\.{path[-1]}\b", templates) or path[0] == "settings"


def test_every_typo_is_named_and_all_at_once() -> None:
    values: Json = {}
    for path in PLACES:
        reduce(lambda part, name: part.setdefault(name, {}), path[:-1], values)[path[-1] + "x"] = "y"
    with pytest.raises(HelmFailed) as refused:
        rendered_chart(values)
    for path in PLACES:
        where = "".join(f"/{name}" for name in path[:-1])
        (complaint,) = re.findall(rf"at '{where}': additional properties (.*) not allowed", str(refused.value))
        assert f"'{path[-1]}x'" in complaint


def objects_of(schema: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema of a mapping in the schema, with the name it stands under."""
    if schema.get("type") == "object":
        yield name, schema
    for below, each in schema.get("properties", {}).items():
        yield from objects_of(each, below)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from objects_of(schema[key], name)


def test_every_mapping_says_what_may_stand_in_it() -> None:
    found = list(objects_of(SCHEMA))
    assert [name for name, schema in found if "additionalProperties" not in schema and name not in FREE] == []
    assert {name for name, schema in found if "additionalProperties" not in schema} == FREE


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"settings": {"rotationIntervall": "1h"}}, "at '/settings': additional properties 'rotationIntervall' not allowed"),
        ({"settings": {"rotationInterval": "90d"}}, "at '/settings/rotationInterval': '90d' does not match pattern"),
        ({"settings": {"rotationInterval": 720}}, "at '/settings/rotationInterval': got number, want string"),
        ({"settings": {"workers": 0}}, "at '/settings/workers': minimum: got 0, want 1"),
        ({"settings": {"logFormat": "yaml"}}, "at '/settings/logFormat': value must be one of 'console', 'json'"),
        ({"settings": {"probeAddress": "0.0.0.0:80"}}, "at '/settings': additional properties 'probeAddress' not allowed"),
        ({"watchNamespaces": "team-a,team-b"}, "at '/watchNamespaces': got string, want array"),
        ({"watchNamespaces": ["Team"]}, "at '/watchNamespaces/0': 'Team' does not match pattern"),
        ({"rbac": {"mode": "cluster"}}, "at '/rbac/mode': value must be one of 'guarded', 'watch', 'namespaced'"),
        ({"operator": {"replicas": "2"}}, "at '/operator/replicas': got string, want integer"),
        ({"operator": {"extraEnv": [{"name": "KEYTURN_LOG_LEVEL", "value": "debug"}]}}, "at '/operator/extraEnv/0/name': 'not' failed"),
        (
            {"operator": {"podLabels": {"app.kubernetes.io/name": "x"}}},
            "at '/operator/podLabels/app.kubernetes.io~1name': false schema",
        ),
        ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
        ({"verifier": {"settings": {"trustedHops": 0}}}, "at '/verifier/settings/trustedHops': minimum: got 0, want 1"),
        (
            {"verifier": {"settings": {"listenAddress": "0.0.0.0:80"}}},
            "at '/verifier/settings': additional properties 'listenAddress' not allowed",
        ),
        (
            {"verifier": {"tls": {"gatewayCaSecretName": "gateways"}}},
            "verifier.tls.gatewayCaSecretName asks gateways for a certificate, which needs TLS",
        ),
        ({"networkPolicy": {"gatewaysFrom": []}}, "at '/networkPolicy/gatewaysFrom': minItems: got 0, want 1"),
        ({"rbac": {"mode": "namespaced"}}, "rbac.mode is namespaced and watchNamespaces is empty"),
        ({"watchNamespaces": ["team-a"]}, "watchNamespaces names namespaces and rbac.mode is guarded"),
        ({"policies": {"enabled": False}}, "rbac.mode is guarded and policies.enabled is false"),
        ({"rbac": {"clusterRoles": False}}, "rbac.clusterRoles is false, and without ClusterRoles there are no rights in all namespaces"),
        (
            {"rbac": {"mode": "namespaced"}, "watchNamespaces": ["team-a", "keyturn-verifiers"]},
            "recordsNamespace.name keyturn-verifiers is among watchNamespaces",
        ),
        ({"recordsNamespace": {"name": "keyturn-system"}}, "recordsNamespace.name keyturn-system is the namespace of the release"),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
            "are both enabled: every replica would be scraped twice",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}},
            "metrics.serviceMonitor needs metrics.service.enabled",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else json.dumps(each),
)
def test_a_mistake_is_refused_in_words(values: Json, complaint: str) -> None:
    with pytest.raises(HelmFailed) as refused:
        rendered_chart(values)
    assert complaint in str(refused.value)


def test_a_chart_that_contains_this_one_may_share_values_with_it() -> None:
    assert rendered_chart({"global": {"anything": {"goes": True}}}) == rendered_chart()


def test_the_version_is_written_in_both_places() -> None:
    assert (
        with_version('name: a\nversion: 1.0.0\nappVersion: "1.0.0"\n', "2.0.0-rc.1")
        == 'name: a\nversion: 2.0.0-rc.1\nappVersion: "2.0.0-rc.1"\n'
    )


def test_a_comment_belongs_to_the_value_below_it() -> None:
    text = "# The file.\n\na:\n  # About b\n  # in two lines\n  b: 1\n  c: 2\n# About d\nd: 3\n"
    assert value_comments(text) == {("a", "b"): "About b in two lines", ("d",): "About d"}
