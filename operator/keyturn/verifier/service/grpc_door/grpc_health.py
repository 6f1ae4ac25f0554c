"""grpc.health.v1.Health/Check, for gateways that look after their upstreams. See `grpc_calls.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keyturn.verifier.service.grpc_door.envoy_check import SERVICE
from keyturn.verifier.service.grpc_door.envoy_messages import HEALTH_CHECK_REQUEST, HEALTH_CHECK_RESPONSE, DecodeError
from keyturn.verifier.service.grpc_door.grpc_calls import CallFailed, Code

HEALTH: Final = b"/grpc.health.v1.Health/Check"
SERVING: Final = 1
NOT_SERVING: Final = 2


class HealthCheck:
    """The method. `is_serving`: whether this replica should be asked."""

    def __init__(self, is_serving: Callable[[], bool]) -> None:
        self._is_serving = is_serving

    def __call__(self, message: bytes) -> bytes:
        """Answer one HealthCheckRequest. Raises CallFailed for a service that is not here."""
        try:
            service = HEALTH_CHECK_REQUEST.FromString(message).service
        except DecodeError:
            raise CallFailed(Code.INTERNAL, "The message is no HealthCheckRequest") from None
        if service not in {"", SERVICE}:
            raise CallFailed(Code.NOT_FOUND, "There is no such service here")
        return HEALTH_CHECK_RESPONSE(status=SERVING if self._is_serving() else NOT_SERVING).SerializeToString()
