"""Whose a key is that somebody found, as the verifier records tell. Pure. For `leak_command.py`, which reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn.base.names import Key
from keyturn.cli.exit_code import ExitCode
from keyturn.keys.record_peek import imported_digests_in, key_ids_in, readable_record


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to say, and whether a revocation follows."""

    sentence: str
    ends_with: ExitCode | None = None
    """None: go on and revoke."""
    key_id: str = ""
    """What its record calls the key: that ends. Empty: as it calls itself."""


def verdict_on(key_id: str, *, digest: str, records: Iterable[tuple[Key, bytes]]) -> Verdict | None:
    """Go on only where a record says that this very key was issued; None: no record knows the key.

    A key ID is public and a checksum no secret: anybody can make up a key under somebody else's key ID, and post it where it is found.
    A key that was made elsewhere says nothing of its key ID, and its list may have given it any: verifiers find it by its digest.
    """
    meant = ((owner, data) for owner, data in records if key_id in key_ids_in(data) or digest in imported_digests_in(data))
    verdicts = [each for each in (_verdict_of(owner, data, key_id=key_id, digest=digest) for owner, data in meant) if each is not None]
    return next((each for each in verdicts if each.ends_with is None), verdicts[0] if verdicts else None)


def _verdict_of(owner: Key, data: bytes, *, key_id: str, digest: str) -> Verdict | None:
    record = readable_record(data)
    if record is None:
        return Verdict(
            f"It is a key of ApiKey {owner} or has its key ID, but the record cannot be read by this version of keyturn: nothing was "
            f"revoked. Take the version that the operator has, or add --without-comparing: then whatever has key ID {key_id} ends",
            ExitCode.FAILED,
        )
    found = next((entry for entry in record.versions if entry.digest == digest), None)
    if found is not None:
        return Verdict(f"Key ID {found.key_id} is that of ApiKey {owner}", key_id=found.key_id)
    if any(entry.key_id == key_id for entry in record.versions):
        sentence = f"Key ID {key_id} is that of ApiKey {owner}, but this is not the key it was issued: nothing was revoked"
        return Verdict(sentence, ExitCode.FAILED)
    ended = next((entry.key_id for entry in record.dead if entry.key_id == key_id or entry.digest == digest), None)
    if ended is None and digest not in record.ended_digests:
        return None  # the digest is that of a Secret, say
    what = f"Key ID {ended} was that of ApiKey {owner}" if ended is not None else f"It was a key of ApiKey {owner}"
    return Verdict(f"{what} and has ended: there is nothing to revoke", ExitCode.FINE)
