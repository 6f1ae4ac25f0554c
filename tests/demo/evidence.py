"""Looks at what the cluster holds as a verifier will: the signed record, and whether it accepts a key."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keyturn.base.clock import format_time
from keyturn.base.names import Key
from keyturn.base.verdict import Match
from keyturn.base.version_state import VersionState
from keyturn.keys.digest import digest_matches
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Genuine, verify_record
from keyturn.keys.token_format import Malformed, parse_token
from keyturn.keys.verification_keys import VerificationKeys
from testbed.cluster import Cluster

ACCEPTED: Final = frozenset({VersionState.STAGED, VersionState.ACTIVE, VersionState.RETIRING})


class NotGenuine(Exception):
    """A record whose signature does not hold."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One ApiKey's two Secrets."""

    cluster: Cluster
    key: Key

    def token(self) -> str:
        """The plaintext, as the consumer's pods get it."""
        return self._data(self.key.namespace, self.key.name)["api-key"]

    def record(self) -> Record:
        """The record, believed only after its signature was checked with the published keys: no secret is needed for it."""
        published = json.loads(self.cluster.kubectl("get", "configmap", "keyturn-verification-keys", "-n", "keyturn-system", "-o", "json"))
        stored = self._data("keyturn-verifiers", self.key.record_name)
        verdict = verify_record(
            stored["record"].encode(),
            signature=stored["signature"],
            keys=VerificationKeys.from_data(published["data"]),
            expected=self.key,
            installation=None,
        )
        if not isinstance(verdict, Genuine):
            raise NotGenuine(str(verdict))
        return verdict.record

    def judge(self, token: str) -> str:
        """Whether a verifier with this record would let the key pass, in words."""
        parsed = parse_token(token)
        if isinstance(parsed, Malformed):
            return "refused: not a key"
        record = self.record()
        entry = next((each for each in record.versions if each.key_id == parsed.key_id), None)
        shown = f"{parsed.prefix}_{parsed.key_id}********"
        if entry is None or not isinstance(digest_matches(token, digest=entry.digest), Match):
            return f"{shown}  REFUSED   no live version of the record has this digest"
        if entry.state not in ACCEPTED or (entry.not_after is not None and entry.not_after <= datetime.now(UTC)):
            return f"{shown}  REFUSED   version {entry.number} is {entry.state}"
        until = f", at most until {format_time(entry.not_after)}" if entry.not_after else ""
        return f"{shown}  ACCEPTED  version {entry.number}, {entry.state}{until}"

    def _data(self, namespace: str, name: str) -> dict[str, str]:
        raw = json.loads(self.cluster.kubectl("get", "secret", name, "-n", namespace, "-o", "json"))
        return {entry: base64.b64decode(value).decode() for entry, value in raw["data"].items()}
