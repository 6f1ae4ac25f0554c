"""Pulls the brake by one revocation or by several: all are created before any is looked on at. For `revoke_command.py`.

What is created goes on whatever becomes of the others, and of whoever looks on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.errors import KeyturnError
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of, worst
from keyturn.cli.revocations.blast_radius import not_found
from keyturn.cli.revocations.revoking import Outcome, create, follow
from keyturn.cluster.apikeys import list_apikeys
from keyturn.cluster.raw import mapping_of, text_of

if TYPE_CHECKING:
    from keyturn.cli.deps import Deps
    from keyturn.cluster.client import Client

SPELT_RIGHT: Final = "Is that spelt right? What outlived its ApiKey ends all the same"

Created = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Pulling:
    """One command's revocations."""

    client: Client
    deps: Deps

    async def create_all(self, manifests: Iterable[Mapping[str, object]], *, is_told: bool) -> tuple[list[Created], ExitCode]:
        """What there is now, and the worst code of what was refused. `is_told`: say of each at once that it was created."""
        created: list[Created] = []
        codes = [ExitCode.FINE]
        for manifest in manifests:
            answer = await create(manifest, self.client, self.deps)
            if isinstance(answer, ExitCode):
                codes.append(answer)
                continue
            created.append(answer)
            if is_told:
                self.deps.console.data(f"apikeyrevocation/{name_of(answer)} created")
        return created, worst(codes)

    async def go_on(self, created: Sequence[Created], *, timeout: timedelta | None) -> ExitCode:  # noqa: ASYNC109  the person's own
        """Warn of what was named and is not there; with a timeout, look on until all are complete or it is over. Ctrl-C ends just that."""
        try:
            missing = await self._warned_of_missing(created)
            return await self._look_on(missing, timeout=timeout) if timeout is not None else ExitCode.FINE
        except asyncio.CancelledError:
            self._say_what_goes_on(map(name_of, created))
            raise

    async def _warned_of_missing(self, created: Iterable[Created]) -> dict[str, list[str]]:
        """By revocation, what it names and is not there; looked for when the brake is pulled already."""
        missing = {name_of(each): await self._missing(each) for each in created}
        for each in (each for of_one in missing.values() for each in of_one):
            self.deps.console.warn(f"{each}. {SPELT_RIGHT}")
        return missing

    async def _look_on(self, missing: Mapping[str, Sequence[str]], *, timeout: timedelta) -> ExitCode:  # noqa: ASYNC109  the person's own
        """One after the other, to one common end: they go on together, and one look tells of each."""
        codes, end = [ExitCode.FINE], time.monotonic() + timeout.total_seconds()
        for name, not_there in missing.items():
            codes.append(await self._look_on_at(name, not_there, left=timedelta(seconds=max(0.0, end - time.monotonic()))))
        return worst(codes)

    def _say_what_goes_on(self, names: Iterable[str]) -> None:
        if self.deps.console.err.isatty():
            self.deps.console.say("")  # the line that moves stands there still
        again = "; ".join(f"keyturn revoke-all --follow {name}" for name in names)
        self.deps.console.say(f"The looking on has ended, and nothing else: what was created goes on. To look on again: {again}")

    async def _look_on_at(self, name: str, missing: Sequence[str], *, left: timedelta) -> ExitCode:
        try:
            outcome = await follow(name, self.client, self.deps, timeout=left)
        except KeyturnError as error:  # who may create them and not read them has pulled the brake all the same
            failure = failure_of(error)
            self.deps.console.complain(f"apikeyrevocation/{name} goes on, and cannot be looked on at: {failure.sentence}")
            return failure.code
        return self._told(name, outcome, missing)

    def _told(self, name: str, outcome: Outcome, missing: Sequence[str]) -> ExitCode:
        if outcome.is_complete:
            self.deps.console.data(f"apikeyrevocation/{name} complete: {outcome.sentence}")
        missed = outcome.missed or (missing if not outcome.dead else ())
        if not outcome.is_complete or not missed:
            return outcome.code
        self.deps.console.complain(f"apikeyrevocation/{name} did not end all that it names: {'; '.join(missed)}")
        return ExitCode.FAILED

    async def _missing(self, revocation: Created) -> list[str]:
        """An ApiKey that is named and not there. Not knowing is no reason to say so."""
        pulled = ApiKeyRevocation.model_validate(revocation)
        if pulled.spec.api_key_ref is None:
            return []
        try:
            return not_found(pulled, await list_apikeys(self.client, pulled.spec.api_key_ref.namespace))
        except KeyturnError:
            return []


def name_of(revocation: Mapping[str, object]) -> str:
    """By its metadata."""
    return text_of(mapping_of(revocation, "metadata"), "name")
