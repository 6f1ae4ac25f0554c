"""Real gateways for tests: one with a given configuration on free ports, awaited until it listens, ended for certain.

    with Gateway.start("envoy", file, port=port) as envoy:
        envoy.port, envoy.component.pid, envoy.log    # freeze, thaw, kill, start: `processes.Component`

A configuration says itself where the gateway listens: take `layout.free_ports`, write one into it, and say here which. The file's
folder is its owner's; logs and what a gateway keeps go there.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from testbed.cluster import wait_until
from testbed.gateway_programs import gateway_program
from testbed.processes import Component, Group

PATIENCE: Final = 60.0
_NGINX_FRAME: Final = """
pid {folder}/nginx.pid;
daemon off;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {file};
}}
"""
"""What stands around a site's file in Debian's and others' nginx.conf, without what needs root."""


class Gateway:
    """One running gateway. Made by `Gateway.start`."""

    def __init__(self, name: str, file: Path, *, port: int) -> None:
        self.name, self.port = name, port
        folder = file.parent
        self.log = folder / f"{name}.log"
        self._group = Group()
        program = gateway_program(name)
        environment = {**program.environment, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        command = _command(name, program.path, file)
        self.component = Component(name, group=self._group, command=command, log=self.log, environment=environment)

    @classmethod
    def start(cls, name: str, file: Path, *, port: int) -> Self:
        """Start one (envoy, traefik, caddy, nginx, haproxy) with this configuration and wait until it listens on `port` of the loopback."""
        gateway = cls(name, file, port=port)
        try:
            gateway.component.start()
            wait_until(gateway.listens, patience=PATIENCE, what=f"{name} to listen on {port}")
        except BaseException:
            gateway.stop()
            raise
        return gateway

    def listens(self) -> bool:
        """Whether it takes connections; raise with the end of its log if it is no longer there."""
        self.component.complain_if_dead()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """End it at once."""
        self._group.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _command(name: str, program: Path, file: Path) -> list[str | Path]:
    folder = file.parent
    match name:
        case "envoy":
            return [program, "-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        case "traefik":
            return [program, f"--configFile={file}"]
        case "caddy":
            return [program, "run", "--adapter", "caddyfile", "--config", file]
        case "haproxy":
            return [program, "-db", "-f", file]
        case "nginx":
            frame = folder / "nginx.conf"
            frame.write_text(_NGINX_FRAME.format(folder=folder, file=file))
            return [program, "-p", folder, "-e", "stderr", "-c", frame]
        case _:
            raise LookupError(f"no such gateway: {name}")
