"""What one HTTP/2 connection may cost here, each number with its reason. `http2_connection.py` holds to them.

A gateway never comes near any of them: they are for whoever else finds the port, and for a gateway that went mad.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024

MAX_FRAME_SIZE: Final = 16 * KIB
"""What RFC 9113 section 4.2 asks of everyone. More would only let one peer's frame wait longer in memory."""
MAX_BODY: Final = 512 * KIB
"""A CheckRequest repeats the headers of the client's request: with Envoy 60 KiB unless its operator allows more."""
MAX_BODIES: Final = 4 * 1024 * KIB
"""Bytes of half-received bodies over all streams: a thousand streams of half a mebibyte each must not add up."""
MAX_STREAMS: Final = 1000
"""Requests in flight. Each is answered as soon as it is whole, so a gateway has few; with a low limit it would open more connections."""
MAX_HEADER_BLOCK: Final = 16 * KIB
"""Compressed bytes of one request's headers, CONTINUATION frames included (the CONTINUATION flood, CVE-2024-27316)."""
MAX_HEADER_LIST: Final = 16 * KIB
"""The same decompressed, counted as RFC 9113 section 6.5.2 says: a few bytes may stand for many (CVE-2016-6581)."""
MAX_SETTINGS: Final = 100 * 6
"""Bytes of one SETTINGS frame: there are less than a dozen kinds of six bytes each."""
SMALL_DATA: Final = 64
"""A DATA frame below this that does not end its body is mostly frame: it counts as one that asks for nothing."""

FLOOD_ALLOWANCE: Final = 1000
"""So many frames that ask for nothing may come at once: PING, SETTINGS, RST_STREAM, PRIORITY, WINDOW_UPDATE, empty or unknown ones.

Answering them costs more than sending them (CVE-2019-9512 to 9518); opening and resetting is the rapid reset (CVE-2023-44487).
"""
FLOOD_REFILL: Final = 100.0
"""So many are forgiven each second: keep-alives and cancelled requests of a long life never add up."""
FLOOD_EARNED: Final = 2
"""So many are forgiven for each answered request: a busy peer moves its windows and measures its round trips."""

REQUEST_SECONDS: Final = 20.0
"""A request that is not whole by then, or an answer that could not be sent, is given up: gateways wait for a second at most."""
HELLO_SECONDS: Final = 10.0
"""Who connects has to say that it speaks HTTP/2 within this."""
IDLE_SECONDS: Final = 600.0
"""A connection without a request for so long ends, politely: the other end may have gone without a word. PINGs do not count."""
STALLED_SECONDS: Final = 30.0
"""A peer that does not read for so long is cut off: nobody waits for what is kept for it."""
WRITE_AHEAD: Final = 256 * KIB
"""Answers that wait for a peer to read. Above this nothing is read from it either."""
MAX_CONNECTIONS: Final = 1000
"""In one process. A gateway has a few for each of its workers."""
