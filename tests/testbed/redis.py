"""Redis on the loopback, keeping nothing: the machine's, otherwise Debian's without installing it."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Final

from testbed import debian
from testbed.cluster import OwnCluster
from testbed.layout import free_ports

_PACKAGES: Final = ("redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1", "libssl3", "libsystemd0")


def start_redis(plane: OwnCluster) -> str:
    """Start one that ends with its plane; answers its address."""
    (port,) = free_ports(1)
    found = shutil.which("redis-server")
    program, variables = (Path(found), {}) if found else _debians()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    plane.run_beside("redis", command, environment={**os.environ, **variables})
    return f"127.0.0.1:{port}"


def _debians() -> tuple[Path, dict[str, str]]:
    root = debian.merged(*_PACKAGES)
    return root / "usr" / "bin" / "redis-server", {"LD_LIBRARY_PATH": str(root / "usr" / "lib" / f"{platform.machine()}-linux-gnu")}
