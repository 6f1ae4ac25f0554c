"""Writes one ApiKey's credential Secret, and notes what was written. Part of `act.py`; every write is conditional (R4)."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.errors import Conflict
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.cluster.api_errors import AlreadyExists
from keyturn.cluster.cache import Entry
from keyturn.cluster.credential_secrets import CredentialBody, CredentialMetadata, CredentialWrite, Owner
from keyturn.controller.apikey.secret_view import Leftovers, leftovers, previous_in
from keyturn.controller.runtime import CheckedSecret, HeldToken, Runtime
from keyturn.keys.adoption_tag import adoption_tag
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Record, SecretFingerprint
from keyturn.lifecycle.credential_secret import Rendered, TokenInHand, render, secret_digest, template_digest, value_digest
from keyturn.lifecycle.observed import GoodRecord, Observed, OurSecret


@dataclass(frozen=True, slots=True)
class CredentialWriter:
    """Writes one ApiKey's credential Secret, and notes what was written."""

    rt: Runtime
    apikey: ApiKey

    @property
    def where(self) -> Key:
        """Where the Secret stands."""
        return Key(self.apikey.metadata.namespace, self.apikey.secret_name)

    def in_hand(self, number: int, token: HeldToken, *, key_id: str | None = None) -> TokenInHand:
        """A plaintext with its adoption tag. `key_id` where the plaintext does not carry its own."""
        key_id = key_id or token.plaintext.key_id
        tag = adoption_tag(
            self.rt.installation.tag_ring.first,
            installation=self.rt.installation.id,
            namespace=self.apikey.metadata.namespace,
            name=self.apikey.metadata.name,
            key_id=key_id,
            version=number,
            token_digest=token.digest,
        )
        return TokenInHand(number, key_id, tag, token.plaintext)

    async def create(self, rendered: Rendered) -> None:
        """Write the first one. Raises AlreadyExists: nothing of anybody's is written over."""
        try:
            entry = await self.rt.credential_secrets.create(self.where, self._write(rendered, Leftovers()))
        except AlreadyExists:
            # What is known is our own only: from now on look at this name itself until it is free.
            self.rt.memory.unlabelled.add(self.apikey.key)
            raise
        self._note(entry, rendered, previous_version=None)

    async def replace(self, seen: Observed, in_hand: TokenInHand, *, previous_number: int | None) -> None:
        """Write over the very Secret that was seen; what we wrote once and want no more goes."""
        if not isinstance(seen.secret, OurSecret):
            raise Conflict("the credential Secret is not the one that was seen")
        body = None
        if previous_number is not None or self._shape_moves(seen.secret):
            _, body = await self.rt.credential_secrets.read(self.where)
        previous: Plaintext | None = None
        if previous_number is not None and body is not None:
            previous = _current_token(seen.secret, body, previous_number, in_hand) or previous_in(body, _record_of(seen))[0]
        rendered = render(self.apikey, in_hand, previous=previous)
        away = leftovers(rendered, body) if body is not None else Leftovers()
        fingerprint = seen.secret.fingerprint
        entry = await self.rt.credential_secrets.replace(
            self.where, self._write(rendered, away, body=body), uid=fingerprint.uid, resource_version=fingerprint.resource_version
        )
        self._note(entry, rendered, previous_version=previous_number if previous is not None else None)

    def _shape_moves(self, secret: OurSecret) -> bool:
        fingerprint = secret.fingerprint
        return fingerprint.previous_version is not None or fingerprint.template_digest != template_digest(self.apikey)

    def _write(self, rendered: Rendered, away: Leftovers, *, body: CredentialBody | None = None) -> CredentialWrite:
        metadata = self.apikey.metadata
        return CredentialWrite(
            labels=rendered.labels,
            annotations=rendered.annotations,
            data=rendered.data,
            owner=Owner(metadata.name, metadata.uid) if rendered.owned else None,
            foreign_owners=body.foreign_owners if body is not None else None,
            drop_labels=away.labels,
            drop_annotations=away.annotations,
            drop_data=away.data,
        )

    def _note(self, entry: Entry[CredentialMetadata], rendered: Rendered, *, previous_version: int | None) -> None:
        digest = secret_digest(
            secret_type=names.CREDENTIAL_TYPE,
            labels=rendered.labels,
            annotations=rendered.annotations,
            data_digests={name: value_digest(value) for name, value in rendered.data.items()},
        )
        fingerprint = SecretFingerprint(
            uid=entry.uid,
            resource_version=str(entry.resource_version),
            version=entry.value.version,
            digest=digest,
            template_digest=template_digest(self.apikey),
            previous_version=previous_version,
        )
        token = digest_token(rendered.data[names.TOKEN_DATA_KEY].reveal())
        self.rt.memory.checked[self.apikey.key] = CheckedSecret(
            entry.resource_version, entry.uid, fingerprint, entry.value.key_id, intact=True, token_digest=token
        )
        self.rt.secrets.put(self.where, entry)


def _current_token(secret: OurSecret, body: CredentialBody, number: int, in_hand: TokenInHand) -> Plaintext | None:
    """On a switch, what is current becomes the previous one; on a new rendering of the same version, it stays where it is."""
    if secret.version != number or in_hand.version == number:
        return None
    return body.data.get(names.TOKEN_DATA_KEY)


def _record_of(seen: Observed) -> Record | None:
    return seen.record.record if isinstance(seen.record, GoodRecord) else None
