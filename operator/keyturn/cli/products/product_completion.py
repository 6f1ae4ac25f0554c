"""Plans and scopes of the product that the command line names so far, for the shell's Tab key. As `name_completion.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.name_completion import ask_in_time

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

_NOTHING: Final[Mapping[str, object]] = {}


def complete_plans(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the product's plans."""
    from keyturn.cluster.raw import objects_of, text_of

    return [name for plan in objects_of(_spec(context), "plans") if (name := text_of(plan, "name")).startswith(incomplete)]


def complete_scopes(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What the plan offers, the default one where none is named; after a comma the next one, without those that stand there."""
    before, comma, begun = incomplete.rpartition(",")
    plan = context.params.get("plan")
    offered = offered_scopes(_spec(context), plan=plan if isinstance(plan, str) else "")
    return [f"{before}{comma}{scope}" for scope in offered if scope.startswith(begun) and scope not in before.split(",")]


def offered_scopes(spec: Mapping[str, object], *, plan: str) -> list[str]:
    """Of a product's spec; an empty plan: its default one. Pure."""
    from keyturn.cluster.raw import objects_of, text_of

    wanted = plan or text_of(spec, "defaultPlan")
    declared = [text_of(scope, "name") for scope in objects_of(spec, "scopes")]
    found = next((each for each in objects_of(spec, "plans") if text_of(each, "name") == wanted), _NOTHING)
    given = found.get("scopes")
    return [scope for scope in declared if scope in given] if isinstance(given, list) else declared


def _spec(context: click.Context) -> Mapping[str, object]:
    """Of the product after --product; empty without one, or where it cannot be read in time."""
    named = context.params.get("product")
    return ask_in_time(context, lambda client: _read(client, context, named), otherwise=_NOTHING) if isinstance(named, str) else _NOTHING


async def _read(client: Client, context: click.Context, named: str) -> Mapping[str, object]:
    from keyturn.cli.products.apiproduct_view import product_named
    from keyturn.cluster.apiproducts import object_path
    from keyturn.cluster.raw import mapping_of

    where = product_named(named, namespace=context.params.get("namespace") or client.namespace)
    return mapping_of(await client.get(object_path(where), query={"resourceVersion": "0"}), "spec")
