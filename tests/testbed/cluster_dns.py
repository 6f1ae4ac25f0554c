"""Names for Services on a real node: CoreDNS as a pod, set up as kubeadm does it, so that names are as old as in most clusters."""

from __future__ import annotations

import json
from typing import Final

from testbed import images
from testbed.node import NodePlane
from testbed.node_settings import DNS_SERVICE

_NAME: Final = "coredns"
_NAMESPACE: Final = "kube-system"
_COREFILE: Final = """
.:53 {
    errors
    health
    ready
    kubernetes cluster.local {
        ttl 30
    }
    loadbalance
}
"""
_MAY_READ: Final = (
    {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
)


def start_dns(node: NodePlane) -> None:
    """Bring it and wait until it answers."""
    node.load_image(images.coredns())
    node.kubectl("apply", "--server-side", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": _manifests()}))
    node.kubectl("-n", _NAMESPACE, "rollout", "status", f"deployment/{_NAME}", "--timeout=120s")


def _manifests() -> list[object]:
    here, role = {"name": _NAME, "namespace": _NAMESPACE}, "rbac.authorization.k8s.io"
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
        {"apiVersion": f"{role}/v1", "kind": "ClusterRole", "metadata": {"name": _NAME}, "rules": _MAY_READ},
        {
            "apiVersion": f"{role}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _NAME},
            "roleRef": {"apiGroup": role, "kind": "ClusterRole", "name": _NAME},
            "subjects": [{"kind": "ServiceAccount", **here}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": here, "data": {"Corefile": _COREFILE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here,
            "spec": {"clusterIP": DNS_SERVICE, "selector": {"app": _NAME}, "ports": ports},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": here, "spec": _deployment()},
    ]


def _deployment() -> object:
    container = {
        "name": _NAME,
        "image": images.COREDNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": _NAME,
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }
    labels = {"app": _NAME}
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
