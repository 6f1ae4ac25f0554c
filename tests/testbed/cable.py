"""A breakable way to the API server, for tests of half-open connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from testbed.cluster import Cluster


class Cable:
    """A TCP proxy to the API server that can be frozen: connections stay open and nothing passes, as behind a dead load balancer."""

    def __init__(self, host: str, port: int, *, kubeconfig: Path) -> None:
        self._host, self._port = host, port
        self.kubeconfig = kubeconfig
        """Leads through this cable."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def ends(self) -> int:
        """How many sockets it holds, two for each connection."""
        return len(self._connections)

    def freeze(self) -> None:
        """From now on nothing passes."""
        self._flows.clear()

    def thaw(self) -> None:
        """Break every connection of before, let new ones pass."""
        for writer in tuple(self._connections):
            writer.transport.abort()
        self._flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if task := asyncio.current_task():
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        async with self._end(writer):
            up_reader, up_writer = await asyncio.open_connection(self._host, self._port, family=socket.AF_INET)
            async with self._end(up_writer):
                await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer), return_exceptions=True)

    async def close(self) -> None:
        """Break every connection; returns when none is left."""
        while self._serving:  # one that is being made now is in nobody's set yet
            self.thaw()
            await asyncio.wait(self._serving, timeout=0.1)

    @asynccontextmanager
    async def _end(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._connections.add(writer)
        try:
            yield
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            self._connections.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def cable_to(cluster: Cluster, folder: Path) -> AsyncIterator[Cable]:
    """A cable to a cluster whose kubeconfig names an address and a port; its own kubeconfig is written into `folder`."""
    host, port = cluster.url.removeprefix("https://").split(":")
    cable = Cable(host, int(port), kubeconfig=folder / "cable.kubeconfig")
    server = await asyncio.start_server(cable.serve, "127.0.0.1", 0)
    near = server.sockets[0].getsockname()[1]
    cable.kubeconfig.write_text(cluster.kubeconfig.read_text().replace(f"{host}:{port}", f"127.0.0.1:{near}"))
    try:
        yield cable
    finally:
        server.close()
        await cable.close()
