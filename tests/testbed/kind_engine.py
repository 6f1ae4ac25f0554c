"""A Docker engine for `kind.py`: the machine's if there is one, otherwise Debian's, unpacked and run in namespaces of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed import cgroups, debian, within_bounds
from testbed.binaries import program
from testbed.cache import Stopwatch, say
from testbed.cluster import wait_until
from testbed.node import OWN_NAMESPACES, CannotRunNode, only_child, what_is_missing
from testbed.processes import Component, Group

_NOT_OURS: Final = frozenset({"libc6", "libgcc-s1"})  # the machine's own: its loader fits no other


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine that answers, and the environment in which `docker` and `kind` find it."""

    environment: dict[str, str]
    first_process: int | None = None
    """Set for one of our own: whose namespaces it lives in."""


def machine_engine() -> Engine | None:
    """The engine the user has, if it answers."""
    if shutil.which("docker") is None:
        return None
    answers = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    return Engine(dict(os.environ)) if answers else None


def prepare() -> None:
    """Make all that a first start of an engine of our own would have to make: it takes minutes."""
    program("runc")
    _unpacked_engine()


def start_engine(folder: Path, *, group: Group, networks: bool = True) -> Engine:
    """Start Debian's dockerd in `folder`; it ends with `group`. Its control group is named like the folder.

    `networks`: it makes its own, apart from the machine's. Without them a build may use the machine's (`--network=host`).
    """
    if missing := what_is_missing():
        raise CannotRunNode(f"No Docker engine answers here, and one of our own cannot be started: {missing}")
    root, watch = _unpacked_engine(), Stopwatch()
    library = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    tools = folder / "tools"
    tools.mkdir()
    for name in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            (tools / f"{name}{suffix}").symlink_to(root / "usr" / "sbin" / f"{name}-nft{suffix}")
    (tools / "runc").symlink_to(program("runc"))
    runtime = tools / "runc-within-bounds"
    runtime.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{within_bounds.__file__}" "{program("runc")}" "$@"\n')
    runtime.chmod(0o755)
    (folder / "data").mkdir()
    (folder / "state").mkdir()
    path = f"{tools}:{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}"
    inner = {**os.environ, "PATH": path, "LD_LIBRARY_PATH": str(library), "XTABLES_LIBDIR": str(library / "xtables")}
    private = "mount --make-rprivate / && mount -t tmpfs tmpfs /run"
    private += " && ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward" if networks else ""
    namespaces = [word for word in OWN_NAMESPACES if networks or word != "--net"]
    script = f'{private} && exec dockerd "$@"'
    flags = [
        f"--data-root={folder}/data", f"--exec-root={folder}/state", f"--pidfile={folder}/dockerd.pid", f"--host=unix://{folder}/docker.sock",
        "--storage-driver=overlay2", f"--cgroup-parent=/{folder.name}",
        f"--add-runtime=within-bounds={runtime}", "--default-runtime=within-bounds",
        *(() if networks else ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")),
    ]  # fmt: skip
    command = [*namespaces, "/bin/sh", "-c", script, "dockerd", *flags]
    daemon = Component("dockerd", group=group, command=command, log=folder / "dockerd.log", environment=inner)
    daemon.start()
    outer = {**os.environ, "PATH": f"{root}/usr/bin:{os.environ['PATH']}", "DOCKER_HOST": f"unix://{folder}/docker.sock"}

    def answers() -> bool:
        daemon.complain_if_dead()
        return subprocess.run(["docker", "info"], env=outer, capture_output=True, check=False).returncode == 0

    wait_until(answers, patience=60, what=f"dockerd; its log is {folder}/dockerd.log", pause=0.2)
    say(f"a Docker engine of our own after {watch}")
    return Engine(outer, only_child(daemon.pid))


def make_engine_cgroups(folder: Path) -> list[Path]:
    """Where the engine's containers are accounted for; to be removed after it."""
    return cgroups.make_cgroups(folder.name)


def _unpacked_engine() -> Path:
    wanted = {"docker.io", "containerd", "iptables", "tini"}
    libraries = {name for name in debian.with_dependencies("docker.io") if name.startswith("lib")} - _NOT_OURS
    return debian.merged(*sorted(wanted | libraries))
