"""`keyturn rotate --once`: the next version of a person's key, sealed to this process and shown once.

Before it: `rotate_command.py`. After it: `taking.py`. The recipient of this process stands in the spec for that long alone: one that
nobody has any more would make the next rotation a key for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.base.clock import format_time
from keyturn.base.errors import KeyturnError
from keyturn.base.names import ROTATE_ANNOTATION, Key
from keyturn.cli.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.deps import Deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cli.gitops_traces import keeper_by_marks
from keyturn.cli.hindrances import what_keeps_it_from_rotating
from keyturn.cli.taking import Taking, WayBack
from keyturn.cluster.apikeys import object_path
from keyturn.keys.age_envelope import AgeIdentity

if TYPE_CHECKING:
    from keyturn.cluster.client import Client


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
    await client.patch_merge(path, turn.request, query={"dryRun": "All"} if once.dry_run else None)
    deps.console.say(f"apikey/{before.name} rotation requested" + (" (server dry run)" if once.dry_run else "; its key comes in a moment"))
    if once.dry_run:
        return ExitCode.FINE
    for warning in warnings(before):
        deps.console.warn(f"apikey/{before.name}: {warning}")
    back = WayBack(turn.withdraw, "is as it was: the key before stays in force", f"still has the recipient of this process. {turn.advice}")
    code = await Taking(client, deps, once.where, before.uid, identity, back, as_json=once.as_json).take(timeout=once.timeout)
    if code == ExitCode.FINE:
        await _leave(turn, deps)
    return code


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
    def request(self) -> dict[str, object]:
        """Recipient and rotation in one patch: none without the other."""
        return self._patch({"annotations": {ROTATE_ANNOTATION: self.requested}}, recipient=self.recipient)

    @property
    def advice(self) -> str:
        """What a person types where it could not be put back."""
        patch = f'{{"spec":{{"sealed":{{"recipient":"{self.before.recipient}"}}}}}}'
        return f"Put the former one back: kubectl -n {self.before.namespace} patch apikey {self.before.name} --type merge -p '{patch}'"

    async def withdraw(self) -> None:
        """Nobody is there for this rotation: the request goes with the recipient."""
        await self._put_back({"annotations": {ROTATE_ANNOTATION: None}})

    async def leave(self) -> None:
        """The key was taken: the next one is for whom it was before."""
        await self._put_back({})

    async def _put_back(self, metadata: dict[str, object]) -> None:
        now = decode_apikey(await self.client.get(self._path))
        if (now.uid, now.recipient) == (self.before.uid, self.recipient):
            await self.client.patch_merge(self._path, self._patch(metadata, recipient=self.before.recipient))

    def _patch(self, metadata: dict[str, object], *, recipient: str) -> dict[str, object]:
        return {"metadata": {"uid": self.before.uid, **metadata}, "spec": {"sealed": {"recipient": recipient}}}

    @property
    def _path(self) -> str:
        return object_path(self.before.namespace, self.before.name)


async def _leave(turn: Turn, deps: Deps) -> None:
    try:
        await turn.leave()
    except KeyturnError as error:
        deps.console.warn(f"{failure_of(error).sentence}. {turn.advice}")
