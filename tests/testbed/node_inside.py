"""The first process inside the real node's namespaces: it brings up a plane and one node that runs pods. Started by `node.py`, as root.

What it mounts, sets and routes is seen in here only. When it dies the kernel ends every process of the node.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final

from testbed import node_settings as settings
from testbed.binaries import program, programs, search_path
from testbed.cache import Stopwatch, say
from testbed.certificates import Authority
from testbed.cluster import ApiFailed, wait_until
from testbed.layout import write_kubeconfig
from testbed.node_settings import ADDRESS, API_SERVICE, NAME, SOCKET, NodeFiles
from testbed.plane import Plane, Shape
from testbed.processes import Component, Group
from testbed.recipes import NODE

# kubelet insists on these and would set them for the whole machine: it is shown files that already say so
_SYSCTLS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def main() -> None:
    """Bring the node up, say so in a file, and reap what is left to us, as a first process must."""
    folder = Path(sys.argv[1])
    wanted = json.loads((folder / "wanted.json").read_text())
    try:
        _bring_up(NodeFiles(folder, wanted["cgroup"]), images=wanted["images"], kwok_nodes=wanted["kwok_nodes"])
    except Exception as failure:  # noqa: BLE001 - whoever waits outside is told, whatever it was
        traceback.print_exc()
        (folder / "failed").write_text(str(failure))
        return
    (folder / "ready").touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


def _bring_up(files: NodeFiles, *, images: list[str], kwok_nodes: int) -> None:
    watch = Stopwatch()
    _make_network()
    _make_mounts(files.folder)
    components = ("kube-controller-manager", "kube-scheduler", *(("kwok",) if kwok_nodes else ()))
    shape = Shape(address=ADDRESS, port=settings.PORT, components=components, nodes=kwok_nodes, tainted=True)
    (files.folder / "plane").mkdir()
    plane = Plane.start(shape, folder=files.folder / "plane", issue_more=lambda authority: _issue(authority, files))
    group = Group()
    _start(group, "containerd", "--config", settings.write_containerd(files), folder=files.folder)
    control = (str(program("ctr")), "--address", SOCKET)
    wait_until(
        lambda: subprocess.run([*control, "version"], capture_output=True, check=False).returncode == 0, patience=30, what="containerd"
    )
    for image in images:
        subprocess.run([*control, "--namespace=k8s.io", "images", "import", image], capture_output=True, check=True)
    say(f"containerd and {len(images)} images after {watch}")
    _start_kubernetes_parts(group, plane, files)
    say(f"node ready after {watch}")


def _start_kubernetes_parts(group: Group, plane: Plane, files: NodeFiles) -> None:
    name = f"--hostname-override={NAME}"
    login = f"--kubeconfig={files.folder}/node.kubeconfig"
    kubelet = _start(
        group, "kubelet", f"--config={settings.write_kubelet(files)}", login, f"--node-ip={ADDRESS}", name, folder=files.folder
    )
    binding = {
        "metadata": {"name": "testbed-kube-proxy"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:kube-proxy"}],
    }
    plane.login.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body=binding)
    proxy = _start(group, "kube-proxy", f"--config={settings.write_kube_proxy(files)}", name, folder=files.folder)

    def node_is_ready() -> bool:
        kubelet.complain_if_dead()
        proxy.complain_if_dead()
        try:
            node = json.loads(plane.login.ask("GET", f"/api/v1/nodes/{NAME}"))
        except ApiFailed:
            return False  # kubelet has not registered it yet
        ready = {"type": "Ready", "status": "True"}.items()
        return any(ready <= condition.items() for condition in node["status"].get("conditions", []))

    def services_lead_somewhere() -> bool:
        proxy.complain_if_dead()
        with suppress(OSError), socket.create_connection((API_SERVICE, 443), timeout=0.5):
            return True
        return False

    wait_until(node_is_ready, patience=120, what=f"node {NAME} to become Ready; the logs are in {files.folder}", pause=0.1)
    wait_until(services_lead_somewhere, patience=60, what=f"the API server's Service; the logs are in {files.folder}", pause=0.1)


def _issue(authority: Authority, files: NodeFiles) -> None:
    """The node's certificates, while the authority is at hand."""
    user, url = f"system:node:{NAME}", f"https://{ADDRESS}:{settings.PORT}"
    authority.issue_server("node-serving", user=user, group="system:nodes", hosts=[NAME, ADDRESS])
    node = authority.issue_client("node", user=user, group="system:nodes")
    proxy = authority.issue_client("proxy", user="system:kube-proxy")
    for pair in (node, proxy):
        write_kubeconfig(files.folder / f"{pair.key.stem}.kubeconfig", url=url, authority=authority.pair, client=pair)


def _start(group: Group, name: str, *flags: str | Path, folder: Path) -> Component:
    programs(*NODE)
    environment = {**os.environ, "PATH": f"{search_path(NODE)}{os.pathsep}{folder}"}  # nft may lie in our own folder
    component = Component(name, group=group, command=[program(name), *flags], log=folder / f"{name}.log", environment=environment)
    component.start()
    return component


def _make_network() -> None:
    """A bridge that carries the node's address, and forwarding."""
    socket.sethostname(NAME)
    for command in (
        "ip link set lo up",
        "ip link add testbed0 type bridge",
        f"ip addr add {ADDRESS}/24 dev testbed0",
        "ip link set testbed0 up",
        f"ip route add default via {ADDRESS} dev testbed0",
    ):
        subprocess.run(command.split(), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with suppress(OSError):  # only there with the kernel's br_netfilter
        Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")


def _make_mounts(folder: Path) -> None:
    """Kubelet's and containerd's usual places are folders of ours in here."""
    for place in ("/var/lib/kubelet", "/var/log/pods", "/var/log/containers", "/run/containerd"):
        own = folder / "fs" / place.lstrip("/")
        own.mkdir(parents=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        _mount("--bind", own, place)
    _mount("--make-rshared", "/")  # volumes that kubelet mounts must reach the containers
    shown = folder / "fs" / "sysctl"
    shown.mkdir()
    for name, value in _SYSCTLS.items():
        file = shown / Path(name).name
        file.write_text(f"{value}\n")
        if Path("/proc/sys", name).exists():
            _mount("--bind", file, f"/proc/sys/{name}")


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
