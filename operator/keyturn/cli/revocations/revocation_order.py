"""Why keys are revoked, and how: the options that `revoke` and `revoke-all` have in common."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.cli.place import Callback

REASONS: Final = ("Leaked", "Superseded", "OwnerLeft", "PolicyViolation", "HoneytokenHit", "Other")


def with_order(*, modes: str, required: bool = True) -> Callable[[Callback], Callback]:
    """Add the options; the command gets them as one argument, `order`. `modes`: help for --mode. `required`: no order without a reason."""

    def decorate(callback: Callback) -> Callback:
        @functools.wraps(callback)
        def collecting(
            *args: object, reason: str | None, note: str | None, mode: str, replace_within: str | None, **rest: object
        ) -> object:
            from keyturn.cli.revocations.revocation_manifest import Order

            order = Order(reason=reason or "", mode=mode, replace_within=replace_within or "", note=note or "")
            return callback(*args, order=order, **rest)

        command: Callback = collecting
        for option in reversed(_options(modes, required=required)):
            command = option(command)
        return command

    return decorate


def _options(modes: str, *, required: bool) -> list[Callable[[Callback], Callback]]:
    end = "With --mode Replace: refused by then at the latest. Unset: the platform's, 1h."
    return [
        click.option(
            "--reason", type=click.Choice(REASONS), required=required, help="Stands in records, Events and the audit log for good."
        ),
        click.option("--note", metavar="TEXT", help="For people: what happened, and where to read on."),
        click.option("--mode", type=click.Choice(["Immediate", "Replace"]), default="Immediate", show_default=True, help=modes),
        click.option("--replace-within", metavar="DURATION", help=end),
    ]
