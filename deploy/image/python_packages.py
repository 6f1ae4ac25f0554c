"""The Python part of the image: the locked packages of the operator and the command, Keyturn itself, and bytecode for all of it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from debian_packages import CannotBuild

EXTRAS: Final = ("operator", "verifier", "cli")
PACKAGES_FOLDER: Final = "usr/local/lib/python3.11/dist-packages"
PROGRAMS: Final = ("keyturn", "kubectl-keyturn")

_PYTHON: Final = "3.11"
_NEWEST_GLIBC: Final = 36
_OLDEST_GLIBC: Final = 5
_LEFT_OUT: Final = (
    "*.dist-info/RECORD",  # names files by hashes that are no longer all there
    "*.dist-info/sboms/*",  # the image has a bill of its own
    "*.data/scripts/*",  # programs of packages: only ours are in the image
    "*.pyi",
    "*.pyx",
    "*.pxd",
    "*.c",
    "*.h",
    "*/tests/*",
    "*/_testing/*",
    "aiohttp/_websocket/reader_c.*",  # nothing here speaks WebSocket; where it is missing, aiohttp takes its reader in Python
    "click/testing.py",
    "kopf/_kits/runner.py",
    "pycparser/*",  # reads C where cffi is given some; cryptography's is compiled
    "kubernetes/client/api/[!_]*",  # Keyturn speaks to the API server itself; of this package it uses how one logs in
    "kubernetes/client/apis/[!_]*",
    "kubernetes/client/models/[!_]*",
    "kubernetes/aio/client/api/[!_]*",
    "kubernetes/aio/client/models/[!_]*",
    "kubernetes/aio/setup.py",
    "kubernetes/*_test.py",
)


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """One package as requirements.lock names it."""

    name: str
    version: str
    requirement: str
    """Its lines in the lock file: version, marker, hashes."""


def project(repository: Path) -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return table


def runtime_packages(repository: Path) -> list[PythonPackage]:
    """The part of requirements.lock that operator and command need: by its remarks (`# via`) it says who needs what."""
    everything, needed_by = _read_lock((repository / "requirements.lock").read_text())
    wanted = _direct_needs(repository)
    while more := {name for name, needers in needed_by.items() if needers & wanted} - wanted:
        wanted |= more
    return [package for package in everything if package.name in wanted]


def fetch_wheels(packages: Sequence[PythonPackage], kept: Path, *, machine: str) -> list[Path]:
    """The wheels that fit the image's Python, by pip, which checks their hashes; `kept` holds them for the next time."""
    folder = kept / hashlib.sha256("".join(package.requirement for package in packages).encode()).hexdigest()[:16]
    if not folder.is_dir():
        scratch = folder.with_suffix(".part")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        requirements = scratch / "requirements.txt"
        requirements.write_text("\n".join(package.requirement for package in packages))
        platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)]
        fit = ["--implementation=cp", f"--python-version={_PYTHON}", *platforms, f"--platform=manylinux2014_{machine}"]
        strict = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", "--no-deps"]
        command = [sys.executable, "-m", "pip", "download", *strict, *fit, f"--dest={scratch}", f"--requirement={requirements}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuild(f"pip cannot fetch the packages of requirements.lock:\n{done.stderr[-2000:]}")
        requirements.unlink()
        scratch.rename(folder)
    return sorted(folder.glob("*.whl"))


def build_wheel(repository: Path, scratch: Path, kept: Path, *, machine: str) -> Path:
    """Keyturn's own wheel, by the setuptools of requirements.lock, from a copy: the checkout stays as it is."""
    everything, _ = _read_lock((repository / "requirements.lock").read_text())
    tools = scratch / "tools"
    for wheel in fetch_wheels([package for package in everything if package.name == "setuptools"], kept, machine=machine):
        with ZipFile(wheel) as archive:
            archive.extractall(tools)
    source = scratch / "source"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(repository / "operator", source / "operator", ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(scratch)!r})"
    environment = {**os.environ, "PYTHONPATH": str(tools), "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run([sys.executable, "-c", build], cwd=source, env=environment, capture_output=True, check=True)
    return next(scratch.glob("keyturn-*.whl"))


def unpack_wheel(wheel: Path, root: Path) -> None:
    """Put a wheel's files into `root`, without what nobody uses there."""
    folder = root / PACKAGES_FOLDER
    with ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or any(fnmatchcase(member.filename, pattern) for pattern in _LEFT_OUT):
                continue
            if ".data/" in member.filename.partition("/")[0] + "/":
                raise CannotBuild(f"{wheel.name} has files for other places than Python's path: {member.filename}")
            target = folder / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))


def write_programs(root: Path) -> None:
    """The commands that pyproject.toml names. Python ignores its variables and the current folder: what runs is what is in the image."""
    folder = root / "usr" / "local" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        program = folder / name
        program.write_text("#!/usr/bin/python3.11 -I\nfrom keyturn.cli.main import main\n\nmain()\n")
        program.chmod(0o755)


def write_bytecode(root: Path, *, machine: str) -> None:
    """Compile everything with the image's own Python: nothing can be written later. Never compared with its source, it starts fast."""
    libraries = root / "usr" / "lib" / f"{machine}-linux-gnu"
    loader = next(libraries.glob("ld-linux-*.so.*"))
    compile_all = ["-m", "compileall", "-q", "-f", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
    folders = [str(root / "usr" / "lib" / "python3.11"), str(root / PACKAGES_FOLDER)]
    environment = {"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    python = [str(loader), "--library-path", str(libraries), str(root / "usr" / "bin" / "python3.11"), "-s", "-S"]
    done = subprocess.run([*python, *compile_all, *folders], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"The image's Python cannot compile its files:\n{(done.stdout + done.stderr)[-2000:]}")


def _read_lock(text: str) -> tuple[list[PythonPackage], dict[str, set[str]]]:
    """All packages, and by package who needs it."""
    packages: list[PythonPackage] = []
    needed_by: dict[str, set[str]] = {}
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        lines = entry.splitlines()
        head = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^ \\]+)", lines[0])
        if head is None:
            raise CannotBuild(f"requirements.lock has a line that is no pinned package: {lines[0]}")
        remarks = [line.strip(" #").removeprefix("via").strip() for line in lines if line.lstrip().startswith("#")]
        needed_by[head[1]] = {re.split(r"[ \[(]", remark)[0] for remark in remarks if remark}
        requirement = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        packages.append(PythonPackage(head[1], head[2], requirement))
    return packages, needed_by


def _direct_needs(repository: Path) -> set[str]:
    table = project(repository)
    wanted = [*table["dependencies"], *(item for extra in EXTRAS for item in _extra(table, extra))]
    return {re.split(r"[\[>=<!~; ]", requirement)[0].lower() for requirement in wanted}


def _extra(table: dict[str, Any], name: str) -> Iterator[str]:
    """What an extra needs; what it takes from others of ours (`keyturn[jwt]`) in their place."""
    for requirement in table["optional-dependencies"][name]:
        if others := re.match(r"keyturn\[([\w,]+)\]", requirement):
            for other in others[1].split(","):
                yield from _extra(table, other)
        else:
            yield requirement
