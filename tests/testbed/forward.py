"""Carries TCP connections into another network namespace. A program of its own, standard library only.

Usage: forward.py LISTENING-FD HOST PORT. The socket was opened outside and listens there; this process runs inside and connects there.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress


async def main() -> None:
    """Serve until killed."""
    listening, host, port = socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        for side in (writer, inner_writer):
            side.close()

    server = await asyncio.start_server(carry, sock=listening)
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with suppress(OSError):
        target.write_eof()  # the other direction may still have something to say


if __name__ == "__main__":
    asyncio.run(main())
