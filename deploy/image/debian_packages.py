"""The Debian 12 part of the image: packages pinned in debian.lock, unpacked without being installed; no root, no maintainer scripts.

debian.lock has a line for each package and architecture: architecture, name, version, SHA-256 of the package. `build.py --lock`
makes it anew from what Debian serves today; until then the image stays the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

PACKAGES: Final = (
    "base-files",  # os-release, by which scanners know the distribution, and the texts of the licences
    "ca-certificates",
    "gcc-12-base",  # the licence of libgcc-s1
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
ARCHITECTURES: Final = ("amd64", "arm64")
LOCK: Final = Path(__file__).with_name("debian.lock")

_KEPT: Final = (
    "etc/debian_version",
    "etc/os-release",
    "usr/bin/python3.11",
    "usr/lib/os-release",
    "usr/lib/*.so.*",
    "usr/lib64/*.so.*",
    "usr/lib/python3.11/*",
    "usr/share/ca-certificates/mozilla/*",
    "usr/share/common-licenses/*",
    "usr/share/doc/*/copyright",
    "usr/share/doc/libgcc-s1",  # these two lead to another package's
    "usr/share/doc/libpython3.11-stdlib",
)
_LEFT_OUT: Final = (
    "usr/lib/*/engines-3/*",
    "usr/lib/*/libmvec.so*",  # vectors of floating-point numbers: nothing links to it
    "usr/lib/python3.11/config-*",
    "usr/lib/python3.11/ctypes/test/*",
    "usr/lib/python3.11/curses/*",
    "usr/lib/python3.11/distutils/*",
    "usr/lib/python3.11/ensurepip/*",
    "usr/lib/python3.11/idlelib/*",
    "usr/lib/python3.11/lib2to3/*",
    "usr/lib/python3.11/pydoc_data/*",
    "usr/lib/python3.11/sqlite3/*",
    "usr/lib/python3.11/test/*",
    "usr/lib/python3.11/tkinter/*",
    "usr/lib/python3.11/turtle*",
    "usr/lib/python3.11/unittest/*",
    "usr/lib/python3.11/venv/*",
    *(f"usr/lib/python3.11/{module}.py" for module in ("_pydecimal", "doctest", "imaplib", "mailbox", "nntplib", "pickletools")),
    *(
        f"usr/lib/python3.11/lib-dynload/{module}.cpython-*"
        for module in ("*test*", "_crypt", "_curses*", "_dbm", "_sqlite3", "_xx*", "audioop", "nis", "ossaudiodev", "readline", "xx*")
    ),  # for tests, or for libraries that are not in the image
)
_RUNNABLE: Final = 0o111  # by anybody


NOT_SERVED: Final = f"Debian does not serve what {LOCK.name} names"


class CannotBuild(RuntimeError):
    """The image cannot be made here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One package as the lock file names it."""

    name: str
    version: str
    architecture: str
    sha256: str


def locked(architecture: str) -> list[DebianPackage]:
    """What the lock file says for this architecture."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    found = [DebianPackage(name, version, of, sha256) for of, name, version, sha256 in lines if of == architecture]
    if not found:
        raise CannotBuild(f"{LOCK.name} names no packages for {architecture}, only for {', '.join(ARCHITECTURES)}")
    return found


def write_lock(scratch: Path) -> None:
    """Pin what Debian serves now, for every architecture."""
    found = [package for architecture in ARCHITECTURES for package in served(architecture, scratch)]
    lines = [f"{package.architecture} {package.name} {package.version} {package.sha256}" for package in found]
    head = "# Debian 12 packages of the image: architecture, name, version, SHA-256 of the package. Made by make image-lock."
    LOCK.write_text("\n".join([head, *sorted(lines)]) + "\n")


