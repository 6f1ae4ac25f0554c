"""Control groups of a node's or an engine's own, so that what they leave behind can be found and removed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from testbed.cluster import wait_until

ROOT: Final = Path("/sys/fs/cgroup")


def make_cgroups(name: str) -> list[Path]:
    """Make one: version 1 has a folder in each hierarchy, version 2 one in all."""
    if (ROOT / "cgroup.controllers").exists():
        own = ROOT / name
        own.mkdir()
        return [own]
    made = [hierarchy / name for hierarchy in sorted(ROOT.iterdir()) if hierarchy.name != "unified" and not hierarchy.is_symlink()]
    for group in made:
        group.mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then nothing can run in it
            if (group / file).exists():
                (group / file).write_text((group.parent / file).read_text())
    return [*made, ROOT / "unified" / name]  # where both versions are mounted, runc makes one there by itself


def remove_cgroups(groups: Sequence[Path]) -> None:
    """Remove them and their children as soon as the last process in them is gone."""
    wait_until(
        lambda: not [group for group in groups if _is_still_there(group)], patience=20, what="the last processes to be gone", pause=0.02
    )


def _is_still_there(group: Path) -> bool:
    shutil.rmtree(group, ignore_errors=True)  # the files in it cannot be removed and need not be
    return group.exists()
