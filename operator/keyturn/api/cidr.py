"""Networks as the API server's CEL function `isCIDR` reads them, which is stricter than its `format: cidr`."""

from __future__ import annotations

import re
from ipaddress import IPv6Network, ip_network
from typing import Final

from keyturn.api.rules import Rule

_PREFIX_LENGTH: Final = re.compile("0|[1-9][0-9]{0,2}")


def is_cidr(text: str) -> bool:
    """Whether it is a network as in 10.0.0.0/8 or 2001:db8::/32. Bits after the prefix are allowed, IPv4-mapped IPv6 and zones are not."""
    address, slash, length = text.partition("/")
    if not slash or not _PREFIX_LENGTH.fullmatch(length) or "%" in address:
        return False
    try:
        network = ip_network(text, strict=False)
        mapped = isinstance(network, IPv6Network) and IPv6Network(f"{address}/128").network_address.ipv4_mapped is not None
    except ValueError:
        return False
    return not mapped


CIDR_RULES: Final = (
    Rule[str](
        "isCIDR(self)",
        "no network: write address/length, as in 10.20.0.0/16, 192.0.2.7/32 or 2001:db8::/48; no leading zeros, and IPv4 as IPv4,"
        " not as ::ffff:10.20.0.0",
        is_cidr,
    ),
)
