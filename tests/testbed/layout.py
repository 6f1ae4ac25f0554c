"""The files of one plane before anything runs: its shape, its ports, certificates, kubeconfigs, and each program's command line."""

from __future__ import annotations

import base64
import ipaddress
import json
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from testbed.binaries import kwok_stages, program
from testbed.certificates import Authority, Pair, new_signing_key

CONTROLLERS: Final = ("kube-controller-manager", "kube-scheduler", "kwok")
AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a plane is made of. etcd and kube-apiserver always run; `components` are the others."""

    nodes: int = 3
    """kwok nodes; none without kwok."""
    components: tuple[str, ...] = CONTROLLERS
    audit: bool = False
    audit_policy: object = field(default_factory=lambda: AUDIT_POLICY)
    """An audit.k8s.io/v1 Policy; the default notes every request without its body."""
    address: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    tainted: bool = False
    """Whether kwok's nodes refuse ordinary pods: for clusters that also have a real node."""
    apiserver_flags: tuple[str, ...] = ()
    controller_manager_flags: tuple[str, ...] = ()
    services: str = "10.96.0.0/16"
    pods: str = "10.244.0.0/16"

    def with_components(self, *names: str) -> Shape:
        """The same with only these beside etcd and kube-apiserver; none at all is the fastest plane."""
        if unknown := set(names) - set(CONTROLLERS):
            raise ValueError(f"no such component: {', '.join(sorted(unknown))}; there are {', '.join(CONTROLLERS)}")
        return replace(self, components=names)


@dataclass(frozen=True, slots=True)
class Layout:
    """One plane on disk: what `plane.py` needs to start it."""

    folder: Path
    url: str
    etcd_url: str
    authority: Pair
    admin: Pair
    commands: dict[str, list[str | Path]]
    """By component, in the order in which they start."""

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def etcd_data(self) -> Path:
        return self.folder / "etcd"

    @property
    def audit_log(self) -> Path:
        return self.folder / "log" / "audit.jsonl"


def lay_out(shape: Shape, folder: Path, *, issue_more: Callable[[Authority], object] | None = None) -> Layout:
    """Write all files of a new plane into `folder`."""
    pki = folder / "pki"
    for part in (folder, pki, folder / "log"):
        part.mkdir(exist_ok=True)
    client, peer, api = free_ports(3)
    url = f"https://{shape.address}:{shape.port or api}"
    authority, front = Authority(pki, name="ca"), Authority(pki, name="front-proxy-ca")
    new_signing_key(pki, name="service-account")
    first = str(ipaddress.ip_network(shape.services)[1])
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    authority.issue_server(
        "apiserver", user="kube-apiserver", hosts=["localhost", *names, *dict.fromkeys(("127.0.0.1", shape.address, first))]
    )
    authority.issue_client("kubelet-client", user="kube-apiserver-kubelet-client", group="system:masters")
    front.issue_client("front-proxy-client", user="front-proxy-client")
    admin = authority.issue_client("admin", user="admin", group="system:masters")
    write_kubeconfig(folder / "kubeconfig", url=url, authority=authority.pair, client=admin)
    for name in CONTROLLERS:
        group = "system:masters" if name == "kwok" else None  # it plays every node at once
        pair = authority.issue_client(name, user=f"system:{name}", group=group)
        write_kubeconfig(folder / f"{name}.kubeconfig", url=url, authority=authority.pair, client=pair)
    if issue_more:
        issue_more(authority)
    (folder / "audit-policy.json").write_text(json.dumps(shape.audit_policy))
    etcd_url = f"http://127.0.0.1:{client}"
    commands = {"etcd": _etcd(folder, client, peer), "kube-apiserver": _apiserver(shape, folder, etcd_url, url)}
    others: dict[str, Callable[[], list[str | Path]]] = {  # made only for what runs: a program that is not there yet would be built
        "kube-controller-manager": lambda: _controller_manager(shape, folder),
        "kube-scheduler": lambda: _scheduler(folder),
        "kwok": lambda: _kwok(folder),
    }
    return Layout(folder, url, etcd_url, authority.pair, admin, {**commands, **{name: others[name]() for name in shape.components}})


def free_ports(count: int) -> list[int]:
    """Ports of the loopback nobody listens on.

    Below the range the kernel takes for outgoing connections: a plane that restarts must find its port as it left it.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randint(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def write_kubeconfig(file: Path, *, url: str, authority: Pair, client: Pair) -> None:
    """A kubeconfig with everything inside, readable by its owner only. JSON is YAML."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    cluster = {"server": url, "certificate-authority-data": inline(authority.certificate_pem)}
    user = {"client-certificate-data": inline(client.certificate_pem), "client-key-data": inline(client.key_pem)}
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "testbed",
        "clusters": [{"name": "testbed", "cluster": cluster}],
        "users": [{"name": client.key.stem, "user": user}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": client.key.stem}}],
    }  # fmt: skip
    file.touch(mode=0o600)
    file.write_text(json.dumps(config, indent=1))


def _etcd(folder: Path, client: int, peer: int) -> list[str | Path]:
    here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        program("etcd"), "--name=testbed", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={here}", f"--advertise-client-urls={here}",
        f"--listen-peer-urls={there}", f"--initial-advertise-peer-urls={there}", f"--initial-cluster=testbed={there}",
    ]  # fmt: skip


def _apiserver(shape: Shape, folder: Path, etcd: str, url: str) -> list[str | Path]:
    pki, port = folder / "pki", url.rsplit(":", 1)[1]
    audit = (
        [f"--audit-policy-file={folder / 'audit-policy.json'}", f"--audit-log-path={folder / 'log' / 'audit.jsonl'}"] if shape.audit else []
    )
    # a loopback address may not stand in the endpoints of the Service `kubernetes`
    endpoints = ["--endpoint-reconciler-type=none"] if ipaddress.ip_address(shape.address).is_loopback else []
    return [
        program("kube-apiserver"), f"--bind-address={shape.address}", f"--advertise-address={shape.address}", f"--secure-port={port}",
        f"--etcd-servers={etcd}", f"--service-cluster-ip-range={shape.services}", "--allow-privileged=true",
        f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt", f"--kubelet-client-key={pki}/kubelet-client.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={pki}/service-account.key", f"--service-account-key-file={pki}/service-account.pub",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt", f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--kubelet-preferred-address-types=InternalIP,Hostname", "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        *endpoints, *audit, *shape.apiserver_flags,
    ]  # fmt: skip


def _controller_manager(shape: Shape, folder: Path) -> list[str | Path]:
    pki = folder / "pki"
    return [
        program("kube-controller-manager"), f"--kubeconfig={folder}/kube-controller-manager.kubeconfig",
        "--leader-elect=false", "--secure-port=0",
        "--kube-api-qps=1000", "--kube-api-burst=2000",  # with the defaults its start takes 6 s longer
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/service-account.key", f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=true", f"--cluster-cidr={shape.pods}", f"--service-cluster-ip-range={shape.services}",
        *shape.controller_manager_flags,
    ]  # fmt: skip


def _scheduler(folder: Path) -> list[str | Path]:
    return [program("kube-scheduler"), f"--kubeconfig={folder}/kube-scheduler.kubeconfig", "--leader-elect=false", "--secure-port=0"]


def _kwok(folder: Path) -> list[str | Path]:
    return [
        program("kwok"), f"--kubeconfig={folder}/kwok.kubeconfig", f"--config={kwok_stages()}",
        "--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40", "--node-ip=127.0.0.1", "--node-name=kwok",
    ]  # fmt: skip
