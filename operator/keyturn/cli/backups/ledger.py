"""Where an installation keeps its ledger: the options of the commands that back it up and stand it up again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from keyturn.cli.place import Callback

NAMESPACE: Final = "keyturn-system"
ROOT_SECRET: Final = "keyturn-root"
RECORDS_NAMESPACE: Final = "keyturn-verifiers"

_OPTIONS: Final = (
    click.option("--namespace", metavar="NAME", default=NAMESPACE, show_default=True, help="The operator's, where the root Secret is."),
    click.option("--root-secret", metavar="NAME", default=ROOT_SECRET, show_default=True, help="Name of the root Secret."),
    click.option(
        "--records-namespace", metavar="NAME", default=RECORDS_NAMESPACE, show_default=True, help="Where the verifier records stand."
    ),
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Its places, as the operator's settings name them."""

    namespace: str = NAMESPACE
    root_secret: str = ROOT_SECRET
    records_namespace: str = RECORDS_NAMESPACE


def with_ledger(callback: Callback) -> Callback:
    """Add the options; the command gets them as one argument, `ledger`."""

    @functools.wraps(callback)
    def collecting(*args: object, namespace: str, root_secret: str, records_namespace: str, **rest: object) -> object:
        return callback(*args, ledger=Ledger(namespace, root_secret, records_namespace), **rest)

    command: Callback = collecting
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
