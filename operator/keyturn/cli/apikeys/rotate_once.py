"""`keyturn rotate --once`: the next version of a person's key, sealed to this process and shown once.

Before it: `rotate_command.py`. After it: `taking.py`. The recipient of this process stands in the spec for that long alone: one that
nobody has any more would make the next rotation a key for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.base.clock import format_time
from keyturn.base.errors import Conflict, KeyturnError
from keyturn.base.names import RECEIVED_ANNOTATION, ROTATE_ANNOTATION, Key
from keyturn.cli.apikeys.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.apikeys.gitops_traces import keeper_by_marks
from keyturn.cli.apikeys.hindrances import what_keeps_it_from_rotating
from keyturn.cli.apikeys.taking import Taking, WayBack
from keyturn.cli.deps import Deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cluster.apikeys import object_path
from keyturn.cluster.raw import mapping_of, text_of
from keyturn.keys.age_envelope import AgeIdentity

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

Fields = Mapping[str, object]

_TRIES: Final = 5


class WordMissing(KeyturnError):
    """Nobody has said that they have the key."""


@dataclass(frozen=True, slots=True)
class Once:
    """Which key, and how it is shown."""

    where: Key
    timeout: timedelta
    as_json: bool = False
    dry_run: bool = False


async def rotate_once(once: Once, client: Client, deps: Deps) -> int:
    """All of it. Answers the exit code; raises as the client's calls."""
    path = object_path(once.where.namespace, once.where.name)
    before = decode_apikey(await client.get(path))
    refusal = why_not_once(before)
    if refusal:
        deps.console.complain(f"apikey/{before.name}: {refusal}. Nothing was changed")
        return ExitCode.FAILED
    identity = AgeIdentity.generate()
    turn = Turn(client, before, identity.recipient, requested=format_time(deps.clock()))
    if once.dry_run:
        await client.patch_merge(path, turn.request, query={"dryRun": "All"})
        deps.console.say(f"apikey/{before.name} rotation requested (server dry run)")
        return ExitCode.FINE
    taking = Taking(client, deps, once.where, before.uid, identity, turn.way_back, partial(_leave, turn, deps), as_json=once.as_json)
    await _ask(turn, taking, deps)
    return await taking.take(timeout=once.timeout)


async def _ask(turn: Turn, taking: Taking, deps: Deps) -> None:
    before, asked = turn.before, False
    try:
        await turn.client.patch_merge(object_path(before.namespace, before.name), turn.request)
        deps.console.say(f"apikey/{before.name} rotation requested; its key comes in a moment")
        for warning in warnings(before):
            deps.console.warn(f"apikey/{before.name}: {warning}")
        asked = True
    finally:
        if not asked:  # broken off, or the answer got lost: it may stand there all the same
            await taking.go_back()


def why_not_once(view: ApiKeyView) -> str:
    """Why no key would come, with what to do; empty: one will. Pure."""
    if view.delivery == Delivery.SECRET:
        return f"its key is for workloads and stands in Secret {view.secret_name}: leave --once away"
    return what_keeps_it_from_rotating(view)


def warnings(view: ApiKeyView) -> list[str]:
    """What a person should know beside. Pure."""
    tool = keeper_by_marks({*dict(view.labels), *dict(view.annotations)})
    found = [f"{tool} manages it: where it puts spec.sealed.recipient back at once, no key comes, and nothing is lost"] if tool else []
    if view.sealed is not None:
        found.append(f"version {view.sealed.version}, which waited for its person, ends")
    return found


@dataclass(frozen=True, slots=True)
class Turn:
    """The request in the ApiKey, and what stood there before."""

    client: Client
    before: ApiKeyView
    recipient: str
    requested: str

    @property
    def request(self) -> Fields:
        """Recipient and rotation in one patch: none without the other."""
        metadata = {"uid": self.before.uid, "annotations": {ROTATE_ANNOTATION: self.requested}}
        return {"metadata": metadata, "spec": {"sealed": {"recipient": self.recipient}}}

    @property
    def advice(self) -> str:
        """What a person types where it could not be put back."""
        patch = f'{{"spec":{{"sealed":{{"recipient":"{self.before.recipient}"}}}}}}'
        return f"Put the former one back: kubectl -n {self.before.namespace} patch apikey {self.before.name} --type merge -p '{patch}'"

    @property
    def way_back(self) -> WayBack:
        """Where the key does not come."""
        failed = f"may still have the recipient of this process. {self.advice}"
        return WayBack(self.withdraw, "is as it was: the key before stays in force", failed)

    async def withdraw(self) -> None:
        """Nobody is there for this rotation: the request goes, whoever is the recipient by now, and the recipient where it is this one."""
        await self._change(self._withdrawal)

    async def leave(self, key_id: str) -> None:
        """The key was taken: the next one is for whom it was before. Raises WordMissing where nobody has said yet that it was."""
        await self._change(partial(self._farewell, key_id))

    async def _change(self, patch_for: Callable[[ApiKeyView], Fields]) -> None:
        """By what stands there now, and again where somebody wrote in between: what they wrote is not ours to undo."""
        for tries_left in reversed(range(_TRIES)):
            found = await self.client.get(self._path)
            now = decode_apikey(found)
            patch = patch_for(now) if now.uid == self.before.uid else {}
            if not patch:
                return
            seen = {"uid": now.uid, "resourceVersion": text_of(mapping_of(found, "metadata"), "resourceVersion")}
            try:
                await self.client.patch_merge(self._path, {**patch, "metadata": {**seen, **mapping_of(patch, "metadata")}})
            except Conflict:
                if not tries_left:
                    raise
            else:
                return

    def _withdrawal(self, now: ApiKeyView) -> Fields:
        is_still_asked = dict(now.annotations).get(ROTATE_ANNOTATION) == self.requested
        return {**({"metadata": {"annotations": {ROTATE_ANNOTATION: None}}} if is_still_asked else {}), **self._recipient_back(now)}

    def _farewell(self, key_id: str, now: ApiKeyView) -> Fields:
        patch = self._recipient_back(now)
        if patch and key_id not in {dict(now.annotations).get(RECEIVED_ANNOTATION), now.key_id}:
            raise WordMissing("With another recipient the key that was shown would end, until somebody has said that they have it")
        return patch

    def _recipient_back(self, now: ApiKeyView) -> Fields:
        return {"spec": {"sealed": {"recipient": self.before.recipient}}} if now.recipient == self.recipient else {}

    @property
    def _path(self) -> str:
        return object_path(self.before.namespace, self.before.name)


async def _leave(turn: Turn, deps: Deps, key_id: str) -> None:
    try:
        await turn.leave(key_id)
    except KeyturnError as error:
        deps.console.warn(f"{failure_of(error).sentence}. {turn.advice}")
