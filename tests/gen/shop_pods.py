"""What the team `shop` keeps in Git, all of it pods: a key, an API, Envoy before it as deploy/gateways has it, and a client of it.

The waves: the key first, then the API and the gateway, and the client once these answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gen.gateway_examples import FOLDER
from gen.gitops import WAVE, wanted_key
from gen.journey import NAME, PATIENT
from gen.journey_pods import client, client_script
from gen.team import Json
from testbed.images import ENVOY, PYTHON

SHOP: Final = "shop"
CLIENT: Final = "reads-a-file"
GATEWAY: Final = "gateway"
API: Final = "orders-api"
PORT: Final = 8000
_CONFIG: Final = "envoy-grpc.yaml"


def shop_files(key: Mapping[str, object], *, outcomes: Path) -> dict[str, Json]:
    """Every manifest by its file's name. `outcomes`: the folder on the node into which the client writes a line a request."""
    manifests = (
        wanted_key(NAME, key),
        *_api(),
        *_gateway(),
        client_script(),
        _client(outcomes),
    )
    return {shop_file(each): each for each in manifests}


def shop_file(manifest: Json) -> str:
    """Its name in the repository."""
    return f"teams/{SHOP}/{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"


def _api() -> tuple[Json, ...]:
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": API}, "data": {"orders": "[]\n"}}
    command = ["python3", "-m", "http.server", str(PORT), "--protocol", "HTTP/1.1", "--directory", "/content"]
    pod = {
        "containers": [{"name": "api", "image": PYTHON, "command": command, **_listens(), **_mounted("/content")}],
        "volumes": [_volume(API)],
        "terminationGracePeriodSeconds": 1,
    }
    return content, _service(API), _deployment(API, pod)


def _gateway() -> tuple[Json, ...]:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": GATEWAY},
        "data": {_CONFIG: _patient_config()},
    }
    arguments = ["-c", f"/etc/envoy/{_CONFIG}", "--concurrency", "1", "--log-level", "warning"]
    pod = {
        "containers": [{"name": "envoy", "image": ENVOY, "args": arguments, **_listens(), **_mounted("/etc/envoy")}],
        "volumes": [_volume(GATEWAY)],
    }
    return config, _service(GATEWAY), _deployment(GATEWAY, pod)


def _patient_config() -> str:
    """As it stands there, addresses and all, but for the time that an answer may take."""
    text = (FOLDER / "envoy" / _CONFIG).read_text()
    for old, new in PATIENT.items():
        if old not in text:
            raise LookupError(f"{_CONFIG} no longer says {old!r}: say in journey.py what stands for it")
        text = text.replace(old, new)
    return text


def _client(outcomes: Path) -> Json:
    """With one pod annotation of its own, as the page on Argo CD advises: Keyturn's stands beside it."""
    address = f"{GATEWAY}.{SHOP}.svc.cluster.local:{PORT}"
    manifest = client(CLIENT, where="/keys/api-key", address=address, outcomes=outcomes)
    manifest["metadata"]["annotations"] = {WAVE: "2"}
    manifest["spec"]["template"]["metadata"]["annotations"] = {"example.com/managed-by": "git"}
    return manifest


def _deployment(name: str, pod: Json) -> Json:
    labels = {"app": name}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "annotations": {WAVE: "1"}}, "spec": spec}


def _service(name: str) -> Json:
    spec = {"selector": {"app": name}, "ports": [{"port": PORT, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": {WAVE: "1"}}, "spec": spec}


def _listens() -> Json:
    return {"ports": [{"containerPort": PORT}], "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1}}


def _mounted(path: str) -> Json:
    return {"volumeMounts": [{"name": "files", "mountPath": path}]}


def _volume(config_map: str) -> Json:
    return {"name": "files", "configMap": {"name": config_map}}
