"""Which programs there are and how each is built: a Go module of ours (gomod/) pins the version, a package path names the program."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

GOMOD: Final = Path(__file__).parent / "gomod"
KUBERNETES: Final = "k8s.io/kubernetes"
RELEASES: Final = {"newest": "k8s", "oldest": "k8s-oldest"}
"""The Kubernetes under test by its place among those that Keyturn supports, and the folder in gomod/ that pins it."""
CHOICE: Final = "KEYTURN_TESTBED_KUBERNETES"
"""The environment variable that chooses one: processes that tests start choose alike."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one program is built. `minutes` is a first build on two cores from empty caches, said to whoever waits."""

    name: str
    module: str
    """The folder in gomod/."""
    package: str
    minutes: str
    cgo: bool = False
    tags: str = ""


_K8S: Final = f"{KUBERNETES}/cmd/"
_CONTAINERD: Final = "github.com/containerd/containerd/v2/cmd/"
_CNI: Final = "github.com/containernetworking/plugins/plugins/"

RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe("etcd", "etcd", "go.etcd.io/etcd/server/v3", "1"),
        Recipe("kube-apiserver", "k8s", f"{_K8S}kube-apiserver", "4 to 7"),
        Recipe("kube-controller-manager", "k8s", f"{_K8S}kube-controller-manager", "1 to 2"),
        Recipe("kube-scheduler", "k8s", f"{_K8S}kube-scheduler", "0.5"),
        Recipe("kubectl", "k8s", f"{_K8S}kubectl", "0.5"),
        Recipe("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "1 to 2"),
        Recipe("helm", "helm", "helm.sh/helm/v4/cmd/helm", "3 to 6"),
        Recipe("kubelet", "k8s", f"{_K8S}kubelet", "1"),
        Recipe("kube-proxy", "k8s", f"{_K8S}kube-proxy", "0.5"),
        Recipe("kubeadm", "k8s", f"{_K8S}kubeadm", "0.5"),
        Recipe("containerd", "ctd", f"{_CONTAINERD}containerd", "2 to 3"),
        Recipe("containerd-shim-runc-v2", "ctd", f"{_CONTAINERD}containerd-shim-runc-v2", "0.5"),
        Recipe("ctr", "ctd", f"{_CONTAINERD}ctr", "0.5"),
        Recipe("runc", "runc", "github.com/opencontainers/runc", "0.5", cgo=True, tags="seccomp,netgo,osusergo,urfave_cli_no_docs"),
        Recipe("pause", "pause", ".", "0.1"),
        Recipe("bridge", "cni", f"{_CNI}main/bridge", "0.5"),
        Recipe("loopback", "cni", f"{_CNI}main/loopback", "0.2"),
        Recipe("host-local", "cni", f"{_CNI}ipam/host-local", "0.2"),
        Recipe("portmap", "cni", f"{_CNI}meta/portmap", "0.2"),
        Recipe("coredns", "coredns", ".", "2 to 6"),
        Recipe("kind", "kind", "sigs.k8s.io/kind", "0.5"),
        Recipe("kstatus", "kstatus", ".", "0.5"),
        Recipe("h2spec", "h2spec", "github.com/summerwind/h2spec/cmd/h2spec", "0.2"),
        Recipe("argocd", "argocd", "github.com/argoproj/argo-cd/v3/cmd", "4 to 6"),
    )
}

CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
CNI_PLUGINS: Final = ("bridge", "loopback", "host-local", "portmap")
NODE: Final = ("kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "pause", *CNI_PLUGINS)


def recipe_of(name: str) -> Recipe:
    """How a program is built for the Kubernetes under test."""
    recipe = RECIPES[name]
    if recipe.module != RELEASES["newest"]:
        return recipe
    return replace(recipe, module=RELEASES[os.environ.get(CHOICE, "newest")])


def version_of(module: str, requirement: str) -> str:
    """The version of `requirement` that gomod/<module>/go.mod pins, for example v1.37.2."""
    text = (GOMOD / module / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(requirement)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"gomod/{module}/go.mod does not require {requirement}")
    return found[1]


def link_flags(module: str) -> str:
    """What the linker is told. Kubernetes' programs learn their version here and nowhere else."""
    stamps: tuple[str, ...] = ()
    if module in RELEASES.values():
        version = version_of(module, KUBERNETES)
        major, minor, _ = version.removeprefix("v").split(".", 2)
        values = {
            "gitVersion": version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitCommit": "unknown",
            "gitTreeState": "archive",
            "buildDate": "1970-01-01T00:00:00Z",
        }
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        stamps = tuple(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())
    if module == "runc":
        stamps = ("-extldflags -static",)  # it must also run where there is no libseccomp
    return " ".join(("-s", "-w", *stamps))


def fingerprint(recipe: Recipe) -> str:
    """Twelve hex digits that change whenever a build would give another program."""
    folder = GOMOD / recipe.module
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.read_bytes())
    digest.update(f"{link_flags(recipe.module)} {recipe.cgo} {recipe.tags} {platform.system()} {platform.machine()}".encode())
    return digest.hexdigest()[:12]
