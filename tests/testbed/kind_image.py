"""A kind node image without a container registry: Debian's packages, kind's own files from its Go module, and the programs we build."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from testbed import debian, kind_scripts
from testbed.binaries import go_module_folder, program, programs
from testbed.cache import Stopwatch, cache_folder, only_one, say
from testbed.kind_scripts import CRICTL, IMPORT_IMAGES, NETWORK, SHOW_SYSCTLS, STORAGE_CLASS, UPDATE_ALTERNATIVES
from testbed.oci import Image, Layer, write_image
from testbed.recipes import CNI_PLUGINS, KUBERNETES, NODE, RECIPES, fingerprint, version_of
from testbed.toolchain import go_toolchain

REFERENCE: Final = f"testbed.local/kind-node:{version_of('k8s', KUBERNETES)}"
SETTINGS: Final = (
    "ENV container=docker",
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]',
)
"""What `docker import` is told of the image."""

_SERVED: Final = (
    "systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "mount", "kmod", "libseccomp2", "procps", "gawk", "jq", "pigz",
)  # fmt: skip
_ESSENTIAL: Final = (
    "base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "grep", "gzip", "hostname",
    "init-system-helpers", "libc-bin", "login", "mawk", "passwd", "sed", "tar", "util-linux", "util-linux-extra", "sysvinit-utils",
)  # fmt: skip
_STATIC_PODS: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_UNITS: Final = ("kubelet", "containerd", "undo-mount-hacks")
_NO_RUBBISH: Final = (  # as kind's own Dockerfile
    "etc/systemd/system/*.wants/*", "usr/lib/systemd/system/multi-user.target.wants/*", "usr/lib/systemd/system/local-fs.target.wants/*",
    "usr/lib/systemd/system/sockets.target.wants/*udev*", "usr/lib/systemd/system/sockets.target.wants/*initctl*",
    "usr/lib/systemd/system/basic.target.wants/*", "usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "usr/lib/sysctl.d/*", "etc/sysctl.d/*",  # these would set machine-wide values
)  # fmt: skip


def node_root() -> Path:
    """The image's root file system as a tar archive for `docker import`, made once."""
    recipes = "".join(fingerprint(RECIPES[name]) for name in ("kubeadm", "kind", "etcd", *NODE))
    key = hashlib.sha256(recipes.encode() + Path(__file__).read_bytes() + Path(kind_scripts.__file__).read_bytes()).hexdigest()[:12]
    archive = cache_folder() / "images" / f"kind-node-{key}.tar"
    with only_one(archive.name):
        if not archive.is_file():
            watch = Stopwatch()
            archive.parent.mkdir(exist_ok=True)
            with TemporaryDirectory(prefix="kind-node-", dir=cache_folder()) as scratch:
                root = Path(scratch) / "root"
                root.mkdir()
                _fill(root)
                part = archive.with_suffix(".part")
                with tarfile.open(part, "w") as tar:
                    tar.add(root, arcname=".")
                part.rename(archive)
            say(f"made a kind node image in {watch}")
    return archive


