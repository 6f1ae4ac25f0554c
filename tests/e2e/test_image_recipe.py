"""How the image is made: from nothing to the same bytes, and by a container engine to the same files. `make image-test` runs this."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

from testbed import cgroups, debian, kind_engine
from testbed.node import what_is_missing
from testbed.oci import RECIPE
from testbed.processes import Group

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
OF_THE_ENGINE: Final = frozenset(
    {".dockerenv", "dev/console", "dev/pts", "dev/shm", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}
)
"""What Docker puts into every container."""
Docker = Callable[..., str]
File = tuple[bytes, int, int, int, str, str]


def built(folder: Path, *, umask: int) -> bytes:
    """An archive made again, though nothing has changed."""
    command = [sys.executable, str(RECIPE / "build.py"), "--again", "--output", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, umask=umask, env={**os.environ, "PYTHONHASHSEED": str(umask)}
    )
    return Path(done.stdout.splitlines()[0]).read_bytes()


def files_of(archive: tarfile.TarFile) -> dict[str, File]:
    """Every path with its kind, rights, owner, group, target and content."""
    found: dict[str, File] = {}
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        digest = hashlib.sha256(content.read()).hexdigest() if content else ""
        found[member.name.rstrip("/")] = member.type, member.mode & 0o7777, member.uid, member.gid, member.linkname, digest
    return found


def files_of_image(archive: Path) -> dict[str, File]:
    with tarfile.open(archive) as whole:
        layer = max(whole.getmembers(), key=lambda member: member.size)
        with tarfile.open(fileobj=whole.extractfile(layer)) as files:
            return files_of(files)


@pytest.fixture
def docker() -> Iterator[Docker]:
    """A Docker engine of our own that may use the machine's network while it builds."""
    if what_is_missing():
        yield str  # no body gets to see it, see pytest_pyfunc_call
        return
    folder = Path(mkdtemp(prefix="keyturn-engine-")).resolve()
    accounts = kind_engine.make_engine_cgroups(folder)
    group = Group(folder, *accounts)
    try:
        engine = kind_engine.start_engine(folder, group=group, networks=False)
        environment = {**engine.environment, "DOCKER_BUILDKIT": "0"}

        def run(*arguments: str | Path) -> str:
            done = subprocess.run(["docker", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            return done.stdout.strip()

        yield run
    finally:
        group.kill()
        cgroups.remove_cgroups(accounts)
        shutil.rmtree(folder, ignore_errors=True)


def put_base_image(docker: Docker, scratch: Path) -> None:
    """debian:12-slim, which trusts whom this machine trusts: it may reach the package registries by a way of its own."""
    trusted = Path(os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or "")
    archive = scratch / "base.tar"
    shutil.copy(debian.minimal_system(), archive)
    with tarfile.open(archive, "a") as base:
        base.add(trusted.resolve(), arcname="./etc/trusted.crt")
    docker("import", "--change", "ENV PIP_CERT=/etc/trusted.crt", archive, "debian:12-slim")


def test_it_is_the_same_bytes_every_time(product_image: Path, tmp_path: Path) -> None:
    """Slow: a build takes a quarter of a minute."""
    assert built(tmp_path, umask=0o077) == product_image.read_bytes()


@pytest.mark.node
@pytest.mark.timeout(1800)
def test_an_engine_makes_the_same_files_of_the_containerfile(docker: Docker, product_image: Path, tmp_path: Path) -> None:
    """Slow: it installs a Debian once, then Python and pip into it, then builds."""
    put_base_image(docker, tmp_path)
    docker("build", "--network=host", "--file", "deploy/image/Containerfile", "--tag", "keyturn:by-engine", ".")
    container = docker("create", "keyturn:by-engine")
    docker("export", "--output", tmp_path / "files.tar", container)
    with tarfile.open(tmp_path / "files.tar") as exported:
        files = {name: file for name, file in files_of(exported).items() if name not in OF_THE_ENGINE}
    assert files == files_of_image(product_image)


@pytest.mark.node
def test_docker_loads_the_archive_and_runs_it_read_only(docker: Docker, product_image: Path) -> None:
    """Slow: an engine of its own."""
    docker("load", "--input", product_image)
    name = "keyturn:" + product_image.name.removeprefix("keyturn-").removesuffix(".oci.tar")
    run = ("run", "--rm", "--read-only", "--network=none", name)
    assert docker(*run, "version") == name.replace(":", " ")
    assert docker(*run, "--help").startswith("Usage: keyturn")
