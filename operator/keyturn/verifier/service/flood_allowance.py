"""How many frames that ask for nothing a peer may still send. Pure: `now` comes in."""

from __future__ import annotations

from keyturn.verifier.service.grpc_door.http2_frames import ENHANCE_YOUR_CALM, ConnectionFault
from keyturn.verifier.service.grpc_door.http2_limits import FLOOD_ALLOWANCE, FLOOD_EARNED, FLOOD_REFILL


class FloodAllowance:
    """A leaky bucket: each such frame fills it, time and answered requests empty it."""

    __slots__ = ("_since", "_spent")

    def __init__(self, now: float) -> None:
        self._since, self._spent = now, 0.0

    def spend(self, now: float) -> None:
        """One more. Raises ConnectionFault when it is one too many."""
        self._spent += 1
        if self._spent > FLOOD_ALLOWANCE:
            self._spent = max(1.0, self._spent - (now - self._since) * FLOOD_REFILL)
            self._since = now
            if self._spent > FLOOD_ALLOWANCE:
                raise ConnectionFault(ENHANCE_YOUR_CALM)

    def earn(self) -> None:
        """A request was answered."""
        if self._spent:
            self._spent = max(0.0, self._spent - FLOOD_EARNED)