def _fill(root: Path) -> None:
    _put_debian(root)
    with go_toolchain() as go:
        files = Path(go_module_folder(go, "kind", "sigs.k8s.io/kind")) / "images" / "base" / "files"
    for part in ("etc", "kind", "usr"):
        _copy_writable(files / part, root / part)
    for folder in ("kind/images", "kind/manifests", "opt/cni/bin", "etc/cni/net.d", "etc/kubernetes/manifests", "LICENSES"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _put_programs(root)
    _put_settings(root)
    _put_images(root / "kind" / "images")


def _put_debian(root: Path) -> None:
    """Debian without its package manager: files, users, no maintainer scripts."""
    packages = {name for package in (*_SERVED, *_ESSENTIAL) for name in debian.with_dependencies(package)}
    debian.fill_root(root, *sorted(packages))
    for name in ("passwd", "group"):
        shutil.copy(root / "usr" / "share" / "base-passwd" / f"{name}.master", root / "etc" / name)
    shutil.copy(root / "usr" / "share" / "libc-bin" / "nsswitch.conf", root / "etc" / "nsswitch.conf")
    for pattern in _NO_RUBBISH:
        for file in root.glob(pattern):
            file.unlink()
    for folder in ("proc", "sys", "dev", "run", "tmp", "root", "var/lib/kubelet", "var/log"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for missing, present in (
        ("usr/bin/awk", "mawk"),
        ("usr/sbin/init", "../lib/systemd/systemd"),
        ("usr/bin/sh", "dash"),
        ("usr/bin/which", "which.debianutils"),
    ):
        (root / missing).unlink(missing_ok=True)
        (root / missing).symlink_to(present)
    subprocess.run(["chroot", root, "/usr/bin/systemd-sysusers"], check=True, capture_output=True)
    subprocess.run(["chroot", root, "/usr/sbin/ldconfig"], check=True, capture_output=True)


def _put_programs(root: Path) -> None:
    places = {
        "usr/bin": ("kubelet", "kubeadm", "kubectl"),
        "usr/local/bin": ("containerd", "containerd-shim-runc-v2", "ctr"),
        "usr/local/sbin": ("runc",),
        "opt/cni/bin": CNI_PLUGINS,
    }
    for folder, names in places.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, path in programs(*names).items():
            shutil.copy(path, root / folder / name)
    scripts = {
        "kind/bin/import-images.sh": IMPORT_IMAGES,
        "kind/bin/show-sysctls.sh": SHOW_SYSCTLS,
        "usr/bin/update-alternatives": UPDATE_ALTERNATIVES,
        "usr/local/bin/crictl": CRICTL,
    }
    for place, text in scripts.items():
        (root / place).write_text(text)
    for script in (
        *(root / "kind" / "bin").iterdir(),
        *(root / "usr" / "local" / "bin").iterdir(),
        root / "usr" / "bin" / "update-alternatives",
    ):
        script.chmod(0o755)


def _put_settings(root: Path) -> None:
    units = root / "etc" / "systemd" / "system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    for unit in _UNITS:
        (wanted / f"{unit}.service").symlink_to(f"/etc/systemd/system/{unit}.service")
    (units / "systemd-binfmt.service").symlink_to("/dev/null")  # it would register things with the machine's kernel
    (units / "containerd.service.d").mkdir()
    (units / "containerd.service.d" / "testbed.conf").write_text(
        "[Service]\nExecStartPost=/kind/bin/import-images.sh\nTimeoutStartSec=300\n"
    )
    wait = 'ExecStartPre=/bin/sh -c "until [ -e /kind/images/.done ]; do sleep 0.1; done"'
    (units / "kubelet.service.d" / "20-testbed.conf").write_text(
        f"[Service]\nTimeoutStartSec=300\n{wait}\nExecStartPre=/kind/bin/show-sysctls.sh\n"
    )
    with (root / "etc" / "systemd" / "journald.conf").open("a") as journal:
        journal.write("ReadKMsg=no\n")
    containerd = root / "etc" / "containerd" / "config.toml"
    text = containerd.read_text().replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    containerd.write_text(re.sub(r'sandbox_image = ".*"', f'sandbox_image = "{_image_names()["pause"]}"', text))
    specification = json.loads(subprocess.run([program("ctr"), "oci", "spec"], capture_output=True, check=True).stdout)
    specification.setdefault("hooks", {}).setdefault("createContainer", []).append({"path": "/kind/bin/mount-product-files.sh"})
    specification["process"].pop("rlimits", None)
    (root / "etc" / "containerd" / "cri-base.json").write_text(json.dumps(specification))
    (root / "etc" / "cni" / "net.d" / "10-testbed.conflist").write_text(json.dumps(NETWORK))
    (root / "kind" / "version").write_text(version_of("k8s", KUBERNETES))
    (root / "kind" / "manifests" / "default-cni.yaml").touch()
    (root / "kind" / "manifests" / "default-storage.yaml").write_text(STORAGE_CLASS)


def _image_names() -> dict[str, str]:
    """The names kubeadm gives the control plane's images, by their last part: kube-apiserver, etcd, pause and so on."""
    command = [str(program("kubeadm")), "config", "images", "list", f"--kubernetes-version={version_of('k8s', KUBERNETES)}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return {name.rsplit(":", 1)[0].rsplit("/", 1)[1]: name for name in listed}


def _put_images(target: Path) -> None:
    names = _image_names()
    with TemporaryDirectory(dir=cache_folder()) as scratch:
        for name in (*_STATIC_PODS, "etcd", "kube-proxy", "pause"):
            root = Path(scratch) / name
            place = root if name == "pause" else root / "usr" / "local" / "bin"
            place.mkdir(parents=True)
            if name == "kube-proxy":
                debian.fill_root(root, *debian.with_dependencies("nftables"))
            shutil.copy(program(name), place)
            start = (f"/{name}",) if name == "pause" else ()
            write_image(Image(names[name], (Layer(root),), entrypoint=start), target / f"{name}.tar")


def _copy_writable(source: Path, target: Path) -> None:
    """Copy a tree out of Go's module cache, where everything is read-only."""
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copy.chmod(0o644)
