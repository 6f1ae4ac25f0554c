"""Changing many ApiKeys: some at a time, each with its own line and its own failure. Used by rotate, disable and enable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn.base.errors import KeyturnError
from keyturn.cli.apikeys.apikey_access import selected_keys
from keyturn.cli.apikeys.apikey_view import ApiKeyView, decode_apikey
from keyturn.cli.apikeys.selection import Selection
from keyturn.cli.deps import Deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of, worst
from keyturn.cli.place import Place
from keyturn.cluster.apikeys import object_path

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

_AT_A_TIME: Final = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch for each key, and what to say of it."""

    patch: dict[str, object]
    done: str
    """rotation requested, disabled, enabled."""
    warn: Callable[[ApiKeyView], str]
    """What a person should know of this key beside; empty: nothing."""
    dry_run: bool = False


async def change_keys(
    change: Change, client: Client, deps: Deps, *, place: Place, selection: Selection
) -> tuple[list[ApiKeyView], ExitCode]:
    """Patch every selected key; answer those that were changed, as they are now, and the worst code of the others."""
    keys = await selected_keys(client, place, selection)
    if not keys:
        deps.console.say("No ApiKey matches: nothing was changed")
        return [], ExitCode.FAILED if selection.selector else ExitCode.FINE
    limit = asyncio.Semaphore(_AT_A_TIME)

    async def one(namespace: str, name: str) -> ApiKeyView | ExitCode:
        async with limit:
            return await _change_one(change, client, deps, namespace=namespace, name=name, say_namespace=place.everywhere)

    answers: Sequence[ApiKeyView | ExitCode] = await asyncio.gather(*(one(*key) for key in keys))
    changed = [answer for answer in answers if isinstance(answer, ApiKeyView)]
    return changed, worst([answer for answer in answers if isinstance(answer, ExitCode)])


async def _change_one(
    change: Change, client: Client, deps: Deps, *, namespace: str, name: str, say_namespace: bool
) -> ApiKeyView | ExitCode:
    query = {"dryRun": "All"} if change.dry_run else None
    try:
        view = decode_apikey(await client.patch_merge(object_path(namespace, name), change.patch, query=query))
    except KeyturnError as error:
        failure = failure_of(error)
        deps.console.complain(f"apikey/{name}: {failure.sentence}")
        return failure.code
    where = f" (namespace {namespace})" if say_namespace else ""
    deps.console.data(f"apikey/{name} {change.done}{where}" + (" (server dry run)" if change.dry_run else ""))
    warning = change.warn(view)
    if warning:
        deps.console.warn(f"apikey/{name}: {warning}")
    return view
