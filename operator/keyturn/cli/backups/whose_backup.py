"""Whether a backup is of the installation that stands in the cluster. Pure; `restoring.py` reads what is asked here.

Whoever knows the recipient of a backup can make one, and a cluster that was set up anew has a root secret of its own: records that one
root signs are worth nothing beside another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keyturn.controller.installation import PREVIOUS_ROOT_DATA_KEY, ROOT_DATA_KEY, Installation, installation_id
from keyturn.keys.root_secret import RootSecret
from keyturn.keys.verification_keys import VerificationKeys, VerificationKeysDamaged

UNREADABLE = "one that cannot be read"
PAGE = "docs/how-to/restore-from-backup.md"


@dataclass(frozen=True, slots=True)
class Standing:
    """What names an installation in the cluster."""

    root: Mapping[str, str]
    """Data of the root Secret; empty: there is none."""
    published: Mapping[str, str]
    """Data of the ConfigMap of public keys; empty: there is none."""
    of_records: frozenset[str]
    """Whose the verifier records say they are."""


def why_not_here(installation: Installation, standing: Standing) -> str | None:
    """What keeps a backup of this installation out of the cluster, and what to do; None: nothing."""
    for what, found in _named(standing):
        if installation.id not in found:
            return (
                f"Nothing was changed. The backup is of installation {installation.id}, {what} of {', '.join(sorted(found))}. Where this"
                " is the wrong file, take one of which keyturn backup --verify says the latter. Where the cluster was set up anew and"
                f" {installation.id} is to come back, stop the operator, delete root Secret, public keys and verifier records, and run"
                f" this again: {PAGE}"
            )
    if standing.root and not _signers(installation) <= _signers(Installation.of(*_roots(standing.root))):
        return (
            "Nothing was changed. The root Secret is of the backup's installation, and lacks a root by which records of the backup are"
            f" signed. Stop the operator, delete the Secret, and run this again, which puts back the backup's: {PAGE}"
        )
    return None


def _named(standing: Standing) -> Iterator[tuple[str, frozenset[str]]]:
    if standing.root:
        try:
            found = Installation.of(*_roots(standing.root)).id
        except (ValueError, TypeError):
            found = UNREADABLE
        yield "the root Secret of the cluster is", frozenset({found})
    try:
        published = VerificationKeys.from_data(standing.published)
    except VerificationKeysDamaged:
        published = VerificationKeys(())
    if published.keys:
        yield "the public keys of the cluster are", frozenset({installation_id(published)})
    if standing.of_records:
        yield "the verifier records of the cluster are", standing.of_records


def _signers(installation: Installation) -> set[str]:
    return {key.key_id for key in installation.verification_keys.keys}


def _roots(data: Mapping[str, str]) -> list[RootSecret]:
    """Raises ValueError where one cannot be read."""
    try:
        texts = [data[name] for name in (ROOT_DATA_KEY, PREVIOUS_ROOT_DATA_KEY) if name in data]
        return [RootSecret(base64.b64decode(text, validate=True)) for text in texts]
    except binascii.Error as error:
        raise ValueError("no base64") from error
