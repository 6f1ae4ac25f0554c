"""Does what `recovery.py` found: raises numbers, puts revocations back, ends what had ended. For `recover_command.py`.

Numbers first: the successor of a key that ends is minted within a moment. The operator sees ApiKeys and revocations by different watches,
so it is waited for until it has taken the numbers up, which its records tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyturn.base import names
from keyturn.base.errors import KeyturnError, RetryLater
from keyturn.base.names import Key
from keyturn.base.wording import counted
from keyturn.cli.apikeys.apikey_view import decode_apikey
from keyturn.cli.backups.recovery import NAME_PREFIX, Correction, Ours, corrections, corrections_json, corrections_table, ours, revocations
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of, worst
from keyturn.cli.revocations.blast_radius import workloads_of
from keyturn.cli.revocations.revoking import follow
from keyturn.cluster.api_errors import AlreadyExists, NotFound
from keyturn.cluster.apikeyrevocations import COLLECTION_PATH, decode_revocation
from keyturn.cluster.apikeyrevocations import object_path as revocation_path
from keyturn.cluster.apikeys import list_apikeys, object_path
from keyturn.cluster.chunks import list_in_chunks
from keyturn.cluster.raw import mapping_of, text_of
from keyturn.cluster.record_secrets import RecordSecrets, list_records
from keyturn.cluster.workloads import serves_rollouts
from keyturn.controller.rights import LEASE_NAME
from keyturn.keys.record_peek import readable_record
from keyturn.lifecycle.revocation_status import is_complete

if TYPE_CHECKING:
    from keyturn.cli.backups.audit_history import AuditHistory
    from keyturn.cli.deps import Deps
    from keyturn.cluster.client import Client
    from keyturn.keys.record import Record

_AT_A_TIME: Final = 8
_PROGRESS_EVERY: Final = 500
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.5


@dataclass(slots=True)
class Recovering:
    """One run."""

    client: Client
    deps: Deps
    namespace: str
    """The operator's."""
    records_namespace: str
    dry_run: bool
    of_backup: str = ""
    """The installation of the backup that was put back just now; empty: there was none."""
    _to_follow: dict[str, None] = field(default_factory=dict)
    """Names of the revocations that this run is about, in order: those that it created, and those that it found there already."""

    async def run(self, history: AuditHistory, folder: Sequence[Mapping[str, object]], *, form: str) -> ExitCode:
        """Find, show and do everything; answers the worst code of what failed."""
        records = await self._records() if history.lines else []
        found = await self._with_workloads(corrections(records, history.keys)) if records else []
        restored, failed = await self._put_back(folder)
        own = ours(history, records, of_backup=self.of_backup)
        codes = [self._say_whose(own) if history.lines else ExitCode.FINE, failed, await self._raise_numbers(found)]
        ending = revocations(found, now=self.deps.clock())
        codes += [await self._create(each) for each in ending]
        created = [_name_of(each) for each in ending]
        if form:
            import json

            self.deps.console.data(json.dumps(corrections_json(found, revocations=created, restored=restored), indent=2))
        elif found:
            self.deps.console.data(corrections_table(found, for_terminal=self.deps.console.is_terminal))
        self._summarise(found, restored=restored, asked=own.lines > 0)
        return worst(codes)

    async def look_on(self, timeout: timedelta) -> ExitCode:  # noqa: ASYNC109  the person's own
        """Until every revocation that this run is about is complete, also what an earlier run created.

        One after the other: they go on together, and one look tells of each.
        """
        codes, end = [ExitCode.FINE], time.monotonic() + timeout.total_seconds()
        for name in {**self._to_follow, **dict.fromkeys(await self._of_earlier_runs())}:
            left = timedelta(seconds=max(0.0, end - time.monotonic()))
            outcome = await follow(name, self.client, self.deps, timeout=left)
            if outcome.is_complete:
                self.deps.console.say(f"apikeyrevocation/{name} complete: {outcome.sentence}")
            codes.append(outcome.code)
        return worst(codes)

    async def _of_earlier_runs(self) -> list[str]:
        """What they ended, or gave an end, is right by the records, and may be accepted all the same."""
        found = map(decode_revocation, await list_in_chunks(self.client, COLLECTION_PATH))
        return sorted(key.name for key, each in filter(None, found) if key.name.startswith(NAME_PREFIX) and not is_complete(each))

    def _say_whose(self, own: Ours) -> ExitCode:
        if own.is_foreign:
            self.deps.console.complain(f"{own.complaint}. Is it this cluster's log, and are its records in {self.records_namespace}?")
            return ExitCode.FAILED
        if own.complaint:
            self.deps.console.warn(own.complaint)
        return ExitCode.FINE

    async def _records(self) -> list[Record]:
        records = [
            record
            for _, entry in await list_records(self.client, namespace=self.records_namespace)
            if (record := readable_record(entry.value.data))
        ]
        self.deps.console.say(f"Compared with {counted(len(records), 'verifier record')} in {self.records_namespace}")
        return records

    async def _with_workloads(self, found: Sequence[Correction]) -> list[Correction]:
        views = {(view.namespace, view.name): view for view in map(decode_apikey, await list_apikeys(self.client, ""))}
        limit, has_rollouts = asyncio.Semaphore(_AT_A_TIME), await serves_rollouts(self.client)

        async def with_its_own(each: Correction) -> Correction:
            view = views.get((each.key.namespace, each.key.name))
            if view is None or not each.gets_a_new_key:
                return each
            async with limit:
                return replace(each, workloads=tuple(await workloads_of(self.client, view, has_rollouts=has_rollouts)))

        return list(await asyncio.gather(*map(with_its_own, found)))

    async def _put_back(self, folder: Sequence[Mapping[str, object]]) -> tuple[list[str], ExitCode]:
        """Create the revocations that are missing."""
        restored: list[str] = []
        codes = [ExitCode.FINE]
        for manifest in folder:
            name = _name_of(manifest)
            if await self._exists(name):
                self._to_follow[name] = None
                continue
            restored.append(name)
            codes.append(await self._create(manifest))
        return restored, worst(codes)

    async def _exists(self, name: str) -> bool:
        try:
            await self.client.get(revocation_path(name))
        except NotFound:
            return False
        return True

    async def _create(self, manifest: Mapping[str, object]) -> ExitCode:
        try:
            await self.client.post(COLLECTION_PATH, manifest, query={"dryRun": "All"} if self.dry_run else None)
        except AlreadyExists:
            self._to_follow[_name_of(manifest)] = None
            return ExitCode.FINE
        except KeyturnError as error:
            return self._complain(f"apikeyrevocation/{_name_of(manifest)}", error)
        self.deps.console.say(f"apikeyrevocation/{_name_of(manifest)} created" + (" (server dry run)" if self.dry_run else ""))
        self._to_follow[_name_of(manifest)] = None
        return ExitCode.FINE

    async def _raise_numbers(self, found: Sequence[Correction]) -> ExitCode:
        codes, raised = [ExitCode.FINE], [each for each in found if each.highest]
        for number, each in enumerate(raised, start=1):
            codes.append(await self._raise_number(each))
            if number % _PROGRESS_EVERY == 0:
                self.deps.console.say(f"Numbers of {number} of {counted(len(raised), 'ApiKey')}")
        if raised and not self.dry_run:
            await self._wait_until_known({each.key: each.highest for each in raised})
        return worst(codes)

    async def _wait_until_known(self, wanted: dict[Key, int]) -> None:
        """Not for ever: an operator that is stopped reads them when it starts, and what is dead must end."""
        if not await self._is_led():
            self.deps.console.say("No operator leads: it takes the numbers up when it starts")
            return
        limit, end = asyncio.Semaphore(_AT_A_TIME), time.monotonic() + _PATIENCE
        taken_up = await asyncio.gather(*(self._is_taken_up(key, number, limit, end=end) for key, number in wanted.items()))
        if not all(taken_up):
            late = taken_up.count(False)
            self.deps.console.warn(f"The operator has not taken {counted(late, 'number')} up yet: it does not run, or has much to do")

    async def _is_led(self) -> bool:
        """Whether there may be an operator; who may not ask has to wait and see."""
        try:
            lease = await self.client.get(f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{LEASE_NAME}")
        except NotFound:
            return False
        except KeyturnError:
            return True
        return bool(text_of(mapping_of(lease, "spec"), "holderIdentity"))

    async def _is_taken_up(self, key: Key, number: int, limit: asyncio.Semaphore, *, end: float) -> bool:
        """Look at the one record until it knows the number, or the time is over."""
        records = RecordSecrets(self.client, namespace=self.records_namespace)
        async with limit:
            while True:
                try:
                    record = readable_record((await records.read(key)).value.data)
                except RetryLater:
                    record = None
                if record is not None and record.highest >= number:
                    return True
                if time.monotonic() >= end:
                    return False
                await asyncio.sleep(_PAUSE)

    async def _raise_number(self, each: Correction) -> ExitCode:
        patch = {"metadata": {"annotations": {names.HIGHEST_ANNOTATION: str(each.highest)}}}
        query = {"dryRun": "All"} if self.dry_run else None
        try:
            await self.client.patch_merge(object_path(each.key.namespace, each.key.name), patch, query=query)
        except NotFound:
            return ExitCode.FINE  # an ApiKey that is gone gets no next version; its record keeps the numbers that it knows
        except KeyturnError as error:
            return self._complain(f"apikey/{each.key.name}", error)
        return ExitCode.FINE

    def _complain(self, what: str, error: KeyturnError) -> ExitCode:
        failure = failure_of(error)
        self.deps.console.complain(f"{what}: {failure.sentence}")
        return failure.code

    def _summarise(self, found: Sequence[Correction], *, restored: Sequence[str], asked: bool) -> None:
        dead, replaced = sum(len(each.dead) for each in found), sum(len(each.replaced) for each in found)
        would = " (dry run: nothing was changed)" if self.dry_run else ""
        if asked:
            raised = counted(sum(each.highest > 0 for each in found), "ApiKey")
            said = f"The records called {counted(dead, 'dead key')} and {counted(replaced, 'replaced key')} live; numbers rise for {raised}"
            self.deps.console.say(f"{said}{would}" if found else "The records know everything that the audit log knows")
        if restored:
            self.deps.console.say(f"Missing in the cluster: {counted(len(restored), 'revocation')}{would}")


def _name_of(manifest: Mapping[str, object]) -> str:
    return text_of(mapping_of(manifest, "metadata"), "name")
