"""Making ApiKeys of the rows that are good, and saying of each row what became of it. A second run finds what the first one made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.base.errors import KeyturnError
from keyturn.cli.apikeys.import_rows import Row
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cli.table import Cell, render_table
from keyturn.cluster.api_errors import AlreadyExists
from keyturn.cluster.apikeys import collection_path, object_path
from keyturn.cluster.raw import mapping_of, objects_of, text_of

if TYPE_CHECKING:
    from keyturn.cluster.client import Client, Json

_AT_A_TIME: Final = 8
_HEADINGS: Final = ("LINE", "NAMESPACE", "NAME", "KEY ID", "RESULT", "REASON")


class Result(StrEnum):
    """What became of a row."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    """It was imported before."""
    REFUSED = "refused"
    """By us, before the cluster was asked."""
    FAILED = "failed"
    """By the cluster, or since something else stands there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row, and what became of it."""

    row: Row
    result: Result
    reason: str = ""
    code: ExitCode = ExitCode.FINE


def refused(row: Row) -> Outcome:
    """Of a row that is not good."""
    return Outcome(row, Result.REFUSED, row.problem, ExitCode.FAILED)


async def import_rows(client: Client, rows: Sequence[Row], *, dry_run: bool) -> list[Outcome]:
    """Create what is not there. Answers in the order of the rows."""
    limit = asyncio.Semaphore(_AT_A_TIME)

    async def one(row: Row) -> Outcome:
        if row.manifest is None:
            return refused(row)
        async with limit:
            return await _import_one(client, row, dry_run=dry_run)

    return await asyncio.gather(*map(one, rows))


async def _import_one(client: Client, row: Row, *, dry_run: bool) -> Outcome:
    query = {"dryRun": "All"} if dry_run else None
    try:
        await client.post(collection_path(row.where.namespace), row.manifest, query=query)
    except AlreadyExists:
        return await _compare(client, row)
    except KeyturnError as error:
        failure = failure_of(error)
        return Outcome(row, Result.FAILED, failure.sentence, failure.code)
    return Outcome(row, Result.CREATED)


async def _compare(client: Client, row: Row) -> Outcome:
    try:
        there = await client.get(object_path(row.where.namespace, row.where.name))
    except KeyturnError as error:
        failure = failure_of(error)
        return Outcome(row, Result.FAILED, failure.sentence, failure.code)
    why = why_another(there, row)
    return Outcome(row, Result.FAILED, why, ExitCode.FAILED) if why else Outcome(row, Result.UNCHANGED)


def why_another(there: Json, row: Row) -> str:
    """Why an ApiKey that stands there is not the one of the row; empty: it is."""
    spec = mapping_of(there, "spec")
    delivery = text_of(spec, "delivery") or Delivery.SECRET
    if delivery != Delivery.NONE:
        return f"an ApiKey of this name is there, of delivery {delivery}: choose another name"
    if row.digest not in {text_of(each, "digest") for each in objects_of(spec, "digests")}:
        return "an ApiKey of this name is there with another key. To replace that one, append the digest to its spec.digests"
    wanted = mapping_of(row.manifest or {}, "spec")
    different = [name for name in ("productRef", "plan", "scopes", "expirationTime") if wanted.get(name) != spec.get(name)]
    return f"it was imported before, and differs in {', '.join(different)}: change the ApiKey" if different else ""


def report_table(outcomes: Sequence[Outcome], *, for_terminal: bool) -> str:
    """A line for each row."""
    colors = {Result.CREATED: "green", Result.REFUSED: "red", Result.FAILED: "red"}
    rows = [
        [
            Cell(str(each.row.line)),
            Cell(each.row.where.namespace),
            Cell(each.row.where.name),
            Cell(each.row.key_id),
            Cell(each.result, color=colors.get(each.result)),
            Cell(each.reason),
        ]
        for each in outcomes
    ]
    return render_table(_HEADINGS, rows, for_terminal=for_terminal)


def report_json(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The fixed form of `-o json`."""
    rows = [
        {
            "line": each.row.line,
            "namespace": each.row.where.namespace,
            "name": each.row.where.name,
            "keyID": each.row.key_id or None,
            "result": each.result,
            "reason": each.reason or None,
        }
        for each in outcomes
    ]
    return {"apiVersion": "cli.keyturn.dev/v1", "kind": "ImportReport", "rows": rows}
