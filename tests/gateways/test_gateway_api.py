"""The YAML for Envoy Gateway and Gateway API, as a real API server takes it with their own CRDs and rules. No gateway runs it here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gen.gateway_examples import FOLDER
from testbed.cluster import Cluster, KubectlFailed, wait_until
from testbed.gateway_crds import gateway_crds

FILES = ("envoy-gateway", "gateway-api")
NAMESPACES = ("shop", "keyturn-system")
MISTAKES = {
    "envoy-gateway": (("timeout: 500ms", "timeout: soon"), ("statusOnError: 503", "statusOnError: 200"), ("failOpen:", "failOpenly:")),
    "gateway-api": (("protocol: HTTP", "protocol: GRPC"), ("path: /check/", "path: /che ck/"), ("allowedHeaders:", "allowedHeader:")),
}


@pytest.fixture(scope="module")
def gateway_api(plane: Cluster) -> Iterator[Cluster]:
    plane.kubectl("apply", "--server-side", "-f", str(gateway_crds()))
    for name in NAMESPACES:
        plane.create_namespace(name)
    for path in ("gateway.networking.k8s.io/v1/httproutes", "gateway.envoyproxy.io/v1alpha1/securitypolicies"):
        wait_until(lambda path=path: plane.answers(f"/apis/{path}"), patience=30.0, what=f"{path} to be served")
    yield plane
    for name in NAMESPACES:
        plane.delete_namespace(name)


def text_of(folder: str) -> str:
    return (FOLDER / folder / "keyturn.yaml").read_text()


def applied(plane: Cluster, text: str) -> list[str]:
    said = plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=text)
    return [line.split()[0] for line in said.splitlines()]


@pytest.mark.parametrize("folder", FILES)
def test_the_api_server_takes_every_object_of_the_example(folder: str, gateway_api: Cluster) -> None:
    documents = [document for document in yaml.safe_load_all(text_of(folder)) if document]
    assert len(applied(gateway_api, text_of(folder))) == len(documents)


@pytest.mark.parametrize(("folder", "mistake"), [(folder, mistake) for folder in FILES for mistake in MISTAKES[folder]])
def test_a_mistake_in_the_example_would_be_seen(folder: str, mistake: tuple[str, str], gateway_api: Cluster) -> None:
    assert mistake[0] in text_of(folder)
    with pytest.raises(KubectlFailed):
        applied(gateway_api, text_of(folder).replace(*mistake))


@pytest.mark.parametrize("folder", FILES)
def test_every_rule_is_checked_and_closes(folder: str) -> None:
    """A rule that nobody checks lets everyone through, and no CRD would complain."""
    documents = list(yaml.safe_load_all(text_of(folder)))
    (route,) = [document for document in documents if document["kind"] == "HTTPRoute"]
    policies = [document["spec"] for document in documents if document["kind"] == "SecurityPolicy"]
    for rule in route["spec"]["rules"]:
        kinds = [each["type"] for each in rule["filters"]]
        assert kinds[-1] == "RequestHeaderModifier"
        assert kinds[0] == "ExternalAuth" or any("sectionName" not in policy["targetRefs"][0] for policy in policies)
    assert all(not policy["extAuth"]["failOpen"] for policy in policies)


def test_the_crds_are_those_of_the_pinned_modules() -> None:
    names = sorted(file.name for file in Path(gateway_crds()).iterdir())
    assert [name.split("_")[1] for name in names] == [
        "clienttrafficpolicies.yaml",
        "securitypolicies.yaml",
        "gateways.yaml",
        "httproutes.yaml",
        "referencegrants.yaml",
    ]