def served(architecture: str, kept: Path) -> list[DebianPackage]:
    """What Debian serves now, whatever the lock file says; the packages' files are in the folder `kept`, where `fetch` finds them."""
    folder = kept / f"{architecture}-served"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    options = _own_lists(kept / f"{architecture}-lists", architecture)
    done = _apt_get(folder, *options, "update")
    done = done if done.returncode else _apt_get(folder, *options, "download", *PACKAGES)
    if done.returncode:
        raise CannotBuild(f"Debian does not serve the packages for {architecture}:\n{done.stderr[-1000:]}")
    debs = sorted(folder.glob("*.deb"))
    found = [DebianPackage(_field(deb, "Package"), _field(deb, "Version"), architecture, _sha256(deb)) for deb in debs]
    for package, deb in zip(found, debs, strict=True):
        deb.rename(kept / f"{package.sha256}.deb")
    folder.rmdir()
    return found


def fetch(packages: Sequence[DebianPackage], kept: Path) -> list[Path]:
    """The packages' files, from the folder `kept` or from Debian, each with the hash that the lock file names."""
    files = [kept / f"{package.sha256}.deb" for package in packages]
    missing = [package for package, file in zip(packages, files, strict=True) if not file.is_file()]
    if missing:
        scratch = kept / "download"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        _download([f"{package.name}={package.version}" for package in missing], scratch, packages[0].architecture)
        for deb in scratch.glob("*.deb"):
            deb.rename(kept / f"{_sha256(deb)}.deb")
        scratch.rmdir()
    for package, file in zip(packages, files, strict=True):
        if not file.is_file():
            raise CannotBuild(
                f"Debian's {package.name} {package.version} is not the file that {LOCK.name} names (SHA-256 {package.sha256})"
            )
    return files


def unpack(deb: Path, root: Path) -> None:
    """Put what the image needs of a package into `root`: no program but Python, /lib in /usr/lib, nothing setuid; a record for scanners."""
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        for member in archive:
            _put(archive, member, root)
    if process.returncode:
        raise CannotBuild(f"dpkg-deb cannot read {deb}")
    record = root / "var" / "lib" / "dpkg" / "status.d" / _field(deb, "Package")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True).stdout)


def bundle_certificates(root: Path) -> None:
    """What ca-certificates does when it is installed: all authorities in the one file that OpenSSL reads."""
    authorities = root / "usr" / "share" / "ca-certificates"
    bundle = root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("".join(file.read_text().rstrip("\n") + "\n" for file in sorted(authorities.rglob("*.crt"))))
    (root / "usr" / "lib" / "ssl").mkdir(parents=True)
    (root / "usr" / "lib" / "ssl" / "certs").symlink_to("/etc/ssl/certs")
    (root / "usr" / "lib" / "ssl" / "cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")
    shutil.rmtree(authorities)


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    path = re.sub(r"^(?=(?:lib|lib64)/)", "usr/", PurePosixPath(member.name).as_posix())
    wanted = any(fnmatchcase(path, pattern) for pattern in _KEPT) and not any(fnmatchcase(path, pattern) for pattern in _LEFT_OUT)
    if not wanted or ".." in PurePosixPath(path).parts:
        return
    target = root / path
    if member.issym():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(member.linkname)
    elif (content := archive.extractfile(member)) is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read())
        target.chmod(0o755 if member.mode & _RUNNABLE else 0o644)


def _download(wanted: Sequence[str], folder: Path, architecture: str) -> None:
    done = _apt_get(folder, "download", *wanted)
    if done.returncode:  # the machine's lists of packages may be missing or stale: with lists of our own
        options = _own_lists(folder.with_name(f"{architecture}-lists"), architecture)
        _apt_get(folder, *options, "update")
        done = _apt_get(folder, *options, "download", *wanted)
    if done.returncode:
        raise CannotBuild(f"{NOT_SERVED}; make image-lock pins what it serves now.\n{done.stderr[-1000:]}")


def _own_lists(folder: Path, architecture: str) -> tuple[str, ...]:
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    settings = {"Dir::State::lists": folder, "Dir::Cache": folder, "APT::Architecture": architecture, "APT::Architectures": architecture}
    return tuple(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))


def _apt_get(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise CannotBuild("The image is made of Debian packages, and here is no apt: build deploy/image/Containerfile instead")
    # as root apt would fetch as the user _apt, who may not write into our folder
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "--field", deb, name], capture_output=True, text=True, check=True).stdout.strip()


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
