"""Creating a revocation and looking on until it is complete: for `revoke`, `leak` and `revoke-all`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.errors import KeyturnError, RetryLater
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cli.revocations.revocation_manifest import revocation_mistakes, with_requester
from keyturn.cli.revocations.revocation_progress import Teller, progress_of
from keyturn.cluster.api_errors import Forbidden, NotFound, Unauthorized
from keyturn.cluster.apikeyrevocations import COLLECTION_PATH, object_path
from keyturn.cluster.caller import own_name
from keyturn.cluster.raw import mapping_of, text_of

if TYPE_CHECKING:
    from keyturn.cli.deps import Deps
    from keyturn.cluster.client import Client

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
GROWTH: Final = 1.1
"""So a look costs about a tenth of what was waited for already, and no more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a revocation stood when it was looked at last."""

    revocation: ApiKeyRevocation | None
    is_complete: bool
    sentence: str
    code: ExitCode

    @property
    def dead(self) -> int:
        """How many key versions that it means are dead, also of those that were before."""
        status = self.revocation.status if self.revocation is not None else None
        return (status.revoked_versions or 0) + (status.dead_before_versions or 0) if status is not None else 0

    @property
    def missed(self) -> tuple[str, ...]:
        """Of its key IDs, those that no record knows, in words."""
        status = self.revocation.status if self.revocation is not None else None
        return tuple(f"key ID {key_id} is in no record" for key_id in (status.unknown_key_ids or ())) if status is not None else ()


def are_sound(manifests: Iterable[Mapping[str, object]], deps: Deps) -> bool:
    """Whether the API server would take them all; what it would refuse is said."""
    mistakes = [mistake for manifest in manifests for mistake in revocation_mistakes(manifest)]
    for mistake in mistakes:
        deps.console.complain(f"Nothing was revoked: {mistake}")
    return not mistakes


async def with_caller(manifests: Iterable[Mapping[str, object]], client: Client) -> list[dict[str, object]]:
    """The same, with who asks, as the cluster knows them: a policy lets nobody say it of others. Not knowing holds up no brake."""
    try:
        who = await own_name(client)
    except KeyturnError:
        who = ""
    return [with_requester(manifest, who) for manifest in manifests]


async def create(manifest: Mapping[str, object], client: Client, deps: Deps) -> Mapping[str, object] | ExitCode:
    """What the API server answers; or the exit code, where it said no."""
    try:
        return await client.post(COLLECTION_PATH, manifest)
    except KeyturnError as error:
        failure = failure_of(error)
        deps.console.complain(f"apikeyrevocation/{text_of(mapping_of(manifest, 'metadata'), 'name')}: {failure.sentence}")
        return failure.code


async def follow(name: str, client: Client, deps: Deps, *, timeout: timedelta) -> Outcome:  # noqa: ASYNC109  the user's own
    """Look again and again until it is complete, and tell how far it is. It goes on all the same when nobody looks."""
    end, pause, teller = time.monotonic() + timeout.total_seconds(), FIRST_PAUSE, Teller(deps.console, name)
    seen: ApiKeyRevocation | None = None
    while True:
        try:
            seen = ApiKeyRevocation.model_validate(await client.get(object_path(name)))
        except (Forbidden, NotFound, Unauthorized):
            raise
        except RetryLater as error:
            teller.say(str(error))
        progress = progress_of(seen)
        if progress.is_complete:
            teller.end(progress)
            return Outcome(seen, is_complete=True, sentence=progress.sentence, code=ExitCode.FINE)
        if time.monotonic() >= end:
            teller.end(progress)
            deps.console.complain(f"apikeyrevocation/{name} is not complete: {progress.sentence}")
            return Outcome(seen, is_complete=False, sentence=progress.sentence, code=ExitCode.FAILED)
        teller.tell(progress)
        await asyncio.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)
