"""Runs runc for a root that lacks a capability: a privileged container gets what there is, instead of an error.

Usage: within_bounds.py RUNC ARGUMENT...; a program of its own, standard library only. `kind_engine.py` makes it Docker's runtime.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

# in the kernel's order: include/uapi/linux/capability.h
_NAMES: Final = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip


def main(runc: str, words: Sequence[str]) -> None:
    """Cut the configuration runc is about to read, then become runc."""
    if "create" in words or "run" in words:
        bundle = _option(words, "--bundle", "-b") or "."
        _cut(Path(bundle) / "config.json", lambda config: config.get("process", {}))
    elif "exec" in words and (process := _option(words, "--process", "-p")):
        _cut(Path(process), lambda config: config)
    os.execv(runc, [runc, *words])  # noqa: S606 - it is handed on, word by word


def _option(words: Sequence[str], *names: str) -> str | None:
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in names), None)


def _cut(file: Path, process_of: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    status = Path("/proc/self/status").read_text().splitlines()
    bounds = int(next(line.split()[1] for line in status if line.startswith("CapBnd")), 16)
    allowed = {f"CAP_{name}" for at, name in enumerate(_NAMES) if bounds >> at & 1}
    config = json.loads(file.read_text())
    lists = process_of(config).get("capabilities") or {}
    for kind, wanted in lists.items():
        lists[kind] = [name for name in wanted if name in allowed]
    file.write_text(json.dumps(config))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
