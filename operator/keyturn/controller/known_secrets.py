"""What is known of each credential Secret: by a watch, or by the answers to our own writes and looks. Given to all by `runtime.py`.

Where there is no watch, nobody tells us what others do. What we wrote last is presumed to stand there still, after a start what the
record says of it, and each Secret is looked at in its turn (`secret_looks.py`): a very lazy watch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from keyturn.base.names import Key
from keyturn.cluster.cache import Caches, Entry
from keyturn.cluster.credential_secrets import CredentialMetadata
from keyturn.lifecycle.look_rounds import LookRounds


@dataclass(slots=True)
class KnownSecrets:
    """Credential Secrets by their own namespace and name. `rounds`: None where they are watched."""

    cache: Caches[CredentialMetadata]
    rounds: LookRounds | None
    doubtful: set[Key] = field(default_factory=set)
    """ApiKeys that somebody has touched: their Secret is looked at before anything is decided."""
    tell: Callable[[Key], None] = lambda where: None  # noqa: ARG005 - nobody wants one yet
    """Called with a Secret that was seen to be another, or gone: a watch would tell all ApiKeys that want it, not only who asked."""
    _asked: set[Key] = field(default_factory=set)
    """Secrets that the API server itself was asked about since the start: nothing is presumed of them any more."""

    def get(self, where: Key) -> Entry[CredentialMetadata] | None:
        """The newest known version, or None."""
        return self.cache.get(where)

    def asks(self, where: Key) -> None:
        """The API server is being asked about it: its turn need not come meanwhile."""
        if self.rounds is not None and where in self.rounds:
            self.rounds.note_look(where, time.monotonic())

    def put_read(self, where: Key, entry: Entry[CredentialMetadata], *, held: Entry[CredentialMetadata] | None) -> None:
        """It was read. `held`: what was known before the question.

        An answer that is older than that means that the store itself went back (etcd restored from a backup). A watch says so itself.
        """
        if self.rounds is not None and held is not None and entry.resource_version < held.resource_version:
            self.cache.remove(where, held.resource_version)
        self.put(where, entry)
        if self.rounds is not None and held is not None and (entry.uid, entry.resource_version) != (held.uid, held.resource_version):
            self.tell(where)

    def put(self, where: Key, entry: Entry[CredentialMetadata]) -> None:
        """It was written: its newest version, unless a newer one is known."""
        self.cache.put(where, entry.value, entry.resource_version, entry.uid)
        if self.rounds is not None:
            self._asked.add(where)
            self.rounds.note_look(where, time.monotonic())

    def remove(self, where: Key, held: Entry[CredentialMetadata] | None) -> None:
        """It is gone. `held`: what was known before the question; what was written since then stays."""
        if held is not None:
            self.cache.remove(where, held.resource_version)
        if self.rounds is not None:
            self._asked.add(where)
            if self.cache.get(where) is None:
                self.rounds.forget(where)
            if held is not None:
                self.tell(where)

    def forget(self, where: Key) -> None:
        """No ApiKey wants it any more."""
        if self.rounds is not None:
            self.rounds.forget(where)

    def presume(self, where: Key, entry: Entry[CredentialMetadata]) -> None:
        """Nobody has looked yet, but a record says so."""
        self.cache.put(where, entry.value, entry.resource_version, entry.uid)
        if self.rounds is not None:
            self.rounds.look_soon(where, time.monotonic())

    def is_unknown(self, where: Key) -> bool:
        """Whether that nothing is known of it does not mean that nothing is there."""
        return self.is_presumed(where) and self.cache.get(where) is None

    def is_presumed(self, where: Key) -> bool:
        """Whether nobody has looked at it since the start."""
        return self.rounds is not None and where not in self._asked

    def doubt(self, key: Key) -> None:
        """Somebody touched the ApiKey: look before the next decision. A watch would have told."""
        if self.rounds is not None:
            self.doubtful.add(key)
