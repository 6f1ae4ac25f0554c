"""A control plane on the loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kwok for nodes and pods.

    with Plane.start() as plane:
        plane.kubectl("apply", "-f", "-", input=manifest)

Several run side by side, each in a folder of its own. One ends with the process that started it, however that process ends.
"""

from __future__ import annotations

import base64
import json
import platform
import shutil
import ssl
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Final, Self
from urllib.request import Request, urlopen

from testbed.binaries import programs
from testbed.cache import Stopwatch, say
from testbed.certificates import Authority
from testbed.cluster import ApiFailed, Login, OwnCluster, wait_until
from testbed.layout import Layout, Shape, lay_out
from testbed.processes import Component, Group, kill_group

__all__ = ["Plane", "Shape", "bare", "end_left_plane"]

_ETCD_OPERATIONS: Final = 128
"""In one transaction: etcd's own limit."""


class Plane(OwnCluster):
    """A running control plane. Made by `Plane.start`."""

    def __init__(self, *, shape: Shape, layout: Layout, group: Group) -> None:
        tls = ssl.create_default_context(cafile=str(layout.authority.certificate))
        tls.load_cert_chain(layout.admin.certificate, layout.admin.key)
        super().__init__(kubeconfig=layout.kubeconfig, login=Login(layout.url, tls))
        self.shape = shape
        self.folder = layout.folder
        self.audit_log = layout.audit_log
        self.start_seconds = 0.0
        self._layout, self._group = layout, group
        self.components = {
            name: Component(name, group=group, command=command, log=layout.folder / "log" / f"{name}.log")
            for name, command in layout.commands.items()
        }

    @classmethod
    def start(
        cls, shape: Shape | None = None, *, folder: Path | None = None, issue_more: Callable[[Authority], object] | None = None
    ) -> Self:
        """Start a plane and wait until pods could be created. Without `folder` it lives in one that is removed when it stops.

        `issue_more` may issue further certificates into <folder>/pki before anything starts.
        """
        shape = shape or Shape()
        programs("etcd", "kube-apiserver", "kubectl", *shape.components)
        watch = Stopwatch()
        own = folder is None
        home = (Path(mkdtemp(prefix="keyturn-plane-")) if folder is None else folder).resolve()
        plane = cls(shape=shape, layout=lay_out(shape, home, issue_more=issue_more), group=Group(*([home] if own else [])))
        try:
            plane._come_up()
        except BaseException:
            plane._group.kill()  # the folder stays: its logs say why
            raise
        plane.start_seconds = watch.seconds
        plane._own_folder = own
        say(f"Kubernetes ready after {watch} at {plane.url} ({home})")
        return plane

    _own_folder = False

    @property
    def ca(self) -> Path:
        return self._layout.authority.certificate

    @property
    def apiserver(self) -> Component:
        """To kill, freeze or restart it, or to account for its CPU time (`.pid`)."""
        return self.components["kube-apiserver"]

    @property
    def etcd(self) -> Component:
        """Likewise."""
        return self.components["etcd"]

    def stop(self) -> None:
        """End all of it at once; a folder that was not given goes away."""
        self._group.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> None:
        """Let it live on after this process; `end_left_plane(folder)` ends it."""
        (self.folder / "group.json").write_text(json.dumps(self._group.identity))
        self._group.release()

    def restart(self, name: str) -> None:
        """Kill a component if it runs, start it again with the same ports and data, and wait until the API server is ready."""
        component = self.components[name]
        if component.is_running:
            component.kill()
        component.start()
        self.wait_until_ready()

    def wait_until_ready(self, *, patience: float = 60.0) -> None:
        """Wait until the API server answers /readyz with ok."""
        needed = (self.etcd, self.apiserver)
        self._wait(self.is_ready, patience=patience, what="the API server to become ready", needed=needed)

    def snapshot(self, target: Path) -> None:
        """Copy what etcd holds now into the folder `target`, which must not exist. Nobody notices but by a pause of milliseconds."""
        self.etcd.freeze()  # a frozen writer: the copy is one instant, as after a power cut
        try:
            shutil.copytree(self._layout.etcd_data, target)
        finally:
            self.etcd.thaw()

    def restore(self, source: Path) -> None:
        """Go back to a snapshot: everything is killed and started again, as the runbook of a real restore demands."""
        for component in self.components.values():
            if component.is_running:
                component.kill()
        shutil.rmtree(self._layout.etcd_data)
        shutil.copytree(source, self._layout.etcd_data)
        self._start_processes()

    def store(self, key: str, stored: object) -> None:
        """Write an object straight into etcd, past the API server: with a uid of your choice, as after a restore of a backup."""
        self.store_all([(key, stored)])

    def store_all(self, stored: Iterable[tuple[str, object]]) -> None:
        """The same for many, by their keys: 10,000 in a few seconds, where the API server takes half a minute."""
        rest = iter(stored)
        while batch := list(islice(rest, _ETCD_OPERATIONS)):
            puts = [{"requestPut": {"key": _base64(key), "value": _base64(json.dumps(each))}} for key, each in batch]
            body = json.dumps({"success": puts}).encode()
            request = Request(f"{self._layout.etcd_url}/v3/kv/txn", data=body, method="POST")  # noqa: S310 - always http, on the loopback
            with urlopen(request, timeout=60.0) as answer:  # noqa: S310 - likewise
                answer.read()

    def run_beside(self, name: str, command: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Component:
        component = Component(name, group=self._group, command=command, log=self.folder / "log" / f"{name}.log", environment=environment)
        self.components[name] = component
        component.start()
        return component

    def add_nodes(self, count: int) -> None:
        """Make kwok nodes until there are `count` and wait until they are Ready."""
        for number in range(count):
            try:
                self.login.ask("POST", "/api/v1/nodes", body=_node(f"kwok-{number}", tainted=self.shape.tainted))
            except ApiFailed as failure:
                if failure.status != HTTPStatus.CONFLICT:
                    raise
        self._wait(
            lambda: self._ready_nodes() >= count, patience=60.0, what=f"{count} nodes to become Ready", needed=(self.components["kwok"],)
        )

    @property
    def makes_service_accounts(self) -> bool:
        return "kube-controller-manager" in self.components

    def _come_up(self) -> None:
        self._start_processes()
        if "kube-controller-manager" in self.components:
            needed, path = (self.components["kube-controller-manager"],), "/api/v1/namespaces/default/serviceaccounts/default"
            self._wait(lambda: self.answers(path), patience=60.0, what="ServiceAccount default/default", needed=needed)
        if "kwok" in self.components and self.shape.nodes:
            self.add_nodes(self.shape.nodes)

    def _start_processes(self) -> None:
        self.etcd.start()
        self.apiserver.start()
        self.wait_until_ready()
        for component in self.components.values():
            if not component.is_running:
                component.start()

    def _ready_nodes(self) -> int:
        listed = json.loads(self.login.ask("GET", "/api/v1/nodes?labelSelector=type%3Dkwok&resourceVersion=0"))
        conditions = [condition for node in listed["items"] for condition in node["status"].get("conditions", [])]
        return sum(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _wait(self, is_so: Callable[[], bool], *, patience: float, what: str, needed: tuple[Component, ...]) -> None:
        def is_so_and_all_live() -> bool:
            for component in needed:
                component.complain_if_dead()
            return is_so()

        wait_until(is_so_and_all_live, patience=patience, what=f"{what}; the logs are in {self.folder / 'log'}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def end_left_plane(folder: Path) -> bool:
    """End a plane that was left (`Plane.leave`) and remove its folder; whether there was one."""
    note = folder / "group.json"
    was_there = note.is_file() and kill_group(json.loads(note.read_text()), folder=folder)
    shutil.rmtree(folder, ignore_errors=True)
    return was_there


def bare(*, audit: bool = False) -> Shape:
    """Only etcd and kube-apiserver, ready a second sooner: for tests of admission and schemas."""
    return Shape(nodes=0, components=(), audit=audit)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _node(name: str, *, tainted: bool) -> object:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    room = {"cpu": "64", "memory": "512Gi", "pods": "5000"}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": machine}
    taints = [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}] if tainted else []
    return {
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": room, "capacity": room},
    }
