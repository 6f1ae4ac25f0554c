"""Sockets to listen at, bound before anything is served: several processes may then share one."""

from __future__ import annotations

import resource
import socket
from typing import Final

BACKLOG: Final = 2048
_FILES_BESIDE_CONNECTIONS: Final = 256


def listener_at(address: str) -> socket.socket:
    """Bound to host:port; port 0: any free one. Raises OSError if it is taken."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=BACKLOG, dualstack_ipv6=host in {"", "::"})


def address_of(listener: socket.socket) -> str:
    """Where it listens, as host:port."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allow_connections(most: int) -> None:
    """Let this process open so many, as far as it may: the usual limit of 1,024 files is meant for programs that use select."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES_BESIDE_CONNECTIONS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
