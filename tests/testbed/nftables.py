"""The command nft, without which kube-proxy ends at once: the machine's, or Debian's, unpacked and run by its own loader."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from testbed import debian


def put_nft(folder: Path) -> None:
    """Make `nft` a command of this folder, unless the machine has one."""
    if shutil.which("nft") is not None:
        return
    root = debian.merged(*debian.with_dependencies("nftables"))
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    loader = next(libraries.glob("ld-linux-*.so.*"))
    command = folder / "nft"
    command.write_text(f'#!/bin/sh\nexec "{loader}" --library-path "{libraries}" "{root}/usr/sbin/nft" "$@"\n')
    command.chmod(0o755)
