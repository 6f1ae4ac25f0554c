"""Taking a sealed key at a terminal: wait until it is sealed, decrypt it, print it once, say that it is there. For `--once`.

The identity that opens it is made for this one key and lives in this process alone. Whatever ends the process before it has said that the
key is there goes the way back, so that nothing is left that anybody could use.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyturn.base.clock import format_time
from keyturn.base.errors import KeyturnError
from keyturn.base.names import RECEIVED_ANNOTATION, Key
from keyturn.base.plaintext import Plaintext
from keyturn.cli.apikeys.apikey_view import ApiKeyView, SealedView, decode_apikey
from keyturn.cli.apikeys.waiting import Goal, Look, Progress, reach, verdict_on
from keyturn.cli.deps import Deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cluster.apikeys import object_path
from keyturn.keys.age_envelope import AgeIdentity, NotDecrypted
from keyturn.keys.token_format import Token, parse_token

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

_TIME_TO_GO_BACK: Final = 5.0


class NotTheKey(KeyturnError):
    """What stands in the status is not what it says."""


@dataclass(frozen=True, slots=True)
class SealedGoal:
    """A version that is sealed for one recipient."""

    namespace: str
    name: str
    recipient: str
    word: str = "sealed"

    def verdict(self, view: ApiKeyView) -> Look:
        """Decide by one look, pure."""
        if view.recipient != self.recipient:
            return Look(Progress.HOPELESS, "somebody wrote another spec.sealed.recipient meanwhile")
        if view.sealed is not None and view.sealed.recipient == self.recipient:
            return Look(Progress.DONE, f"version {view.sealed.version} is sealed")
        return verdict_on(Goal(self.namespace, self.name, after_version=view.active_version, word=self.word), view)


@dataclass(frozen=True, slots=True)
class WayBack:
    """How the ApiKey is left as it was found, where it ends before the key was taken."""

    go: Callable[[], Awaitable[None]]
    """Raises as the client's calls."""
    done: str
    failed: str


@dataclass(frozen=True, slots=True)
class Taking:
    """One ApiKey whose next key is for this process, and what opens it."""

    client: Client
    deps: Deps
    where: Key
    uid: str
    identity: AgeIdentity
    way_back: WayBack
    afterwards: Callable[[str], Awaitable[None]]
    """Called with the key ID in the end, however it ended, once the key was shown and it was tried to say so."""
    as_json: bool = False

    async def take(self, *, timeout: timedelta) -> int:  # noqa: ASYNC109  the person's own
        """Do all of it. Answers the exit code."""
        end, shown = time.monotonic() + timeout.total_seconds(), ""
        try:
            sealed = await self._wait_until_sealed(end=end, timeout=timeout)
            if sealed is None:
                return ExitCode.FAILED
            self._show(sealed, self._opened(sealed))
            shown = sealed.key_id  # also where the word's answer gets lost: what may be in force is not taken back behind a person's back
            await self._give_word(sealed)
            return await self._tell(sealed, end=end, timeout=timeout)
        finally:
            if shown:
                await self.afterwards(shown)
            else:
                await self.go_back()

    async def _wait_until_sealed(self, *, end: float, timeout: timedelta) -> SealedView | None:  # noqa: ASYNC109  as above
        goal = SealedGoal(self.where.namespace, self.where.name, self.identity.recipient)
        if await reach(goal, self.client, self.deps, end=end, timeout=timeout) is None:
            return None
        return decode_apikey(await self.client.get(self._path)).sealed

    def _opened(self, sealed: SealedView) -> Plaintext:
        try:
            token = parse_token(self.identity.decrypt(sealed.ciphertext.encode()).reveal())
        except NotDecrypted:
            token = None
        if not isinstance(token, Token) or token.key_id != sealed.key_id:
            raise NotTheKey("What stands in the status is not the key that it names: somebody else wrote to it")
        return token.plaintext

    def _show(self, sealed: SealedView, key: Plaintext) -> None:
        text = key.reveal()
        fields = {
            "namespace": self.where.namespace,
            "name": self.where.name,
            "version": sealed.version,
            "keyID": sealed.key_id,
            "key": text,
        }
        self.deps.console.data(json.dumps(fields, indent=2) if self.as_json else text)

    async def _give_word(self, sealed: SealedView) -> None:
        patch = {"metadata": {"uid": self.uid, "annotations": {RECEIVED_ANNOTATION: sealed.key_id}}}
        try:
            await self.client.patch_merge(self._path, patch)
        except KeyturnError as error:
            line = f"kubectl -n {self.where.namespace} annotate --overwrite apikey {self.where.name} {RECEIVED_ANNOTATION}={sealed.key_id}"
            self.deps.console.complain(f"{failure_of(error).sentence}. The key is yours once this is said: {line}")
            raise

    async def _tell(self, sealed: SealedView, *, end: float, timeout: timedelta) -> int:  # noqa: ASYNC109  as above
        goal = Goal(self.where.namespace, self.where.name, after_version=sealed.version - 1, word="in force")
        done = await reach(goal, self.client, self.deps, end=end, timeout=timeout)
        if done is None:
            return ExitCode.FAILED
        view = decode_apikey(await self.client.get(self._path))
        expires = format_time(view.expiration_time) if view.expiration_time else "never"
        console = self.deps.console
        console.say(f"apikey/{self.where.name} is in force (namespace {self.where.namespace})")
        console.say(f"Key ID:   {sealed.key_id}\nVersion:  {sealed.version}\nExpires:  {expires}")
        console.say("It was shown this once, and is stored nowhere. To end it: keyturn disable, or delete the ApiKey")
        return ExitCode.FINE

    async def go_back(self) -> None:
        """Leave the ApiKey as it was found, also where it was not taken yet: `take` does so by itself.

        Where that may not be done, the operator revokes what was sealed when its time is up.
        """
        why = "what was sealed ends by itself, since nobody says that they have it"
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIME_TO_GO_BACK):
                try:
                    await self.way_back.go()
                except KeyturnError as error:
                    why = f"{failure_of(error).sentence}; {why}"
                else:
                    self.deps.console.say(f"apikey/{self.where.name} {self.way_back.done}")
                    return
        self.deps.console.complain(f"apikey/{self.where.name} {self.way_back.failed}: {why}")

    @property
    def _path(self) -> str:
        return object_path(self.where.namespace, self.where.name)
