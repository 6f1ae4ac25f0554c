"""Which ApiKeys a change is about: names, a selector or all of them; exactly one of the three."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import click

from keyturn.cli.name_completion import complete_names
from keyturn.cli.place import Callback


@dataclass(frozen=True, slots=True)
class Selection:
    """Names, or a label selector, or (neither) all."""

    names: tuple[str, ...] = ()
    selector: str | None = None


def names_of(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The names, also from `apikey/billing`, which is what our own output and kubectl's look like; each once, in order."""
    names = []
    for argument in arguments:
        kind, slash, name = argument.rpartition("/")
        if slash and kind not in {"apikey", "apikeys", "akey", "apikey.keyturn.dev", "apikeys.keyturn.dev"}:
            raise click.UsageError(f"{argument!r} is no name of an ApiKey: write billing or apikey/billing; the namespace goes after -n")
        if not name:
            raise click.UsageError("A name is empty: quote nothing, or give --all")
        names.append(name)
    return tuple(dict.fromkeys(names))


def with_selection(callback: Callback) -> Callback:
    """Add NAME..., -l and --all; the command gets them as one argument, `selection`."""

    @functools.wraps(callback)
    def collecting(*args: object, names: tuple[str, ...], selector: str | None, every: bool, **rest: object) -> object:
        if sum(map(bool, (names, selector, every))) != 1:
            raise click.UsageError("Say which keys: names, or -l SELECTOR, or --all; exactly one of the three")
        return callback(*args, selection=Selection(names_of(names), selector), **rest)

    command: Callback = collecting
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: tuple[Callable[[Callback], Callback], ...] = (
    click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names),
    click.option("-l", "--selector", metavar="SELECTOR", help="Keys whose labels match, for example team=payments."),
    click.option("--all", "every", is_flag=True, help="All keys of the namespace."),
)
