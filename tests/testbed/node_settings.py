"""The configuration of the real node's programs: containerd, its network, kubelet, kube-proxy. `node_inside.py` starts them with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.binaries import program
from testbed.images import PAUSE

NAME: Final = "real-0"
ADDRESS: Final = "10.77.0.1"
PORT: Final = 6443
API_SERVICE: Final = "10.96.0.1"
"""By which pods reach the API server: kube-proxy leads it to ADDRESS."""
DNS_SERVICE: Final = "10.96.0.10"
"""Where pods ask for names. Nobody answers there until `cluster_dns.py` starts what does."""
POD_NETWORK: Final = "10.245.0.0/24"
SOCKET: Final = "/run/containerd/containerd.sock"


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Where one node's things lie."""

    folder: Path
    cgroup: str
    """The name of its control group, the same in every hierarchy."""

    @property
    def pki(self) -> Path:
        return self.folder / "plane" / "pki"


def write_containerd(files: NodeFiles) -> Path:
    """Write containerd's and CNI's configuration; the path of the first."""
    network = files.folder / "cni"
    network.mkdir()
    addresses = {
        "type": "host-local",
        "dataDir": str(files.folder / "cni-addresses"),
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipMasq": False, "ipam": addresses}
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    (network / "10-testbed.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "testbed", "plugins": plugins}))
    file = files.folder / "containerd.toml"
    file.write_text(f"""
version = 3
root = "{files.folder}/containerd"
state = "/run/containerd/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "{SOCKET}"
[ttrpc]
  address = "{SOCKET}.ttrpc"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
  enable_selinux = false
  restrict_oom_score_adj = true  # root without CAP_SYS_RESOURCE may not lower it
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{program("bridge").parent}"]
  conf_dir = "{network}"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{program("runc")}"
  SystemdCgroup = false
""")
    return file


def write_kubelet(files: NodeFiles) -> Path:
    """Write kubelet's configuration. It watches Secrets, so that a mounted file follows its Secret soon."""
    resolver = files.folder / "resolv.conf"
    resolver.touch()
    pki = files.pki
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(pki / "ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node-serving.crt"),
        "tlsPrivateKeyFile": str(pki / "node-serving.key"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{files.cgroup}",
        "failCgroupV1": False,  # many a build machine still has version 1
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "resolvConf": str(resolver),
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "volumePluginDir": str(files.folder / "fs" / "volume-plugins"),
        "maxPods": 110,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
    }
    file = files.folder / "kubelet.json"
    file.write_text(json.dumps(settings, indent=1))
    return file


def write_kube_proxy(files: NodeFiles) -> Path:
    """Write kube-proxy's configuration. Zeros: it leaves the machine's connection tracking limits alone."""
    tracking = {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"}
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": ADDRESS,
        "clientConnection": {"kubeconfig": str(files.folder / "proxy.kubeconfig")},
        "mode": "nftables",
        "clusterCIDR": POD_NETWORK,
        "conntrack": tracking,
    }
    file = files.folder / "kube-proxy.json"
    file.write_text(json.dumps(settings, indent=1))
    return file
