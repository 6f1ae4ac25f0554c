"""The files of a release, one function each: given the exported commit, write into the folder of the release."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from release.archives import pack_anew
from release.source import Source

SUMS: Final = "SHA256SUMS"
_BUILD: Final = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def python_packages(source: Source, target: Path) -> None:
    """Wheel and source distribution, by the locked setuptools of this environment."""
    for hook in ("build_sdist", "build_wheel"):  # of PEP 517; a process each, since setuptools changes its own arguments
        _run(source, [sys.executable, "-c", _BUILD, hook, str(target)], {"SOURCE_DATE_EPOCH": str(source.epoch)})
    pack_anew(target / f"keyturn-{source.version}.tar.gz", epoch=source.epoch)


def custom_resources(source: Source, target: Path) -> None:
    """The CRDs alone, for who installs them before everything else."""
    files = sorted((source.folder / "crds").glob("*.yaml"))
    (target / "keyturn-crds.yaml").write_text("---\n".join(file.read_text(encoding="utf-8") for file in files), encoding="utf-8")


def manifests(source: Source, target: Path) -> None:
    """What `kubectl apply -k deploy/` would send, in one file."""
    rendered = _run(source, [program(source, "kubectl"), "kustomize", "deploy"])
    (target / "keyturn.yaml").write_text(rendered, encoding="utf-8")


def image(source: Source, target: Path) -> None:
    """The container image and its bill of materials. What was built before of the same inputs is taken again."""
    _run(source, [sys.executable, "deploy/image/build.py", "--output", str(target)])


def chart(source: Source, target: Path) -> None:
    """The Helm chart, packed. Helm notes the time of packing, so it is packed anew."""
    _run(source, [program(source, "helm"), "package", "charts/keyturn", "--destination", str(target)])
    pack_anew(target / f"keyturn-{source.version}.tgz", epoch=source.epoch)


def notes(source: Source, target: Path) -> None:
    """The changelog's entry, and how to check what was downloaded."""
    entry = source.entry
    text = f"# Keyturn {source.version} ({entry.day})\n\n{entry.text}\n\n## Check the files\n\n    sha256sum --check {SUMS}\n"
    (target / "RELEASE_NOTES.md").write_text(f"{text}\nBuilt from commit {source.commit}.\n", encoding="utf-8")


PARTS: Final[Mapping[str, Callable[[Source, Path], None]]] = {
    "python": python_packages,
    "crds": custom_resources,
    "manifests": manifests,
    "chart": chart,
    "image": image,
    "notes": notes,
}
"""By the name that a person can ask for, in the order in which they are made."""


def checksums(target: Path) -> None:
    """For `sha256sum --check`; over everything that is there."""
    lines = [f"{sha256(file)}  {file.name}\n" for file in released(target)]
    (target / SUMS).write_text("".join(lines), encoding="utf-8")


def released(target: Path) -> list[Path]:
    """Every file of the release but the checksums."""
    return sorted(file for file in target.iterdir() if file.name != SUMS)


def sha256(file: Path) -> str:
    """Its digest, as sha256sum prints it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def program(source: Source, name: str) -> str:
    """A program at the version that the tests use; built the first time, which takes minutes."""
    command = [sys.executable, "-m", "testbed", "binaries", name]
    environment = {**os.environ, "PYTHONPATH": str(source.checkout / "tests")}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _run(source: Source, command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=source.folder,
        env={**os.environ, **(environment or {})},
        umask=0o022,  # modes of files get into archives
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
