"""`keyturn create --once`: an ApiKey whose key is sealed to this process, and shown once.

Before it: `create_command.py`. After it: `taking.py`. The recipient is made for this one ApiKey, so whatever has it is the one that was
asked for, also where the answer got lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from keyturn.base.errors import KeyturnError, OutcomeUnknown
from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.apikeys.taking import Taking, WayBack
from keyturn.cli.deps import Deps
from keyturn.cli.failure import failure_of
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.apikeys import collection_path, object_path
from keyturn.keys.age_envelope import AgeIdentity

if TYPE_CHECKING:
    from keyturn.cluster.client import Client


class NotCreated(KeyturnError):
    """The answer got lost, and what was asked for is not there, or cannot be looked at."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """One that is asked for, and what opens it."""

    client: Client
    deps: Deps
    where: Key
    manifest: Mapping[str, object]
    """With the identity's recipient in it."""
    identity: AgeIdentity

    async def create_and_take(self, *, timeout: timedelta) -> int:  # noqa: ASYNC109  the person's own
        """All of it. Answers the exit code; raises as the client's calls, and NotCreated."""
        created = await self._create()
        self.deps.console.say(f"apikey/{self.where.name} created; its key comes in a moment")
        way_back = WayBack(partial(self._delete, created.uid), "was deleted again: nothing usable is left", "could not be deleted again")
        return await self._taking(way_back, uid=created.uid).take(timeout=timeout)

    async def _create(self) -> ApiKeyView:
        try:
            return await self._posted()
        except asyncio.CancelledError:  # Ctrl-C before the answer came: it may be there all the same
            way_back = WayBack(self._withdraw, "is not there: nothing usable is left", f"may be there. {self._advice}")
            await self._taking(way_back, uid="").go_back()
            raise

    async def _posted(self) -> ApiKeyView:
        try:
            return decode_apikey(await self.client.post(collection_path(self.where.namespace), self.manifest))
        except OutcomeUnknown as lost:
            try:
                found = await self._find()
            except KeyturnError as error:
                why = f"Nobody knows whether apikey/{self.where.name} was created: {failure_of(error).sentence}. {self._advice}"
                raise NotCreated(why) from lost
            if found is None:
                what = f"apikey/{self.where.name} was not created, or somebody else's has that name"
                raise NotCreated(f"{what}: {lost}. Look with keyturn get, then try again") from lost
            return found

    async def _find(self) -> ApiKeyView | None:
        """What stands there, where it is ours."""
        try:
            view = decode_apikey(await self.client.get(self._path))
        except NotFound:
            return None
        return view if view.recipient == self.identity.recipient else None

    async def _withdraw(self) -> None:
        found = await self._find()
        if found is not None:
            await self._delete(found.uid)

    async def _delete(self, uid: str) -> None:
        await self.client.request("DELETE", self._path, body={"preconditions": {"uid": uid}})

    def _taking(self, way_back: WayBack, *, uid: str) -> Taking:
        async def nothing_is_left_to_do(_: str) -> None:
            """The identity is this ApiKey's recipient until the next version."""

        return Taking(self.client, self.deps, self.where, uid, self.identity, way_back, nothing_is_left_to_do)

    @property
    def _advice(self) -> str:
        delete = f"kubectl -n {self.where.namespace} delete apikey {self.where.name}"
        return f"If its recipient is {self.identity.recipient}, delete it, since nobody can open its key: {delete}"

    @property
    def _path(self) -> str:
        return object_path(self.where.namespace, self.where.name)
