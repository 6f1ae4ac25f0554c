"""The images pods of the real node run: made here from Debian packages and from what we built, kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from testbed import debian
from testbed.binaries import program
from testbed.cache import Stopwatch, cache_folder, only_one, say
from testbed.gateway_programs import gateway_program
from testbed.oci import RECIPE, Image, Layer, write_image

BUSYBOX: Final = "testbed.local/busybox:1"
PYTHON: Final = "testbed.local/python:1"
PAUSE: Final = "testbed.local/pause:1"
COREDNS: Final = "testbed.local/coredns:1"
ENVOY: Final = "testbed.local/envoy:1"


def busybox() -> Path:
    """A shell and the usual commands in one static program of 2 MB."""

    def fill(root: Path) -> None:
        (root / "bin").mkdir()
        source = debian.unpacked("busybox-static")
        busy = root / "bin" / "busybox"
        shutil.copy(next(file for file in source.rglob("busybox") if file.is_file() and file.parent.name == "bin"), busy)
        for applet in subprocess.run([busy, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != busy.name:
                busy.with_name(applet).symlink_to(busy.name)
        (root / "tmp").mkdir(mode=0o1777)

    return _kept("busybox", lambda root: Image(BUSYBOX, (Layer(root),), command=("sh",)), fill)


def python() -> Path:
    """Debian's Python with its standard library."""

    def fill(root: Path) -> None:
        debian.fill_root(root, *debian.with_dependencies("python3"))
        (root / "tmp").mkdir(mode=0o1777, exist_ok=True)

    return _kept("python", lambda root: Image(PYTHON, (Layer(root),), command=("python3",)), fill)


def product() -> Path:
    """Keyturn's own image, as `make image` makes it.

    Debian stops serving a package soon after it has fixed it. That must stop a release, not everybody's tests.
    """
    done = _build_product()
    if "Debian does not serve" in done.stderr:
        say("Debian has replaced packages that deploy/image/debian.lock pins (make image-lock); the tests take today's")
        done = _build_product("--served")
    if done.returncode:
        raise RuntimeError(f"the image cannot be built: {done.stderr}")
    return Path(done.stdout.splitlines()[0])


def _build_product(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, RECIPE / "build.py", *arguments], capture_output=True, text=True, check=False)


def prepare() -> list[Path]:
    """All archives every node gets."""
    return [pause(), busybox(), python()]


def pause() -> Path:
    """What holds a pod's namespaces open."""
    built = program("pause")

    def fill(root: Path) -> None:
        shutil.copy(built, root / "pause")

    return _kept("pause", lambda root: Image(PAUSE, (Layer(root),), entrypoint=("/pause",), user="65535:65535"), fill, built=built)


def coredns() -> Path:
    """What answers pods that ask for names."""
    built = program("coredns")

    def fill(root: Path) -> None:
        shutil.copy(built, root / "coredns")

    return _kept("coredns", lambda root: Image(COREDNS, (Layer(root),), entrypoint=("/coredns",)), fill, built=built)


def envoy() -> Path:
    """The Envoy of the gateway tests, and the C library it needs."""
    built = gateway_program("envoy").path

    def fill(root: Path) -> None:
        debian.fill_root(root, *debian.with_dependencies("libc6"))
        shutil.copy(built, root / "usr" / "bin" / "envoy")

    return _kept("envoy", lambda root: Image(ENVOY, (Layer(root),), entrypoint=("/usr/bin/envoy",), user="65532:65532"), fill, built=built)


def _kept(name: str, image: Callable[[Path], Image], fill: Callable[[Path], None], *, built: Path | None = None) -> Path:
    """`built`: a program of ours inside, which lies in a folder that is named by what it was built from."""
    scripts = Path(__file__).read_bytes() + Path(write_image.__code__.co_filename).read_bytes()
    key = hashlib.sha256(scripts + (built.parent.name if built else "").encode()).hexdigest()[:12]
    file = cache_folder() / "images" / f"{name}-{key}.tar"
    with only_one(f"image-{file.name}"):
        if not file.is_file():
            watch = Stopwatch()
            file.parent.mkdir(exist_ok=True)
            with TemporaryDirectory(prefix="image-", dir=cache_folder()) as scratch:
                root = Path(scratch)
                root.chmod(0o755)
                fill(root)
                write_image(image(root), file)
            say(f"made the image {name} in {watch}")
    return file
