"""The client of a journey in real pods: one Deployment reads its key from a mounted file, another has it in its environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen import journey_client
from gen.journey import NAME, PAUSE, Journey
from gen.team import Json
from testbed.images import PYTHON
from testbed.node import NodePlane

_SCRIPT = "client.py"
_ENDS_WITHIN = 3
"""Seconds in which a pod goes on after it was told to end."""


@contextmanager
def travel_in_pods(journey: Journey, node: NodePlane) -> Iterator[None]:
    """From when every pod has asked once to the end of the block."""
    team, address = journey.team, node.let_out(journey.gateways["envoy-grpc"].port)
    team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/configmaps", client_script())
    for name, where in {"reads-a-file": "/keys/api-key", "reads-its-environment": "API_KEY"}.items():
        team.create(client(name, where=where, address=address, outcomes=journey.new_client(name)))
    team.wait_until(lambda: journey.is_used(journey.tokens[-1]), about="", what="the pods ask", patience=120)
    yield
    for name in ("reads-a-file", "reads-its-environment"):
        team.change_workload("Deployment", name, {"spec": {"replicas": 0}})
    team.wait_until(
        lambda: not team.pods("reads-a-file") | team.pods("reads-its-environment"), about="", what="the pods are gone", patience=60
    )


def client_script() -> Json:
    """The client's program, for its pods."""
    data = {_SCRIPT: Path(journey_client.__file__).read_text()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "client"}, "data": data}


def client(name: str, *, where: str, address: str, outcomes: Path) -> Json:
    """A Deployment of it. The key stands in its environment or in its file, never in both: a rollout must come by the way that is used."""
    mounts = [{"name": "program", "mountPath": "/program"}, {"name": "outcomes", "mountPath": "/outcomes"}]
    volumes: list[Json] = [
        {"name": "program", "configMap": {"name": "client"}},
        {"name": "outcomes", "hostPath": {"path": str(outcomes), "type": "Directory"}},
    ]
    environment: list[Json] = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    if "/" in where:
        mounts.append({"name": "keys", "mountPath": str(Path(where).parent)})
        volumes.append({"name": "keys", "secret": {"secretName": NAME}})
    else:
        environment.append({"name": where, "valueFrom": {"secretKeyRef": {"name": NAME, "key": "api-key"}}})
    command = ["python3", f"/program/{_SCRIPT}", where, address, str(PAUSE), "/outcomes/$(POD)"]
    container = {"name": "client", "image": PYTHON, "command": command, "env": environment, "volumeMounts": mounts}
    pod = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": _ENDS_WITHIN}
    labels = {"app": name}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
