"""An ApiProduct as the commands show it, read leniently as in `apikey_view.py`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import click

from keyturn.base.names import Key
from keyturn.cli.apikeys.apikey_view import Raw, list_of_texts, time_of
from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of


@dataclass(frozen=True, slots=True)
class GrantView:
    """The owner's consent for one ApiKey. `scopes` None: all that the plan offers."""

    namespace: str
    apikey: str
    plan: str
    scopes: tuple[str, ...] | None

    @property
    def key(self) -> Key:
        """The ApiKey that it is for."""
        return Key(self.namespace, self.apikey)


@dataclass(frozen=True, slots=True)
class ApiProductView:
    """What the commands know of an ApiProduct. Absent texts are empty."""

    namespace: str
    name: str
    created: datetime | None
    audience: str
    contact: str
    plans: tuple[str, ...]
    scopes: tuple[str, ...]
    approval: str
    """Manual, Automatic; Mixed where a plan differs from the product."""
    admitted: str
    """Who may refer to it, in a word or two."""
    grants: tuple[GrantView, ...]
    ready: str
    """Status of the condition Ready; empty before the operator's first look."""
    message: str
    keys: tuple[tuple[str, int], ...]
    """How many ApiKeys are ready, pending, disabled, as far as they were counted."""

    @property
    def key(self) -> Key:
        """Which ApiProduct this is."""
        return Key(self.namespace, self.name)


def decode_product_view(raw: Raw) -> ApiProductView:
    """Read the API server's JSON; what has another shape counts as absent."""
    metadata, spec, status = mapping_of(raw, "metadata"), mapping_of(raw, "spec"), mapping_of(raw, "status")
    access = mapping_of(spec, "access")
    ready = next((each for each in objects_of(status, "conditions") if each.get("type") == "Ready"), {})
    return ApiProductView(
        namespace=text_of(metadata, "namespace"),
        name=text_of(metadata, "name"),
        created=time_of(text_of(metadata, "creationTimestamp")),
        audience=text_of(spec, "audience"),
        contact=text_of(spec, "contact"),
        plans=tuple(text_of(plan, "name") for plan in objects_of(spec, "plans")),
        scopes=tuple(text_of(scope, "name") for scope in objects_of(spec, "scopes")),
        approval=_approval(spec),
        admitted=_admitted(mapping_of(access, "namespaces")),
        grants=tuple(map(decode_grant, objects_of(access, "grants"))),
        ready=text_of(ready, "status"),
        message=text_of(ready, "message"),
        keys=tuple((word, count) for word, count in mapping_of(status, "keys").items() if isinstance(count, int)),
    )


def product_named(text: str, *, namespace: str) -> Key:
    """The product that an argument means: NAME, NS/NAME, or apiproduct/NAME as our own output has it. Raises UsageError."""
    first, slash, name = text.rpartition("/")
    where = namespace if first in {"", "apiproduct", "apiproducts", "aprod", "apiproduct.keyturn.dev", "apiproducts.keyturn.dev"} else first
    if not name or "/" in where or (slash and not first):
        raise click.UsageError(f"{text!r} is no name of an ApiProduct: write invoices, or billing-api/invoices with its namespace")
    return Key(where, name)


def decode_grant(raw: Raw) -> GrantView:
    """One of spec.access.grants."""
    return GrantView(text_of(raw, "namespace"), text_of(raw, "apiKey"), text_of(raw, "plan"), list_of_texts(raw, "scopes"))


def _approval(spec: Raw) -> str:
    own = text_of(mapping_of(spec, "access"), "approval") or "Manual"
    found = {text_of(plan, "approval") or own for plan in objects_of(spec, "plans")}
    return found.pop() if len(found) == 1 else "Mixed"


def _admitted(namespaces: Raw) -> str:
    """As kubectl takes a selector: `team=payments,tier in (gold,silver)`."""
    match text_of(namespaces, "from"):
        case "All":
            return "all namespaces"
        case "Selector":
            return selector_text(mapping_of(namespaces, "selector")) or "all namespaces"
        case _:
            return "its own namespace"


def selector_text(selector: Raw) -> str:
    """A label selector as kubectl's -l has it; empty: everything fits."""
    same = [f"{name}={value}" for name, value in texts_of(selector, "matchLabels").items()]
    return ",".join([*same, *map(_expression, objects_of(selector, "matchExpressions"))])


def _expression(raw: Raw) -> str:
    label, values = text_of(raw, "key"), ",".join(list_of_texts(raw, "values") or ())
    match text_of(raw, "operator"):
        case "Exists":
            return label
        case "DoesNotExist":
            return f"!{label}"
        case "NotIn":
            return f"{label} notin ({values})"
        case _:
            return f"{label} in ({values})"
