"""Whose a key is that somebody found, as the verifier records tell. Pure. For `leak_command.py`, which reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn.base.names import Key
from keyturn.cli.exit_code import ExitCode
from keyturn.keys.record_peek import key_ids_in, readable_record


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to say, and whether a revocation follows."""

    sentence: str
    ends_with: ExitCode | None = None
    """None: go on and revoke."""


def verdict_on(key_id: str, *, digest: str, records: Iterable[tuple[Key, bytes]]) -> Verdict | None:
    """Go on only where a record says that this very key was issued; None: no record knows the key ID.

    A key ID is public and a checksum no secret: anybody can make up a key under somebody else's key ID, and post it where it is found.
    """
    verdicts = [_verdict_of(owner, data, key_id=key_id, digest=digest) for owner, data in records if key_id in key_ids_in(data)]
    return next((each for each in verdicts if each.ends_with is None), verdicts[0] if verdicts else None)


def _verdict_of(owner: Key, data: bytes, *, key_id: str, digest: str) -> Verdict:
    record = readable_record(data)
    if record is None:
        return Verdict(
            f"Key ID {key_id} is that of ApiKey {owner}, but its record cannot be read by this version of keyturn: nothing was revoked. "
            f"Take the version that the operator has, or add --without-comparing",
            ExitCode.FAILED,
        )
    digests = {entry.digest for entry in record.versions if entry.key_id == key_id}
    if digest in digests:
        return Verdict(f"Key ID {key_id} is that of ApiKey {owner}")
    if digests:
        sentence = f"Key ID {key_id} is that of ApiKey {owner}, but this is not the key it was issued: nothing was revoked"
        return Verdict(sentence, ExitCode.FAILED)
    return Verdict(f"Key ID {key_id} was that of ApiKey {owner} and has ended: there is nothing to revoke", ExitCode.FINE)
