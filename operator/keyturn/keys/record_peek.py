"""A look into the bytes of a record without believing them: its signature is not checked, and most of it is not decoded.

For whoever asks a hundred thousand records the same question, or may not have the keys to check them by. What is found says where to
look and whom to wake; whatever ends, admits or moves a key goes by `record_signing.verify_record`. Beside `record_encoding.py`.
"""

from __future__ import annotations

import re
from typing import Final

from keyturn.keys.record import Record
from keyturn.keys.record_encoding import RecordDamaged, RecordTooNew, decode_record

# No text in the record can look like these: a quotation mark inside of one has a backslash before it.
_SERIAL: Final = re.compile(rb'"serial":([0-9]{1,19})[,}]')
_INSTALLATION: Final = re.compile(rb'"installation":"([^"\\]+)"')
_PRODUCT: Final = re.compile(rb'"product":"([^"\\]+)"')
_HAS_PLAN: Final = b'"plan":"'
_KEY_IDS: Final = re.compile(rb'"keyID":"([A-Za-z0-9]+)"')
_DIGESTS: Final = re.compile(rb'"digest":"([$]sha256[$][A-Za-z0-9_-]{43})"')
_ENDED_DIGESTS: Final = re.compile(rb'"endedDigests":\["([^\]]*)"\]')
_HAS_VERSIONS: Final = b'"versions":['
_HAS_IMPORTED: Final = b'"cause":"Imported"'


def serial_in(data: bytes) -> int:
    """The serial; 0 if there is none."""
    found = _SERIAL.search(data)
    return int(found[1]) if found else 0


def installation_in(data: bytes) -> str | None:
    """Whose it says it is; None: it says nothing."""
    found = _INSTALLATION.search(data)
    return found[1].decode() if found else None


def holds_key_of(data: bytes) -> str | None:
    """Which product's key it has; None: no key, or of no product, or one that the product only refuses: that has no plan."""
    found = _PRODUCT.search(data)
    return found[1].decode() if found and _HAS_PLAN in data and _HAS_VERSIONS in data else None


def key_ids_in(data: bytes) -> set[str]:
    """The key IDs of its versions, dead ones as well."""
    return {found.decode() for found in _KEY_IDS.findall(data)}


def imported_digests_in(data: bytes) -> set[str]:
    """Every digest in a record that has, or had, a key that was made elsewhere; of other records none."""
    ended = _ENDED_DIGESTS.search(data)
    found = set(ended[1].split(b'","')) if ended else set()
    if _HAS_IMPORTED in data:
        found |= set(_DIGESTS.findall(data))
    return {digest.decode() for digest in found}


def readable_record(data: bytes) -> Record | None:
    """All of it, decoded; None where it cannot be read here."""
    try:
        return decode_record(data)
    except (RecordDamaged, RecordTooNew):
        return None
