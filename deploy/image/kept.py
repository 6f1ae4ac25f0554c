"""Where packages and finished images are kept between builds: outside the checkout, shared by all of this user's, safe to delete."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

INPUTS: Final = ("requirements.lock", "pyproject.toml", "README.md", "LICENSE", "operator/keyturn", "deploy/image")
"""Everything in the checkout that the image's bytes depend on."""


def kept_folder(name: str) -> Path:
    """A folder of that name in $KEYTURN_CACHE, else $XDG_CACHE_HOME/keyturn, else ~/.cache/keyturn; made if need be."""
    own, shared = os.environ.get("KEYTURN_CACHE"), os.environ.get("XDG_CACHE_HOME")
    cache = Path(own) if own else Path(shared) / "keyturn" if shared else Path.home() / ".cache" / "keyturn"
    folder = cache.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget_oldest(folders: Iterator[Path], *, keep: int) -> None:
    """Remove all but the newest few of these folders."""
    for folder in sorted(folders, key=lambda each: each.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a folder against every other build. The kernel lets go of it if we are killed."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint(repository: Path, *more: str) -> str:
    """A hash of all inputs."""
    digest = hashlib.sha256("\n".join(more).encode())
    for name in INPUTS:
        place = repository / name
        files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(repository)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
