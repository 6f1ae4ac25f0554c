"""Debian packages, fetched with apt and unpacked into a folder; nothing is installed and no root is needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final

from testbed.cache import Stopwatch, cache_folder, only_one, say

_FOR_INSTALLING: Final = frozenset((
    "adduser", "cdebconf", "debconf", "dpkg", "install-info", "libdb5.3", "libdebian-installer4", "libfile-find-rule-perl", "libnewt0.52",
    "libnumber-compare-perl", "libperl5.36", "libslang2", "libtext-glob-perl", "libtextwrap1", "lsb-base", "mailcap", "media-types",
    "mime-support", "original-awk", "perl", "perl-base", "perl-modules-5.36", "usrmerge", "usr-is-merged",
    "libelogind0",  # stands in for libsystemd0, and collides with it
))  # fmt: skip
"""What packages depend on because they are installed; here they are unpacked."""


def unpacked(*packages: str) -> Path:
    """A folder with the files of exactly these packages (not of what they depend on), made once."""
    key = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    folder = cache_folder() / "debian" / f"{packages[0]}-{key}"
    with only_one(f"debian-{folder.name}"):
        if not folder.is_dir():
            _unpack(packages, folder)
    return folder


def merged(*packages: str) -> Path:
    """As `unpacked`, with all libraries and programs in /usr, where one search path finds them."""
    source = unpacked(*packages)
    folder = source.with_name(f"{source.name}-merged")
    with only_one(f"debian-{folder.name}"):
        if not folder.is_dir():
            scratch = Path(mkdtemp(prefix="deb-", dir=folder.parent))
            fill_root(scratch, *packages)
            scratch.rename(folder)
    return folder


def with_dependencies(package: str) -> list[str]:
    """The names of a package and of all it needs to run, for `unpacked`."""
    options = [f"--no-{relation}" for relation in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    listed = _with_package_lists(lambda lists: _run("apt-cache", *lists, "depends", "--recurse", *options, package, folder=cache_folder()))
    return sorted({line for line in listed.splitlines() if line[:1].isalnum()} - _FOR_INSTALLING)


def fill_root(root: Path, *packages: str) -> None:
    """Put the files of these packages into `root` as a Debian has them: /bin, /lib and /sbin lead into /usr. No documentation."""
    shutil.copytree(unpacked(*packages), root, symlinks=True, dirs_exist_ok=True)
    for name in ("share/doc", "share/man", "share/locale", "share/info"):
        shutil.rmtree(root / "usr" / name, ignore_errors=True)
    for top in ("bin", "sbin", "lib", "lib64"):
        own, usr = root / top, root / "usr" / top
        usr.mkdir(parents=True, exist_ok=True)
        if own.is_dir() and not own.is_symlink():
            shutil.copytree(own, usr, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(own)
        if not own.is_symlink():
            own.symlink_to(f"usr/{top}")


def minimal_system() -> Path:
    """The archive of a small Debian 12 in which apt works, as the image debian:12-slim; made once, as root, by debootstrap."""
    archive = cache_folder() / "images" / "debian-12-slim.tar"
    with only_one(f"debian-{archive.name}"):
        if not archive.is_file():
            watch = Stopwatch()
            with TemporaryDirectory(prefix="debian-", dir=cache_folder()) as scratch:
                root = Path(scratch) / "root"
                _bootstrap(root)
                part = archive.with_suffix(".part")
                subprocess.run(["tar", "-C", root, "-cf", part, "."], check=True)
                part.rename(archive)
            say(f"made a small Debian in {watch}")
    return archive


def _bootstrap(root: Path) -> None:
    tool = unpacked("debootstrap") / "usr"
    asked = ("indextargets", "--format=$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages", "Origin: Debian")
    places = sorted(set(_with_package_lists(lambda lists: _run("apt-get", *lists, *asked, folder=cache_folder())).splitlines()))
    mirror = next(place.split()[0] for place in places if place.split()[1] == "bookworm")
    environment = {**os.environ, "DEBOOTSTRAP_DIR": str(tool / "share" / "debootstrap")}
    command = ["sh", tool / "sbin" / "debootstrap", "--variant=minbase", "bookworm", root, mirror]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (root / "etc" / "apt" / "sources.list").write_text("".join(f"deb {place}\n" for place in places))


def _unpack(packages: tuple[str, ...], folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError(
            f"{packages[0]} is taken from a Debian package, and this machine has no apt: use --testbed=kwok, or --testbed=kind with Docker"
        )
    watch = Stopwatch()
    say(f"unpacking Debian's {', '.join(packages)} (once)")
    folder.parent.mkdir(exist_ok=True)
    scratch = Path(mkdtemp(prefix="deb-", dir=folder.parent))
    try:
        _download(packages, scratch)
        root = scratch / "root"
        for package in sorted(scratch.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        root.chmod(0o755)
        root.rename(folder)
    finally:
        shutil.rmtree(scratch)
    say(f"unpacked after {watch}")


def _download(packages: tuple[str, ...], folder: Path) -> None:
    # as root apt would fetch as the user _apt, who may not write into our folder
    _with_package_lists(lambda lists: _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", *lists, "download", *packages, folder=folder))


def _with_package_lists(ask: Callable[[tuple[str, ...]], subprocess.CompletedProcess[str]]) -> str:
    """Ask with the machine's package lists; where they are missing or stale, with fresh lists of our own."""
    done = ask(())
    if done.returncode:
        lists = cache_folder() / "debian" / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        options = ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={lists}")
        _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", *options, "update", folder=lists)
        done = ask(options)
    if done.returncode:
        raise RuntimeError(f"apt cannot serve what the testbed needs:\n{done.stderr[-1000:]}")
    return done.stdout


def _run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
