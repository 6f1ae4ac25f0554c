"""A Git server on the loopback, with one repository to push to: what a GitOps tool syncs from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from testbed.cluster import OwnCluster
from testbed.layout import free_ports

BRANCH: Final = "main"
_WHO: Final = {
    "GIT_AUTHOR_NAME": "team",
    "GIT_AUTHOR_EMAIL": "team@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_ENVIRONMENT: Final = {**_WHO, **{name.replace("AUTHOR", "COMMITTER"): value for name, value in _WHO.items()}}


class GitServer:
    """`git daemon` over a bare repository. It ends with its plane."""

    def __init__(self, plane: OwnCluster) -> None:
        home, (port,) = plane.folder / "git", free_ports(1)
        self._work = home / "work"
        served = home / "served"
        bare = served / "keys.git"
        bare.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(bare), folder=home)
        self._git("clone", "--quiet", str(bare), str(self._work), folder=home)
        self.url = f"git://127.0.0.1:{port}/keys.git"
        command = ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={served}", "--reuseaddr"]
        plane.run_beside("git-daemon", command, environment={**os.environ, **_ENVIRONMENT})

    def push(self, files: Mapping[str, str | None]) -> str:
        """Commit these files as they should read now (None: gone) and push; answers the commit."""
        for name, text in files.items():
            file = self._work / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text)
        self._git("add", "--all", folder=self._work)
        self._git("commit", "--quiet", "--allow-empty", "--message", "Change what is wanted", folder=self._work)
        self._git("push", "--quiet", "origin", f"HEAD:{BRANCH}", folder=self._work)
        return self._git("rev-parse", "HEAD", folder=self._work).strip()

    def _git(self, *arguments: str, folder: Path) -> str:
        environment = {**os.environ, **_ENVIRONMENT}
        return subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
