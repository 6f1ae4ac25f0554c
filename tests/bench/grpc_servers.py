"""Servers of Envoy's check, all around the same decision: the product's front, and grpcio in both its kinds.

python -m bench.grpc_servers KIND KEYS          prints the port
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

from gen.many_keys import guard_of
from keyturn.verifier.service.doors import OwnDoor
from keyturn.verifier.service.grpc_door.envoy_check import CHECK, SERVICE, EnvoyCheck
from keyturn.verifier.service.grpc_door.grpc_front import GrpcFront
from keyturn.verifier.service.listeners import listener_at

FRONT: Final = "front"
GRPCIO: Final = "grpcio"
GRPCIO_AIO: Final = "grpcio.aio"
KINDS: Final = (FRONT, GRPCIO, GRPCIO_AIO)
_METHOD: Final = CHECK.decode().rpartition("/")[2]


async def front(keys: int) -> None:
    served = GrpcFront(guard_of(keys), is_ready=lambda: True)
    door = OwnDoor(listener_at("127.0.0.1:0"))
    await served.start(door)
    tell(door.address)
    await asyncio.Event().wait()


def grpcio(keys: int) -> None:
    check = EnvoyCheck(guard_of(keys))
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((handler(lambda message, _: check(message)),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    tell(str(port))
    server.wait_for_termination()


async def grpcio_aio(keys: int) -> None:
    check = EnvoyCheck(guard_of(keys))

    async def answer(message: bytes, _: object) -> bytes:
        return check(message)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tell(str(port))
    await server.wait_for_termination()


def handler(method: Any) -> grpc.GenericRpcHandler:  # noqa: ANN401  grpcio has no types
    return grpc.method_handlers_generic_handler(SERVICE, {_METHOD: grpc.unary_unary_rpc_method_handler(method)})


def tell(address: str) -> None:
    print(address.rpartition(":")[2], flush=True)


def main(kind: str, keys: int) -> None:
    if kind == FRONT:
        uvloop.run(front(keys))
    elif kind == GRPCIO:
        grpcio(keys)
    else:
        asyncio.run(grpcio_aio(keys))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
