"""Which cluster and which namespace: the options that every command about ApiKeys has, named as kubectl names them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from keyturn.cli.name_completion import complete_namespaces


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look. Unset: as the kubeconfig says."""

    namespace: str | None = None
    everywhere: bool = False
    kubeconfig: str | None = None
    context: str | None = None


Callback = Callable[..., Any]


def with_place(*, everywhere: bool = False) -> Callable[[Callback], Callback]:
    """Add the options; the command gets them as one argument, `place`. `everywhere`: with -A."""

    def decorate(callback: Callback) -> Callback:
        @functools.wraps(callback)
        def collecting(
            *args: object, namespace: str | None, kubeconfig: str | None, context: str | None, all_namespaces: bool = False, **rest: object
        ) -> object:
            if namespace and all_namespaces:
                raise click.UsageError("-n and -A exclude each other: give one of them")
            return callback(*args, place=Place(namespace, all_namespaces, kubeconfig, context), **rest)

        command: Callback = collecting
        for option in reversed(_options(everywhere=everywhere)):
            command = option(command)
        return command

    return decorate


def _options(*, everywhere: bool) -> list[Callable[[Callback], Callback]]:
    namespace = click.option(
        "-n", "--namespace", metavar="NAME", shell_complete=complete_namespaces, help="Namespace; unset: the kubeconfig's."
    )
    all_namespaces = click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
    return [
        namespace,
        *([all_namespaces] if everywhere else []),
        click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it."),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one."),
    ]
