"""A cluster with one real node, without Docker: containerd, runc, kubelet and kube-proxy in namespaces of their own.

Needs root on Linux, or a machine that lets root make namespaces. Nothing of the machine's network, mounts or sysctls changes. Tests outside
reach the API server through a small forwarder; `forward` makes others.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

from testbed import cgroups, forward, images
from testbed.binaries import program, programs
from testbed.cache import Stopwatch, say
from testbed.cluster import OwnCluster, read_kubeconfig, wait_until
from testbed.nftables import put_nft
from testbed.node_settings import ADDRESS, PORT, SOCKET
from testbed.processes import Component, Group
from testbed.recipes import CONTROL_PLANE, NODE

OWN_NAMESPACES: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc", "--mount-proc")
_CLONE_NEWNET: Final = 0x40000000


class CannotRunNode(RuntimeError):
    """The machine cannot run a real node; the message says what it lacks and what to do instead."""


def what_is_missing() -> str | None:
    """Why this machine cannot run a real node, in a sentence for people; None if it can."""
    instead = "Run these tests as root on a Linux machine, or on kind with a Docker engine (make kind-test); the other tests need neither."
    if sys.platform != "linux":
        return f"A real node needs Linux. {instead}"
    if os.geteuid() != 0:
        return f"A real node needs root, and this is user {os.geteuid()}. {instead}"
    for command in ("unshare", "nsenter", "ip", "mount"):
        if shutil.which(command) is None:
            return f"A real node needs the command {command} (Debian: util-linux, iproute2). {instead}"
    tried = subprocess.run([*OWN_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"A real node needs namespaces of its own, and the kernel says: {tried.stderr.strip()}. {instead}"
    if not os.access(cgroups.ROOT, os.W_OK) or not any(cgroups.ROOT.iterdir()):
        return f"A real node needs control groups that can be written at {cgroups.ROOT}. {instead}"
    return None


class NodePlane(OwnCluster):
    """A running cluster whose pods really run. Made by `NodePlane.start`."""

    busybox = images.BUSYBOX

    def __init__(self, *, folder: Path, group: Group, accounts: Sequence[Path]) -> None:
        self.folder = folder
        self.start_seconds = 0.0
        self._group, self._accounts = group, accounts
        self._outer: Component | None = None

    @classmethod
    def start(cls, *, archives: Sequence[Path] = (), kwok_nodes: int = 0) -> Self:
        """Start it and wait until the node is Ready. `archives`: further image archives beside busybox, python and pause."""
        if missing := what_is_missing():
            raise CannotRunNode(missing)
        programs(*CONTROL_PLANE, *NODE)
        all_images = [*images.prepare(), *archives]
        watch = Stopwatch()
        folder = Path(mkdtemp(prefix="keyturn-node-")).resolve()
        put_nft(folder)
        accounts = cgroups.make_cgroups(folder.name)
        wanted = {"cgroup": folder.name, "images": [str(archive) for archive in all_images], "kwok_nodes": kwok_nodes}
        (folder / "wanted.json").write_text(json.dumps(wanted))
        node = cls(folder=folder, group=Group(folder, *accounts), accounts=accounts)
        try:
            node._come_up()
        except BaseException:
            node._group.kill()
            cgroups.remove_cgroups(accounts)
            raise
        node.start_seconds = watch.seconds
        say(f"Kubernetes with a real node ready after {watch} at {node.url} ({folder})")
        return node

    def load_image(self, archive: Path) -> None:
        """Make an image (an archive as `oci.write_image` or `docker save` write it) known to the node."""
        self._ctr("images", "import", str(archive))

    def enter(self, *command: str) -> str:
        """Run a command inside the node's namespaces as root and give back what it printed."""
        return subprocess.run(
            [*door(self._first_process(), "-m", "-n", "-p", "-u", "-i"), *command], capture_output=True, text=True, check=True
        ).stdout

    def forward(self, host: str, port: int) -> int:
        """A port on this machine's loopback behind which the node's `host`:`port` answers, for example a Service's address."""
        return forward_into(self._first_process(), host, port, group=self._group, log=self.folder / "forward.log")

    def let_out(self, port: int) -> str:
        """An address at which pods reach this port of the machine's loopback, for example a gateway that a test has started."""
        with listening_in(self._first_process(), ADDRESS) as listening:
            descriptor = listening.fileno()
            command = [sys.executable, "-I", "-S", forward.__file__, str(descriptor), "127.0.0.1", str(port)]
            self._group.spawn(command, log=self.folder / "forward.log", inherited=(descriptor,))
            return f"{ADDRESS}:{listening.getsockname()[1]}"

    @property
    def ca(self) -> Path:
        return self.folder / "plane" / "pki" / "ca.crt"

    def run_beside(self, name: str, command: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Component:
        component = Component(name, group=self._group, command=command, log=self.folder / f"{name}.log", environment=environment)
        component.start()
        return component

    def kill_container(self, namespace: str, pod: str) -> None:
        """SIGKILL to what the pod's first container runs, as when the kernel's memory runs out."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        (status, *_) = json.loads(self.login.ask("GET", path))["status"]["containerStatuses"]
        container = status["containerID"].removeprefix("containerd://")
        self._ctr("tasks", "kill", "--signal", "SIGKILL", container)

    def _ctr(self, *arguments: str) -> str:
        return self.enter(str(program("ctr")), "--address", SOCKET, "--namespace=k8s.io", *arguments)

    def stop(self) -> None:
        """End every process of it, then remove its folder and control groups."""
        self._group.kill()
        cgroups.remove_cgroups(self._accounts)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _come_up(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [*OWN_NAMESPACES, sys.executable, "-m", "testbed.node_inside", str(self.folder)]
        self._outer = Component("node", group=self._group, command=command, log=self.folder / "node.log", environment=environment)
        self._outer.start()
        outer = self._outer

        def is_up() -> bool:
            if (self.folder / "failed").exists():
                raise RuntimeError(f"the node did not come up: {(self.folder / 'failed').read_text()}\nIts logs are in {self.folder}")
            outer.complain_if_dead()
            return (self.folder / "ready").exists()

        wait_until(is_up, patience=180, what=f"the real node; its logs are in {self.folder}")
        inner = json.loads((self.folder / "plane" / "kubeconfig").read_text())
        inner["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.forward(ADDRESS, PORT)}"
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(inner))
        super().__init__(kubeconfig=kubeconfig, login=read_kubeconfig(kubeconfig))
        wait_until(self.is_ready, patience=10, what="the forwarder to the API server")

    def _first_process(self) -> int:
        if self._outer is None:
            raise RuntimeError("the node is not up")
        return only_child(self._outer.pid)


def only_child(pid: int) -> int:
    """The process that `unshare --fork` started: the first one inside."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def door(inside: int, *namespaces: str) -> list[str]:
    """The start of a command line that runs the rest in the namespaces of the process `inside`."""
    return ["nsenter", "-t", str(inside), *namespaces, "--"]


def forward_into(inside: int, host: str, port: int, *, group: Group, log: Path) -> int:
    """A port out here that leads to `host`:`port` in the network of the process `inside`, for as long as `group` lives."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        command = [*door(inside, "-n"), sys.executable, "-I", "-S", forward.__file__, str(descriptor), host, str(port)]
        group.spawn(command, log=log, inherited=(descriptor,))
        return int(listening.getsockname()[1])


def listening_in(inside: int, address: str) -> socket.socket:
    """A socket that listens on any free port of `address` in the network of the process `inside`.

    A socket stays in the network it was made in, whoever holds it. It is made in a thread, since only that enters the network.
    """

    def make() -> socket.socket:
        with Path(f"/proc/{inside}/ns/net").open() as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        return socket.create_server((address, 0), backlog=128)

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(make).result()
